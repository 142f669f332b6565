import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import fs from "node:fs/promises";
import os from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Ajv2020 } from "ajv/dist/2020.js";
import { compareRuns } from "../../framework/compare/compare.js";
import { readRun } from "../../framework/compare/read-run.js";
import type { Result } from "../../framework/method/result.js";
import { packageRoot } from "../../framework/setup/paths.js";
import { command, numbersOf, runFolderIn, startRun } from "../support/run.js";

const spec = join(packageRoot, "test", "e2e", "specs", "small.json");

interface ScoreLine {
  readonly seed: number;
  readonly user: string;
  readonly labels: readonly number[];
  readonly scores: readonly number[];
}

async function lines<Row>(path: string): Promise<Row[]> {
  const text = await fs.readFile(path, "utf8");
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Row);
}

/** NDCG@k written again, for lists without ties. */
function ndcg({ labels, scores }: ScoreLine, k: number): number {
  const gain = (order: readonly number[]) =>
    order.slice(0, k).reduce((sum, item, rank) => sum + (labels[item] as number) / Math.log2(rank + 2), 0);
  const all = labels.map((_, i) => i);
  return (
    gain([...all].sort((a, b) => (scores[b] as number) - (scores[a] as number))) /
    gain([...all].sort((a, b) => (labels[b] as number) - (labels[a] as number)))
  );
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function groups<Row>(rows: readonly Row[], of: (row: Row) => string | number): Row[][] {
  const byKey = new Map<string | number, Row[]>();
  for (const row of rows) byKey.set(of(row), [...(byKey.get(of(row)) ?? []), row]);
  return [...byKey.values()];
}

describe("a whole run, from a spec to its result", function () {
  this.timeout(10 * 60_000);
  let undisturbed: string;

  before(async () => {
    undisturbed = await fs.mkdtemp(join(os.tmpdir(), "rlrf-run-"));
    const { status, stderr, stdout } = await startRun(spec, undisturbed).finished;
    assert.equal(status, 0, stderr);
    assert.match(stdout, /arm\s+ndcg@5/);
    assert.match(stdout, /policy\s+sampled reward/);
    assert.match(stdout, /rlrf sync/);
  });

  it("reports every arm of the spec, and every one for the same lists", async () => {
    const run = await runFolderIn(undisturbed);
    const result = JSON.parse(await fs.readFile(join(run, "result.json"), "utf8")) as { arms: Record<string, unknown> };
    const arms = ["id-only", "item-only", "metadata", "llm-0", "llm-warm", "llm-1", "llm-2", "shuffled", "swapped", "best-of-N"];
    assert.deepEqual(Object.keys(result.arms).sort(), [...arms].sort());
    const listsOf = async (arm: string) =>
      (await lines<ScoreLine & { candidates: string[] }>(join(run, "scores", `${arm}.jsonl`))).map(({ seed, user, candidates, labels }) =>
        JSON.stringify([seed, user, candidates, labels]),
      );
    const first = await listsOf("id-only");
    for (const arm of arms.filter((name) => name !== "best-of-N")) assert.deepEqual(await listsOf(arm), first, arm);
  });

  it("can be recomputed from outside: NDCG@5 of every arm, from the scores it left", async () => {
    const run = await runFolderIn(undisturbed);
    const result = JSON.parse(await fs.readFile(join(run, "result.json"), "utf8")) as {
      arms: Record<string, Record<string, { mean: number }>>;
    };
    for (const name of await fs.readdir(join(run, "scores"))) {
      const relevant = (await lines<ScoreLine>(join(run, "scores", name))).filter(({ labels }) => labels.includes(1));
      const bySeed = groups(relevant, (row) => row.seed).map((rows) =>
        mean(groups(rows, (row) => row.user).map((own) => mean(own.map((row) => ndcg(row, 5))))),
      );
      assert.equal(bySeed.length, 2);
      const reported = result.arms[name.replace(".jsonl", "")]?.["ndcg@5"]?.mean as number;
      assert.ok(Math.abs(mean(bySeed) - reported) < 1e-9, `${name}: ${mean(bySeed)} and ${reported}`);
    }
  });

  it("takes the best of N from the last iteration's samples: the reward is NDCG@5, and so is the arm's figure", async () => {
    const run = await runFolderIn(undisturbed);
    const { arms } = JSON.parse(await fs.readFile(join(run, "result.json"), "utf8")) as Result;
    const samples = await lines<{ users: string; rewards: readonly (number | null)[] }>(join(run, "samples", "2.jsonl"));
    const best = samples.flatMap(({ users, rewards }) => {
      const known = rewards.flatMap((reward) => reward ?? []);
      return users === "tuned" && known.length > 0 ? [Math.max(...known)] : [];
    });
    const reported = arms["best-of-N"]?.["ndcg@5"]?.mean as number;
    assert.ok(Math.abs(mean(best) - reported) < 1e-9, `${mean(best)} and ${reported}`);
  });

  it("is compared by its scores: the figures of its result, and no difference from a copy", async () => {
    const run = await runFolderIn(undisturbed);
    const result = JSON.parse(await fs.readFile(join(run, "result.json"), "utf8")) as Result;
    const copy = join(undisturbed, "copy");
    await fs.cp(run, copy, { recursive: true });
    const { arms, tests, differences } = compareRuns([await readRun(run), await readRun(copy)]);
    for (const [metric, byArm] of Object.entries(arms))
      for (const [arm, intervals] of Object.entries(byArm))
        for (const interval of intervals) {
          const reported = result.arms[arm]?.[metric]?.mean as number;
          assert.ok(Math.abs((interval?.mean as number) - reported) < 1e-9, `${arm} ${metric}: ${interval?.mean} and ${reported}`);
        }
    assert.ok(tests.length > 0 && tests.every(({ difference, p }) => difference === 0 && p === 1));
    assert.deepEqual(differences, []);
  });

  it("judges every policy by the texts it samples for held-out users, with paired tests", async () => {
    const result = JSON.parse(await fs.readFile(join(await runFolderIn(undisturbed), "result.json"), "utf8")) as {
      llm: Record<string, { reward: number }>;
      tests: { arm: string; against: string; metric: string; difference: number; p: number; pHolm: number }[];
    };
    const judged = result.tests.filter(({ metric }) => metric === "reward");
    assert.deepEqual(
      judged.map(({ arm, against }) => `${arm} ${against}`),
      ["llm-warm llm-0", "llm-1 llm-0", "llm-1 llm-warm", "llm-2 llm-0", "llm-2 llm-warm"],
    );
    for (const { arm, against, difference, p, pHolm } of judged) {
      const apart = (result.llm[arm]?.reward as number) - (result.llm[against]?.reward as number);
      assert.ok(Math.abs(difference - apart) < 1e-9, `${arm} - ${against}: ${difference} and ${apart}`);
      assert.ok(p > 0 && p <= pHolm && pHolm <= 1);
    }
  });

  it("leaves files in the promised forms", async () => {
    const run = await runFolderIn(undisturbed);
    const schema = async (name: string) =>
      JSON.parse(await fs.readFile(join(packageRoot, "registry", `${name}.schema.json`), "utf8")) as object;
    const ajv = new Ajv2020({ strict: false });
    const result = ajv.compile(await schema("result"));
    assert.ok(result(JSON.parse(await fs.readFile(join(run, "result.json"), "utf8"))), JSON.stringify(result.errors));
    for (const part of ["scores", "texts", "pairs", "samples"]) {
      const valid = ajv.compile(await schema(part));
      for (const name of await fs.readdir(join(run, part)))
        for (const row of await lines<object>(join(run, part, name)))
          assert.ok(valid(row), `${part}/${name}: ${JSON.stringify(valid.errors)}`);
    }
    for (const part of ["users", "items"]) {
      const valid = ajv.compile(await schema(part));
      for (const row of await lines<object>(join(run, `${part}.jsonl`))) assert.ok(valid(row), `${part}: ${JSON.stringify(valid.errors)}`);
    }
  });

  it("names the lists by the digest that `rlrf lists` prints", async () => {
    const run = await runFolderIn(undisturbed);
    const left = JSON.parse(await fs.readFile(join(run, "lists.json"), "utf8")) as { digest: string };
    const journal = await lines<{ event: string; path?: string; tags?: Record<string, string> }>(join(run, "journal.jsonl"));
    assert.ok(journal.some(({ event, path }) => event === "artifact" && path === "lists.json"));
    assert.ok(journal.some(({ tags }) => tags?.listsDigest === left.digest));
    const asked = [command, "lists", spec, "--out", join(undisturbed, "lists.jsonl"), "--json"];
    const { stdout } = await promisify(execFile)(process.execPath, asked);
    assert.equal((JSON.parse(stdout) as { digest: string }).digest, left.digest);
  });

  it("ends with a report, which `rlrf report` writes again from what the run left", async () => {
    const run = await runFolderIn(undisturbed);
    const journal = await lines<{ event: string; path?: string }>(join(run, "journal.jsonl"));
    assert.ok(journal.some(({ event, path }) => event === "artifact" && path === "report.html"));
    const out = join(undisturbed, "again.html");
    const asked = [command, "report", run, "--out", out, "--json"];
    const { stdout } = await promisify(execFile)(process.execPath, asked);
    const { file, bytes, users } = JSON.parse(stdout) as { file: string; bytes: number; users: number };
    assert.deepEqual([file, users], [out, 60]);
    assert.equal((await fs.readFile(out)).length, bytes);
    const data = (html: string) =>
      /<script type="application\/json" id="report">(.*?)<\/script>/s.exec(html)?.[1]?.replace(/"ended[^\]]*\]/, "");
    assert.equal(data(await fs.readFile(out, "utf8")), data(await fs.readFile(join(run, "report.html"), "utf8")));
    const unknown = await promisify(execFile)(process.execPath, [command, "report", "nothing", "--runs", join(undisturbed, "runs")]).then(
      () => assert.fail("it must fail"),
      (error: { code: number; stderr: string }) => error,
    );
    assert.deepEqual([unknown.code, /RLRF_RUN_UNKNOWN/.test(unknown.stderr)], [2, true]);
  });

  it("makes no pair of a text against itself, and prefers the better reward", async () => {
    const run = await runFolderIn(undisturbed);
    const pairs = await lines<{ chosen: { text: string; reward: number }; rejected: { text: string; reward: number }[] }>(
      join(run, "pairs", "1.jsonl"),
    );
    assert.ok(pairs.length > 0);
    for (const { chosen, rejected } of pairs)
      for (const other of rejected) assert.ok(chosen.reward > other.reward && chosen.text !== other.text);
  });

  it("ends with the same numbers when it is run again, and computes nothing twice", async () => {
    const before = await numbersOf(undisturbed);
    const begun = performance.now();
    const { status, stderr } = await startRun(spec, undisturbed).finished;
    assert.equal(status, 0, stderr);
    assert.doesNotMatch(stderr, /epochs|prompts/);
    assert.deepEqual(await numbersOf(undisturbed), before);
    assert.ok(performance.now() - begun < 20_000);
  });

  // Each kill falls when the first (or second) result of that step appears, in the middle of what follows it.
  const kills = [
    ["language-model", 1],
    ["tune", 1],
    ["encoder", 1],
    ["recommender", 2],
    ["rewards", 1],
    ["tune", 2],
    ["divergence", 1],
    ["scores", 1],
    ["scores", 9],
  ] as const;

  it("ends with the same numbers after kill -9 at each step", async () => {
    const folder = await fs.mkdtemp(join(os.tmpdir(), "rlrf-killed-"));
    for (const [step, count] of kills) {
      const { process: child, finished } = startRun(spec, folder);
      let ended = false;
      void finished.then(() => (ended = true));
      const made = async () => (await fs.readdir(join(folder, "store", "steps", step)).catch(() => [])).length;
      while (!ended && (await made()) < count) await new Promise((resolve) => setTimeout(resolve, 5));
      assert.ok(!ended, `the run ended before ${step} ${count}`);
      child.kill("SIGKILL");
      await finished;
    }
    const { status, stderr } = await startRun(spec, folder).finished;
    assert.equal(status, 0, stderr);
    assert.deepEqual(await numbersOf(folder), await numbersOf(undisturbed));
    await fs.rm(folder, { recursive: true, force: true });
  });

  it("ends cleanly on Ctrl-C, and goes on afterwards", async () => {
    const folder = await fs.mkdtemp(join(os.tmpdir(), "rlrf-interrupted-"));
    const { process: child, finished } = startRun(spec, folder);
    while ((await fs.readdir(join(folder, "store", "steps", "recommender")).catch(() => [])).length < 1)
      await new Promise((resolve) => setTimeout(resolve, 20));
    child.kill("SIGINT");
    const { status, stderr } = await finished;
    assert.equal(status, 130, stderr);
    assert.doesNotMatch(stderr, /\n\s+at /);
    assert.equal((await startRun(spec, folder).finished).status, 0);
    assert.deepEqual(await numbersOf(folder), await numbersOf(undisturbed));
    await fs.rm(folder, { recursive: true, force: true });
  });

  after(() => fs.rm(undisturbed, { recursive: true, force: true }));
});
