import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { Mode } from "../../../framework/contracts/recommender.js";
import { fitSequences } from "../../../framework/method/encoder.js";
import { nextItemNdcg } from "../../../framework/method/next-item.js";
import { createRng } from "../../../framework/rng.js";
import { evaluating, training } from "../../../framework/tensor/nn/index.js";
import { Parameters } from "../../../framework/tensor/parameters.js";
import { NoEncoder } from "../../../plugins/encoders/none.js";
import { SasRec, type SasRecOptions } from "../../../plugins/encoders/sasrec.js";
import { useEngine } from "../../support/engine.js";
import { assertNoLeak } from "../../support/engine.js";
import { checkGradients, close, withoutLeak } from "../../support/tensors.js";

const small: SasRecOptions = {
  ...{ hidden: 8, layers: 2, heads: 2, dropout: 0, attentionDropout: 0, scaled: true, projected: true, normalised: true },
  ...{ objective: "ce", negatives: 4, drawn: "shared", bceNegatives: 1, calibration: 0.5 },
  ...{ epochs: 60, batchSize: 16, learningRate: 1e-2, weightDecay: 0, patience: 60 },
};
const seeded = { training: false, nextSeed: () => 11 };
const { log, exp } = Math;
const softplus = (x: number) => log(1 + exp(x));

/** Positions are zero, so that a prefix's state does not depend on where it ends. */
function build(options: Partial<SasRecOptions>, items: number, history = 4) {
  const parameters = new Parameters(createRng("sasrec"));
  const network = new SasRec({ ...small, ...options }).build(parameters, { items, history });
  const rng = createRng("spread");
  for (const [name, each] of parameters.all)
    tf.tidy(() =>
      each.assign(
        name === "positions"
          ? tf.zerosLike(each)
          : tf.add(
              each,
              tf.tensor(
                Float32Array.from({ length: each.size }, () => 0.2 * rng.normal()),
                each.shape,
              ),
            ),
      ),
    );
  return { parameters, network };
}
/** The scores after each prefix of a sequence, but the whole of it. */
function prefixScores(network: ReturnType<typeof build>["network"], sequence: readonly number[]): number[][] {
  return sequence.slice(1).map((_, i) => {
    const prefix = sequence.slice(0, i + 1);
    return tf.tidy(() => [...network.scores(tf.tensor2d(prefix, [1, prefix.length], "int32")).dataSync()]);
  });
}
const sequenceTensor = (sequence: readonly number[]) => tf.tensor2d([[0, 0, ...sequence].slice(-5)], [1, 5], "int32");

