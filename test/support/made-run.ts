/** Run folders in the form in which `rlrf run` leaves them, made up: of any size, and with texts of any malice. */
import { join } from "node:path";
import { userMeans } from "../../framework/metrics/by-user.js";
import { bootstrapInterval, pairedTests } from "../../framework/metrics/statistics.js";
import { createRng } from "../../framework/rng.js";
import { writeJson, writeJsonLines } from "../../framework/store/files.js";

const arms = ["id-only", "item-only", "metadata", "llm-0", "llm-warm", "llm-1", "swapped"] as const;
const policies = ["metadata", "llm-0", "llm-warm", "llm-1"] as const;
const metrics = ["ndcg@5", "map@3"] as const;
const length = 10;

export interface MadeRunOptions {
  readonly users: number;
  readonly seeds?: readonly number[];
  /** Stands in every name, text and title. */
  readonly malice?: string;
  readonly name?: string;
  /** Shifts the scores of relevant items. */
  readonly lead?: number;
}

/** Half of the users are tested, half tuned on. The figures of the result are those of its scores. */
export async function makeRun(folder: string, options: MadeRunOptions): Promise<void> {
  const { users, seeds = [1], malice = "", name = "made" } = options;
  const rng = createRng("made run", users);
  const ids = Array.from({ length: users }, (_, user) => `u${user + 1}${malice}`);
  const tested = ids.filter((_, user) => user % 2 === 0);
  const tuned = ids.filter((_, user) => user % 2 === 1);
  const title = `${name}${malice}`;
  const protocol = { seed: 7, ties: "expected", listLength: length, metrics };
  const prompt = { aspects: [{ name: "Genre" }, { name: "Period" }, { name: "Avoids" }] };
  await writeJson(join(folder, "spec.json"), { name: title, seeds, protocol, prompt, odd: malice });
  await writeJson(join(folder, "origins.json"), { "/name": `file${malice}:1:2` });
  await writeJson(join(folder, "lists.json"), { digest: "d1gest", counts: {} });
  await writeUsers(folder, ids, malice, rng);
  const byMetric = await writeScores(folder, tested, { ...options, seeds }, rng);
  await writeTexts(folder, ids, tuned, malice, rng);
  await writeJournal(folder, title);
  await writeJson(join(folder, "result.json"), resultOf(title, seeds, byMetric, malice));
}

type Rng = ReturnType<typeof createRng>;
const item = (number: number) => `i${number}`;

async function writeUsers(folder: string, ids: readonly string[], malice: string, rng: Rng): Promise<void> {
  const interactions = (count: number) => Array.from({ length: count }, () => [item(rng.below(500)), 1 + rng.below(5)]);
  const rows = ids.map((user, i) => {
    const part = i % 2 === 0 ? "test" : "align";
    return { user, part, fold: null, window: interactions(12), later: interactions(20) };
  });
  await writeJsonLines(join(folder, "users.jsonl"), rows);
  const items = Array.from({ length: 500 }, (_, i) => ({ item: item(i), title: `The Made Film ${i}${malice}` }));
  await writeJsonLines(join(folder, "items.jsonl"), items);
}

/** Arms rank better one after the other. @returns metric -> arm -> values of the users */
async function writeScores(
  folder: string,
  tested: readonly string[],
  { seeds = [], lead = 0 }: MadeRunOptions,
  rng: Rng,
): Promise<ReadonlyMap<string, Map<string, Float64Array>>> {
  const labels = Array.from({ length }, (_, slot) => Number(slot < 3));
  const lists = tested.map((user) => {
    const first = rng.below(490);
    return { user, candidates: Array.from({ length }, (_, slot) => item(first + slot)), labels };
  });
  const byMetric = new Map(metrics.map((metric) => [metric as string, new Map<string, Float64Array>()]));
  const users = lists.map((_, row) => row);
  const allLabels = Uint8Array.from(lists.flatMap(() => labels));
  for (const [quality, arm] of arms.entries()) {
    const score = (at: number) => rng.uniform() + (at % length < 3 ? 0.05 * quality + lead : 0);
    const ranked = seeds.map((seed) => {
      return { seed, users, labels: allLabels, scores: Float32Array.from({ length: lists.length * length }, (_, at) => score(at)) };
    });
    const rows = ranked.flatMap(({ seed, scores }) =>
      lists.map((list, row) => ({ seed, split: "test", ...list, scores: [...scores.subarray(row * length, (row + 1) * length)] })),
    );
    await writeJsonLines(join(folder, "scores", `${arm}.jsonl`), rows);
    for (const metric of metrics)
      byMetric.get(metric)?.set(arm, userMeans(ranked, { metric, length, ties: "expected", users: users.length }));
  }
  return byMetric;
}

