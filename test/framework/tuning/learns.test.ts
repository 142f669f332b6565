/** Alignment as a whole, on a toy: a policy that names any genre of its prompt is tuned towards the one that most of the prompt has. */
import assert from "node:assert/strict";
import type { GenerationRequest } from "../../../framework/contracts/llm.js";
import type { AlignmentExample } from "../../../framework/contracts/tuner.js";
import { createRng } from "../../../framework/rng.js";
import { tuneOnPreferences } from "../../../framework/tuning/preference.js";
import { Tiny } from "../../../plugins/llms/tiny.js";
import { Dpo } from "../../../plugins/losses/dpo.js";
import { BestWorst } from "../../../plugins/sampling/best-worst.js";
import { allProjections } from "../../support/decoder.js";
import { assertNoLeak, useEngine } from "../../support/engine.js";

const genres = ["Drama", "War", "Comedy", "Horror", "Crime", "Western"];
const sizes = { hidden: 48, layers: 2, heads: 4, kvHeads: 2, intermediate: 96, vocabulary: 320, context: 128 };
const training = { dialogues: 10_000, epochs: 2, batchSize: 16, learningRate: 3e-3, promptLoss: 0, seed: 1 };
const generation = { samples: 8, temperature: 1, topK: 0, topP: 1, minP: 0, maxTokens: 12, stop: [] };

interface Viewer {
  readonly messages: AlignmentExample["messages"];
  /** The genre of four of the six films. */
  readonly taste: string;
  readonly films: readonly string[];
}

function viewer(...labels: (string | number)[]): Viewer {
  const rng = createRng("viewer", ...labels);
  const [taste, second, third] = rng.shuffle([...genres]) as [string, string, string];
  const films = rng.shuffle([taste, taste, taste, taste, second, third]);
  return { messages: [{ role: "user", content: `${films.map((genre) => `Film [${genre}]`).join("\n")}\nGenre: …` }], taste, films };
}

const reward = ({ taste }: Viewer, text: string) => Number(text === `Genre: ${taste}`);
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

async function sample(tiny: Tiny, viewers: readonly Viewer[], seed: number) {
  const requests = viewers.map(({ messages }, i): GenerationRequest => ({ user: `${i}`, messages, samples: 8, seed: 1000 * seed + i }));
  const texts = await tiny.generate(requests, generation);
  return viewers.map((of, i) =>
    (texts[i] ?? []).map(({ text, tokens, finish }) => ({ text, length: tokens, reward: reward(of, text), conforms: finish === "stop" })),
  );
}

describe("alignment of a policy", () => {
  useEngine();

  it("raises the reward of prompts that it was not tuned on", () =>
    assertNoLeak(async () => {
      const tiny = new Tiny({ ...sizes, ...training }, { start: () => ({ advance: () => {}, end: () => {} }) });
      const dialogues = Array.from({ length: 2400 }, (_, i) => {
        const { messages, films } = viewer("corpus", i);
        return { messages, completion: `Genre: ${films[i % films.length]}` };
      });
      await tiny.prepare({ dialogues });
      const heldOut = Array.from({ length: 100 }, (_, i) => viewer("held out", i));
      const rewardOf = async () => (await sample(tiny, heldOut, 1)).map((texts) => mean(texts.map((text) => text.reward)));
      const before = await rewardOf();

      const viewers = Array.from({ length: 160 }, (_, i) => viewer("tuned on", i));
      const strategy = new BestWorst(generation);
      const drawn = await sample(tiny, viewers, 2);
      const examples = drawn.flatMap((texts, i): AlignmentExample[] =>
        strategy.select(texts).examples.map(({ chosen, rejected }) => {
          const text = (index: number) => ({
            text: texts[index]?.text ?? "",
            ended: texts[index]?.conforms === true,
            reward: texts[index]?.reward ?? 0,
          });
          return { messages: viewers[i]?.messages ?? [], chosen: text(chosen), rejected: rejected.map(text) };
        }),
      );
      const lora = { rank: 8, alpha: 16, dropout: 0, targets: allProjections };
      const settings = {
        epochs: 2,
        batchSize: 8,
        accumulate: 1,
        learningRate: 2e-3,
        weightDecay: 0,
        clip: 1,
        schedule: "cosine",
        rise: 0.1,
      } as const;
      await tuneOnPreferences({ policy: tiny.policy, lora, settings, seed: 1 }, examples, new Dpo({ beta: 0.1, labelSmoothing: 0 }));
      const gains = (await rewardOf()).map((value, i) => value - (before[i] as number));
      tiny.dispose();

      const deviation = Math.sqrt(mean(gains.map((gain) => (gain - mean(gains)) ** 2)) / gains.length);
      assert.ok(mean(before) < 0.75, `the untuned policy names the taste in ${mean(before)} of its texts`);
      assert.ok(
        mean(gains) > 0.1 && mean(gains) > 4 * deviation,
        `${mean(before)} + ${mean(gains)} +- ${deviation}, ${examples.length} pairs`,
      );
    })).timeout(120_000);
});
