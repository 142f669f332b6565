import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { tuneOnDialogues } from "../../../framework/tuning/supervised.js";
import { allProjections, testModel } from "../../support/decoder.js";
import { assertNoLeak, useEngine } from "../../support/engine.js";
import { close } from "../../support/tensors.js";

const lora = { rank: 4, alpha: 8, dropout: 0, targets: allProjections };
const settings = { epochs: 60, batchSize: 3, learningRate: 2e-2, accumulate: 1, weightDecay: 0, clip: 1, schedule: "cosine", rise: 0.05 } as const; // biome-ignore format: one line
const dialogues = ["drama", "horror", "comedy"].map((genre) => ({
  messages: [{ role: "user", content: `likes ${genre}` } as const],
  completion: `Genre: ${genre}`,
}));

describe("supervised tuning", () => {
  useEngine();

  it("is the NLL of a completion token, end token included, and falls", () =>
    assertNoLeak(async () => {
      const { model, dispose } = testModel();
      const examples = dialogues.map(({ messages, completion }) => model.tokenize(messages, [{ text: completion, ended: true }]));
      const tokens = examples.reduce((sum, { completions }) => sum + (completions[0]?.length ?? 0), 0);
      const nll = () => -tf.tidy(() => tf.sum(model.logProbs(examples)).dataSync()[0] as number) / tokens;
      const before = nll();
      const losses: number[] = [];
      const onStep = ({ loss }: { readonly loss: number }) => void losses.push(loss);
      const { steps } = await tuneOnDialogues({ policy: model, settings, lora, seed: 1, onStep }, dialogues);
      assert.equal(steps, 60);
      close([losses[0] as number], [before], 1e-4);
      assert.ok(nll() < before / 2, `${before} -> ${nll()}`);
      dispose();
    }));
});
