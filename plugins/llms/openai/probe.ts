/** How a server reads a chat: token ids by its own tokenizer, log-probabilities where it scores prompts (vLLM). */
import type { ChatMessage, Probe } from "rlrf4rec";
import { saysMissing } from "./adapters.js";
import { isObject, parseJson } from "./chat.js";
import { type Client, Unusable } from "./client.js";
import type { Dialect } from "./server.js";

/** Statuses that say: there is no such path, or no such field. */
const notOffered = [400, 404, 405, 422, 501];

export async function probeServer(
  client: Client,
  dialect: Dialect,
  model: string,
  messages: readonly ChatMessage[],
  completion: string,
): Promise<Probe> {
  if (dialect === "llama.cpp") return { tokens: await llamaTokens(client, messages, completion), logProbs: null };
  const whole = [...messages, { role: "assistant", content: completion }];
  const open = { model, messages: whole, add_generation_prompt: false, continue_final_message: true };
  const tokens = await ask(client, `${client.endpoint.root}/tokenize`, open, readTokens);
  const prompt = await ask(client, `${client.endpoint.root}/tokenize`, { model, messages, add_generation_prompt: true }, readTokens);
  if (tokens === null || prompt === null) return { tokens, logProbs: null };
  const scored = { ...open, max_tokens: 1, temperature: 0, prompt_logprobs: 0 };
  const all = await ask(client, `${client.endpoint.base}/chat/completions`, scored, (json) => readPromptLogProbs(json, tokens));
  return { tokens, logProbs: all?.slice(prompt.length) ?? null };
}

async function llamaTokens(client: Client, messages: readonly ChatMessage[], completion: string): Promise<readonly number[] | null> {
  const { root } = client.endpoint;
  const text = await ask(client, `${root}/apply-template`, { messages }, (json) => {
    if (isObject(json) && typeof json.prompt === "string") return json.prompt;
    throw new Unusable("no prompt");
  });
  if (text === null) return null;
  return ask(client, `${root}/tokenize`, { content: text + completion, add_special: true, parse_special: true }, readTokens);
}

/** @returns null when the server does not offer it */
async function ask<Answer>(
  client: Client,
  address: string,
  body: { readonly model?: string; readonly [field: string]: unknown },
  read: (json: unknown) => Answer,
): Promise<Answer | null> {
  return client.send("POST", address, {
    body,
    accept: (status, said) => notOffered.includes(status) && !saysMissing(body.model ?? "", status, said),
    read: (answer) => {
      const json = parseJsonOrNull(answer);
      return json === null || (isObject(json) && ("error" in json || "detail" in json)) ? null : read(json);
    },
  });
}

function parseJsonOrNull(body: Buffer): unknown {
  try {
    return parseJson(body);
  } catch {
    return null; // the page of a 404
  }
}

function readTokens(json: unknown): readonly number[] {
  const tokens = isObject(json) ? json.tokens : undefined;
  if (Array.isArray(tokens) && tokens.every((token) => Number.isInteger(token))) return tokens as number[];
  throw new Unusable("no list of token ids");
}

/** vLLM: one entry a prompt token, the first null, each an object of token id -> {logprob}. @returns null where it does not answer so */
function readPromptLogProbs(json: unknown, tokens: readonly number[]): readonly number[] | null {
  const entries = isObject(json) ? json.prompt_logprobs : undefined;
  if (!Array.isArray(entries) || entries.length !== tokens.length) return null;
  return tokens.map((token, at) => {
    const entry: unknown = entries[at];
    const own = isObject(entry) ? entry[String(token)] : undefined;
    return isObject(own) && typeof own.logprob === "number" ? own.logprob : Number.NaN; // the first token follows nothing
  });
}
