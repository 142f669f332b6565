/** Does a model score as it should? Compared with the run that it comes from, and on every machine with what it scored when it was promoted. */
import type { UserText } from "../method/structure.js";
import type { Study } from "../method/study.js";
import { createRng } from "../rng.js";
import { RlrfError } from "../errors.js";
import { isObject } from "../spec/origins.js";
import { parseJson } from "../spec/json.js";
import { broken, modelFiles, modelLimits, readBounded } from "./model.js";
import type { Interaction } from "./reader.js";
import { type EndedRun } from "./run.js";
import { runScores } from "./figures.js";
import type { ServedModel } from "./served-model.js";

export interface Agreement {
  readonly lists: number;
  /** Of a score. */
  readonly largest: number;
}

/** Lists of the run that are ranked again, at most. */
const listsCompared = 200;
/** Of scores around 1: engines add up in different orders. */
const tolerance = 1e-3;

/** Lists of the run's test users, told to the model as a request tells them. @throws RLRF_MODEL_DIFFERS */
export async function agreementWithRun(
  study: Study,
  run: EndedRun,
  served: ServedModel,
  texts: readonly UserText[] | null,
): Promise<Agreement | null> {
  const expected = await runScores(study, run, served.description);
  if (expected === null) return null;
  const { lists, sequence } = study.data;
  const count = Math.min(listsCompared, expected.lists.length);
  let largest = 0;
  for (let i = 0; i < count; i++) {
    const row = Math.floor((i * expected.lists.length) / count);
    const list = expected.lists[row] as number;
    const user = lists.user[list] as number;
    const history = sequence.items.subarray(sequence.offsets[user], lists.start[list]);
    const candidates = lists.candidates.subarray(list * lists.length, (list + 1) * lists.length);
    const voice = texts === null ? null : await served.voiceOf(served.parse(texts[user]?.text ?? ""));
    const { scores } = served.rank({ history }, candidates, voice);
    largest = Math.max(largest, distance(scores, expected.scores.subarray(row * lists.length, (row + 1) * lists.length)));
  }
  if (!(largest <= tolerance)) throw differs(served.model.folder, largest, "in the run");
  return { lists: count, largest };
}

interface Probe {
  readonly history: readonly Interaction[];
  readonly candidates: readonly string[];
  readonly scores: readonly number[];
}

/** Invented readers with what the model scores for them now: nothing of any user. */
export async function probesOf(served: ServedModel): Promise<readonly Probe[]> {
  const { catalogue, description } = served;
  const probes: Probe[] = [];
  for (let i = 0; i < 4; i++) {
    const rng = createRng("probe", i);
    const numbers = rng.shuffle(Int32Array.from(catalogue.items.keys()).subarray(1));
    const ids = Array.from(numbers.subarray(0, description.listLength + 2 + 4 * i), (number) => catalogue.items[number]?.id as string);
    const { lowest, highest } = description.ratingScale;
    const history = ids.slice(description.listLength).map((item, time) => ({ item, rating: rng.below(2) === 0 ? lowest : highest, time }));
    const candidates = ids.slice(0, description.listLength);
    probes.push({ history, candidates, scores: await probed(served, history, candidates) });
  }
  return probes;
}

/** @param passes over the probes; those after the first warm the engine and the compiler @throws RLRF_MODEL_DIFFERS, RLRF_MODEL_BROKEN */
export async function mustScoreAsPromoted(served: ServedModel, passes = 1): Promise<Agreement> {
  const path = served.model.file(modelFiles.probes);
  if (path === null) throw broken(served.model.folder, `it has no ${modelFiles.probes}`);
  const { value } = parseJson(await readBounded(path, modelLimits.probes), path);
  if (!Array.isArray(value) || !value.every(isProbe)) throw broken(path, "it holds no probes");
  let largest = 0;
  const probes = value as unknown as readonly Probe[];
  for (const { history, candidates, scores } of Array.from({ length: passes }, () => probes).flat()) {
    if (candidates.some((id) => !served.catalogue.numbers.has(id))) throw broken(path, "a probe names unknown items");
    largest = Math.max(largest, distance(await probed(served, history, candidates), scores));
  }
  if (!(largest <= tolerance)) throw differs(path, largest, "where it was promoted");
  return { lists: probes.length, largest };
}

/** Through everything but the LLM: the text is the template's. */
async function probed(served: ServedModel, history: readonly Interaction[], candidates: readonly string[]): Promise<readonly number[]> {
  const reader = served.reader({ history, fields: {} });
  const voice = await served.voiceOf(served.parse(served.templateText(reader)));
  return served.rank(
    reader,
    Int32Array.from(candidates, (id) => served.catalogue.numbers.get(id) as number),
    voice,
  ).scores;
}

function isProbe(value: unknown): boolean {
  const texts = (list: unknown) => Array.isArray(list) && list.every((entry) => typeof entry === "string");
  if (!isObject(value) || !Array.isArray(value.history) || !Array.isArray(value.scores) || !texts(value.candidates)) return false;
  return (
    value.scores.every((score) => typeof score === "number") &&
    value.history.every(
      (told) => isObject(told) && typeof told.item === "string" && typeof told.rating === "number" && typeof told.time === "number",
    )
  );
}

/** The largest difference of two scores of a list, as a share of the larger of them and 1. */
function distance(scores: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (scores.length !== expected.length) return Number.POSITIVE_INFINITY;
  return Array.from(scores).reduce((largest, score, i) => {
    const other = expected[i] as number;
    return Math.max(largest, Math.abs(score - other) / Math.max(1, Math.abs(other)));
  }, 0);
}

function differs(where: string, largest: number, there: string): RlrfError {
  return new RlrfError("RLRF_MODEL_DIFFERS", {
    message: `its scores differ by up to ${largest.toPrecision(3)} from those that it gave ${there}`,
    where,
    expected: `differences below ${tolerance}`,
    hint: "use the framework, the plugins and the text model that it was promoted with, or promote the run again here",
  });
}
