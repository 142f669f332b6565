import assert from "node:assert/strict";
import type { AdapterState, LlmBackend } from "../../../framework/contracts/llm.js";
import { Study } from "../../../framework/method/study.js";
import { givenTensors, tuningUnit } from "../../../framework/method/units.js";
import { Store } from "../../../framework/store/store.js";
import { createListener } from "../../support/faults.js";
import { useFolder } from "../../support/folder.js";

const adapter: AdapterState = { "q.lora_A": { shape: [2], values: Float32Array.of(1, 2) } };
const llm = { identity: () => "tuned", policy: { adapter: () => Promise.resolve(adapter) } } as unknown as LlmBackend;
const sampler = { identity: () => "sampler" } as unknown as LlmBackend;

describe("units of work", () => {
  const folder = useFolder();

  it("a tuning is of the LLM with its adapter, whatever samples in its place", async () => {
    const store = new Store(folder(), createListener());
    const made = {
      parts: { llm, sampler, identities: { llm: "a", sampler: "b" } },
      context: { store, engine: { name: "wasm", threads: 3 } },
    };
    const study = Object.assign(Object.create(Study.prototype) as Study, made);
    const { work, resources } = await tuningUnit(study, "iteration-1", {}, { step: "tune", version: 1, inputs: {} });
    assert.ok(work.what === "tuning" && work.adapter !== null);
    assert.equal(work.identity, study.identityOf("llm"));
    assert.deepEqual([resources.cpus, resources.languageModel], [3, true], "a core for each thread that it computes with");
    assert.deepEqual(await givenTensors(store, work.adapter), adapter);
  });
});
