/** A process that computes without a pause for 60 s, or waits as long. */
import { setTimeout as sleep } from "node:timers/promises";
import { interruption } from "../../../../framework/cli/interrupt.js";

const signal = interruption();
await sleep(1000); // until the thread listens
process.stdout.write("begun\n");
if (process.argv[2] === "computing") for (const end = Date.now() + 60_000; Date.now() < end; );
await sleep(60_000, undefined, { signal }).catch(() => process.exit(7));
