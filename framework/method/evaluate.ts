/** Step 9: every arm on the same lists with the same recommender seeds; test users are looked at here, once. */
import { mean } from "../metrics/aggregate.js";
import { bootstrapIntervals, type Interval } from "../metrics/statistics.js";
import { writeJsonLines } from "../store/files.js";
import { type ArmKnowledge, derangement, exchanged, silent } from "./arms.js";
import { compared } from "./comparisons.js";
import { type ScoredLists, userValues } from "./figures.js";
import { distribute } from "./distribute.js";
import { armScores, encoderOf, fitNames, rankLists, roundOf } from "./fits.js";
import { encoderUnits, scoresUnits } from "./units.js";
import type { PolicyTexts } from "./infer.js";
import { sampled, type ScoredSample } from "./pairs.js";
import type { FittedEncoder, Knowledge } from "./recommender.js";
import type { Comparison, Result } from "./result.js";
import type { RewardModels } from "./reward.js";
import type { Study } from "./study.js";

export interface Evaluation {
  readonly arms: Readonly<Record<string, Readonly<Record<string, Interval>>>>;
  /** The same of valid users, which no arm has learnt from, but by whom each fit was stopped. */
  readonly valid: Readonly<Record<string, Readonly<Record<string, Interval>>>>;
  readonly tests: readonly Comparison[];
}

/** @param told the texts of every arm that has some, in the order of the result; the last is the one that the controls exchange */
export async function evaluate(study: Study, told: readonly PolicyTexts[]): Promise<Evaluation> {
  const arms = await armsOf(study, told);
  const scored = new Map(arms.map((arm) => [arm.name, [] as ScoredLists[]]));
  const valid = new Map(arms.map((arm) => [arm.name, [] as ScoredLists[]]));
  const fits = fitNames(study, "evaluate");
  await distribute(study, () => encoderUnits(study, fits));
  await distribute(study, () => scoresUnits(study, fits, arms));
  for (const name of fits) {
    const round = roundOf(study, name);
    // One frozen encoder for all arms; not even restored when every arm's scores are in the store.
    let encoder: FittedEncoder | undefined;
    const shared = async () => (encoder ??= await encoderOf(study, round, name));
    try {
      for (const arm of arms) {
        const scores = await armScores(study, arm, round, name, shared);
        scored.get(arm.name)?.push(scores.test);
        valid.get(arm.name)?.push(scores.valid);
      }
    } finally {
      encoder?.dispose();
    }
  }
  for (const [arm, lists] of scored) await writeScores(study, arm, lists);
  tellSeeds(study, scored);
  return { ...summarise(study, scored), valid: intervalsOf(study, valid) };
}

/** The arms that the spec asks for, with what each one hears. */
async function armsOf(study: Study, told: readonly PolicyTexts[]): Promise<ArmKnowledge[]> {
  const asked = new Set<string>(study.spec.arms);
  const arms: ArmKnowledge[] = [];
  for (const { name, texts } of told) arms.push({ name, knowledge: await study.knowledge(texts) });
  const last = arms.at(-1)?.knowledge as Knowledge; // `told` is never empty
  const others = exchanged(last, derangement(study.data.users.length, study.spec.protocol.seed, "arms"));
  const controls: ArmKnowledge[] = [
    { name: "shuffled", knowledge: others },
    { name: "swapped", knowledge: last, heardAtTest: others.users },
  ];
  const without: ArmKnowledge[] = [
    { name: "id-only", knowledge: null },
    { name: "item-only", knowledge: silent(last) },
  ];
  const declared = ({ name }: ArmKnowledge) => asked.has(name);
  // Where nobody else speaks the template is told for the controls' sake, which need not make it an arm.
  const speakers = arms.filter((arm) => arm.name !== "metadata" || declared(arm));
  return [...without.filter(declared), ...speakers, ...controls.filter(declared)];
}

/**
 * The best of the N sampled texts by reward: how far better texts could go. Of align users, by the reward models that chose them,
 * so it flatters itself: an upper reference, not a competitor.
 */
