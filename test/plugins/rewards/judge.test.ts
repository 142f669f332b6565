import assert from "node:assert/strict";
import type { RewardBatch } from "../../../framework/contracts/feedback.js";
import type { GenerationParameters, GenerationRequest, LlmBackend } from "../../../framework/contracts/llm.js";
import { Judge } from "../../../plugins/rewards/judge.js";
import { Weighted } from "../../../plugins/rewards/weighted.js";

const options = { votes: 1, temperature: 0, question: "Which one?", maxTokens: 4 };

function batch(texts: readonly string[], rival = "a rival"): RewardBatch {
  const lists = { text: new Int32Array(), length: 1, scores: new Float32Array(), labels: new Uint8Array() };
  const of = (said: readonly string[]): RewardBatch => ({
    texts: said.map((text, user) => ({ user, text, structureRate: 1 })),
    lists,
    ties: "expected",
  });
  return {
    ...of(texts),
    prompts: texts.map((_, user) => ({ user: `u${user}`, messages: [{ role: "user", content: `The films of u${user}.` }] })),
    calibration: of(texts.map(() => rival)),
  };
}

/** A judge that answers by the two texts it is shown. */
class Model implements LlmBackend {
  readonly seen: { request: GenerationRequest; parameters: GenerationParameters }[] = [];
  prepared = 0;
  constructor(private readonly answer: (a: string, b: string, vote: number) => string) {}
  identity = () => "judge";
  async prepare() {
    this.prepared++;
  }
  async generate(requests: readonly GenerationRequest[], parameters: GenerationParameters) {
    return requests.map((request) => {
      this.seen.push({ request, parameters });
      const [, a = "", b = ""] = /Answer A:\n(.*?)\n\nAnswer B:\n(.*?)\n\n/su.exec(request.messages[0]?.content ?? "") ?? [];
      return Array.from({ length: request.samples }, (_, vote) => ({ text: this.answer(a, b, vote), tokens: 1, finish: "stop" as const }));
    });
  }
}
const rewardsOf = async (model: Model, given: RewardBatch, changes = {}) => [
  ...(await new Judge({ ...options, ...changes, llm: model }).reward(given)),
];

describe("judge reward", () => {
  it("is 1 for a text that wins in both places, 0 for one that loses in both", async () => {
    const longer = new Model((a, b) => (a.length > b.length ? "A" : "B"));
    assert.deepEqual(await rewardsOf(longer, batch(["a much longer text", "x"])), [1, 0]);
    assert.equal(longer.prepared, 1);
    assert.equal(longer.seen.length, 4);
    assert.match(
      longer.seen[0]?.request.messages[0]?.content ?? "",
      /The films of u0\.[\s\S]*Answer A:\na much longer text[\s\S]*Which one\?$/,
    );
    assert.match(longer.seen[1]?.request.messages[0]?.content ?? "", /Answer B:\na much longer text/);
  });

  it("is a half where the place decides, where nothing is decided, and for the rival itself, unasked", async () => {
    const told: Record<string, number>[] = [];
    const first = new Model(() => "A");
    const report = (figures: Readonly<Record<string, number>>) => void told.push({ ...figures });
    assert.deepEqual(await rewardsOf(first, { ...batch(["x", "y"]), report }), [0.5, 0.5]);
    assert.deepEqual(told, [{ judge_decided: 1, judge_position_bias: 1 }]);
    assert.deepEqual(await rewardsOf(new Model(() => "hard to say"), batch(["x"])), [0.5]);
    const unasked = new Model(() => "A");
    assert.deepEqual(await rewardsOf(unasked, batch(["a rival "])), [0.5]);
    assert.equal(unasked.seen.length, 0);
  });

  it("has the spread of a verdict in a weighted sum, for it is always a half on the texts that it compares with", async () => {
    const judge = new Judge({ ...options, llm: new Model((a, b) => (a.length > b.length ? "A" : "B")) });
    const weighted = new Weighted({ rewards: [{ reward: judge, weight: 2 }], standardise: true });
    const given = batch(["a much longer text", "x", "a rival"]);
    const { calibration, prompts = [] } = given;
    const values = await weighted.reward({ ...given, ...(calibration && { calibration: { ...calibration, prompts } }) });
    assert.deepEqual([...values], [2, -2, 0]); // 2 (1 - 0.5) / 0.5, …
  });

  it("reads verdicts in their usual forms", async () => {
    for (const [answer, expected] of [
      ["A", 1],
      ["A.", 1],
      ["A\n\nIt names the genres.", 1],
      [" b.", 0], // a letter alone, in whatever case
      ["**A**", 1],
      ["(B)", 0],
      ["B) because it names the years", 0],
      ["A, since B repeats itself", 1],
      ["A: it is more precise than B", 1],
      ["B — it says more than A", 0],
      ["Answer A", 1],
      ["**Answer:** B\n\nAnswer A is vague.", 0],
      ["Answer B describes it better.", 0],
      ["A is better", 1],
      ["A is better than B.", 1],
      ["B is more precise than A", 0],
      ["I prefer B.", 0],
      ["The better description is A", 1],
      ["A more accurate description is B", 0],
      ["A user who likes dramas would choose B.", 0],
      ["I prefer A because it names a genre.", 1],
      ["My verdict: **B**", 0],
      ["A captures the taste better than B.", 0.5], // an article, for all that can be told without grammar
      ["A names the genres, while B repeats itself.", 0.5],
      ["a more accurate description is B.", 0],
      ["A more accurate description is hard to find", 0.5],
      ["a good description", 0.5],
      ["Both A and B", 0.5],
      ["A or B", 0.5],
      ["A/B", 0.5],
      ["A and B are equally good.", 0.5],
      ["Apples", 0.5],
      ["A-list actors", 0.5],
      ["", 0.5],
    ] as const) {
      // biome-ignore format: one line
      const model = new Model((a) => (a === "text" ? answer : ""));
      assert.deepEqual(await rewardsOf(model, batch(["text"])), [expected === 0.5 ? 0.5 : (expected + 0.5) / 2], answer);
    }
  });

  it("is the share of several votes", async () => {
    const votes = new Model((a, _, vote) => (vote < 3 === (a === "text") ? "A" : "B"));
    assert.deepEqual(await rewardsOf(votes, batch(["text"]), { votes: 4, temperature: 0.7 }), [0.75]);
    assert.equal(votes.seen[0]?.parameters.temperature, 0.7);
  });
});
