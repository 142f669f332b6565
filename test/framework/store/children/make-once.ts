/** Makes the step "once" in the store of the first argument, slowly: notes each making in the file of the second, and prints "making" and "done". */
import { appendFileSync } from "node:fs";
import fs from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Store } from "../../../../framework/store/store.js";

const [root, notes, milliseconds] = process.argv.slice(2) as [string, string, string];
await new Store(root).step({ step: "once", version: 1, inputs: null }, async (folder) => {
  appendFileSync(notes, `${process.pid}\n`);
  console.log("making");
  await sleep(Number(milliseconds));
  await fs.writeFile(join(folder, "result.txt"), "made");
});
console.log("done");