export async function bestOfN(
  study: Study,
  reward: RewardModels,
  samples: ReadonlyMap<number, readonly ScoredSample[]>,
): Promise<Result["arms"]> {
  if (!study.spec.arms.includes("best-of-N")) return {};
  const best = [...samples].flatMap(([user, texts]) => {
    const scored = sampled(texts).filter((text) => !Number.isNaN(text.reward));
    const first = scored.reduce<ScoredSample | undefined>(
      (top, text) => (top === undefined || text.reward > top.reward ? text : top),
      undefined,
    );
    return first === undefined ? [] : [study.userText(user, first.text)];
  });
  const { rows, ...answers } = await study.encode(best);
  const { aspects } = answers;
  const heard = { ...answers, rows: new Int32Array(study.data.users.length * aspects) }; // the others are silent
  for (const [text, { user }] of best.entries()) heard.rows.set(rows.subarray(text * aspects, (text + 1) * aspects), user * aspects);
  const told = new Set(best.map(({ user }) => user));
  const scored: ScoredLists[] = [];
  for (const listener of reward.listeners())
    scored.push(await rankLists(study, { ...listener, users: listener.users.filter((user) => told.has(user)) }, heard));
  return intervalsOf(study, new Map([["best-of-N", scored]]));
}

/** runs/ID/scores/ARM.jsonl: whoever doubts a number can recompute it from here. */
async function writeScores(study: Study, arm: string, scored: readonly ScoredLists[]): Promise<void> {
  const path = study.context.folder.path("scores", `${arm}.jsonl`);
  await writeJsonLines(path, scoreLines(study, scored));
  study.context.tracker.artifact(path);
}

/** One at a time: there may be millions of lists. */
function* scoreLines({ data: { users, items, lists, parts } }: Study, scored: readonly ScoredLists[]): Generator<object> {
  for (const { seed, lists: numbers, scores } of scored)
    for (const [row, list] of numbers.entries()) {
      const user = lists.user[list] as number;
      const at = list * lists.length;
      const fold = parts.labels[user]?.fold;
      yield {
        seed,
        user: users[user]?.id,
        split: "test",
        ...(fold === undefined ? {} : { fold }),
        candidates: Array.from(lists.candidates.subarray(at, at + lists.length), (item) => items[item]?.id),
        labels: [...lists.labels.subarray(at, at + lists.length)],
        scores: [...scores.subarray(row * lists.length, (row + 1) * lists.length)],
      };
    }
}

/** A child run a seed, with the arms' means under it. */
function tellSeeds(study: Study, scored: ReadonlyMap<string, readonly ScoredLists[]>): void {
  for (const seed of study.spec.seeds) {
    const child = study.context.tracker.child(`seed-${seed}`, "seed");
    for (const [arm, lists] of scored) {
      const own = lists.filter((part) => part.seed === seed);
      for (const metric of study.spec.protocol.metrics) child.metrics({ [`${arm}/${metric}`]: mean(userValues(study, own, metric)) });
    }
    child.finish("FINISHED");
  }
}

function summarise(study: Study, scored: ReadonlyMap<string, readonly ScoredLists[]>): Pick<Evaluation, "arms" | "tests"> {
  const values = valuesOf(study, scored);
  const tests = [...values].flatMap(([metric, byArm]) => compared(byArm, metric, study.spec.protocol.seed));
  return { arms: intervals(study, values), tests };
}

function intervalsOf(study: Study, scored: ReadonlyMap<string, readonly ScoredLists[]>): Evaluation["arms"] {
  return intervals(study, valuesOf(study, scored));
}

/** Metric -> arm -> [users], the mean over a user's lists and the seeds; the same users in the same order for every arm. */
type Values = ReadonlyMap<string, ReadonlyMap<string, Float64Array>>;

function valuesOf(study: Study, scored: ReadonlyMap<string, readonly ScoredLists[]>): Values {
  const of = (metric: string) => new Map([...scored].map(([arm, lists]) => [arm, userValues(study, lists, metric)]));
  return new Map(study.spec.protocol.metrics.map((metric) => [metric, of(metric)]));
}

function intervals({ spec }: Study, values: Values): Evaluation["arms"] {
  const columns = [...values].flatMap(([metric, byArm]) => [...byArm].map(([arm, byUser]) => ({ metric, arm, byUser })));
  const found = bootstrapIntervals(columns.map(({ byUser }) => byUser), { seed: spec.protocol.seed }); // biome-ignore format: one line
  const arms: Record<string, Record<string, Interval>> = {};
  for (const [i, { metric, arm }] of columns.entries()) arms[arm] = { ...arms[arm], [metric]: found[i] as Interval };
  return arms;
}
