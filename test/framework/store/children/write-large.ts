/** Writes 8 MB to the path of its argument, not as root, and prints the code of the error it meets. */
import { RlrfError } from "../../../../framework/errors.js";
import { writeAtomic } from "../../../../framework/store/files.js";

const path = process.argv[2] as string;
if (process.getuid?.() === 0 && process.argv[3] !== "as-root") process.setuid?.(65534);
try {
  await writeAtomic(path, Array(8).fill(new Uint8Array(1 << 20)));
  console.log("written");
} catch (error) {
  console.log(error instanceof RlrfError ? error.code : String(error));
}
