/** Opens the run (folder, name), prints "held" and keeps it until it is killed, or prints the code of the error it meets. */
import { RlrfError } from "../../../../framework/errors.js";
import { RunFolder } from "../../../../framework/store/run-folder.js";

const [root, name, user] = process.argv.slice(2) as [string, string, string?];
if (user === "not-as-root" && process.getuid?.() === 0) process.setuid?.(65534);
try {
  await RunFolder.open(root, name);
  console.log("held");
  setInterval(() => undefined, 1_000);
} catch (error) {
  console.log(error instanceof RlrfError ? error.code : String(error));
}
