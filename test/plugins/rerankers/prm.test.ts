import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { createRng } from "../../../framework/rng.js";
import { evaluating, training } from "../../../framework/tensor/nn/index.js";
import { AdamW, valueAndGradients } from "../../../framework/tensor/optimiser.js";
import { Parameters } from "../../../framework/tensor/parameters.js";
import { Prm, type PrmOptions } from "../../../plugins/rerankers/prm.js";
import { useEngine } from "../../support/engine.js";
import { checkGradients, close, withoutLeak } from "../../support/tensors.js";

const small: PrmOptions = {
  ...{ embedding: 4, hidden: 8, layers: 1, heads: 2, inner: 8, mlp: [6, 4], dropout: 0.2, positions: false, objective: "softmax" },
  ...{ epochs: 1, batchSize: 4, learningRate: 1e-3, weightDecay: 0, patience: 1 },
};

function build(options: Partial<PrmOptions> = {}, width = 3) {
  const parameters = new Parameters(createRng("prm"));
  return { parameters, network: new Prm({ ...small, ...options }).build(parameters, { width, list: 4, historyWidth: 0 }) };
}
const features = (seed: number, batch = 2): tf.Tensor3D => {
  const rng = createRng("features", seed);
  return tf.tensor3d(
    Float32Array.from({ length: batch * 4 * 3 }, () => rng.normal()),
    [batch, 4, 3],
  );
};

describe("prm reranker", () => {
  useEngine();

  it("scores candidates whatever their order, unless positions are asked for", () => {
    for (const positions of [false, true])
      withoutLeak(() => {
        const { parameters, network } = build({ positions });
        tf.tidy(() => {
          const order = tf.tensor1d([2, 0, 3, 1], "int32");
          const x = features(1);
          const moved = tf.gather(network.score(x, evaluating), order, 1).dataSync();
          const scored = network.score(tf.gather(x, order, 1), evaluating).dataSync();
          const difference = Math.max(...moved.map((value, i) => Math.abs(value - (scored[i] as number))));
          if (positions) assert.ok(difference > 1e-4);
          else assert.ok(difference < 1e-5);
        });
        parameters.dispose();
      });
  });

  it("scores a candidate in the presence of the others, and lists apart from each other", () =>
    withoutLeak(() => {
      const { parameters, network } = build();
      tf.tidy(() => {
        const x = features(1);
        const changed = tf.concat([features(2, 1), tf.slice(x, [1, 0, 0], [1, 4, 3])]) as tf.Tensor3D;
        const [before, after] = [network.score(x, evaluating).arraySync(), network.score(changed, evaluating).arraySync()];
        close(before[1] as number[], after[1] as number[]);
        const first = tf.slice(x, [0, 0, 0], [1, 3, 3]);
        const swapped = tf.concat([first, tf.slice(features(3), [0, 0, 0], [1, 1, 3])], 1);
        const alone = network.score(swapped as tf.Tensor3D, evaluating).arraySync()[0] as number[];
        assert.ok(Math.abs((alone[0] as number) - ((before[0] as number[])[0] as number)) > 1e-5);
      });
      parameters.dispose();
    }));

  for (const objective of ["softmax", "bce"] as const)
    it(`right gradients under ${objective}`, () =>
      withoutLeak(() => {
        const { parameters, network } = build({ objective, layers: 2, positions: true });
        const rng = createRng("perturb"); // away from biases of 0, where a ReLU has no gradient
        for (const each of parameters.all.values())
          tf.tidy(() =>
            each.assign(
              tf.add(
                each,
                tf.tensor(
                  Float32Array.from({ length: each.size }, () => 0.2 * rng.normal()),
                  each.shape,
                ),
              ),
            ),
          );
        const labels = () =>
          tf.tensor2d([
            [0, 1, 1, 0],
            [1, 0, 0, 0],
          ]);
        checkGradients(
          [...parameters.all.values()],
          () => tf.mul(network.loss(network.score(features(1), evaluating), labels()), 10) as tf.Scalar,
          { step: 2e-3, probes: 5, tolerance: 3e-2 },
        );
        parameters.dispose();
      }));

  it("learns what depends on the other candidates: the one whose first feature is the largest", () =>
    withoutLeak(() => {
      const { parameters, network } = build();
      const variables = [...parameters.all.values()];
      const optimiser = new AdamW(variables, { learningRate: 1e-2, weightDecay: 0 });
      const mode = training(createRng("learn"));
      const labelsOf = (x: tf.Tensor3D) =>
        tf.cast(tf.oneHot(tf.argMax(tf.squeeze(tf.slice(x, [0, 0, 0], [-1, -1, 1]), [2]), 1), 4), "float32") as tf.Tensor2D;
      for (let step = 0; step < 80; step++)
        tf.tidy(() => {
          const x = features(step, 32);
          optimiser.apply(valueAndGradients(variables, () => network.loss(network.score(x, mode), labelsOf(x))).gradients);
        });
      tf.tidy(() => {
        const x = features(1000, 200);
        const right = tf.equal(tf.argMax(network.score(x, evaluating), 1), tf.argMax(labelsOf(x), 1));
        assert.ok((tf.mean(tf.cast(right, "float32")).dataSync()[0] as number) > 0.85);
      });
      optimiser.dispose();
      parameters.dispose();
    }));
});
