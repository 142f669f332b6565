/** OpenAI's chat completions: the request, and what is read from the answer. Nothing in an answer is believed. */
import type { ChatMessage, GeneratedText, GenerationParameters } from "rlrf4rec";
import { Unusable } from "./client.js";

/** What a server offers besides one text a request. */
export interface Abilities {
  /** It gives as many choices as `n` asks for. */
  readonly several: boolean;
  /** It gives the log-probabilities of what it wrote. */
  readonly logprobs: boolean;
  /** What it does with the fields that turn its own cuts off: it is known to heed them; it takes them, and may ignore them; or it refuses them. */
  readonly uncut: "heeds" | "takes" | "refuses";
}

export interface ChatRequest {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly parameters: GenerationParameters;
  readonly choices: number;
  readonly seed: number;
  readonly logprobs: boolean;
  /** The server takes fields of which OpenAI's interface knows nothing. */
  readonly uncut: boolean;
  /** The field that limits the completion. */
  readonly limitField: string;
  /** Further fields of the user's; they change none of ours. */
  readonly extra: Readonly<Record<string, unknown>>;
}

/**
 * What a request leaves out, a server fills in as it likes: vLLM and SGLang from the model's generation_config.json, llama.cpp with its own
 * top_k 40, top_p 0.95 and min_p 0.05. So that all backends draw from one distribution, "off" is said too; -1 is the top_k that all of them,
 * older ones included, take for off. Fields that not every server knows are sent otherwise only where they say something.
 */
export function chatBody({ model, messages, parameters, choices, seed, logprobs, uncut, limitField, extra }: ChatRequest): object {
  const { temperature, topK, topP, minP, maxTokens, stop } = parameters;
  return {
    ...(uncut && { repetition_penalty: 1 }), // no option of ours: the user's own goes first
    ...extra,
    model,
    messages,
    stream: false,
    temperature,
    [limitField]: maxTokens,
    top_p: topP,
    ...((uncut || topK > 0) && { top_k: topK > 0 ? topK : -1 }),
    ...((uncut || minP > 0) && { min_p: minP }),
    ...(stop.length > 0 && { stop }),
    ...(temperature > 0 && { seed }),
    ...(choices > 1 && { n: choices }),
    ...(logprobs && { logprobs: true }),
  };
}

export interface Choice {
  readonly text: string;
  readonly finish: "stop" | "length";
  /** null where the server offers none. */
  readonly logProbs: readonly number[] | null;
}
export interface Answer {
  readonly choices: readonly Choice[];
  /** Of all choices together; null where the server does not count. */
  readonly tokens: number | null;
}

/** @throws Unusable */
export function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8")) as unknown;
  } catch {
    throw new Unusable(`no JSON: ${JSON.stringify(body.toString("utf8", 0, 100))}`);
  }
}

/** @throws Unusable unless there are exactly `wanted` choices, each with a text */
export function readAnswer(body: Buffer, wanted: number): Answer {
  const json = parseJson(body);
  const list = isObject(json) ? json.choices : undefined;
  if (!Array.isArray(list)) throw new Unusable(`no list of choices: ${JSON.stringify(json).slice(0, 100)}`);
  if (list.length !== wanted) throw new Unusable(`${list.length} choices instead of ${wanted}`);
  const choices: Choice[] = new Array(wanted);
  for (const [position, item] of (list as unknown[]).entries()) {
    const index = isObject(item) && typeof item.index === "number" && wanted > 1 ? item.index : position;
    if (!(index in choices) && Number.isInteger(index) && index >= 0 && index < wanted) choices[index] = readChoice(item);
    else throw new Unusable(`choice ${index} of ${wanted} stands twice or is beyond them`);
  }
  const usage = isObject(json) && isObject(json.usage) ? json.usage.completion_tokens : undefined;
  return { choices, tokens: typeof usage === "number" && Number.isInteger(usage) && usage >= 0 ? usage : null };
}

function readChoice(item: unknown): Choice {
  const message = isObject(item) ? item.message : undefined;
  if (!isObject(item) || !isObject(message) || !(typeof message.content === "string" || message.content === null))
    throw new Unusable("a choice without a message");
  const { finish_reason: finish, logprobs } = item;
  const content = isObject(logprobs) ? logprobs.content : undefined;
  const logProbs = Array.isArray(content) ? content.map((token: unknown) => (isObject(token) ? Number(token.logprob) : Number.NaN)) : null;
  // What a filter or an abort has ended is no finished text.
  return { text: message.content ?? "", finish: finish === "stop" ? "stop" : "length", logProbs };
}

/** The texts as the framework counts and cuts them. */
export function textsOf({ choices, tokens }: Answer, { stop, maxTokens }: GenerationParameters): readonly GeneratedText[] {
  const characters = choices.reduce((sum, { text }) => sum + text.length, 0);
  return choices.map((choice) => {
    // Where only the sum is known, each text has its share by length.
    const share = choices.length === 1 || characters === 0 ? 1 / choices.length : choice.text.length / characters;
    const counted = choice.logProbs?.length ?? Math.round((tokens ?? tokensIn(characters)) * share);
    return { ...cutAtStop(choice, stop), tokens: Math.min(counted, maxTokens) };
  });
}

/** Some servers know no stop strings, and some leave the string in the text. */
function cutAtStop({ text, finish }: Choice, stop: readonly string[]): Pick<GeneratedText, "text" | "finish"> {
  const found = stop.map((string) => text.indexOf(string)).filter((at) => at >= 0);
  return found.length === 0 ? { text, finish } : { text: text.slice(0, Math.min(...found)), finish: "stop" };
}

/** For a server that counts nothing: English takes about four characters a token. */
function tokensIn(characters: number): number {
  return characters / 4;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
