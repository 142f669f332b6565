import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import fs from "node:fs/promises";
import { mock } from "node:test";
import type { Executor, Unit, UnitChange, UnitOutcome } from "../../../framework/contracts/executor.js";
import { RlrfError } from "../../../framework/errors.js";
import { UnitStates } from "../../../framework/executor/unit-states.js";
import type { Registry } from "../../../framework/kernel/registry.js";
import type { Json } from "../../../framework/spec/json.js";
import { specFromValue } from "../../../framework/spec/read.js";
import { writeJson } from "../../../framework/store/files.js";
import { hashOf } from "../../../framework/store/hash.js";
import { RunFolder } from "../../../framework/store/run-folder.js";
import { Store } from "../../../framework/store/store.js";
import { expandSweep, type Sweep, type Trial } from "../../../framework/sweep/expand.js";
import { readSweep, trialFolders } from "../../../framework/sweep/read-report.js";
import { rowOf } from "../../../framework/sweep/report.js";
import { runTrials } from "../../../framework/sweep/run.js";
import { openTracker } from "../../../framework/track/tracker.js";
import { assertFails, createListener } from "../../support/faults.js";
import { fixtureRegistry, tunedSpec } from "../../support/fixtures.js";
import { useFolder } from "../../support/folder.js";

const beta = "/loss/options/beta";

/** An executor whose changes something else comes between. */
function meddling(own: Executor, between: (change: UnitChange, tell: () => void) => void): Executor {
  return {
    parallel: 1,
    run: (units, options = {}) => own.run(units, { ...options, onChange: (change) => between(change, () => options.onChange?.(change)) }),
  };
}

