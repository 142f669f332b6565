import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { createRng } from "../../../framework/rng.js";
import { evaluating } from "../../../framework/tensor/nn/index.js";
import { Parameters } from "../../../framework/tensor/parameters.js";
import { GroupwiseScoring, type GsfOptions } from "../../../plugins/rerankers/gsf.js";
import { useEngine } from "../../support/engine.js";
import { withoutLeak } from "../../support/tensors.js";

const small: GsfOptions = {
  ...{ embedding: 4, group: 2, mlp: [4], dropout: 0, objective: "softmax" },
  ...{ epochs: 1, batchSize: 4, learningRate: 1e-3, weightDecay: 0, patience: 1 },
};

describe("gsf reranker", () => {
  useEngine();

  for (const [list, group] of [
    [5, 2],
    [40, 3],
    [1100, 1],
    [1100, 2],
  ] as const)
    it(`scores ${list} candidates in groups of ${group}, each by what it is`, () =>
      withoutLeak(() => {
        const parameters = new Parameters(createRng("gsf"));
        const network = new GroupwiseScoring({ ...small, group }).build(parameters, { width: 3, list, historyWidth: 0 });
        const rng = createRng("features");
        tf.tidy(() => {
          const features = tf.tensor3d(
            Float32Array.from({ length: list * 3 }, () => rng.normal()),
            [1, list, 3],
          );
          const scores = new Set(network.score(features, evaluating).dataSync());
          assert.ok(scores.size > 0.9 * list, `${scores.size} different scores`);
        });
        parameters.dispose();
      }));
});