describe("sasrec encoder", () => {
  useEngine();

  it("ce: the mean of -log softmax over all items, padding neither scored nor learnt", () =>
    withoutLeak(() => {
      const { parameters, network } = build({ objective: "ce" }, 4);
      const sequence = [2, 4, 1];
      const each = prefixScores(network, sequence).map((scores, i) => {
        const items = scores.slice(1);
        return log(items.reduce((sum, s) => sum + exp(s), 0)) - (items[(sequence[i + 1] as number) - 1] as number);
      });
      tf.tidy(() => close(network.loss(sequenceTensor(sequence), evaluating), [each.reduce((a, b) => a + b) / each.length]));
      parameters.dispose();
    }));

  it("bce: one negative that the sequence does not hold", () =>
    withoutLeak(() => {
      const { parameters, network } = build({ objective: "bce" }, 4);
      const sequence = [2, 4, 1]; // only 3 is left to be drawn
      const each = prefixScores(network, sequence).map(
        (scores, i) => softplus(-(scores[sequence[i + 1] as number] as number)) + softplus(scores[3] as number),
      );
      tf.tidy(() => close(network.loss(sequenceTensor(sequence), seeded), [each.reduce((a, b) => a + b) / each.length]));
      parameters.dispose();
    }));

  it("gbce: the positive to the power beta, shared negatives but not the positive itself", () =>
    withoutLeak(() => {
      const { parameters, network } = build({ objective: "gbce" }, 9);
      const sequence = [2, 4, 1];
      const rng = createRng("negatives", 11);
      const negatives = [0, 1, 2, 3].map(() => 1 + rng.below(9));
      const [alpha, t] = [4 / 8, 0.5];
      const beta = alpha * (t * (1 - 1 / alpha) + 1 / alpha); // .75
      const each = prefixScores(network, sequence).map((scores, i) => {
        const target = sequence[i + 1] as number;
        const wrong = negatives.filter((item) => item !== target).reduce((sum, item) => sum + softplus(scores[item] as number), 0);
        return (beta * softplus(-(scores[target] as number)) + wrong) / 5;
      });
      tf.tidy(() => close(network.loss(sequenceTensor(sequence), seeded), [each.reduce((a, b) => a + b) / each.length]));
      parameters.dispose();
    }));

  for (const objective of ["bce", "ce", "gbce"] as const)
    it(`right gradients under ${objective}`, () =>
      withoutLeak(() => {
        const { parameters, network } = build({ objective }, 6);
        const sequences = () =>
          tf.tensor2d(
            [
              [0, 0, 2, 3, 1],
              [4, 5, 6, 2, 1],
            ],
            [2, 5],
            "int32",
          );
        checkGradients([...parameters.all.values()], () => tf.mul(network.loss(sequences(), seeded), 5) as tf.Scalar, {
          step: 2e-3,
          probes: 4,
          tolerance: 3e-2,
        });
        parameters.dispose();
      }));

  it("drops of the attention's weights where it is told to, in training alone", () =>
    withoutLeak(() => {
      const scoresOf = (attentionDropout: number, mode: Mode) => {
        const { parameters, network } = build({ attentionDropout }, 6);
        const history = () => tf.tensor2d([[2, 3, 1]], [1, 3], "int32");
        const scores = tf.tidy(() => [...network.features(history(), tf.tensor2d([[4, 5]], [1, 2], "int32"), mode).dataSync()]);
        parameters.dispose();
        return scores;
      };
      const plain = scoresOf(0, training(createRng("weights")));
      assert.deepEqual(scoresOf(0.5, evaluating), plain);
      assert.notDeepEqual(scoresOf(0.5, training(createRng("weights"))), plain);
    }));

  it("gives the same states whatever the padding, and in any company", () =>
    withoutLeak(() => {
      const { parameters, network } = build({}, 6);
      tf.tidy(() => {
        const narrow = network.scores(tf.tensor2d([[3, 1]], [1, 2], "int32")).dataSync();
        const wide = tf.unstack(
          network.scores(
            tf.tensor2d(
              [
                [0, 0, 3, 1],
                [5, 4, 2, 6],
              ],
              [2, 4],
              "int32",
            ),
          ),
        )[0] as tf.Tensor;
        close(wide, narrow);
      });
      parameters.dispose();
    }));

  it("features: state * item, and their sum, which is the score", () =>
    withoutLeak(() => {
      const { parameters, network } = build({}, 6);
      tf.tidy(() => {
        const history = tf.tensor2d([[0, 3, 1]], [1, 3], "int32");
        const features = network.features(history, tf.tensor2d([[2, 5]], [1, 2], "int32"), evaluating);
        assert.deepEqual(features.shape, [1, 2, network.width]);
        const [two, five] = features.arraySync()[0] as [number[], number[]];
        const scores = network.scores(history).dataSync();
        close([two.at(-1) as number, five.at(-1) as number], [scores[2] as number, scores[5] as number]);
        close([two.slice(0, -1).reduce((a, b) => a + b)], [scores[2] as number]);
      });
      parameters.dispose();
    }));

  it("learns a cycle of items, with every objective, and repeats itself bit for bit", async () => {
    const items = 12;
    const sequences = Array.from({ length: 36 }, (_, u) => Array.from({ length: 6 }, (_, i) => 1 + ((u + i) % items)));
    const flat = Int32Array.from(sequences.flat());
    const begin = Int32Array.from(sequences.keys(), (u) => u * 6);
    const rows = { items: flat, begin, end: begin.map((at) => at + 6) };
    const valid = { histories: { items: flat, begin, end: begin.map((at) => at + 5) }, targets: begin.map((at) => flat[at + 5] as number) };
    for (const objective of ["ce", "bce", "gbce"] as const)
      await assertNoLeak(async () => {
        const request = {
          encoder: new SasRec({ ...small, objective, epochs: objective === "gbce" ? 60 : 12, dropout: 0.1 }),
          history: 5,
          seed: 3,
          items,
          rows,
          valid,
        };
        const { network, parameters, report } = await fitSequences(request);
        assert.ok(nextItemNdcg(network, valid, 5, 10) > 0.85, `${objective}: ${report?.metric}`);
        if (objective === "ce") {
          const again = await fitSequences(request);
          assert.deepEqual(await again.parameters.state(), await parameters.state());
          again.parameters.dispose();
        }
        parameters.dispose();
      });
  }).timeout(60_000);
});

describe("no encoder", () => {
  useEngine();
  it("has features of width 0 and the same score for all", () =>
    withoutLeak(() =>
      tf.tidy(() => {
        const network = new NoEncoder().build(undefined, { items: 3 });
        assert.equal(network.width, 0);
        const history = tf.tensor2d([[1, 2]], [1, 2], "int32");
        assert.deepEqual(network.features(history, tf.tensor2d([[1, 2, 3]], [1, 3], "int32"), evaluating).shape, [1, 3, 0]);
        assert.deepEqual([...network.scores(history).dataSync()], [0, 0, 0, 0]);
      }),
    ));
});
