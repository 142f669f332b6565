/** What all rerankers have in common: right gradients, no order where none is asked for, and a rule of lists learnt. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { ListHistory, Reranker, RerankerNetwork } from "../../../framework/contracts/recommender.js";
import { createRng } from "../../../framework/rng.js";
import { evaluating, training } from "../../../framework/tensor/nn/index.js";
import { AdamW, valueAndGradients } from "../../../framework/tensor/optimiser.js";
import { Parameters } from "../../../framework/tensor/parameters.js";
import { withPlugin } from "../../../framework/testing/index.js";
import { useEngine } from "../../support/engine.js";
import { checkGradients, close, withoutLeak } from "../../support/tensors.js";
import { hashWeights } from "../../support/weights.js";
import { rerankers } from "./rerankers.js";

type Name = keyof typeof rerankers;
const names = Object.keys(rerankers) as Name[];
const small: Readonly<Record<Name, object>> = {
  pointwise: { mlp: [12, 8] },
  dlcm: { abstraction: 6, hidden: 8, channels: 3 },
  prm: { hidden: 8, heads: 2, inner: 8, mlp: [8] },
  setrank: { hidden: 8, heads: 2, inner: 8, induced: 3, mlp: [8] },
  mir: { hidden: 8, units: 4, mlp: [12] },
  seq2slate: { hidden: 8 },
  gsf: { mlp: [12, 8] },
};
const [list, width, historyWidth] = [4, 3, 3];

function withNetwork<Result>(
  name: Name,
  body: (network: RerankerNetwork, parameters: Parameters) => Result,
  changes = {},
): Promise<Result> {
  const options = { ...small[name], dropout: 0, ...changes };
  return withPlugin({ plugin: rerankers[name], options }, (reranker: Reranker) =>
    withoutLeak(() => {
      const parameters = new Parameters(createRng(name));
      const result = body(reranker.build(parameters, { width, list, historyWidth: reranker.history ? historyWidth : 0 }), parameters);
      parameters.dispose();
      return result;
    }),
  );
}
const normal = (shape: [number, number, number], seed: number): tf.Tensor3D => {
  const rng = createRng("features", seed);
  return tf.tensor3d(
    Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => rng.normal()),
    shape,
  );
};
/** Two items, of which some lists have only the second. */
const history = (batch: number): ListHistory => ({
  items: normal([batch, 2, historyWidth], 9),
  real: tf.tensor2d(
    Float32Array.from({ length: 2 * batch }, (_, i) => (i % 4 === 0 ? 0 : 1)),
    [batch, 2],
  ),
});

describe("rerankers", () => {
  useEngine();

  for (const name of names)
    it(`${name}: right gradients of its own objective`, () =>
      withNetwork(name, (network, parameters) => {
        hashWeights(parameters);
        const labels = () => tf.tensor2d([0, 1, 1, 0, 1, 0, 0, 0], [2, list]);
        const mode = { training: true, nextSeed: () => 5 }; // nothing is dropped; seq2slate's sums, gsf's drawn groups
        const loss = () => tf.mul(network.loss(network.score(normal([2, list, width], 4), mode, history(2)), labels()), 5) as tf.Scalar;
        checkGradients([...parameters.all.values()], loss, { step: 2e-3, probes: 3, tolerance: 3e-2 });
      })).timeout(20_000);

  for (const [name, changes] of [
    ["pointwise", {}],
    ["prm", {}],
    ["setrank", {}],
    ["setrank", { induced: 0 }],
    ["mir", {}],
    ["gsf", {}],
  ] as const)
    it(`${name} ${JSON.stringify(changes)}: scores candidates whatever their order`, () =>
      withNetwork(
        name,
        (network, parameters) => {
          hashWeights(parameters);
          tf.tidy(() => {
            const order = tf.tensor1d([2, 0, 3, 1], "int32");
            const x = normal([2, list, width], 1);
            const score = (x: tf.Tensor3D) => network.score(x, evaluating, history(2));
            close(score(tf.gather(x, order, 1)), tf.gather(score(x), order, 1).dataSync(), 1e-4);
          });
        },
        changes,
      ));

  it("pointwise scores a candidate whatever its company; the others do not", async () => {
    for (const name of names)
      await withNetwork(name, (network, parameters) => {
        hashWeights(parameters);
        tf.tidy(() => {
          const x = normal([1, list, width], 1);
          const changed = tf.concat([tf.slice(x, [0, 0, 0], [1, 3, width]), normal([1, 1, width], 2)], 1) as tf.Tensor3D;
          const first = (x: tf.Tensor3D) => network.score(x, evaluating, history(1)).dataSync()[0] as number;
          const difference = Math.abs(first(x) - first(changed));
          assert.ok(name === "pointwise" ? difference < 1e-6 : difference > 1e-6, `${name}: ${difference}`);
        });
      });
  });

  it("seq2slate: evaluated, scores fall along the slate that it chose", () =>
    withNetwork("seq2slate", (network, parameters) => {
      hashWeights(parameters);
      tf.tidy(() => {
        const x = normal([3, list, width], 1);
        const first = network.score(x, training(createRng("m"))).arraySync();
        const shown = network.score(x, evaluating).arraySync();
        for (const [row, scores] of shown.entries()) {
          const [sums, dealt] = [first[row] as number[], [...scores].sort((a, b) => b - a)];
          close(
            [...sums].sort((a, b) => b - a),
            dealt,
          );
          assert.equal(new Set(scores).size, list);
          assert.equal(scores.indexOf(dealt[0] as number), sums.indexOf(Math.max(...sums)), "the first choice has the highest probability");
        }
      });
    }));

  for (const name of names)
    it(`${name}: learns to put the largest first feature first`, () =>
      withNetwork(name, (network, parameters) => {
        const variables = [...parameters.all.values()];
        const optimiser = new AdamW(variables, { learningRate: 1e-2, weightDecay: 0 });
        const mode = training(createRng("learn"));
        const score = (x: tf.Tensor3D, how: typeof mode) => network.score(x, how, history(x.shape[0]));
        const largest = (x: tf.Tensor3D) => tf.argMax(tf.squeeze(tf.slice(x, [0, 0, 0], [-1, -1, 1]), [2]), 1);
        for (let step = 0; step < 120; step++)
          tf.tidy(() => {
            const x = normal([32, list, width], step);
            const labels = tf.cast(tf.oneHot(largest(x) as tf.Tensor1D, list), "float32") as tf.Tensor2D;
            optimiser.apply(valueAndGradients(variables, () => network.loss(score(x, mode), labels)).gradients);
          });
        tf.tidy(() => {
          const x = normal([200, list, width], 1000);
          const right = tf.mean(tf.cast(tf.equal(tf.argMax(score(x, evaluating), 1), largest(x)), "float32")).dataSync()[0] as number;
          assert.ok(right > 0.85, `${right} of the lists`);
        });
        optimiser.dispose();
      })).timeout(30_000);
});
