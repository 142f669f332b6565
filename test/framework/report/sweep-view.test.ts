/** What a report takes from a sweep's folder; how it is shown stands in test/e2e/report.test.ts. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { readSweepView } from "../../../framework/report/sweep-view.js";
import { writeJson } from "../../../framework/store/files.js";
import type { SweepReport } from "../../../framework/sweep/report.js";
import { assertFails } from "../../support/faults.js";
import { useFolder } from "../../support/folder.js";
import { makeSweep } from "../../support/made-run.js";

describe("a sweep's view", () => {
  const folder = useFolder();

  it("has every trial, and the folders of those that are done, the best first", async () => {
    assert.equal(await readSweepView(folder()), null);
    await makeSweep(folder());
    const { view, runs } = (await readSweepView(folder())) ?? assert.fail("no sweep");
    assert.deepEqual([view.trials.length, view.best], [4, { trials: ["trial-4"] }]);
    assert.deepEqual(
      runs,
      ["trial-4", "trial-2", "trial-1"].map((trial) => folder("trials", trial)),
    );
  });

  it("is read as every other reader of the file reads it: a trial elsewhere is refused", async () => {
    await makeSweep(folder());
    const path = folder("sweep.json");
    const report = JSON.parse(await readFile(path, "utf8")) as SweepReport;
    await writeJson(path, { ...report, trials: report.trials.map((row) => ({ ...row, run: "trials/../spec" })) });
    await assertFails("RLRF_SWEEP_FILE", () => readSweepView(folder()), /lies outside of the sweep/);
    await writeFile(path, "{");
    await assertFails("RLRF_JSON", () => readSweepView(folder()));
  });
});
