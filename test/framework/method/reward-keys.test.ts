/** The key under which rewards are kept names everything that they follow from. */
import assert from "node:assert/strict";
import type { Reward } from "../../../framework/contracts/feedback.js";
import { RewardModels } from "../../../framework/method/reward.js";
import type { UserText } from "../../../framework/method/structure.js";
import type { Study } from "../../../framework/method/study.js";
import { stepKey, type StepIdentity } from "../../../framework/store/store.js";
import { tastes } from "./tastes.js";

const { data, knowledge } = tastes();
const said = (text: string, structureRate: number): UserText[] => [
  { user: 0, text, parsed: { canonical: "Genre: Drama", structureRate } as UserText["parsed"] },
];

async function keyOf(reward: Pick<Reward, "needs" | "reads">, { heard = said("a", 1), scored = said("a", 1) }): Promise<string> {
  let asked: StepIdentity | undefined;
  const step = (identity: StepIdentity) => {
    asked = identity;
    return Promise.reject(new Error("only its key is wanted"));
  };
  const study = {
    data: { ...data, parts: { ...data.parts, reward: [] } },
    dataKey: "data",
    parts: { identities: { reward: "r", encoder: "e", adaptor: "a", reranker: "k" } },
    spec: { seeds: [1], protocol: { metrics: ["ndcg@5"], history: 5, ties: "expected" }, prompt: {} },
    context: { engine: { name: "cpu" }, store: { step } },
  } as unknown as Study;
  const models = await RewardModels.of(study, { ...reward, reward: () => new Float64Array() }, [], { knowledge, texts: heard });
  await assert.rejects(models.score(scored), /only its key/);
  assert.ok(asked);
  return stepKey(asked);
}

describe("the key of rewards", () => {
  const ranking = { needs: [] } as const;
  const text = { needs: [], reads: "text" } as const;
  const calibrated = { needs: ["calibration"] } as const;
  const judge = { needs: ["prompts", "calibration"], reads: "text" } as const;

  it("names the text itself only where more of it is looked at than the recommender hears", async () => {
    const differs = async (reward: Pick<Reward, "needs" | "reads">) =>
      (await keyOf(reward, {})) !== (await keyOf(reward, { scored: said("a, said otherwise", 1) }));
    assert.deepEqual(await Promise.all([ranking, text, calibrated, judge].map(differs)), [false, true, true, true]);
  });

  it("names the texts that are compared with, their structure included", async () => {
    const differs = async (reward: Pick<Reward, "needs" | "reads">) =>
      (await keyOf(reward, {})) !== (await keyOf(reward, { heard: said("a", 0.5) }));
    assert.deepEqual(await Promise.all([ranking, calibrated, judge].map(differs)), [false, true, true]);
  });
});
