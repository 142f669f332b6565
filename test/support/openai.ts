/** The plugin `openai` with servers of tests, and what those write for it. */
import type { GeneratedText, GenerationParameters, GenerationRequest, LlmBackend } from "../../framework/contracts/llm.js";
import type { PluginClass } from "../../framework/contracts/plugin.js";
import { withPlugin } from "../../framework/testing/index.js";
import { OpenAi } from "../../plugins/llms/openai.js";
import { type ChatServer, textFor } from "./chat-server.js";
import { createListener } from "./faults.js";

export const parameters: GenerationParameters = { temperature: 1, topK: 0, topP: 1, minP: 0, maxTokens: 12, stop: [] };

export function requests(count: number, samples = 3): GenerationRequest[] {
  return Array.from({ length: count }, (_, i) => ({
    user: `u${i}`,
    messages: [{ role: "user", content: `prompt ${i}` }],
    samples,
    seed: 100 + i,
  }));
}

export function texts(written: readonly (readonly GeneratedText[])[]): string[][] {
  return written.map((own) => own.map(({ text }) => text));
}

/** What a server that honours `n` writes for these requests. */
export function expected(asked: readonly GenerationRequest[]): string[][] {
  return asked.map(({ messages, samples, seed }) => Array.from({ length: samples }, (_, i) => textFor({ messages, seed }, i)));
}

/** Quick tries, so that a fault that stays ends in some milliseconds. */
const quick = { attempts: 4, firstWait: 0.002, connectTimeout: 1, timeout: 10 };

/** Prepares the plugin with one server or a list of them, does work with it, and disposes of it. */
export async function withOpenAi<Result>(
  servers: ChatServer | readonly ChatServer[],
  body: (llm: LlmBackend) => Promise<Result>,
  options: object = {},
  listener = createListener(),
): Promise<Result> {
  const baseUrl = "baseUrl" in servers ? servers.baseUrl : servers.map((server) => server.baseUrl);
  return withPlugin(
    { plugin: OpenAi as PluginClass<LlmBackend>, options: { baseUrl, model: "m", ...quick, ...options }, services: { logger: listener } },
    async (llm) => {
      await llm.prepare({ dialogues: [] });
      return body(llm);
    },
  );
}
