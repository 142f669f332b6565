/**
 * Mocha's usual reporter, which also leaves its counts where framework/setup/test.mjs reads them, and ends a process that would not end:
 * what a test left open (a server, a child, a timer) is a failure, and never a hang.
 */
const { writeFileSync } = require("node:fs");
const { reporters } = require("mocha");

const patience = 30_000;

module.exports = class extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    runner.once("end", () => {
      if (process.env.RLRF_TEST_COUNTS) writeFileSync(process.env.RLRF_TEST_COUNTS, JSON.stringify(this.stats));
      setTimeout(() => {
        console.error(`The tests have ended, and the process has not: ${process.getActiveResourcesInfo().sort().join(", ")} left open`);
        process.once("exit", () => (process.exitCode = 1)); // after mocha's own, which knows of no failure
        process.exit();
      }, patience).unref();
    });
  }
};
