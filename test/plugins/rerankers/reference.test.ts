/** Every reranker against a PyTorch reference of its paper with the same weights (test/golden/rerankers.py). */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import type { ListHistory, Reranker } from "../../../framework/contracts/recommender.js";
import { createRng } from "../../../framework/rng.js";
import { packageRoot } from "../../../framework/setup/paths.js";
import { evaluating, training } from "../../../framework/tensor/nn/index.js";
import { Parameters } from "../../../framework/tensor/parameters.js";
import { withPlugin } from "../../../framework/testing/index.js";
import { useEngine } from "../../support/engine.js";
import { close, withoutLeak } from "../../support/tensors.js";
import { hashedWeight, hashWeights } from "../../support/weights.js";
import { rerankers } from "./rerankers.js";

const golden = JSON.parse(readFileSync(join(packageRoot, "test/golden/rerankers.json"), "utf8")) as {
  readonly batch: number;
  readonly list: number;
  readonly width: number;
  readonly length: number;
  readonly historyWidth: number;
  /** Interactions before each list. */
  readonly before: readonly number[];
  readonly cases: readonly {
    readonly plugin: keyof typeof rerankers;
    readonly options: Record<string, unknown>;
    readonly scores: readonly (readonly number[])[];
  }[];
};
const { batch, list, width, length, historyWidth, before } = golden;

const hashed = (name: string, shape: [number, number, number]): tf.Tensor3D =>
  tf.tensor3d(
    hashedWeight(name, shape).values.map((value) => 3 * value),
    shape,
  );
const history = (): ListHistory => ({
  items: hashed("history", [batch, length, historyWidth]),
  real: tf.tensor2d(before.map((count) => Array.from({ length }, (_, i) => (i >= length - count ? 1 : 0)))),
});

describe("rerankers and their PyTorch references", () => {
  useEngine();

  for (const { plugin, options, scores } of golden.cases)
    it(`${plugin} ${JSON.stringify(options)} scores alike`, () =>
      withPlugin({ plugin: rerankers[plugin], options: { ...options, dropout: 0 } }, (reranker: Reranker) =>
        withoutLeak(() => {
          const parameters = new Parameters(createRng("reference"));
          const network = reranker.build(parameters, { width, list, historyWidth: plugin === "mir" ? historyWidth : 0 });
          hashWeights(parameters);
          tf.tidy(() => {
            // seq2slate shows what it learns from in training: else its scores follow the slate's order
            const mode = plugin === "seq2slate" ? training(createRng("mode")) : evaluating;
            close(network.score(hashed("features", [batch, list, width]), mode, history()), scores.flat(), 1e-4);
          });
          parameters.dispose();
        }),
      ));
});
