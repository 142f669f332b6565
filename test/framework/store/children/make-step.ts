/**
 * Makes a step of 20 files, puts 20 records into a log, prints the number of the turn, for ever.
 * The test kills it at any moment.
 */
import fs from "node:fs/promises";
import { join } from "node:path";
import { Store } from "../../../../framework/store/store.js";

const store = new Store(process.argv[2] as string);
const log = await store.log<number>("texts");
for (let version = 0; ; version++) {
  await store.step({ step: "kill", version, inputs: null }, async (folder) => {
    for (let i = 0; i < 20; i++) await fs.writeFile(join(folder, `${i}.txt`), `file ${i} of ${version} `.repeat(500));
  });
  for (let i = 0; i < 20; i++) log.put(`${version}/${i}`, version * 20 + i);
  process.stdout.write(`${version}\n`);
}
