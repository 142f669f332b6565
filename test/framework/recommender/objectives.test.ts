import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { createRng } from "../../../framework/rng.js";
import {
  type Batch,
  type Drawn,
  drawNegatives,
  everyNext,
  nextItemLoss,
  type Objective,
  type ObjectiveOptions,
} from "../../../framework/recommender/index.js";
import { useEngine } from "../../support/engine.js";
import { checkGradients, close, variable, withoutLeak } from "../../support/tensors.js";

const { log } = Math;
const seed = 11;
const mode = { training: true, nextSeed: () => seed };
const sharing: readonly Drawn[] = ["shared", "each", "in-batch"];

/** Item i is scored log(weights[i]) by every state, so that a softmax gives out shares of the weights. */
const weights = [NaN, 1, 2, 4, 8, 3];
const batch: Batch = { size: 2, width: 3, ids: Int32Array.of(5, 1, 2, 3, 2, 4) };
const next = everyNext(batch); // asks for 1 and 2 in row 0, for 2 and 4 in row 1

function lossOf(options: Partial<ObjectiveOptions>): number {
  return withoutLeak(() => {
    const table = tf.tensor2d(weights.map(log), [weights.length, 1]);
    const states = tf.ones([next.targets.length, 1]) as tf.Tensor2D;
    const [loss] = tf.tidy(() => nextItemLoss({ states, next, catalogue: catalogueOf(table), options: filled(options), mode }).dataSync());
    tf.dispose([table, states]);
    return loss as number;
  });
}
const filled = (options: Partial<ObjectiveOptions>): ObjectiveOptions => ({
  ...{ objective: "ce", negatives: 100, drawn: "shared", bceNegatives: 1, calibration: 0.75, ...options },
});
const catalogueOf = (table: tf.Tensor2D) => ({
  items: table.shape[0] - 1,
  all: () => table,
  of: (ids: tf.Tensor1D) => tf.gather(table, ids),
});
const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
/** As they are drawn of five items: [negatives], or one row after another. */
function drawn(count: number): number[] {
  const rng = createRng("negatives", seed);
  return Array.from({ length: count }, () => 1 + rng.below(5));
}
const weightOf = (item: number | undefined) => weights[item as number] as number;

