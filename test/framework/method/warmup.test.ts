import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { warmUp } from "../../../framework/method/warmup.js";
import { allProjections, testModel } from "../../support/decoder.js";
import { assertNoLeak, useEngine } from "../../support/engine.js";
import { close } from "../../support/tensors.js";

const lora = { rank: 4, alpha: 8, dropout: 0, targets: allProjections };
const dialogues = ["drama", "horror", "comedy"].map((genre) => ({
  messages: [{ role: "user", content: `likes ${genre}` } as const],
  completion: `Genre: ${genre}`,
}));

describe("warm-up", () => {
  useEngine();

  it("is the NLL of a completion token, end token included, and falls", () =>
    assertNoLeak(async () => {
      const { model, dispose } = testModel();
      const examples = dialogues.map(({ messages, completion }) => model.tokenize(messages, [{ text: completion, ended: true }]));
      const tokens = examples.reduce((sum, { completions }) => sum + (completions[0]?.length ?? 0), 0);
      const nll = () => -tf.tidy(() => tf.sum(model.logProbs(examples)).dataSync()[0] as number) / tokens;
      const before = nll();
      const losses: number[] = [];
      const warmup = { epochs: 60, batchSize: 3, learningRate: 2e-2 };
      const { steps } = await warmUp({ policy: model, dialogues, warmup, lora, seed: 1, onStep: ({ loss }) => losses.push(loss) });
      assert.equal(steps, 60);
      close([losses[0] as number], [before], 1e-4);
      assert.ok(nll() < before / 2, `${before} -> ${nll()}`);
      dispose();
    }));
});
