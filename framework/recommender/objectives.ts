/** What an encoder's states are taught: objectives over the next items, as options that every encoder shares. */
import * as tf from "@tensorflow/tfjs-core";
import type { OptionSchema } from "../contracts/plugin.js";
import type { Mode } from "../contracts/recommender.js";
import { binaryCrossEntropy, catalogueCrossEntropy, listwiseSoftmax, rowDots } from "../tensor/nn/index.js";
import { type Drawn, draw, drawNegatives, waysToDraw } from "./negatives.js";
import type { Questions } from "./next-items.js";

const names = ["bce", "ce", "sampled-softmax", "gbce", "bpr", "top1"] as const;
export type Objective = (typeof names)[number];

export interface ObjectiveOptions {
  readonly objective: Objective;
  readonly negatives: number;
  readonly drawn: Drawn;
  readonly bceNegatives: number;
  readonly calibration: number;
}

/** The schema of ObjectiveOptions. @param objective the default; @param published what the encoder's paper does, objectives by their names in backticks */
export function objectiveOptions(objective: Objective, published: string): Readonly<Record<keyof ObjectiveOptions, OptionSchema>> {
  const choice = published.includes(`\`${objective}\``) ? "" : "; the default is this framework's choice";
  return {
    objective: {
      enum: names,
      default: objective,
      description: `\`bce\`: each target by itself, as each of its negatives; \`ce\`: softmax over all items; \`sampled-softmax\`: over the target and its negatives; \`gbce\`: many negatives, calibrated; \`bpr\` and \`top1\`: pairwise against the negatives. Published: ${published}${choice}`,
    },
    negatives: {
      ...{ type: "integer", minimum: 1, default: 128, unit: "items" },
      description: "Negatives of a position under `sampled-softmax`, `gbce`, `bpr` and `top1`",
    },
    drawn: {
      enum: waysToDraw,
      default: "shared",
      description:
        "Where `negatives` come from: `shared`, uniformly from all items, once a batch for all its positions, so that scoring them is one matrix product; `each`, uniformly, for each position its own, as in HSTU's and gSASRec's public code, at the memory of a vector each; `in-batch`, from the targets of the batch's other sequences, as GRU4Rec. A position's own target never counts",
    },
    bceNegatives: {
      ...{ type: "integer", minimum: 1, default: 1, unit: "items" },
      description: "Negatives of a position under `bce`, uniformly from what its sequence does not hold; their terms are added",
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

const losses: Readonly<Record<Objective, (question: Question) => tf.Scalar>> = {
  ...{ bce, ce, gbce, bpr, top1 },
  "sampled-softmax": sampledSoftmax,
};

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

/** Against what the sequence does not hold: one item (Kang & McAuley 2018, arXiv 1808.09781, eq. 6) or several (Tang & Wang 2018, arXiv 1809.07426). */
function bce({ states, next, catalogue, options, mode }: Question): tf.Scalar {
  const [questions, terms] = [next.targets.length, 1 + options.bceNegatives];
  const items = new Int32Array(terms * questions);
  items.set(next.targets);
  items.set(drawNegatives(next, catalogue.items, mode, options.bceNegatives), questions);
  const vectors = tf.split(catalogue.of(tf.tensor1d(items, "int32")), terms) as tf.Tensor2D[];
  const logits = tf.stack(vectors.map((each) => rowDots(states, each))); // [terms, questions], the targets first
  const labels = tf.tensor2d(new Float32Array(terms * questions).fill(1, 0, questions), [terms, questions]);
  return tf.mul(binaryCrossEntropy(logits, labels), terms) as tf.Scalar; // the papers sum the terms
}

/** Softmax over the target and its negatives alone (as Zhai et al. 2024, arXiv 2402.17152, section 4.1.1, with 128). */
function sampledSoftmax(question: Question): tf.Scalar {
  const { right, wrong, counts } = against(question);
  return listwiseSoftmax(...targetFirst(right, tf.add(wrong, tf.mul(tf.sub(counts, 1), 1e9))));
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
  const [logits, labels] = targetFirst(right, wrong);
  const weights = tf.concat([tf.fill([count, 1], beta), counts], 1);
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

/** @param right [questions]; @param wrong [questions, negatives]; @returns logits and labels [questions, 1 + negatives] */
function targetFirst(right: tf.Tensor1D, wrong: tf.Tensor2D): [tf.Tensor2D, tf.Tensor2D] {
  const first = tf.expandDims(right, 1) as tf.Tensor2D;
  return [tf.concat([first, wrong], 1), tf.concat([tf.onesLike(first), tf.zerosLike(wrong)], 1)];
}

/** Scores of the targets and of their negatives. Where a negative is a question's target it does not count there. */
function against({ states, next, catalogue, options, mode }: Question): {
  readonly right: tf.Tensor1D; // [questions]
  readonly wrong: tf.Tensor2D; // [questions, negatives]
  readonly counts: tf.Tensor2D; // 0 or 1, the same shape
} {
  const { items, counts } = draw(next, options.drawn, options.negatives, catalogue.items, mode);
  const questions = next.targets.length;
  const both = new Int32Array(questions + items.length);
  both.set(next.targets);
  both.set(items, questions);
  const [right, wrong] = tf.split(catalogue.of(tf.tensor1d(both, "int32")), [questions, items.length]) as [tf.Tensor2D, tf.Tensor2D];
  return {
    right: rowDots(states, right) as tf.Tensor1D,
    wrong: options.drawn === "each" ? ownScores(states, wrong) : tf.matMul(states, wrong, false, true),
    counts: tf.tensor2d(counts, [questions, counts.length / questions]),
  };
}

/** @param states [questions, width]; @param vectors of each question's own negatives, [questions * negatives, width]; @returns [questions, negatives] */
function ownScores(states: tf.Tensor2D, vectors: tf.Tensor2D): tf.Tensor2D {
  const [questions, width] = states.shape;
  const own = tf.reshape(vectors, [questions, -1, width]) as tf.Tensor3D;
  return tf.reshape(tf.matMul(own, tf.expandDims(states, 2) as tf.Tensor3D), [questions, -1]);
}
