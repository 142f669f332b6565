import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { bestOf } from "../../../framework/compare/best.js";
import { chosenRuns, type ListedRun, type RunSource, testFigure, withTrials } from "../../../framework/compare/listed-run.js";
import { LocalRuns } from "../../../framework/compare/local-runs.js";
import type { PointRow, SweepReport, TrialRow } from "../../../framework/sweep/report.js";
import { openTracker } from "../../../framework/track/tracker.js";
import { RunFolder } from "../../../framework/store/run-folder.js";
import { assertFails } from "../../support/faults.js";
import { useFolder } from "../../support/folder.js";

const run = (id: string, valid: number, more: Partial<ListedRun> = {}): ListedRun => ({
  id,
  kind: "experiment",
  state: "done",
  begun: "2026-01-01T00:00:00.000Z",
  name: id,
  specHash: "0123456789abcdef",
  listsDigest: "d",
  metrics: ["ndcg@5"],
  // The better on test users, the worse on valid ones: a choice by test users would be seen.
  figures: {
    arms: { metadata: { "ndcg@5": { mean: 1 - valid } } },
    valid: { metadata: { "ndcg@5": { mean: valid } } },
    llm: { "llm-0": { reward: valid / 2 } },
  },
  at: `/runs/${id}`,
  ...more,
});

const row = (id: string, point: number, rung = 1): TrialRow => ({
  ...{ id, point, rung, budget: null, values: { "/a": point }, seeds: {}, specHash: "h", run: `trials/${id}` },
  ...{ state: "done", selection: null, arms: {}, error: null },
});
const sweepOf = (trials: readonly TrialRow[], metric: string | null = "ndcg@5"): SweepReport => ({
  ...{ name: "s", specHash: "h", strategy: "grid", metric, axes: ["/a"], ended: true, trials, best: null },
  points: [] as PointRow[],
});

function source(runs: readonly ListedRun[], sweep = sweepOf([])): RunSource {
  const { folder, spec } = new LocalRuns("here");
  return { place: "here", list: async () => [...runs], folder, spec, sweep: async () => sweep, close: async () => {} };
}

