/** The JSON forms of `rlrf try`: what a loss, a sampling strategy and a metric reward take and give. */
import * as tf from "@tensorflow/tfjs-core";
import type {
  PreferenceBatch,
  PreferenceLoss,
  PreferenceSide,
  Reward,
  RewardBatch,
  SampledText,
  SamplingStrategy,
  TiePolicy,
} from "../contracts/feedback.js";
import type { PluginKind } from "../contracts/kinds.js";
import { RlrfError } from "../errors.js";
import { createRng } from "../rng.js";
import { SpecFaults } from "../spec/faults.js";
import type { JsonDocument } from "../spec/json.js";
import { validate } from "../spec/validate.js";
import { inDoublePrecision } from "../tensor/double.js";
import { startEngine } from "../tensor/engine.js";

type Feed = (product: object, document: JsonDocument) => Promise<unknown>;
type Numbers<Shape> = { readonly [key in keyof PreferenceSide<unknown>]?: Shape };

export const feeders: Readonly<Partial<Record<PluginKind, Feed>>> = {
  loss: (product, document) => feedLoss(product as PreferenceLoss, document),
  sampling: async (product, document) => feedSampling(product as SamplingStrategy, document),
  reward: (product, document) => feedReward(product as Reward, document),
};

const numbers = { type: "array", items: { type: "number" } } as const;
const rows = { type: "array", items: numbers } as const;

const tokens = { type: "array", items: { type: "integer", minimum: 1 } } as const;

function side(shape: object, lengths: object): object {
  const properties = { logProbs: shape, reference: shape, lengths, rewards: shape };
  return { type: "object", properties, required: ["logProbs"], additionalProperties: false };
}

const lossInput = {
  type: "object",
  properties: {
    chosen: side(numbers, tokens),
    rejected: side(rows, { type: "array", items: tokens }),
    mismatched: side(numbers, tokens),
  },
  required: ["chosen"],
  additionalProperties: false,
};

interface LossInput {
  readonly chosen: Numbers<number[]>;
  readonly rejected?: Numbers<number[][]>;
  readonly mismatched?: Numbers<number[]>;
}

async function feedLoss(loss: PreferenceLoss, document: JsonDocument): Promise<unknown> {
  const { chosen, rejected = {}, mismatched } = checked<LossInput>(lossInput, document);
  const pairs = chosen.logProbs?.length ?? 0;
  const k = rejected.logProbs?.[0]?.length ?? 0;
  if (pairs === 0) throw wrong("/chosen/logProbs", "there is no pair", "a number a pair");
  for (const [name, values] of Object.entries(chosen)) mustHave(`/chosen/${name}`, values, pairs);
  for (const [name, values] of Object.entries(rejected)) {
    mustHave(`/rejected/${name}`, values, pairs);
    for (const [i, row] of values.entries()) mustHave(`/rejected/${name}/${i}`, row, k);
  }
  if (mismatched?.logProbs?.length === 0) throw wrong("/mismatched/logProbs", "there is no completion", "a number a completion");
  for (const [name, values] of Object.entries(mismatched ?? {})) mustHave(`/mismatched/${name}`, values, mismatched?.logProbs?.length ?? 0);
  for (const need of ["reference", "lengths", "rewards"] as const)
    if (loss.needs.includes(need) && (chosen[need] === undefined || (k > 0 && rejected[need] === undefined)))
      throw wrong(`/chosen/${need}`, `the loss needs "${need}" of both sides`, "a number a text");
  if (loss.needs.includes("mismatched") && mismatched === undefined)
    throw wrong("/mismatched", 'the loss needs "mismatched"', "log-probs of mismatched completions");
  if (loss.needs.includes("mismatched") && loss.needs.includes("reference") && mismatched?.reference === undefined)
    throw wrong("/mismatched/reference", 'the loss needs "reference" of mismatched completions too', "a number a text");
  if (k === 0 && loss.rejected !== 0)
    throw wrong("/rejected", "the loss compares the chosen text with rejected ones", "a rejected text a pair, or more");

  await startEngine("cpu");
  return inDoublePrecision(() => {
    const batch = {
      chosen: tensors(chosen, (values) => tf.tensor1d(values)),
      rejected: tensors({ logProbs: chosen.logProbs?.map(() => []), ...rejected }, (values) => tf.tensor2d(values.flat(), [pairs, k])),
      ...(mismatched === undefined ? {} : { mismatched: tensors(mismatched, (values) => tf.tensor1d(values)) }),
    };
    return lossAndGradient(loss, batch as unknown as PreferenceBatch);
  });
}

