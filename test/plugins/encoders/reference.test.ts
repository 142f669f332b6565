/** Every encoder against a PyTorch reference of its paper with the same weights (test/golden/encoders.py). */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import type { SequenceEncoder } from "../../../framework/contracts/recommender.js";
import { createRng } from "../../../framework/rng.js";
import { packageRoot } from "../../../framework/setup/paths.js";
import { Parameters } from "../../../framework/tensor/parameters.js";
import { withPlugin } from "../../../framework/testing/index.js";
import { useEngine } from "../../support/engine.js";
import { close, withoutLeak } from "../../support/tensors.js";
import { hashWeights } from "../../support/weights.js";
import { encoders } from "./encoders.js";

const golden = JSON.parse(readFileSync(join(packageRoot, "test/golden/encoders.json"), "utf8")) as {
  readonly items: number;
  readonly history: number;
  readonly histories: readonly (readonly number[])[];
  readonly cases: readonly {
    readonly plugin: keyof typeof encoders;
    readonly options: Record<string, unknown>;
    readonly scores: readonly (readonly number[])[];
  }[];
};

describe("encoders and their PyTorch references", () => {
  useEngine();

  for (const { plugin, options, scores } of golden.cases)
    it(`${plugin} ${JSON.stringify(options)} scores alike`, () =>
      withPlugin({ plugin: encoders[plugin], options }, (encoder: SequenceEncoder) =>
        withoutLeak(() => {
          const parameters = new Parameters(createRng("reference"));
          const network = encoder.build(parameters, golden);
          hashWeights(parameters);
          tf.tidy(() => {
            const histories = tf.tensor2d(golden.histories.flat(), [golden.histories.length, golden.history], "int32");
            const withoutPadding = (rows: number[][]) => rows.flatMap((row) => row.slice(1)); // item 0 is nobody's candidate
            const ours = withoutPadding(network.scores(histories).arraySync() as number[][]);
            close(ours, withoutPadding(scores.map((row) => [...row])), 1e-4);
          });
          parameters.dispose();
        }),
      ));
});