async function writeTexts(folder: string, ids: readonly string[], tuned: readonly string[], malice: string, rng: Rng): Promise<void> {
  const genres = ["Drama", "Comedy", "Horror"];
  const text = (policy: string, user: number) => `Genre: ${genres[(user + policy.length) % 3]}${malice}\nPeriod: 1990s\nAvoids: War`;
  for (const policy of policies) {
    const rows = ids.map((user, i) => ({ user, text: text(policy, i), parsed: {}, structureRate: 1 }));
    await writeJsonLines(join(folder, "texts", `${policy}.jsonl`), rows);
  }
  const side = (user: number, reward: number) => ({ text: text("pair", user), reward, tokens: 12 });
  const pairs = tuned.map((user, i) => {
    return { user, teaches: i % 5 === 0 ? "structure" : "reward", chosen: side(i, 0.8), rejected: [side(i + 1, 0.3)] };
  });
  await writeJsonLines(join(folder, "pairs", "1.jsonl"), pairs);
  const set = (users: string, when: string, policy: string, shift: number) =>
    tuned.slice(0, 200).map((user) => {
      const rewards = Array.from({ length: 8 }, () => Math.min(1, rng.uniform() * 0.8 + shift));
      const texts = rewards.map((_, i) => text(policy, i));
      return { user, users, when, policy, rewards, tokens: rewards.map(() => 12), finished: rewards.map(() => true), texts };
    });
  const samples = [
    ...set("tuned", "before", "llm-warm", 0.05),
    ...set("held-out", "before", "llm-warm", 0.05),
    ...set("held-out", "after", "llm-1", 0.2),
  ];
  await writeJsonLines(join(folder, "samples", "1.jsonl"), samples);
}

async function writeJournal(folder: string, name: string): Promise<void> {
  const key = "00000000-0000-4000-8000-000000000000";
  const time = Date.UTC(2026, 0, 2, 3, 4, 5);
  const told: object[] = [
    { event: "run", key, name, kind: "experiment", parent: null, experiment: "made", time },
    { event: "tags", key, tags: { engineReason: "made", odd: name }, time },
  ];
  for (const child of ["warm-up", "iteration-1"]) {
    told.push({ event: "run", key: `${key}/${child}`, name: child, kind: "iteration", parent: key, time });
    for (let step = 1; step <= 60; step++) {
      const preference =
        child === "warm-up"
          ? {}
          : { margin: step / 60, accuracy: Math.min(1, 0.5 + step / 100), chosenReward: step / 90, rejectedReward: -step / 90 };
      const metrics = {
        loss: 2 / step + 0.1 * Math.sin(step),
        gradNorm: 1 + 1 / step,
        learningRate: 1e-3 * (1 - step / 60),
        ...preference,
      };
      told.push({ event: "metrics", key: `${key}/${child}`, step, metrics, time: time + step * 1000 });
    }
  }
  for (const policy of policies) told.push({ event: "artifact", key, path: `texts/${policy}.jsonl`, time });
  told.push({ event: "finish", key, status: "FINISHED", time: time + 100_000 });
  await writeJsonLines(join(folder, "journal.jsonl"), told);
}

