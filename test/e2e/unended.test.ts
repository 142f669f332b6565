/** What commands say of a run that has not ended, and of a sweep where a run is asked for. */
import assert from "node:assert/strict";
import { mkdir, rm } from "node:fs/promises";
import { existsSync } from "node:fs";
import { writeJson } from "../../framework/store/files.js";
import { openTracker } from "../../framework/track/tracker.js";
import { useFolder } from "../support/folder.js";
import { makeSweep } from "../support/made-run.js";
import { command, start } from "../support/run.js";

describe("a run that has not ended", function () {
  this.timeout(60_000);
  const folder = useFolder();
  const rlrf = (name: string, ...args: readonly string[]) =>
    start([process.execPath, command, name, ...args, "--runs", folder("runs")]).finished;

  it("has no report yet", async () => {
    await mkdir(folder("runs", "begun"), { recursive: true });
    openTracker(folder("runs", "begun"), { name: "begun", experiment: "test" }).journal.close();
    const { status, stderr } = await rlrf("report", "begun");
    assert.match(stderr, /^RLRF_RUN_UNENDED: the run has not ended: it is stopped/);
    assert.equal(status, 2);
  });

  it("is no trial of a sweep that is done, and a sweep is no run that could be promoted", async () => {
    await makeSweep(folder("runs", "sweep"));
    await writeJson(folder("runs", "sweep", "spec.json"), {});
    const promoted = await rlrf("promote", "sweep", "m", "--out", folder("m"));
    assert.match(promoted.stderr, /^RLRF_PROMOTE_RUN: it is a sweep[\s\S]*to do .*sweep\/trial-4/);
    for (const trial of [1, 2, 4]) await rm(folder("runs", "sweep", "trials", `trial-${trial}`, "result.json"));
    const reported = await rlrf("report", "sweep", "--out", folder("page.html"));
    assert.match(reported.stderr, /^RLRF_RUN_UNENDED: no trial of the sweep is done/);
    assert.deepEqual([promoted.status, reported.status, existsSync(folder("page.html"))], [2, 2, false]);
  });
});
