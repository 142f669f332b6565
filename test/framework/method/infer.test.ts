import assert from "node:assert/strict";
import type { GenerationRequest, OnDone, TunablePolicy } from "../../../framework/contracts/llm.js";
import { sampleTexts, textsOfShard } from "../../../framework/method/infer.js";
import { Study } from "../../../framework/method/study.js";
import { Store } from "../../../framework/store/store.js";
import { createListener } from "../../support/faults.js";
import { useFolder } from "../../support/folder.js";
import { moviePrompt, movies } from "./data.js";

const parameters = { temperature: 1, topK: 0, topP: 1, minP: 0, maxTokens: 8, stop: [] };
const users = Int32Array.of(0, 1);
const policy = {} as TunablePolicy;

/** A backend that counts the prompts that it answers. @param here whether it computes in this process */
class Writer {
  asked = 0;
  readonly policy?: TunablePolicy;

  constructor(here: boolean) {
    if (here) this.policy = policy;
  }

  identity(): string {
    return "weights";
  }

  generate(requests: readonly GenerationRequest[], _parameters: object, onDone?: OnDone) {
    this.asked += requests.length;
    const texts = requests.map(() => [{ text: "Genre: Drama", tokens: 3, finish: "stop" as const }]);
    for (const [i, own] of texts.entries()) onDone?.(i, own);
    return Promise.resolve(texts);
  }
}

describe("texts that are kept", () => {
  const folder = useFolder();
  const usual = { engine: "wasm", llm: "plugin 1", sampler: "plugin 2" };

  async function studyOf(parts: object, { engine, ...identities }: typeof usual): Promise<Study> {
    const store = new Store(folder("store"), createListener());
    const progress = { start: () => ({ advance: () => {}, end: () => {} }) };
    const context = { store, progress, engine: { name: engine }, signal: new AbortController().signal };
    const made = { context, parts: { ...parts, identities, executor: { parallel: 1 } }, data: movies, spec: { prompt: moviePrompt } };
    return Object.assign(Object.create(Study.prototype) as Study, made);
  }

  const ways = {
    "by prompt": (study: Study) => sampleTexts(study, users, parameters, 1, "iteration 1"),
    "by shard": (study: Study) => textsOfShard(study, [{ user: "u0", messages: [], samples: 1, seed: 1 }], parameters),
  };
  for (const [way, write] of Object.entries(ways)) {
    it(`${way}: found again, but for another plugin or engine`, async () => {
      const llm = new Writer(true);
      const askedBy = async (changes: Partial<typeof usual>) => {
        llm.asked = 0;
        await write(await studyOf({ llm }, { ...usual, ...changes }));
        return llm.asked > 0;
      };
      assert.equal(await askedBy({}), true);
      assert.equal(await askedBy({}), false);
      assert.equal(await askedBy({ llm: "mended" }), true);
      assert.equal(await askedBy({ engine: "tensorflow" }), true);
      assert.equal(await askedBy({ sampler: "mended" }), false);
    });

    it(`${way}: those of a sampler elsewhere are the same under every engine, and however it is asked`, async () => {
      const sampler = new Writer(false);
      const askedBy = async (changes: Partial<typeof usual>) => {
        sampler.asked = 0;
        await write(await studyOf({ llm: new Writer(true), sampler }, { ...usual, ...changes }));
        return sampler.asked > 0;
      };
      assert.equal(await askedBy({}), true);
      assert.equal(await askedBy({ engine: "tensorflow", llm: "mended" }), false);
      assert.equal(await askedBy({ sampler: "with another concurrency" }), false);
    });
  }
});
