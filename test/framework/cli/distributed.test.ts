import assert from "node:assert/strict";
import fs from "node:fs/promises";
import { join } from "node:path";
import { isDone, unitsOfRun } from "../../../framework/cli/distributed.js";
import { type UnitRecord, UnitStates } from "../../../framework/executor/unit-states.js";
import { writeJson } from "../../../framework/store/files.js";
import { Store } from "../../../framework/store/store.js";
import { assertFails } from "../../support/faults.js";
import { useFolder } from "../../support/folder.js";
import { makeSweep } from "../../support/made-run.js";

describe("the units of a run that is asked about", () => {
  const path = useFolder();
  const executor = { plugin: "local", version: "1.0.0", options: {} };

  beforeEach(async () => {
    const states = await UnitStates.open(new Store(path("shared")), "run-1");
    await states.begin(executor);
    await writeJson(path("runs", "run-1", "spec.json"), { store: { path: path("shared") } });
  });

  it("are found in the store that its spec names, by the run's name and by its folder", async () => {
    for (const run of ["run-1", path("runs", "run-1"), `${path("runs", "run-1")}/`])
      assert.deepEqual((await unitsOfRun(run, { runs: path("runs") })).driver?.executor, executor, run);
  });

  it("are all done when the run has its result, or its sweep has ended and no trial is left", async () => {
    const unit = { id: "t", label: "t", makes: "t", attempt: 1, place: null, lost: [], since: "", beginning: "" };
    const [done, failed] = [{ ...unit, state: "done" } as const, { ...unit, state: "failed" } as const];
    const asked = async (...units: readonly UnitRecord[]) => isDone("run-1", path("runs"), units);
    assert.equal(await asked(done), false);
    await writeJson(path("runs", "run-1", "result.json"), {});
    assert.equal(await asked(failed), true);
    await makeSweep(path("runs", "run-1"));
    assert.deepEqual([await asked(done), await asked(done, failed)], [true, false]);
  });

  it("are found in the store that is named", async () => {
    await fs.cp(path("shared"), path("copy"), { recursive: true });
    await fs.rm(path("shared"), { recursive: true });
    assert.equal((await unitsOfRun("run-1", { runs: path("runs"), cache: path("copy") })).runId, "run-1");
    await assertFails("RLRF_RUN_UNKNOWN", () => unitsOfRun("run-1", { runs: path("runs") }), new RegExp(join(path(), "shared")));
  });
});
