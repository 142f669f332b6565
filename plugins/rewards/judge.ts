import { type GenerationRequest, type LlmBackend, options, plugin, type Reward, type RewardBatch, RlrfError } from "rlrf4rec";

interface JudgeOptions {
  readonly llm: LlmBackend;
  readonly votes: number;
  readonly temperature: number;
  readonly question: string;
  readonly maxTokens: number;
}

const needs = ["prompts", "calibration"] as const;

@plugin({
  kind: "reward",
  name: "judge",
  version: "1.1.0",
  summary: "How often a language model prefers the text to the one that the recommender has learnt to hear, asked in both orders",
  source:
    "Zheng et al. 2023, arXiv 2306.05685, sections 3.1 (pairwise comparison) and 3.4 (swapped positions); Lee et al. 2023, arXiv 2309.00267 (RLAIF)",
  needs,
  reads: "text",
  options: {
    type: "object",
    required: ["llm"],
    properties: {
      llm: { pluginKind: "llm", description: "The judge; it may be another model than the one that is tuned." },
      votes: {
        type: "integer",
        minimum: 1,
        default: 1,
        unit: "answers",
        description: "Answers in each order; with more than one the temperature should be above 0.",
      },
      temperature: { type: "number", minimum: 0, maximum: 5, default: 0, description: "Of the judge's answers." },
      question: {
        type: "string",
        minLength: 1,
        default:
          "Which answer describes this user's taste better, so that a recommender can rank unseen items by it? Reply with A or B only.",
        description: "What is asked below the two answers.",
      },
      maxTokens: { type: "integer", minimum: 1, default: 8, unit: "tokens", description: "Tokens of a verdict at most." },
    },
  },
})
export class Judge implements Reward {
  readonly needs = needs;
  readonly reads = "text";
  /** Of a verdict, which is 0 or 1: calibration texts are what is compared with, and so are always worth a half. */
  readonly spread = 0.5;
  private prepared: Promise<void> | undefined;

  constructor(@options() private readonly options: JudgeOptions) {}

  /** Share of the verdicts for the text, in 0 … 1; a verdict that names neither answer, or an order that decides alone, is worth a half. */
  async reward({ texts, prompts, calibration, report }: RewardBatch): Promise<Float64Array> {
    if (prompts === undefined || calibration === undefined) throw new Error('a judge has "prompts" and "calibration" in its needs');
    const rivals = new Map(calibration.texts.map(({ user, text }) => [user, text]));
    const requests: GenerationRequest[] = [];
    const asked: { readonly text: number; readonly first: boolean }[] = [];
    for (const [text, { user, text: own }] of texts.entries()) {
      const rival = rivals.get(user);
      const prompt = prompts[text];
      if (rival === undefined || prompt === undefined) throw noRival(user);
      if (rival.trim() === own.trim()) continue; // a half, without asking
      for (const first of [true, false]) {
        asked.push({ text, first });
        requests.push(this.request(prompt, first ? [own, rival] : [rival, own], requests.length));
      }
    }
    const { llm, temperature, maxTokens, votes } = this.options;
    this.prepared ??= llm.prepare({ dialogues: [] });
    await this.prepared;
    const answers = await llm.generate(requests, { temperature, topK: 0, topP: 1, minP: 0, maxTokens, stop: [] });
    const rewards = new Float64Array(texts.length).fill(0.5);
    let [decided, swayed] = [0, 0];
    for (let i = 0; i < asked.length; i += 2) {
      const [first, second] = [i, i + 1].map((at) => (answers[at] ?? []).map(({ text }) => verdict(text)));
      const forText = [...(first ?? []).map((v) => v), ...(second ?? []).map((v) => 1 - v)];
      rewards[asked[i]?.text as number] = forText.reduce((sum, value) => sum + value, 0) / (2 * votes);
      for (const [vote, value] of (first ?? []).entries()) {
        decided += Number(value !== 0.5 && second?.[vote] !== 0.5);
        swayed += Number(value !== 0.5 && value === second?.[vote]); // the same letter in both orders
      }
    }
    if (asked.length > 0)
      report?.({ judge_decided: (2 * decided) / (asked.length * votes), judge_position_bias: swayed / Math.max(1, decided) });
    return rewards;
  }

  private request(
    { user, messages }: NonNullable<RewardBatch["prompts"]>[number],
    [a, b]: readonly [string, string],
    seed: number,
  ): GenerationRequest {
    const task = messages.map(({ content }) => content).join("\n\n");
    const content = `A recommender asked:\n\n${task}\n\nAnswer A:\n${a}\n\nAnswer B:\n${b}\n\n${this.options.question}`;
    return { user, messages: [{ role: "user", content }], samples: this.options.votes, seed };
  }
}

/** A letter alone, in whatever case. */
const alone = /^[^\p{L}\p{N}]*([ab])[^\p{L}\p{N}]*$/iu;
/** A verdict and then, if anything, its reason. The article ("A more precise one is B") is followed by a word. */
const opening = /^[^\p{L}\p{N}]*(?:[Aa]nswer[^\p{L}\p{N}]+)?([AB])(?=\s*$|\s*\n|[^\p{L}\p{N}\s/-]|\s+[-–—]|\s+is\b)/u;
/** What names both, or the one that the other is measured against. */
const comparison = /\b[AB]\s*(?:and|or|[&/])\s*[AB]\b|\b(?:than|but|while|whereas)\s+[AB]\b/gu;
/** A letter after a word or at the end of its clause, where no article stands. */
const mention = /(?<=\p{L}\s+)[AB](?![\p{L}\p{N}]|-\p{L})|(?<![\p{L}\p{N}])[AB](?=\s*(?:$|\n|[^\p{L}\p{N}\s-]))/gu;

/** 1 for answer A, 0 for answer B, a half for neither: the letter that the verdict begins with, or else the only one that it comes to. */
function verdict(answer: string): number {
  const first = (alone.exec(answer) ?? opening.exec(answer))?.[1]?.toUpperCase();
  const mentioned = new Set(answer.replace(comparison, "").match(mention));
  const letter = first ?? (mentioned.size === 1 ? [...mentioned][0] : undefined);
  return letter === undefined ? 0.5 : Number(letter === "A");
}

function noRival(user: number): RlrfError {
  return new RlrfError("RLRF_INTERNAL", { message: `a judge was given no text to compare that of user ${user} with` });
}
