import assert from "node:assert/strict";
import fs from "node:fs/promises";
import os from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Ajv2020 } from "ajv/dist/2020.js";
import type { RunComparison } from "../../framework/compare/compare.js";
import type { Result } from "../../framework/method/result.js";
import { createRng } from "../../framework/rng.js";
import { packageRoot } from "../../framework/setup/paths.js";
import type { SweepReport } from "../../framework/sweep/report.js";
import { command, runFolderIn, start, startRun } from "../support/run.js";

const spec = join(packageRoot, "test", "e2e", "specs", "sweep.json");

async function json<Value>(path: string): Promise<Value> {
  return JSON.parse(await fs.readFile(path, "utf8")) as Value;
}

describe("a sweep", function () {
  this.timeout(10 * 60_000);
  let undisturbed: string;
  let printed: string;

  before(async () => {
    undisturbed = await fs.mkdtemp(join(os.tmpdir(), "rlrf-sweep-"));
    const { status, stdout, stderr } = await startRun(spec, undisturbed).finished;
    assert.equal(status, 0, stderr);
    printed = stdout;
  });
  after(() => fs.rm(undisturbed, { recursive: true, force: true }));

  const reportIn = async (folder: string) => json<SweepReport>(join(await runFolderIn(folder), "sweep.json"));

  it("runs every combination with every seed, and leaves a table in the promised form", async () => {
    const report = await reportIn(undisturbed);
    const valid = new Ajv2020({ strict: false }).compile(await json<object>(join(packageRoot, "registry", "sweep.schema.json")));
    assert.ok(valid(report), JSON.stringify(valid.errors));
    assert.deepEqual([report.trials.length, report.points.length, report.ended], [12, 6, true]);
    assert.ok(report.trials.every(({ state, error }) => state === "done" && error === null));
    const combinations = report.trials.map(({ values, seeds }) => JSON.stringify([...Object.values(values), ...Object.values(seeds)]));
    assert.equal(new Set(combinations).size, 12);
    assert.ok(combinations.includes('[0.001,"product",[2]]'));
  });

  it("chooses by valid users alone: what a trial's own result says of them, the mean over its seeds", async () => {
    const report = await reportIn(undisturbed);
    const folder = await runFolderIn(undisturbed);
    const selections = new Map<number, number[]>();
    for (const { point, run, selection, arms, specHash } of report.trials) {
      const result = await json<Result>(join(folder, run, "result.json"));
      assert.equal(result.specHash, specHash);
      assert.equal(result.valid.metadata?.["ndcg@5"]?.mean, selection);
      assert.deepEqual(result.arms, arms);
      selections.set(point, [...(selections.get(point) ?? []), selection as number]);
    }
    const means = [...selections].map(([point, [a, b]]) => ({ point, mean: ((a as number) + (b as number)) / 2 }));
    const best = means.reduce((top, own) => (own.mean > top.mean ? own : top));
    assert.deepEqual([report.best?.point, report.best?.selection], [best.point, best.mean]);
    assert.match(
      printed,
      new RegExp(`best ${report.best?.trials.join(", ")}: ${best.mean.toFixed(4)} ndcg@5 of the last arm with texts on valid users`),
    );
  });

  it("ends with the same table after five kills and a Ctrl-C, each at a moment by lot", async () => {
    const folder = await fs.mkdtemp(join(os.tmpdir(), "rlrf-sweep-killed-"));
    const done = async () => (await reportIn(folder).catch(() => null))?.trials.filter(({ state }) => state === "done").length ?? 0;
    const rng = createRng(Date.now(), "kills");
    for (const [before, signal] of [
      [0, "SIGKILL"],
      [1, "SIGKILL"],
      [3, "SIGINT"],
      [5, "SIGKILL"],
      [7, "SIGKILL"],
      [9, "SIGKILL"],
    ] as const) {
      const { process: child, finished } = startRun(spec, folder);
      let ended = false;
      void finished.then(() => (ended = true));
      while (!ended && (await done()) < before) await sleep(20);
      await sleep(600 * rng.uniform());
      assert.ok(!ended, `it ended before ${before} trials were done`);
      child.kill(signal);
      const { status, stderr } = await finished;
      if (signal === "SIGINT") {
        assert.equal(status, 130, stderr);
        assert.doesNotMatch(stderr, /\n\s+at /);
        assert.match(stderr, /the same command goes on from here/);
      }
    }
    const { status, stdout, stderr } = await startRun(spec, folder).finished;
    assert.equal(status, 0, stderr);
    assert.deepEqual(await reportIn(folder), await reportIn(undisturbed));
    const table = (text: string) => text.slice(0, text.lastIndexOf("\n\n"));
    assert.equal(table(stdout), table(printed));
    await fs.rm(folder, { recursive: true, force: true });
  });

  it("is done at once when it is asked for again", async () => {
    const { status, stdout, stderr } = await startRun(spec, undisturbed).finished;
    assert.deepEqual([status, stdout], [0, printed]);
    assert.doesNotMatch(stderr, /process \d+/, "a trial ran again");
  });

  it("is listed, ranked and compared, by its name and by those of its trials", async () => {
    const runs = join(undisturbed, "runs");
    const [name = ""] = await fs.readdir(runs);
    const cli = (...args: string[]) => start([process.execPath, command, ...args, "--runs", runs]).finished;
    const report = await reportIn(undisturbed);
    const listed = await cli("runs", "--trials");
    assert.match(listed.stdout, new RegExp(`^${name} +grid +${report.specHash.slice(0, 12)} +sweep +done .+12 of 12`, "m"));
    for (const { id, specHash, arms } of report.trials) {
      const value = arms.metadata?.["ndcg@5"]?.mean.toFixed(4);
      assert.match(
        listed.stdout,
        new RegExp(`^${name}/${id} +grid +${specHash.slice(0, 12)} +trial +done .+ndcg@5 of metadata ${value}$`, "m"),
      );
    }
    const best = await cli("best", name);
    assert.match(
      best.stdout,
      new RegExp(
        `best  ${name}/${report.best?.trials.join(", ")}\n.+${report.trials.find(({ id }) => id === report.best?.trials[0])?.run}`,
      ),
    );
    const compared = await cli("compare", name, "--arms", "metadata", "--json");
    const { runs: all, tests } = JSON.parse(compared.stdout) as RunComparison;
    assert.deepEqual([all.length, tests.length], [12, 66]);
    assert.ok(tests.every(({ p, pHolm }) => p <= pHolm && pHolm <= 1));
    const two = await cli("compare", `${name}/t1-s1`, `${name}/t3-s1`);
    assert.match(two.stdout, /\/reranker\/options\/learningRate +0\.0001 +0\.001/);
    const unknown = await cli("compare", name, `${name}/t9`);
    assert.deepEqual([unknown.status, /RLRF_RUN_UNKNOWN: there is no run/.test(unknown.stderr)], [2, true], unknown.stderr);
  });

  it("reports a trial that fails, and goes on with the others", async () => {
    const folder = await fs.mkdtemp(join(os.tmpdir(), "rlrf-sweep-failing-"));
    const path = join(folder, "failing.json");
    const axes = { "/protocol/relevantAbove": { values: [5, 3] } };
    await fs.writeFile(
      path,
      JSON.stringify({ extends: join(packageRoot, "test", "e2e", "specs", "quick.json"), name: "failing", sweep: { axes, metric: null } }),
    );
    const { status, stdout, stderr } = await startRun(path, folder).finished;
    assert.equal(status, 1, stderr);
    assert.match(stderr, /RLRF_SWEEP_FAILED: 1 of 2 trials failed/);
    assert.match(stdout, /t1 +RLRF_DATA_EMPTY +no list has a relevant item/);
    const { trials, best } = await reportIn(folder);
    assert.deepEqual(
      trials.map(({ state, error }) => [state, error?.code]),
      [
        ["failed", "RLRF_DATA_EMPTY"],
        ["done", undefined],
      ],
    );
    assert.equal(best, null);
    await fs.rm(folder, { recursive: true, force: true });
  });
});
