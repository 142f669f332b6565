/** What an encoder's states are taught: objectives over the next items, as options that every encoder shares. */
import * as tf from "@tensorflow/tfjs-core";
import type { OptionSchema } from "../contracts/plugin.js";
import type { Mode } from "../contracts/recommender.js";
import { createRng } from "../rng.js";
import { binaryCrossEntropy, catalogueCrossEntropy, rowDots } from "../tensor/nn/index.js";
import type { Questions } from "./next-items.js";

const names = ["bce", "ce", "gbce", "bpr", "top1"] as const;
export type Objective = (typeof names)[number];

export interface ObjectiveOptions {
  readonly objective: Objective;
  readonly negatives: number;
  readonly calibration: number;
}

/** The schema of ObjectiveOptions. @param objective the default; @param published what the encoder's paper does */
export function objectiveOptions(objective: Objective, published: string): Readonly<Record<keyof ObjectiveOptions, OptionSchema>> {
  return {
    objective: {
      enum: names,
      default: objective,
      description: `\`bce\`: one sampled negative a position; \`ce\`: softmax over all items; \`gbce\`: many negatives, calibrated; \`bpr\` and \`top1\`: pairwise against the negatives. Published: ${published}`,
    },
    negatives: {
      ...{ type: "integer", minimum: 1, default: 128, unit: "items" },
      description: "Negatives of `gbce`, `bpr` and `top1`, drawn uniformly once a batch for all its positions",
    },
    calibration: {
      ...{ type: "number", minimum: 0, maximum: 1, default: 0.75 },
      description: "t of `gbce`: 0 = plain BCE, 1 = calibrated as a softmax",
    },
  };
}

/** The items as states are scored against them. Item 0 is padding. */
export interface Catalogue {
  /** Items, padding not counted. */
  readonly items: number;
  /** @returns [items + 1, width] */
  all(): tf.Tensor2D;
  /** @param ids [n]; @returns [n, width] */
  of(ids: tf.Tensor1D): tf.Tensor2D;
}

interface Question {
  readonly states: tf.Tensor2D; // [questions, width]
  readonly next: Questions;
  readonly catalogue: Catalogue;
  readonly options: ObjectiveOptions;
  readonly mode: Mode;
}

/** @returns the mean over the questions, in nats */
export function nextItemLoss(question: Question): tf.Scalar {
  return losses[question.options.objective](question);
}

const losses: Readonly<Record<Objective, (question: Question) => tf.Scalar>> = { bce, ce, gbce, bpr, top1 };

/** Softmax over all items. */
function ce({ states, next, catalogue }: Question): tf.Scalar {
  const table = catalogue.all();
  const [rows, width] = table.shape;
  const withoutPadding = tf.slice(table, [1, 0], [rows - 1, width]);
  return catalogueCrossEntropy(
    states,
    withoutPadding,
    next.targets.map((target) => target - 1),
  );
}

/** One negative a question, drawn uniformly from what the sequence does not hold (Kang & McAuley 2018, arXiv 1808.09781, eq. 6). */
function bce({ states, next, catalogue, mode }: Question): tf.Scalar {
  const count = next.targets.length;
  const both = new Int32Array(2 * count);
  both.set(next.targets);
  both.set(drawNegatives(next, catalogue.items, mode), count);
  const [right, wrong] = tf.split(catalogue.of(tf.tensor1d(both, "int32")), 2) as [tf.Tensor2D, tf.Tensor2D];
  const logits = tf.stack([rowDots(states, right), rowDots(states, wrong)]); // [2, questions]
  const labels = tf.tensor2d(new Float32Array(2 * count).fill(1, 0, count), [2, count]);
  return tf.mul(binaryCrossEntropy(logits, labels), 2) as tf.Scalar; // the paper sums both terms
}