/** `gradient` is that of `mean`. */
function lossAndGradient(loss: PreferenceLoss, batch: PreferenceBatch): { loss: unknown; mean: unknown; gradient: object } {
  let losses: unknown;
  const mean = (w: tf.Tensor, l: tf.Tensor): tf.Tensor => {
    const chosen = { ...batch.chosen, logProbs: w as tf.Tensor1D };
    const perPair = loss.loss({ ...batch, chosen, rejected: { ...batch.rejected, logProbs: l as tf.Tensor2D } });
    losses = perPair.arraySync();
    // A loss may leave a side out, whose gradient is then 0: tfjs wants a path to it.
    return tf.add(tf.mean(perPair), tf.mul(0, tf.add(tf.sum(w), tf.sum(l))));
  };
  const { value, grads } = tf.valueAndGrads(mean)([batch.chosen.logProbs, batch.rejected.logProbs]);
  const [chosen, rejected] = grads.map((gradient) => gradient.arraySync());
  return { loss: losses, mean: value.arraySync(), gradient: { chosen, rejected } };
}

function tensors<Shape>(side: Numbers<Shape>, make: (values: Shape) => tf.Tensor): Record<string, tf.Tensor> {
  return Object.fromEntries(Object.entries(side).map(([name, values]) => [name, make(values as Shape)]));
}

const samplesInput = {
  type: "object",
  properties: {
    samples: {
      type: "array",
      items: {
        type: "object",
        properties: {
          text: { type: "string" },
          reward: { type: "number" },
          length: { type: "integer", minimum: 0, default: 0 },
          conforms: { type: "boolean", default: true },
          origin: { enum: ["sample", "greedy", "previous", "partners"] },
          of: { type: "integer", minimum: 0 },
        },
        required: ["text", "reward"],
        additionalProperties: false,
      },
    },
    seed: { type: "integer", minimum: 0, default: 0 },
  },
  required: ["samples"],
  additionalProperties: false,
};

function feedSampling(strategy: SamplingStrategy, document: JsonDocument): unknown {
  const { samples, seed } = checked<{ samples: SampledText[]; seed: number }>(samplesInput, document);
  return strategy.select(samples, createRng("sampling", seed));
}

const candidates = { ...numbers, minItems: 1 } as const;
const labels = { type: "array", items: { type: "integer", minimum: 0, maximum: 255 }, minItems: 1 } as const;
const ranking = { scores: candidates, labels, neutral: candidates };
const ranked = (properties: object) => ({ type: "object", properties, required: ["scores", "labels"], additionalProperties: false });
const list = {
  ...ranking,
  others: { type: "array", minItems: 1, items: ranked(ranking) },
  ties: { enum: ["expected", "pessimistic", "optimistic"] },
  structureRate: { type: "number" },
};
const listInput = ranked(list);
const listsInput = { type: "array", items: listInput };
const stacked = { type: "array", items: candidates } as const;
const stackedInput = ranked({ ...list, scores: stacked, labels: { type: "array", items: labels }, neutral: stacked });

interface RankingInput {
  readonly scores: number[];
  readonly labels: number[];
  /** The scores with a neutral text. */
  readonly neutral?: number[];
}

interface ListInput extends RankingInput {
  /** Lists of other users, scored with the same text. */
  readonly others?: RankingInput[];
  readonly ties?: TiePolicy;
  readonly structureRate?: number;
}

