/** Tells metrics for ever and prints each step after it was told; the test kills it. */
import { openTracker } from "../../../../framework/track/tracker.js";

const { tracker } = openTracker(process.argv[2] as string, { name: "killed", experiment: "test" });
for (let step = 0; ; step++) {
  tracker.metrics({ loss: step }, step);
  process.stdout.write(`${step}\n`);
  if (step % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
}