/** One a question, uniform over what its sequence does not hold. @returns [questions] */
export function drawNegatives({ batch: { width, ids }, rows }: Questions, catalogue: number, mode: Mode): Int32Array {
  const rng = createRng("negatives", mode.nextSeed());
  const seenIn = new Int32Array(catalogue + 1).fill(-1); // the last row that holds the item
  let [present, seen] = [-1, 0];
  return rows.map((row) => {
    if (row !== present) {
      [present, seen] = [row, 0];
      for (const item of ids.subarray(row * width, (row + 1) * width)) {
        if (item !== 0 && seenIn[item] !== row) seen++;
        seenIn[item] = row;
      }
    }
    let item = 1 + rng.below(catalogue);
    while (seen < catalogue && seenIn[item] === row) item = 1 + rng.below(catalogue);
    return item;
  });
}

/**
 * Generalised BCE (Petrov & Macdonald 2023, arXiv 2308.07192, eqs. 6-9): the positive's log-probability is taken to the power
 * β = α (t (1 - 1/α) + 1/α), α = k / (items - 1), which undoes the overconfidence that few negatives teach.
 */
function gbce(question: Question): tf.Scalar {
  const { catalogue, options } = question;
  const { right, wrong, counts } = against(question);
  const [count, negatives] = wrong.shape;
  const alpha = Math.min(1, negatives / Math.max(1, catalogue.items - 1));
  const beta = alpha * (options.calibration * (1 - 1 / alpha) + 1 / alpha);
  const logits = tf.concat([tf.expandDims(right, 1), wrong], 1); // [questions, 1 + negatives]
  const weights = tf.concat([tf.fill([count, 1], beta), counts], 1);
  const labels = tf.concat([tf.ones([count, 1]), tf.zeros([count, negatives])], 1);
  const total = tf.sum(weights);
  return tf.mul(binaryCrossEntropy(logits, labels, weights), tf.div(total, count * (1 + negatives))) as tf.Scalar;
}

/** -log σ(s⁺ - s⁻) (Rendle et al. 2009, arXiv 1205.2618). */
function bpr(question: Question): tf.Scalar {
  const { right, wrong, counts } = against(question);
  return weightedMean(tf.softplus(tf.sub(wrong, tf.expandDims(right, 1))), counts);
}

/** σ(s⁻ - s⁺) + σ(s⁻²) (Hidasi et al. 2016, arXiv 1511.06939, section 3.2). */
function top1(question: Question): tf.Scalar {
  const { right, wrong, counts } = against(question);
  return weightedMean(tf.add(tf.sigmoid(tf.sub(wrong, tf.expandDims(right, 1))), tf.sigmoid(tf.square(wrong))), counts);
}

function weightedMean(values: tf.Tensor, weights: tf.Tensor): tf.Scalar {
  return tf.div(tf.sum(tf.mul(values, weights)), tf.maximum(tf.sum(weights), 1)) as tf.Scalar;
}

/**
 * Scores of the targets and of negatives that the batch shares, so that scoring them is one matrix product; where a negative is a
 * question's target it does not count there.
 */
function against({ states, next, catalogue, options, mode }: Question): {
  readonly right: tf.Tensor1D; // [questions]
  readonly wrong: tf.Tensor2D; // [questions, negatives]
  readonly counts: tf.Tensor2D; // 0 or 1, the same shape
} {
  const rng = createRng("negatives", mode.nextSeed());
  const drawn = Int32Array.from({ length: options.negatives }, () => 1 + rng.below(catalogue.items));
  const count = next.targets.length;
  const counts = new Float32Array(count * drawn.length).fill(1);
  for (const [row, target] of next.targets.entries())
    for (const [i, item] of drawn.entries()) if (item === target) counts[row * drawn.length + i] = 0;
  const both = new Int32Array(count + drawn.length);
  both.set(next.targets);
  both.set(drawn, count);
  const [right, wrong] = tf.split(catalogue.of(tf.tensor1d(both, "int32")), [count, drawn.length]) as [tf.Tensor2D, tf.Tensor2D];
  return {
    right: rowDots(states, right) as tf.Tensor1D,
    wrong: tf.matMul(states, wrong, false, true),
    counts: tf.tensor2d(counts, [count, drawn.length]),
  };
}