describe("objectives over next items", () => {
  useEngine();

  it("in-batch: a position's negatives are the other sequences' targets, but its own target", () => {
    const loss = (objective: Objective) => lossOf({ objective, drawn: "in-batch" });
    // 1 against 2 and 4; 2 against 4 (row 1 has it as a target, too); 2 against 1; 4 against 1 and 2: in weights 1, 2 and 8
    close([loss("sampled-softmax")], [mean([log(11), log(10 / 2), log(3 / 2), log(11 / 8)])]);
    close([loss("bpr")], [mean([log(3), log(9), log(5), log(3 / 2), log(9 / 8), log(10 / 8)])]);
    const share = (right: number, wrong: number) => wrong / (right + wrong);
    const restraint = (wrong: number) => 1 / (1 + Math.exp(-(log(wrong) ** 2)));
    const pairs = [[1, 2], [1, 8], [2, 8], [2, 1], [8, 1], [8, 2]] as const; // biome-ignore format: one table
    close([loss("top1")], [mean(pairs.map(([right, wrong]) => share(right, wrong) + restraint(wrong)))]);
  });

  it("in-batch: no more than `negatives`, by lot", () => {
    const first = createRng("negatives", seed).shuffle([0, 1, 2, 3])[0] as number;
    const others = [...next.targets.keys()].filter(
      (question) => next.rows[question] !== next.rows[first] && next.targets[question] !== next.targets[first],
    );
    const wrong = weightOf(next.targets[first]);
    const expected = next.targets.map((target) => weightOf(target));
    close(
      [lossOf({ objective: "bpr", drawn: "in-batch", negatives: 1 })],
      [mean(others.map((question) => log(1 + wrong / (expected[question] as number))))],
    );
  });

  it("sampled-softmax: over the target and what was drawn, once for all or for each position", () => {
    const softmax = (target: number, negatives: readonly number[]) => {
      const wrong = negatives.filter((item) => item !== target).reduce((sum, item) => sum + weightOf(item), 0);
      return log((weightOf(target) + wrong) / weightOf(target));
    };
    const targets = [...next.targets];
    close([lossOf({ objective: "sampled-softmax", negatives: 3 })], [mean(targets.map((target) => softmax(target, drawn(3))))]);
    const own = drawn(12);
    close(
      [lossOf({ objective: "sampled-softmax", negatives: 3, drawn: "each" })],
      [mean(targets.map((target, i) => softmax(target, own.slice(3 * i, 3 * i + 3))))],
    );
  });

  it("each: gbce and bpr against a position's own negatives", () => {
    const own = drawn(8);
    const wrong = (question: number) => own.slice(2 * question, 2 * question + 2).filter((item) => item !== next.targets[question]);
    const [alpha, t] = [2 / 4, 0.75];
    const beta = alpha * (t * (1 - 1 / alpha) + 1 / alpha);
    const terms = [...next.targets].map((target, i) => {
      const negatives = wrong(i).reduce((sum, item) => sum + log(1 + weightOf(item)), 0);
      return (beta * log(1 + 1 / weightOf(target)) + negatives) / 3;
    });
    close([lossOf({ objective: "gbce", negatives: 2, drawn: "each" })], [mean(terms)]);
    const pairs = [...next.targets].flatMap((target, i) => wrong(i).map((item) => log(1 + weightOf(item) / weightOf(target))));
    close([lossOf({ objective: "bpr", negatives: 2, drawn: "each" })], [mean(pairs)]);
  });

  it("bce: the terms of several negatives are added", () => {
    const items = drawNegatives(next, 5, mode, 3);
    const terms = [...next.targets].map((target, i) => {
      const negatives = [0, 1, 2].map((draw) => log(1 + weightOf(items[4 * draw + i])));
      return log(1 + 1 / weightOf(target)) + negatives.reduce((a, b) => a + b);
    });
    close([lossOf({ objective: "bce", bceNegatives: 3 })], [mean(terms)]);
  });

  it("negatives of bce are what the sequence does not hold, a first one as if it were alone", () => {
    const some = drawNegatives(next, 5, mode, 40);
    for (const [i, item] of some.entries()) {
      const row = next.rows[i % 4] as number;
      assert.ok(![...batch.ids.subarray(3 * row, 3 * row + 3)].includes(item), `${item} stands in row ${row}`);
    }
    assert.deepEqual(new Set(some.filter((_, i) => next.rows[i % 4] === 0)), new Set([3, 4]));
    assert.equal(drawNegatives(next, 5, mode)[0], some[0]);
  });

  for (const objective of ["bce", "sampled-softmax", "gbce", "bpr", "top1"] as const)
    for (const way of objective === "bce" ? sharing.slice(0, 1) : sharing)
      it(`${objective}, ${way}: right gradients of states and items`, () =>
        withoutLeak(() => {
          const [states, table] = [
            variable(() => tf.tensor2d([0.3, -1, 1, 0.2, 0.5, 2, -0.4, 0.1], [4, 2])),
            variable(() => tf.tensor2d([0, 0, 1, 2, -1, 0.5, 0.3, 0.1, 2, -1, 0.4, 0.7], [6, 2])),
          ].map((each) => each as tf.Tensor as tf.Tensor2D & tf.Variable) as [tf.Tensor2D & tf.Variable, tf.Tensor2D & tf.Variable];
          const options = filled({ objective, drawn: way, negatives: 3, bceNegatives: 2 });
          const question = { states, next, catalogue: catalogueOf(table), options, mode };
          checkGradients([states, table], () => tf.mul(nextItemLoss(question), 4) as tf.Scalar, { step: 3e-3 });
          tf.dispose([states, table]);
        }));
});
