/** vLLM's own endpoints, as its documentation and source have them: adapters, tokenize, prompt_logprobs; and llama.cpp's tokenize. */
import assert from "node:assert/strict";
import type { AdapterFiles, GenerationParameters, LlmBackend } from "../../../framework/contracts/llm.js";
import type { PluginClass } from "../../../framework/contracts/plugin.js";
import { withPlugin } from "../../../framework/testing/index.js";
import { OpenAi } from "../../../plugins/llms/openai.js";
import { ChatServer, json } from "../../support/chat-server.js";
import { assertFails, createListener } from "../../support/faults.js";
import { type Fault, useFaultyProxies } from "../../support/faulty-proxy.js";

const parameters: GenerationParameters = { temperature: 1, topK: 0, topP: 1, minP: 0, maxTokens: 12, stop: [] };
const request = { user: "u", messages: [{ role: "user", content: "hello" }], samples: 1, seed: 1 } as const;
const first: AdapterFiles = { folder: "/runs/a/adapters/iteration-1", identity: "values 1" };
const second: AdapterFiles = { folder: "/runs/a/adapters/iteration-2", identity: "values 2" };

describe("openai, beyond OpenAI's interface", () => {
  const open = useFaultyProxies();

  async function server(more: (url: string, body: Record<string, unknown>) => Fault | null, owner = "vllm"): Promise<ChatServer> {
    const chat = new ChatServer(await open(), { models: [{ id: "m", owned_by: owner }] });
    const { fault } = chat.proxy;
    chat.proxy.fault = (seen) => more(seen.url, (seen.body === "" ? {} : JSON.parse(seen.body)) as Record<string, unknown>) ?? fault(seen);
    return chat;
  }
  const using = <Result>(chat: ChatServer, body: (llm: LlmBackend) => Promise<Result>, options: object = {}, listener = createListener()) =>
    withPlugin(
      {
        plugin: OpenAi as PluginClass<LlmBackend>,
        options: { baseUrl: chat.baseUrl, model: "m", attempts: 2, firstWait: 0.001, ...options },
        services: { logger: listener },
      },
      async (llm) => {
        await llm.prepare({ dialogues: [] });
        return body(llm);
      },
    );
  const adapterCalls = (chat: ChatServer) =>
    chat.proxy.seen.flatMap(({ url, body }) => (url.includes("lora") ? [[url, JSON.parse(body) as Record<string, string>] as const] : []));
  const accepting = (url: string): Fault | null => (url.includes("lora_adapter") ? { status: 200, body: "Success: done." } : null);
  const writer = async (llm: LlmBackend, chat: ChatServer) => {
    await llm.generate([request], parameters);
    return chat.asked.at(-1)?.model;
  };

  it("loads an adapter once, writes with it, and unloads the one before", async () => {
    const chat = await server(accepting);
    await using(
      chat,
      async (llm) => {
        const plain = llm.identity();
        assert.equal(await writer(llm, chat), "m");
        await llm.useAdapter?.(first);
        await llm.useAdapter?.({ ...first, folder: "/elsewhere" }); // the same values
        const [[url, loaded] = [], ...others] = adapterCalls(chat);
        assert.equal(url, "/v1/load_lora_adapter");
        assert.equal(loaded?.lora_path, first.folder);
        assert.deepEqual(others, []);
        assert.equal(await writer(llm, chat), loaded?.lora_name);
        assert.notEqual(llm.identity(), plain);
        await llm.useAdapter?.(second);
        assert.deepEqual(
          adapterCalls(chat).map(([path, { lora_name }]) => [path, lora_name === loaded?.lora_name]),
          [
            ["/v1/load_lora_adapter", true],
            ["/v1/load_lora_adapter", false],
            ["/v1/unload_lora_adapter", true],
          ],
        );
        await llm.useAdapter?.(null);
        assert.equal(llm.identity(), plain);
        assert.equal(await writer(llm, chat), "m");
        await llm.useAdapter?.(first);
      },
      { adapters: "vllm" },
    );
    assert.equal(adapterCalls(chat).at(-1)?.[0], "/v1/unload_lora_adapter", "what is left is unloaded in the end");
  });

  it("names the folder as the server sees it", async () => {
    const chat = await server(accepting);
    await using(chat, async (llm) => llm.useAdapter?.(first), { adapters: "vllm", adapterFolder: "/mnt/adapters/" });
    assert.equal(adapterCalls(chat)[0]?.[1].lora_path, "/mnt/adapters/iteration-1");
  });

  it("goes on with one that a killed run has left there", async () => {
    const chat = await server((url) =>
      url === "/v1/load_lora_adapter" ? json({ error: { message: "The lora adapter 'x' has already been loaded." } }, 400) : accepting(url),
    );
    await using(chat, async (llm) => llm.useAdapter?.(first), { adapters: "vllm" });
  });

  it("says how a server has to be started that refuses adapters, and only warns of one that stays", async () => {
    const refusing = await server((url) => (url.includes("lora_adapter") ? json({ detail: "Not Found" }, 404) : null));
    const use = () => using(refusing, async (llm) => llm.useAdapter?.(first), { adapters: "vllm" });
    await assertFails("RLRF_LLM_HTTP_ADAPTER", use, /404 Not Found[\s\S]*VLLM_ALLOW_RUNTIME_LORA_UPDATING=True[\s\S]*adapterFolder/);
    const keeping = await server((url) => (url.includes("unload") ? json({}, 400) : accepting(url)));
    const listener = createListener();
    await using(keeping, async (llm) => llm.useAdapter?.(first), { adapters: "vllm" }, listener);
    assert.match(listener.warnings[0]?.message ?? "", /stays loaded/);
  });

  it("has no adapters unless it is told how", async () => {
    await using(await server(() => null), async (llm) => assert.equal(llm.useAdapter, undefined));
  });

  /** Characters as tokens, after a head that says who speaks. */
  const tokens = (text: string) => [...text].map((character) => character.codePointAt(0) ?? 0);

  it("tells token ids and log-probs of a completion by vLLM's endpoints", async () => {
    const chat = await server((url, body) => {
      if (url === "/tokenize") {
        const messages = body.messages as { content: string }[];
        return json({ tokens: tokens(messages.map(({ content }) => content).join("") + (body.add_generation_prompt === true ? ":" : "")) });
      }
      if (body.prompt_logprobs === undefined) return null;
      const all = tokens("hello:ab");
      const entries = all.map((token, i) => (i === 0 ? null : { [token]: { logprob: -i }, 999: { logprob: -0.1 } }));
      return json({ choices: [{ message: { content: "" } }], prompt_logprobs: entries });
    });
    // The chat with the open completion has the head of the assistant's turn in it.
    const tokenized = await using(chat, (llm) => llm.probe?.(request.messages, ":ab") ?? Promise.reject());
    assert.deepEqual(tokenized, { tokens: tokens("hello:ab"), logProbs: [-6, -7] });
  });

  it("tells token ids alone by llama.cpp's, and nothing where nothing is offered", async () => {
    const llama = await server((url, body) => {
      if (url === "/apply-template") return json({ prompt: "<hello>" });
      return url === "/tokenize" ? json({ tokens: tokens(String(body.content)) }) : null;
    }, "llamacpp");
    const told = await using(llama, (llm) => llm.probe?.(request.messages, "ab") ?? Promise.reject());
    assert.deepEqual(told, { tokens: tokens("<hello>ab"), logProbs: null });
    const nothing = await using(await server(() => null), (llm) => llm.probe?.(request.messages, "ab") ?? Promise.reject());
    assert.deepEqual(nothing, { tokens: null, logProbs: null });
  });
});
