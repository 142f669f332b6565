/** Mocha's usual reporter, which also leaves its counts where framework/setup/test.mjs reads them. */
const { writeFileSync } = require("node:fs");
const { reporters } = require("mocha");

module.exports = class extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    runner.once("end", () => {
      if (process.env.RLRF_TEST_COUNTS) writeFileSync(process.env.RLRF_TEST_COUNTS, JSON.stringify(this.stats));
    });
  }
};
