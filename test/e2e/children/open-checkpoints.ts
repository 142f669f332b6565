/** Opens each of the paths that it is called with, and prints what came of it: in a process of its own, whose memory nothing else has raised. */
import { RlrfError } from "../../../framework/errors.js";
import { openCheckpoint } from "../../../framework/language-model/checkpoint/open.js";
import { peakMemory } from "../../bench/peak-memory.js";

for (const path of process.argv.slice(2)) {
  const begun = process.cpuUsage();
  const outcome = await openCheckpoint(path).then(
    (checkpoint) => checkpoint.close().then(() => "opened"),
    (error: unknown) => (error instanceof RlrfError ? error.code : String(error)),
  );
  const { user, system } = process.cpuUsage(begun); // other programs are none of the file's doing
  console.log(JSON.stringify({ outcome, seconds: (user + system) / 1e6, peak: peakMemory() }));
}