/** One list, `{"scores": [[…]], "labels": [[…]]}`, or a list of lists; each gives one number. */
async function feedReward(reward: Reward, document: JsonDocument): Promise<{ rewards: (number | null)[] }> {
  const lists = listsOf(document);
  const needsAll = reward.needs.includes("calibration");
  if (needsAll) for (const [i, list] of lists.entries()) mustBeAlike(`list ${i}`, list, lists[0] as ListInput);
  const calibration = needsAll ? { calibration: rewardBatch(lists) } : {};
  const rewards = new Array<number | null>(lists.length);
  for (const [i, list] of lists.entries()) {
    mustBeRanked(`list ${i}`, list, reward);
    for (const [j, other] of (list.others ?? []).entries()) {
      mustHave(`list ${i} others ${j} scores`, other.scores, list.scores.length);
      mustBeRanked(`list ${i} others ${j}`, other, reward);
    }
    if (list.others === undefined && reward.needs.includes("others"))
      throw wrong(`list ${i}`, 'the reward needs "others"', "lists of other users with their scores, with the same text");
    const [value] = await reward.reward({ ...rewardBatch([list]), ...calibration });
    rewards[i] = value === undefined || Number.isNaN(value) ? null : value;
  }
  return { rewards };
}

function mustBeRanked(place: string, { scores, labels, neutral }: RankingInput, reward: Reward): void {
  mustHave(`${place} labels`, labels, scores.length);
  if (neutral !== undefined) mustHave(`${place} neutral`, neutral, scores.length);
  else if (reward.needs.includes("neutral")) throw wrong(place, 'the reward needs "neutral"', "scores with a neutral text");
}

/** Lists that one batch holds have as many candidates, and as many others beside them. */
function mustBeAlike(place: string, { scores, others = [] }: ListInput, first: ListInput): void {
  mustHave(`${place} scores`, scores, first.scores.length);
  mustHave(`${place} others`, others, first.others?.length ?? 0);
}

/** A text of its own for each list, and a user of its own from this number on. */
function rewardBatch(lists: readonly ListInput[], firstUser = 0): RewardBatch {
  const neutral = lists.flatMap((list) => list.neutral ?? []);
  const ties = lists[0]?.ties ?? "expected";
  const others = (lists[0]?.others ?? []).map((_, other) => {
    const theirs = lists.flatMap((list) => ({ ...(list.others?.[other] as RankingInput), ties }));
    return rewardBatch(theirs, lists.length * (1 + other));
  });
  return {
    texts: lists.map(({ structureRate = 1 }, text) => ({ user: firstUser + text, text: "", structureRate })),
    lists: {
      text: Int32Array.from(lists, (_, text) => text),
      length: lists[0]?.scores.length ?? 0,
      scores: Float32Array.from(lists.flatMap(({ scores }) => scores)),
      labels: Uint8Array.from(lists.flatMap(({ labels }) => labels)),
      ...(neutral.length > 0 && { neutral: Float32Array.from(neutral) }),
    },
    ties,
    ...(others.length > 0 && { others }),
  };
}

function listsOf(document: JsonDocument): readonly ListInput[] {
  const { value } = document;
  if (Array.isArray(value)) return checked<ListInput[]>(listsInput, document);
  const scores = (value as { scores?: unknown } | null)?.scores;
  if (!Array.isArray(scores) || !Array.isArray(scores[0])) return [checked<ListInput>(listInput, document)];
  const {
    scores: rowsOfScores,
    labels,
    neutral,
    ...rest
  } = checked<{ scores: number[][]; labels: number[][]; neutral?: number[][] }>(stackedInput, document);
  mustHave("/labels", labels, rowsOfScores.length);
  return rowsOfScores.map((row, i) => ({
    ...rest,
    scores: row,
    labels: labels[i] ?? [],
    ...(neutral?.[i] === undefined ? {} : { neutral: neutral[i] }),
  }));
}

/** The document in its form, defaults filled in; every fault at once. @throws SpecFaults of RLRF_TRY_INPUT */
function checked<Input>(schema: object, { source, value, positions }: JsonDocument): Input {
  const copy = structuredClone(value);
  const faults = validate(schema, copy, "the input");
  if (faults.length === 0) return copy as Input;
  const placed = faults.map((fault) => {
    const place = positions.get(fault.pointer);
    return {
      ...fault,
      code: "RLRF_TRY_INPUT" as const,
      where: `${source}${place === undefined ? "" : `:${place.line}:${place.column}`} ${fault.pointer || "/"}`,
    };
  });
  throw new SpecFaults(source, placed);
}

function mustHave(where: string, values: readonly unknown[], count: number): void {
  if (values.length !== count) throw wrong(where, `there are ${values.length} entries`, `${count}, as in the others`);
}

function wrong(where: string, message: string, expected: string): RlrfError {
  return new RlrfError("RLRF_TRY_INPUT", { message, where, expected });
}
