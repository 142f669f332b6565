import assert from "node:assert/strict";
import type { LlmBackend } from "../../../framework/contracts/llm.js";
import type { TextEncoder } from "../../../framework/contracts/recommender.js";
import { Study } from "../../../framework/method/study.js";
import { movies } from "./data.js";

describe("a study", () => {
  it("closes every log that it writes", async () => {
    const open = new Set<string>();
    const logOf = (name: string) => ({
      get: () => undefined,
      put: () => void open.add(name),
      refresh: async () => {},
      close: async () => void open.delete(name),
    });
    const store = { log: async (name: string) => logOf(name), exclusively: (_: string, __: string, work: () => unknown) => work() };
    const textEncoder: TextEncoder = {
      useLlm: () => {},
      encode: async (texts) => ({ width: 1, vectors: new Float32Array(texts.length) }),
    };
    let weights = "before";
    const llm = { identity: () => weights } as unknown as LlmBackend;
    const parts = { textEncoder, llm, identities: { textEncoder: "hidden", llm: "llm" } };
    const context = { store, progress: { start: () => ({ advance: () => {}, end: () => {} }) } };
    const spec = { textEncoder: {} };
    const study = Object.assign(Object.create(Study.prototype) as Study, { spec, parts, context, data: movies });
    await study.useLlm(llm);
    const [first] = open;
    weights = "after";
    await study.useLlm(llm);
    assert.equal(open.size, 1, "the one before is closed");
    assert.ok(first !== undefined && !open.has(first));
    (await study.generations()).put("a prompt", []);
    assert.equal(open.size, 2);
    await study.close();
    assert.equal(open.size, 0);
  });
});
