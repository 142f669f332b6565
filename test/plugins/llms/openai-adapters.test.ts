/** vLLM's own endpoints, as its documentation and source have them: adapters, tokenize, prompt_logprobs; and llama.cpp's tokenize. */
import assert from "node:assert/strict";
import type { AdapterFiles, LlmBackend } from "../../../framework/contracts/llm.js";
import { ChatServer, json } from "../../support/chat-server.js";
import { assertFails, createListener } from "../../support/faults.js";
import { type Fault, useFaultyProxies } from "../../support/faulty-proxy.js";
import { expected, parameters, requests, texts, withOpenAi } from "../../support/openai.js";
import { VllmServer } from "../../support/vllm-server.js";

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
  const adapterCalls = (chat: ChatServer) =>
    chat.proxy.seen.flatMap(({ url, body }) => (url.includes("lora") ? [[url, JSON.parse(body) as Record<string, string>] as const] : []));
  const vllm = async () => new VllmServer(await open());
  const adapters = { adapters: "vllm" };
  const writer = async (llm: LlmBackend, chat: ChatServer) => {
    await llm.generate([request], parameters);
    return chat.asked.at(-1)?.model;
  };

  it("loads an adapter once, writes with it, and unloads the one before", async () => {
    const chat = await vllm();
    await withOpenAi(
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
      adapters,
    );
    assert.equal(adapterCalls(chat).at(-1)?.[0], "/v1/unload_lora_adapter", "what is left is unloaded in the end");
  });

  it("names the folder as the server sees it", async () => {
    const chat = await vllm();
    await withOpenAi(chat, async (llm) => llm.useAdapter?.(first), { ...adapters, adapterFolder: "/mnt/adapters/" });
    assert.equal(adapterCalls(chat)[0]?.[1].lora_path, "/mnt/adapters/iteration-1");
  });

  it("goes on with one that a killed run has left there", async () => {
    const chat = await vllm();
    const unloading = chat.proxy.fault;
    chat.proxy.fault = (seen) => (seen.url.includes("unload") ? "drop" : unloading(seen));
    for (let run = 0; run < 2; run++) await withOpenAi(chat, async (llm) => llm.useAdapter?.(first), adapters);
    assert.equal(chat.loads.length, 2);
    assert.equal(chat.adapters.size, 1);
  });

  it("says how a server has to be started that refuses adapters, and only warns of one that stays", async () => {
    const refusing = await server((url) => (url.includes("lora_adapter") ? json({ detail: "Not Found" }, 404) : null));
    const use = () => withOpenAi(refusing, async (llm) => llm.useAdapter?.(first), adapters);
    await assertFails("RLRF_LLM_HTTP_ADAPTER", use, /404 Not Found[\s\S]*VLLM_ALLOW_RUNTIME_LORA_UPDATING=True[\s\S]*adapterFolder/);
    const keeping = await vllm();
    const { fault } = keeping.proxy;
    keeping.proxy.fault = (seen) => (seen.url.includes("unload") ? json({}, 400) : fault(seen));
    const listener = createListener();
    await withOpenAi(keeping, async (llm) => llm.useAdapter?.(first), adapters, listener);
    assert.match(listener.warnings[0]?.message ?? "", /stays loaded/);
  });

  it("loads it again on a server that was restarted", async () => {
    const chat = await vllm();
    const listener = createListener();
    await withOpenAi(
      chat,
      async (llm) => {
        await llm.useAdapter?.(first);
        await chat.restart();
        assert.deepEqual(texts(await llm.generate(requests(9), parameters)), expected(requests(9)));
        await chat.restart();
        await llm.useAdapter?.(second);
      },
      adapters,
      listener,
    );
    const [name] = chat.loads;
    assert.deepEqual(new Set(chat.asked.map(({ model }) => model)), new Set([name]), "none was written by the model itself");
    assert.match(listener.infos.join("\n"), /127\.0\.0\.1:\d+ had lost the adapter rlrf-\w+/);
    assert.deepEqual(listener.warnings, [], "what a restart has unloaded is no fault");
  });

  it("loads it again when another run that shares the server has unloaded it", async () => {
    const chat = await vllm();
    await withOpenAi(
      chat,
      async (llm) => {
        await llm.useAdapter?.(first);
        await withOpenAi(chat, async (other) => other.useAdapter?.(first), adapters);
        assert.equal(chat.adapters.size, 0);
        assert.deepEqual(texts(await llm.generate(requests(9), parameters)), expected(requests(9)));
      },
      adapters,
    );
  });

  it("ends when the server lets go of it time and again", async () => {
    const chat = await vllm();
    const { fault } = chat.proxy;
    const forgetting = async () =>
      withOpenAi(
        chat,
        async (llm) => {
          await llm.useAdapter?.(first);
          chat.proxy.fault = (seen) => {
            if (seen.url.includes("chat")) chat.adapters.clear();
            return fault(seen);
          };
          await llm.generate([request], parameters);
        },
        adapters,
      );
    await assertFails("RLRF_LLM_HTTP_REFUSED", forgetting, /404 The model `rlrf-\w+` does not exist/);
    assert.equal(chat.loads.length, 2);
  });

  it("does not wait to unload it when the server asks for patience", async () => {
    const chat = await vllm();
    chat.misbehave = () => json({ error: "later" }, 429, { "retry-after": "900" });
    const listener = createListener();
    const begun = performance.now();
    const write = () =>
      withOpenAi(
        chat,
        async (llm) => {
          await llm.useAdapter?.(first);
          await llm.generate([request], parameters);
        },
        adapters,
        listener,
      );
    await assertFails("RLRF_LLM_HTTP_UNREACHABLE", write, /asks to wait 900 s: 429 later/);
    assert.ok(performance.now() - begun < 5000);
    assert.match(listener.warnings.map(({ message }) => message).join("\n"), /the adapter rlrf-\w+ stays loaded/);
  });

  it("has no adapters unless it is told how", async () => {
    await withOpenAi(await server(() => null), async (llm) => assert.equal(llm.useAdapter, undefined));
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
    const tokenized = await withOpenAi(chat, (llm) => llm.probe?.(request.messages, ":ab") ?? Promise.reject());
    assert.deepEqual(tokenized, { tokens: tokens("hello:ab"), logProbs: [-6, -7] });
  });

  it("takes a lost adapter for no missing endpoint", async () => {
    const chat = await vllm();
    const { fault } = chat.proxy;
    chat.proxy.fault = (seen) => {
      const sound = fault(seen);
      const lost = typeof sound === "object" && String(sound.body).includes("does not exist");
      return seen.url === "/tokenize" && !lost ? json({ tokens: [1, 2] }) : sound;
    };
    const told = await withOpenAi(
      chat,
      async (llm) => {
        await llm.useAdapter?.(first);
        chat.adapters.clear();
        return llm.probe?.(request.messages, "ab");
      },
      adapters,
    );
    assert.deepEqual(told?.tokens, [1, 2]);
  });

  it("tells token ids alone by llama.cpp's, and nothing where nothing is offered", async () => {
    const llama = await server((url, body) => {
      if (url === "/apply-template") return json({ prompt: "<hello>" });
      return url === "/tokenize" ? json({ tokens: tokens(String(body.content)) }) : null;
    }, "llamacpp");
    const told = await withOpenAi(llama, (llm) => llm.probe?.(request.messages, "ab") ?? Promise.reject());
    assert.deepEqual(told, { tokens: tokens("<hello>ab"), logProbs: null });
    const nothing = await withOpenAi(await server(() => null), (llm) => llm.probe?.(request.messages, "ab") ?? Promise.reject());
    assert.deepEqual(nothing, { tokens: null, logProbs: null });
  });
});