describe("the best of runs", () => {
  it("is ranked on valid users, whatever test users say; those without the metric come last", async () => {
    const runs = [run("a", 0.2), run("b", Number.NaN), run("c", 0.4)];
    const { metric, best, candidates } = await bestOf(source(runs), []);
    assert.deepEqual([metric, best?.id, candidates.map(({ id }) => id)], ["ndcg@5", "c", ["c", "a", "b"]]);
    assert.equal((await bestOf(source(runs), ["a"])).best?.id, "a");
    for (const [none, there] of [
      ["map@1", /none of the runs has map@1[\s\S]*one of metadata\/ndcg@5, ndcg@5, reward/],
      ["foo/ndcg@5", /none of the runs has foo\/ndcg@5/],
    ] as const)
      await assertFails("RLRF_METRIC_NAME", () => bestOf(source(runs), [], none), there);
    const unended = run("d", 0, { figures: { arms: {}, valid: {}, llm: {} } });
    await assertFails("RLRF_METRIC_NAME", () => bestOf(source([unended]), [], "reward"), /no figures yet/);
    assert.equal((await bestOf(source([unended]), [])).best, null);
  });

  it("tells equals as such, the first of them first", async () => {
    const { best, tied } = await bestOf(source([run("a", 0.2), run("b", 0.4), run("c", 0.4)]), []);
    assert.deepEqual([best?.id, tied], ["b", ["c"]]);
    assert.deepEqual((await bestOf(source([run("a", 0.2), run("b", 0.4)]), [])).tied, []);
  });

  it("takes a sweep for its points, each the mean over its seeds, of the last rung", async () => {
    const trials = [row("r1-t1", 1), row("r2-t1-s1", 1, 2), row("r2-t1-s2", 1, 2), row("r2-t2-s1", 2, 2), row("r2-t2-s2", 2, 2)];
    const values = [0.9, 0.1, 0.5, 0.4, 0.4];
    const sweep = run("s", 0, { kind: "sweep" });
    const all = [sweep, ...trials.map(({ id }, i) => run(`s/${id}`, values[i] as number, { kind: "trial" }))];
    const { best, candidates } = await bestOf(source(all, sweepOf(trials)), ["s"]);
    assert.deepEqual([best?.id, best?.selection, best?.values], ["s/r2-t2-s1, r2-t2-s2", 0.4, { "/a": 2 }]);
    assert.deepEqual(
      candidates.map(({ selection }) => selection?.toFixed(2)),
      ["0.40", "0.30"],
    );
    const halved = await bestOf(source(all.slice(0, -1), sweepOf(trials)), ["s"]);
    assert.equal(halved.best?.id, "s/r2-t1-s1, r2-t1-s2", "a point of which a trial is missing is not ranked");
    assert.deepEqual(withTrials([sweep], all).length, 5);
  });

  it("is refused across different lists, by test users, and for names that are none or several", async () => {
    const runs = [run("a", 0.2), run("b", 0.3, { listsDigest: "other" })];
    await assertFails("RLRF_COMPARE_LISTS", () => bestOf(source(runs), []), /2 different sets of lists/);
    assert.equal((await bestOf(source(runs), ["b"])).best?.id, "b");
    for (const wrong of ["test", "test ndcg@5", "ndcg@0", "a/b/ndcg@5"])
      await assertFails("RLRF_METRIC_NAME", () => bestOf(source(runs), [], wrong), /valid users/);
    await assertFails("RLRF_RUN_UNKNOWN", () => bestOf(source([]), []), /there are no runs/);
    await assertFails("RLRF_RUN_UNKNOWN", () => chosenRuns(runs, ["c"], "here"), /one of a, b/);
    await assertFails(
      "RLRF_RUN_UNKNOWN",
      () => chosenRuns([run("sw-9dfc45a3", 0.1), ...runs], ["sw"], "here"),
      /did you mean sw-9dfc45a3\?/,
    );
    const twins = [run("a", 0.1, { at: "1" }), run("a", 0.1, { at: "2" })];
    await assertFails("RLRF_RUN_UNKNOWN", () => chosenRuns(twins, ["a"], "here"), /one of 1, 2/);
    assert.equal(chosenRuns(twins, ["2"], "here")[0]?.at, "2");
    assert.deepEqual(testFigure(run("a", 0.2)), { arm: "metadata", metric: "ndcg@5", value: 0.8 });
  });

  describe("in folders", () => {
    const path = useFolder();

    async function make(name: string, window: number): Promise<string> {
      const folder = path("runs", name);
      await mkdir(folder, { recursive: true });
      await writeFile(path("runs", name, "spec.json"), JSON.stringify({ name, protocol: { window, metrics: ["ndcg@5"] } }));
      return folder;
    }

    it("ranks rewards only where the same models gave them", async () => {
      const runs = [run("a", 0.2, { at: await make("a", 3) }), run("b", 0.4, { at: await make("b", 3) })];
      const other = run("c", 0.3, { at: await make("c", 5) });
      await assertFails("RLRF_COMPARE_LISTS", () => bestOf(source([...runs, other]), [], "reward"), /differ in \/protocol\/window/);
      assert.equal((await bestOf(source(runs), [], "reward")).best?.id, "b");
    });

    it("asks that of runs that lie together, or are called alike, and of a sweep that chose by another metric", async () => {
      const pair = async (a: string, b: string, more: Partial<ListedRun> = {}) => [
        run(a, 0.2, { ...more, at: await make(a, 3) }),
        run(b, 0.4, { ...more, at: await make(b, 5) }),
      ];
      for (const runs of [await pair("run-a", "run-b"), await pair("elsewhere/a", "elsewhere/b")])
        await assertFails("RLRF_COMPARE_LISTS", () => bestOf(source(runs), [], "reward"), /differ in \/protocol\/window/);
      const trials = [row("t1", 1), row("t2", 2)];
      const all = [run("s", 0, { kind: "sweep" }), ...(await pair("s/t1", "s/t2", { kind: "trial" }))];
      await assertFails("RLRF_COMPARE_LISTS", () => bestOf(source(all, sweepOf(trials)), ["s"], "reward"), /differ in \/protocol\/window/);
    });

    it("lets the seeds of a point differ, and asks for the same ones in each", async () => {
      const trials = [row("t1-s1", 1), row("t1-s2", 1), row("t2-s1", 2), row("t2-s2", 2)];
      const made = async (id: string, window: number) => run(`s/${id}`, 0.1, { kind: "trial", at: await make(id, window) });
      const all = [run("s", 0, { kind: "sweep" }), await made("t1-s1", 3), await made("t1-s2", 4), await made("t2-s1", 3), await made("t2-s2", 4)]; // biome-ignore format: one line
      assert.equal((await bestOf(source(all, sweepOf(trials)), ["s"], "reward")).best?.id, "s/t1-s1, t1-s2");
      const single = run("single", 0.1, { at: await make("single", 3) });
      await assertFails(
        "RLRF_COMPARE_LISTS",
        () => bestOf(source([...all, single], sweepOf(trials)), ["s", "single"], "reward"),
        /differ in \/seeds/,
      );
    });

    it("says of a damaged spec where it lies", async () => {
      const runs = [run("a", 0.2, { at: await make("a", 3) }), run("b", 0.4, { at: await make("b", 3) })];
      await writeFile(path("runs", "b", "spec.json"), "{");
      await assertFails("RLRF_JSON", () => bestOf(source(runs), [], "reward"), /runs\/b\/spec\.json/);
    });

    it("knows a run's state from its journal and its lock", async () => {
      const states: Record<string, string> = {};
      for (const [name, end] of [
        ["done", "FINISHED"],
        ["failed", "FAILED"],
        ["interrupted", "KILLED"],
        ["stopped", null],
        ["running", null],
      ] as const) {
        const { tracker, journal } = openTracker(await make(name, 3), { name, experiment: "x" });
        if (end !== null) tracker.finish(end);
        journal.close();
      }
      const open = await RunFolder.open(path("runs"), "running");
      for (const { id, state } of await new LocalRuns(path("runs")).list()) states[id] = state;
      await open.close();
      assert.deepEqual(states, Object.fromEntries(["done", "failed", "interrupted", "running", "stopped"].map((name) => [name, name])));
      assert.deepEqual(await new LocalRuns(path("none")).list(), []);
    });

    it("lists a sweep whose table is damaged or of another version as broken, and says what is wrong where that one is asked for", async () => {
      for (const name of ["good", "torn", "older"]) {
        const { tracker, journal } = openTracker(await make(name, 3), { name, experiment: "x" });
        tracker.finish("FINISHED");
        journal.close();
      }
      await writeFile(path("runs", "torn", "sweep.json"), '{"name": "torn"');
      await writeFile(path("runs", "older", "sweep.json"), '{"name": "older", "trials": 3}');
      const runs = new LocalRuns(path("runs"));
      assert.deepEqual((await runs.list()).map(({ id, kind, state, specHash }) => [id, kind, state, specHash !== null]).sort(), [
        ["good", "experiment", "done", true],
        ["older", "sweep", "broken", false],
        ["torn", "sweep", "broken", false],
      ]);
      assert.deepEqual((await bestOf(runs, [])).candidates.map(({ id }) => id), ["good"]); // biome-ignore format: one line
      await assertFails("RLRF_SWEEP_FILE", () => bestOf(runs, ["older"]), /specHash" is missing[\s\S]*sweep\.json/);
      await assertFails("RLRF_JSON", () => runs.list([path("runs", "torn")]));
    });
  });
});