describe("sweep: running", () => {
  const path = useFolder();
  let registry: Registry;
  before(async () => {
    registry = await fixtureRegistry();
  });
  afterEach(() => mock.restoreAll());

  function swept(sweep: Json): Sweep {
    const expanded = expandSweep(specFromValue({ ...tunedSpec(), name: "s", sweep }), registry);
    assert.ok(expanded !== null);
    return expanded;
  }

  /** Does trials without computing anything: the reward of a trial is its beta; what `fails` names fails. */
  function executor(
    folder: RunFolder,
    sweep: Sweep,
    fails: readonly string[] = [],
  ): Executor & { readonly asked: Unit[]; readonly done: string[] } {
    const asked: Unit[] = [];
    const done: string[] = [];
    const one = async ({ id }: Unit): Promise<UnitOutcome> => {
      const trial = sweep.trials.find((own) => id.endsWith(`.${own.id}`));
      assert.ok(trial !== undefined);
      done.push(trial.id);
      if (fails.includes(trial.id))
        return { id, state: "failed", exitCode: 1, attempts: 1, error: { code: "RLRF_TRAIN_NAN", message: "no number" } };
      await leave(folder.path(rowOf(trial).run), trial.resolved.hash, Number(trial.values[beta]) * (trial.budget ?? 1));
      return { id, state: "done", exitCode: 0, attempts: 1 };
    };
    return {
      parallel: 1,
      asked,
      done,
      async run(units, { onChange, signal } = {}) {
        asked.push(...units);
        const outcomes: UnitOutcome[] = [];
        for (const unit of units) {
          onChange?.({ id: unit.id, state: "running", attempt: 1 });
          const outcome = signal?.aborted ? { id: unit.id, state: "cancelled" as const, exitCode: null, attempts: 0 } : await one(unit);
          onChange?.({ id: unit.id, state: outcome.state, attempt: 1 });
          await new Promise((resolve) => setTimeout(resolve, 5));
          outcomes.push(outcome);
        }
        return outcomes;
      },
    };
  }

  async function leave(folder: string, specHash: string, reward: number): Promise<void> {
    const llm = { reward, bestOfN: 1, winRate: 0.5, structureRate: 1, conforming: 1, tokens: 9, distinct2: 0.5 };
    const rest = { arms: {}, valid: {}, tests: [], hearing: [], iterations: [], counts: {}, warnings: [], seconds: {} };
    await writeJson(`${folder}/result.json`, { name: "s", specHash, engine: {}, seeds: [1], llm: { "llm-1": llm }, ...rest });
    const { tracker, journal } = openTracker(folder, { name: "s", experiment: "x" });
    tracker.finish("FINISHED");
    journal.close();
  }

  let states: UnitStates;
  beforeEach(async () => {
    states = await UnitStates.open(new Store(path("store")), "s-1");
    await states.begin({ plugin: "local", version: "1.0.0", options: {} });
  });
  const unitOf = (trial: string, runs = "runs") => `${states.prefix}${hashOf(path(runs, "s-1")).slice(0, 8)}.${trial}`;
  const open = () => RunFolder.open(path("runs"), "s-1");
  const context = (folder: RunFolder, own: Executor, signal = new AbortController().signal) => ({
    ...{
      executor: own,
      folder,
      states,
      cache: path("store"),
      flags: [],
      key: "00000000-0000-4000-8000-000000000000",
      logger: createListener(),
      signal,
    },
  });
  const grid = { axes: { [beta]: { values: [1, 3, 2] } } };
  const halving = {
    strategy: "halving",
    axes: { [beta]: { values: [1, 4, 3, 2] } },
    budget: { pointer: "/alignment/epochs", from: 1, to: 4, factor: 2 },
  };

  it("halves: the best of each rung go on, a failed one does not, and the last rung has the best", async () => {
    const folder = await open();
    const sweep = swept(halving);
    const own = executor(folder, sweep, ["r1-t2"]);
    const report = await runTrials(sweep, context(folder, own));
    assert.deepEqual(own.done, ["r1-t1", "r1-t2", "r1-t3", "r1-t4", "r2-t3", "r2-t4", "r3-t3"]);
    assert.deepEqual([report.best?.trials, report.best?.selection, report.ended], [["r3-t3"], 12, true]);
    assert.deepEqual(
      report.trials.filter(({ state }) => state === "left out").map(({ id }) => id),
      ["r2-t1", "r2-t2", "r3-t1", "r3-t2", "r3-t4"],
    );
    assert.deepEqual(report.trials.find(({ id }) => id === "r1-t2")?.error, { code: "RLRF_TRAIN_NAN", message: "no number" });
    assert.deepEqual(await readSweep(folder.folder), JSON.parse(JSON.stringify(report)));
    assert.equal((await trialFolders(folder.folder, "result.json")).length, 6);
    await folder.close();
  });

  it("does again what failed, and nothing that is done", async () => {
    const folder = await open();
    const sweep = swept(grid);
    const first = await runTrials(sweep, context(folder, executor(folder, sweep, ["t2"])));
    assert.equal(first.best?.trials[0], "t3");
    const again = executor(folder, sweep);
    const second = await runTrials(sweep, context(folder, again));
    assert.deepEqual([again.done, second.best?.trials], [["t2"], ["t2"]]);
    assert.deepEqual(
      states.all().map(({ label, state }) => [label, state]),
      [
        ["t1  /loss/options/beta = 1", "done"],
        ["t2  /loss/options/beta = 3", "done"],
        ["t3  /loss/options/beta = 2", "done"],
      ],
    );
    await folder.close();
  });

  it("gives each trial its spec, below the sweep's run, and absolute paths", async () => {
    const folder = await open();
    const sweep = swept(grid);
    const own = executor(folder, sweep);
    await runTrials(sweep, context(folder, own));
    const [{ id, command, resources } = assert.fail("no unit")] = own.asked;
    assert.deepEqual([id, resources], [unitOf("t1"), { cpus: 1, gpus: 0, memoryBytes: 2 ** 31 }]);
    assert.deepEqual(command.slice(2), ["--runs", folder.path("trials"), "--cache", path("store"), "--wait", "--quiet", "--json"]);
    const spec = JSON.parse(await fs.readFile(command[1] as string, "utf8")) as {
      tracking: { run: string };
      loss: { options: { beta: number } };
    };
    assert.deepEqual([spec.tracking.run, spec.loss.options.beta], ["00000000-0000-4000-8000-000000000000/t1", 1]);
    await folder.close();
  });

  it("names the units of one sweep in two folders of runs apart: each makes results of its own", async () => {
    const sweep = swept(grid);
    const idsIn = async (runs: string) => {
      const folder = await RunFolder.open(path(runs), "s-1");
      const own = executor(folder, sweep);
      await runTrials(sweep, context(folder, own));
      await folder.close();
      return own.asked.map(({ id }) => id);
    };
    const trials = ["t1", "t2", "t3"];
    assert.deepEqual(
      [await idsIn("runs"), await idsIn("other")],
      ["runs", "other"].map((runs) => trials.map((trial) => unitOf(trial, runs))),
    );
  });

  it("does not say of a trial that left no result that it is done", async () => {
    const folder = await open();
    const sweep = swept(grid);
    const own = executor(folder, sweep);
    const forgetful = meddling(own, (change, tell) => {
      if (change.id === unitOf("t2") && change.state === "done") rmSync(folder.path(rowOf(sweep.trials[1] as Trial).run, "result.json"));
      tell();
    });
    const told = context(folder, forgetful);
    const { trials } = await runTrials(sweep, told);
    assert.deepEqual(
      trials.map(({ id, state, error }) => [id, state, error?.code]),
      [
        ["t1", "done", undefined],
        ["t2", "failed", "RLRF_RESULT_FILE"],
        ["t3", "done", undefined],
      ],
    );
    assert.deepEqual(
      told.logger.infos.filter((line) => / done/.test(line)).map((line) => line.split(" ")[0]),
      ["t1", "t3"],
    );
    assert.match(told.logger.warnings.map(({ message }) => message).join(), /^t2 failed .*left no result in/);
    assert.deepEqual(
      states.all().map(({ state }) => state),
      ["done", "failed", "done"],
    );
    await folder.close();
  });

  it("leaves no trial as running when it is interrupted, or its executor fails", async () => {
    const folder = await open();
    const sweep = swept(grid);
    const controller = new AbortController();
    const own = executor(folder, sweep);
    const ending = meddling(own, (change, tell) => {
      tell();
      if (change.state === "done") controller.abort(new Error("ended by SIGINT"));
    });
    await assert.rejects(runTrials(sweep, context(folder, ending, controller.signal)), /ended by SIGINT/);
    const states = async () => (await readSweep(folder.folder)).trials.map(({ state }) => state);
    assert.deepEqual(await states(), ["done", "waiting", "waiting"]);
    const failing: Executor = {
      parallel: 1,
      run: async (units, options) => {
        options?.onChange?.({ id: units[0]?.id ?? "", state: "running", attempt: 1 });
        throw new RlrfError("RLRF_LOCK_TIMEOUT", { message: "the cluster is gone" });
      },
    };
    await assertFails("RLRF_LOCK_TIMEOUT", () => runTrials(sweep, context(folder, failing)), /the cluster is gone/);
    assert.deepEqual(await states(), ["done", "waiting", "waiting"]);
    await folder.close();
  });

  it("ends the trials when its table cannot be written, and says why", async () => {
    const folder = await open();
    const sweep = swept(grid);
    const own = executor(folder, sweep);
    const full: Executor = {
      parallel: 1,
      run: (units, options) => {
        mock.method(fs, "rename", async () => Promise.reject(Object.assign(new Error("ENOSPC"), { code: "ENOSPC" })));
        return own.run(units, options);
      },
    };
    await assertFails("RLRF_DISK_FULL", () => runTrials(sweep, context(folder, full)), /free some space/);
    mock.restoreAll();
    assert.ok(own.done.length < 3);
    await folder.close();
  });

  it("reads a table as if anybody had written it", async () => {
    const folder = await open();
    const sweep = swept(grid);
    const report = JSON.parse(JSON.stringify(await runTrials(sweep, context(folder, executor(folder, sweep))))) as {
      trials: { run: string }[];
    };
    const file = folder.path("sweep.json");
    const cases: readonly [unknown, RegExp][] = [
      ["no object", /is "no object"/],
      [{ ...report, trials: 3 }, /trials is 3/],
      [{ ...report, trials: report.trials.map((row) => ({ ...row, run: "../../etc" })) }, /lies outside of the sweep/],
      [{ ...report, more: 1 }, /has no key "more"/],
    ];
    for (const [value, message] of cases) {
      await fs.writeFile(file, JSON.stringify(value));
      await assertFails("RLRF_SWEEP_FILE", () => readSweep(folder.folder), message);
    }
    await fs.writeFile(file, "{");
    await assertFails("RLRF_JSON", () => readSweep(folder.folder));
    await folder.close();
  });
});