function resultOf(
  name: string,
  seeds: readonly number[],
  byMetric: ReadonlyMap<string, ReadonlyMap<string, Float64Array>>,
  malice: string,
): object {
  const figures: Record<string, Record<string, object>> = {};
  const tests: object[] = [];
  for (const [metric, byArm] of byMetric) {
    for (const [arm, values] of byArm) figures[arm] = { ...figures[arm], [metric]: bootstrapInterval(values, { seed: 7 }) };
    const pairs = arms.flatMap((arm, i) => arms.slice(0, Math.min(i, 3)).map((against) => ({ arm, against })));
    const of = (arm: string) => byArm.get(arm) ?? new Float64Array();
    const tested = pairedTests(
      pairs.map(({ arm, against }) => [of(arm), of(against)] as const),
      { seed: 7, permutations: 500 },
    );
    for (const [i, pair] of pairs.entries()) {
      const { difference = 0, p = 1, pHolm = 1 } = tested[i] ?? {};
      tests.push({ ...pair, metric, difference, p, pHolm });
    }
  }
  const policy = { bestOfN: 0.7, winRate: 0.5, structureRate: 0.9, conforming: 0.8, tokens: 12, distinct2: 0.4 };
  return {
    name,
    specHash: "0123456789abcdef",
    engine: { name: "cpu", version: "0" },
    seeds,
    arms: figures,
    valid: figures,
    tests: [...tests, { arm: "llm-1", against: "llm-0", metric: "reward", difference: 0.1, p: 0.01, pHolm: 0.01 }],
    hearing: [{ texts: "llm-warm", users: 40, right: 0.6, swapped: 0.55, difference: { mean: 0.05, low: 0.02, high: 0.08 }, deaf: false }],
    llm: { "llm-0": { reward: 0.4, ...policy }, "llm-warm": { reward: 0.45, ...policy }, "llm-1": { reward: 0.5, ...policy } },
    iterations: [
      {
        ...{ iteration: 1, accepted: true, gain: { mean: 0.05, low: 0.01, high: 0.09 }, conforming: 0.9 },
        ...{
          pairs: { users: 100, "reward pairs": 80, "structure pairs": 10, "dropped: all equal": 10 },
          accuracy: 0.8,
          margin: 0.3,
          kl: 0.2,
        },
      },
    ],
    counts: { users: 10, lists: 20 },
    warnings: [`RLRF_REWARD_DEAF: made up${malice}`],
    seconds: { prepare: 1, infer: 20, evaluate: 60 },
  };
}

/** Four trials of a grid, the third of which failed, with their runs. */
export async function makeSweep(folder: string): Promise<void> {
  const interval = (value: number) => ({ mean: value, low: value - 0.01, high: value + 0.01 });
  const trials: object[] = [];
  for (const [i, rate] of [1e-4, 1e-3, 1e-2, 1e-1].entries()) {
    const id = `trial-${i + 1}`;
    const failed = i === 2;
    const selection = failed ? null : 0.5 + 0.01 * i;
    if (!failed) await makeRun(join(folder, "trials", id), { users: 30, name: id, lead: 0.1 * i });
    trials.push({
      ...{ id, point: i + 1, rung: 1, budget: null, seeds: {}, specHash: "abc", run: `trials/${id}`, selection },
      values: { "/alignment/learningRate": rate, "/loss/plugin": i % 2 === 0 ? "dpo" : "ipo" },
      state: failed ? "failed" : "done",
      arms: failed ? {} : { "llm-1": { "ndcg@5": interval(0.5 + 0.02 * i) } },
      error: failed ? { code: "RLRF_ALIGN_NAN", message: "it diverged" } : null,
    });
  }
  const points = [0.5, 0.51, null, 0.53].map((selection, i) => {
    return { point: i + 1, rung: 1, budget: null, values: {}, trials: [`trial-${i + 1}`], selection };
  });
  const best = { point: 4, rung: 1, values: {}, trials: ["trial-4"], selection: 0.53 };
  const about = {
    name: "made sweep",
    specHash: "abc",
    strategy: "grid",
    metric: "reward",
    axes: ["/alignment/learningRate", "/loss/plugin"],
  };
  await writeJson(join(folder, "sweep.json"), { ...about, ended: true, trials, points, best });
}
