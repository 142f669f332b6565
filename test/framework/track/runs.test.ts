import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { RunFolder } from "../../../framework/store/run-folder.js";
import type { RunStatus } from "../../../framework/track/events.js";
import { findRuns } from "../../../framework/track/runs.js";
import { journalState, runState } from "../../../framework/track/state.js";
import { openTracker } from "../../../framework/track/tracker.js";
import { unknownRun } from "../../../framework/track/unknown-run.js";
import { assertFails } from "../../support/faults.js";
import { useFolder } from "../../support/folder.js";

describe("runs in a folder", () => {
  const path = useFolder();

  /** A run of which a journal tells, and nothing else. @param status absent: it has not said that it ended */
  async function told(name: string, status?: RunStatus): Promise<void> {
    await mkdir(path(name), { recursive: true });
    const { tracker, journal } = openTracker(path(name), { name, experiment: "test" });
    if (status !== undefined) tracker.finish(status);
    journal.close();
  }
  const ended = (name: string) => writeFile(path(name, "result.json"), "{}");

  it("are found by name or folder, or not at all: with what was meant, and not all of many", async () => {
    for (let i = 10; i < 40; i++) await told(`first-${i}`);
    await told("second-1234");
    assert.deepEqual(await findRuns(path(), ["first-12", path("second-1234")]), [path("first-12"), path("second-1234")]);
    const { fault } = await assertFails(
      "RLRF_RUN_UNKNOWN",
      () => findRuns(path(), ["second"]),
      /did you mean second-1234\? `rlrf runs` lists/,
    );
    assert.match(fault.expected ?? "", /^one of first-10, .*first-19, and 21 more$/);
    assert.match(unknownRun("secnod-1234", "here", ["second-1234"]).message, /did you mean second-1234\?/);
    assert.doesNotMatch(unknownRun("other", "here", ["second-1234"]).message, /did you mean/);
    assert.match(unknownRun("other", "here", []).message, /there is none here/);
  });

  it("that have not ended are told from those that there are not", async () => {
    await told("killed");
    await told("failed", "FAILED");
    await told("interrupted", "KILLED");
    await told("running");
    await told("odd", "FINISHED");
    const lock = await RunFolder.open(path(), "running");
    for (const [name, message] of [
      ["killed", /has not ended: it is stopped[\s\S]*`rlrf run` again/],
      ["failed", /has not ended: it has failed/],
      ["interrupted", /has not ended: it is interrupted/],
      ["running", /has not ended: it is running[\s\S]*wait/],
      ["odd", /the run has no result.json/],
    ] as const)
      await assertFails("RLRF_RUN_UNENDED", () => findRuns(path(), [name], "result.json"), message);
    await lock.close();
    await ended("killed");
    assert.deepEqual(await findRuns(path(), ["killed"], "result.json"), [path("killed")]);
  });

  it("that have ended are done, whatever became of a later attempt", async () => {
    await told("a", "FAILED");
    const journal = await journalState(path("a"));
    assert.ok(journal !== null);
    assert.equal(await runState(path("a"), journal), "failed");
    assert.equal(await runState(path("a"), journal, true), "done");
  });
});
