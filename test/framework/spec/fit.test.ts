/** What goes together: refused before anything is loaded, from the registry's entries alone. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Registry } from "../../../framework/kernel/registry.js";
import { packageRoot } from "../../../framework/setup/paths.js";
import { SpecFaults } from "../../../framework/spec/faults.js";
import { type Rejected, rejectedMisfit } from "../../../framework/spec/fit.js";
import type { Json } from "../../../framework/spec/json.js";
import type { SpecSource } from "../../../framework/spec/origins.js";
import { applyOverride } from "../../../framework/spec/override.js";
import { specFromValue } from "../../../framework/spec/read.js";
import { resolveSpec } from "../../../framework/spec/resolve.js";

describe("parts that go together", () => {
  let registry: Registry;
  let quickstart: Record<string, unknown>;
  before(async () => {
    registry = await Registry.read();
    quickstart = JSON.parse(await readFile(join(packageRoot, "experiments", "quickstart.json"), "utf8")) as Record<string, unknown>;
  });

  const faultsOf = (loss: object, sampling: object) => faultsWith({ loss, sampling });

  function faultsWith(change: object): string[] {
    try {
      resolveSpec({ name: "test", value: { ...quickstart, ...change } as SpecSource["value"], origins: new Map() }, registry);
      return [];
    } catch (error) {
      if (!(error instanceof SpecFaults)) throw error;
      return error.faults.map(({ code, pointer }) => `${code} ${pointer}`);
    }
  }
  const untuned = { alignment: null, loss: null, tuner: null, arms: ["llm"] };
  const plugin = (name: string, options = {}) => ({ plugin: name, options });
  const conflictAt = (pointer: string) => [`RLRF_SPEC_CONFLICT ${pointer}`];

  it("character n-grams from the longest to the shortest would be none, and are refused", () => {
    const characters = (from: number, to: number) => faultsWith({ ...untuned, textEncoder: plugin("hashing", { characters: [from, to] }) });
    assert.deepEqual(characters(5, 3), ["RLRF_SPEC_VALUE /textEncoder/options/characters"]);
    for (const [from, to] of [
      [0, 0],
      [3, 3],
      [3, 5],
    ] as const)
      assert.deepEqual(characters(from, to), []);
  });

  it("heads divide the width that they split", () => {
    const attending = registry.list().filter(({ options }) => options?.properties?.heads !== undefined);
    assert.deepEqual(attending.map(({ kind, name }) => `${kind}/${name}`).sort(), [
      "encoder/bert4rec",
      "encoder/hstu",
      "encoder/sasrec",
      "llm/tiny",
      "reranker/mir",
      "reranker/prm",
      "reranker/setrank",
    ]);
    for (const { kind, name } of attending) {
      const at = `RLRF_SPEC_VALUE /${kind}/options/heads`;
      assert.deepEqual(faultsWith({ ...untuned, [kind]: plugin(name, { heads: 3, hidden: 32 }) }).slice(0, 1), [at], name);
    }
  });

  it("an option is within what another option, another section or its own schema bounds", () => {
    const conflict = "RLRF_SPEC_CONFLICT";
    const value = "RLRF_SPEC_VALUE";
    const lifted = plugin("lift", { reward: plugin("map", { at: 11 }) });
    const changes: readonly (readonly [change: object, fault: string])[] = [
      [{ reward: plugin("ndcg", { at: 50 }) }, `${conflict} /reward/options/at`],
      [{ reward: lifted }, `${conflict} /reward/options/reward/options/at`],
      [{ reranker: plugin("gsf", { group: 50 }) }, `${conflict} /reranker/options/group`],
      [{ sampling: plugin("best-worst", { maxTokens: 5000 }) }, `${conflict} /sampling/options/maxTokens`],
      [{ adaptor: plugin("moe", { top: 99 }) }, `${value} /adaptor/options/top`],
      [{ llm: plugin("tiny", { hidden: 33 }) }, `${value} /llm/options/heads`],
      [{ llm: plugin("tiny", { hidden: 36, heads: 4 }) }, `${value} /llm/options/heads`],
      [{ llm: plugin("tiny", { kvHeads: 3 }) }, `${value} /llm/options/kvHeads`],
      [{ loss: plugin("mix", { losses: [{ loss: plugin("dpo"), weight: 0 }] }) }, `${value} /loss/options/losses`],
      [{ reward: plugin("weighted", { rewards: [{ reward: plugin("map"), weight: 0 }] }) }, `${value} /reward/options/rewards`],
      [{ dataset: plugin("synthetic", { interactions: [30, 20] }) }, `${value} /dataset/options/interactions`],
      [{ dataset: plugin("synthetic", { items: 20 }) }, `${value} /dataset/options/interactions`],
      [{ dataset: plugin("table", { interactions: "x.csv", relevantAbove: 9 }) }, `${value} /dataset/options/relevantAbove`],
      [{ dataset: plugin("synthetic", { users: 1e9 }) }, `${value} /dataset/options/users`],
      [{ reranker: plugin("prm", { mlp: [1_000_000, 1_000_000] }) }, `${value} /reranker/options/mlp/0`],
    ];
    for (const [change, fault] of changes) assert.deepEqual(faultsWith(change).slice(0, 1), [fault]);
    const within = {
      reward: plugin("ndcg", { at: 10 }),
      reranker: plugin("gsf", { group: 10 }),
      adaptor: plugin("moe", { top: 7 }),
      llm: plugin("tiny", { hidden: 40, heads: 4 }),
    };
    const halves = [{ loss: plugin("dpo"), weight: 0 }, { loss: plugin("sft") }];
    assert.deepEqual(faultsWith({ ...within, loss: plugin("mix", { losses: halves }) }), []);
  });

  it("a loss takes what the strategy gives", () => {
    assert.deepEqual(faultsOf(plugin("dpo"), plugin("best-worst")), []);
    assert.deepEqual(faultsOf(plugin("s-dpo"), plugin("multi-negative")), []);
    for (const sampling of ["rejection", "best-worst", "ranked-list"]) assert.deepEqual(faultsOf(plugin("sft"), plugin(sampling)), []);
  });

  it("or is refused", () => {
    assert.deepEqual(faultsOf(plugin("s-dpo"), plugin("best-worst")), conflictAt("/sampling"));
    assert.deepEqual(faultsOf(plugin("rec-po"), plugin("rejection")), conflictAt("/sampling"));
    assert.deepEqual(faultsOf(plugin("simpo"), plugin("rejection")), conflictAt("/sampling"));
    assert.deepEqual(faultsOf(plugin("dpo"), plugin("ranked-list")), conflictAt("/loss"));
  });

  it("a likelihood of rankings takes rankings, in a mix too", () => {
    const mixed = plugin("mix", { losses: [{ loss: plugin("s-dpo") }, { loss: plugin("pl-topk") }] });
    for (const loss of [plugin("pl-topk"), mixed]) {
      assert.deepEqual(faultsOf(loss, plugin("ranked-list")), []);
      assert.deepEqual(faultsOf(loss, plugin("multi-negative")), conflictAt("/sampling"));
    }
  });

  it("hidden states are asked of an LLM that has some to show", () => {
    const textEncoder = plugin("llm-hidden");
    assert.deepEqual(faultsWith({ textEncoder }), []); // tiny
    for (const llm of [plugin("replay", { path: "x.jsonl" }), plugin("openai", { baseUrl: "http://127.0.0.1:1/v1", model: "m" })]) {
      assert.deepEqual(faultsWith({ ...untuned, llm, textEncoder }), conflictAt("/textEncoder"));
    }
  });

  it("what samples in the place of a tuned LLM takes its adapters", () => {
    const llm = (sampler: object | null) => ({ ...plugin("tiny"), sampler });
    const server = (more: object) => plugin("openai", { baseUrl: "http://127.0.0.1:1/v1", model: "m", ...more });
    assert.deepEqual(faultsWith({ llm: llm(server({ adapters: "vllm" })) }), []);
    assert.deepEqual(faultsWith({ llm: llm(server({})) }), conflictAt("/llm/sampler"));
    assert.deepEqual(faultsWith({ llm: llm(plugin("replay", { path: "x.jsonl" })) }), conflictAt("/llm/sampler"));
    assert.deepEqual(faultsWith({ ...untuned, llm: llm(server({})) }), []);
  });

  it("its options are those of its plugin, and null is none", () => {
    const llm = (sampler: object | null) => ({ ...plugin("tiny"), sampler });
    assert.deepEqual(faultsWith({ llm: llm(plugin("openai", { model: "m" })) }), ["RLRF_SPEC_MISSING /llm/sampler/options/baseUrl"]);
    assert.deepEqual(faultsWith({ llm: llm(plugin("opanai")) }), ["RLRF_PLUGIN_UNKNOWN /llm/sampler/plugin"]);
    assert.deepEqual(faultsWith({ llm: llm({}) }), ["RLRF_SPEC_MISSING /llm/sampler/plugin"]);
    assert.deepEqual(faultsWith({ llm: llm(null) }), []);
  });

  it("what is missing in options that nobody wrote is missing where their plugin is named", () => {
    const missing = (...overrides: string[]) => {
      const source = specFromValue({ ...quickstart, loss: { plugin: "mix" } } as Json, "my.json");
      try {
        resolveSpec(overrides.reduce(applyOverride, source), registry);
        return "";
      } catch (error) {
        return (error as SpecFaults).fault.where?.replace(/\d+/g, "N");
      }
    };
    assert.equal(missing(), "my.json:N:N /loss/options/losses");
    assert.equal(missing("loss.options={}"), "--set loss.options=… /loss/options/losses");
    assert.equal(missing("loss.plugin=dpo", "loss.plugin=mix"), "--set loss.plugin=… /loss/options/losses");
  });

  it("a loss that compares pairs with each other is given several at once", () => {
    const alignment = (batchSize: number) => ({ ...(quickstart.alignment as object), batchSize, accumulate: 8 });
    const mix = plugin("mix", { losses: [{ loss: plugin("sft") }, { loss: plugin("aot") }] });
    for (const loss of [plugin("aot"), mix]) {
      assert.deepEqual(faultsWith({ loss, alignment: alignment(1) }), conflictAt("/alignment/batchSize"));
      assert.deepEqual(faultsWith({ loss, alignment: alignment(2) }), []);
    }
    assert.deepEqual(faultsWith({ loss: plugin("dpo"), alignment: alignment(1) }), []);
  });

  it("a mix takes what the most demanding of its losses takes", () => {
    const mix = (...names: string[]) => plugin("mix", { losses: names.map((name) => ({ loss: plugin(name) })) });
    const nested = plugin("mix", { losses: [{ loss: mix("s-dpo", "sft") }, { loss: plugin("dpo") }] });
    assert.deepEqual(faultsOf(mix("dpo", "sft"), plugin("best-worst")), []);
    assert.deepEqual(faultsOf(mix("dpo", "sft"), plugin("rejection")), conflictAt("/sampling"));
    assert.deepEqual(faultsOf(mix("sft"), plugin("rejection")), []);
    assert.deepEqual(faultsOf(nested, plugin("multi-negative")), []);
    assert.deepEqual(faultsOf(nested, plugin("all-pairs")), conflictAt("/sampling"));
  });

  it("a reward of texts is neither lifted nor contrasted, at whatever depth", () => {
    const judge = plugin("judge", { llm: plugin("openai", { baseUrl: "http://127.0.0.1:1/v1", model: "m" }) });
    const weighted = (...rewards: object[]) => plugin("weighted", { rewards: rewards.map((reward) => ({ reward })) });
    const lift = (reward: object) => plugin("lift", { reward });
    for (const reward of [judge, lift(plugin("map")), weighted(lift(plugin("map")), plugin("structure")), lift(weighted(plugin("mrr")))])
      assert.deepEqual(faultsWith({ reward }), []);
    assert.deepEqual(faultsWith({ reward: lift(judge) }), conflictAt("/reward/options/reward/plugin"));
    const contrast = (reward: object) => plugin("contrast", { reward });
    assert.deepEqual(faultsWith({ reward: contrast(lift(weighted(plugin("map")))) }), []);
    assert.deepEqual(faultsWith({ reward: contrast(judge) }), conflictAt("/reward/options/reward/plugin"));
    const [nested] = conflictAt("/reward/options/rewards/0/reward/options/reward/options/rewards/1/reward/plugin");
    assert.deepEqual(faultsWith({ reward: weighted(lift(weighted(plugin("ndcg"), plugin("structure")))) }), [nested]);
  });

  it("a contrast of contrasts is none, at whatever depth", () => {
    const contrast = (reward: object) => plugin("contrast", { reward });
    const weighted = (reward: object) => plugin("weighted", { rewards: [{ reward }] });
    const at = "/reward/options/reward";
    assert.deepEqual(faultsWith({ reward: contrast(contrast(plugin("ndcg"))) }), conflictAt(`${at}/plugin`));
    const deep = contrast(weighted(contrast(plugin("ndcg"))));
    assert.deepEqual(faultsWith({ reward: deep }), conflictAt(`${at}/options/rewards/0/reward/plugin`));
    assert.deepEqual(faultsWith({ reward: weighted(contrast(weighted(plugin("ndcg")))) }), []);
  });

  it("a contrast stands around the lift, not within it, where it would rank others twice", () => {
    const around = (name: string, reward: object = plugin("ndcg")) => plugin(name, { reward });
    const weighted = plugin("weighted", { rewards: [{ reward: around("contrast") }] });
    for (const reward of [around("contrast", around("lift")), around("lift", weighted)]) assert.deepEqual(faultsWith({ reward }), []);
    assert.deepEqual(faultsWith({ reward: around("lift", around("contrast")) }), conflictAt("/reward/options/reward/plugin"));
  });

  it("a reward that measures a share stands around others, not within one", () => {
    const weighted = { rewards: [{ reward: plugin("ndcg") }, { reward: plugin("learned") }] };
    assert.deepEqual(
      faultsWith({ reward: plugin("learned", { reward: plugin("weighted", { rewards: [{ reward: plugin("lift") }] }) }) }),
      [],
    );
    assert.deepEqual(faultsWith({ reward: plugin("weighted", weighted) }), conflictAt("/reward/options/rewards/1/reward/plugin"));
    for (const outer of ["lift", "learned"])
      assert.deepEqual(faultsWith({ reward: plugin(outer, { reward: plugin("learned") }) }), conflictAt("/reward/options/reward/plugin"));
  });

  it("a judge answers what it is asked, with a model of its own", () => {
    const judged = (llm: object) => faultsWith({ reward: plugin("learned", { reward: plugin("judge", { llm }) }) });
    const at = (place: string) => conflictAt(`/reward/options/reward/options/llm/${place}`);
    assert.deepEqual(judged(plugin("causal-lm")), []);
    assert.deepEqual(judged(plugin("llama-cpp")), []);
    assert.deepEqual(judged(plugin("tiny")), at("plugin"));
    assert.deepEqual(judged(plugin("replay", { path: "x.jsonl" })), at("plugin"));
    assert.deepEqual(judged(plugin("llama-cpp", { model: null })), at("options"));
  });

  it("an LLM's own weights are there to be taken, and its dialogues are its own", () => {
    const borrower = plugin("llama-cpp", { model: null });
    assert.deepEqual(faultsWith({ llm: { ...plugin("tiny"), sampler: borrower } }), []);
    assert.deepEqual(faultsWith({ ...untuned, llm: borrower }), conflictAt("/llm/options"));
    const recorded = plugin("replay", { path: "x.jsonl" });
    assert.deepEqual(faultsWith({ ...untuned, llm: { ...recorded, sampler: borrower } }), conflictAt("/llm/sampler/options"));
    assert.deepEqual(
      faultsWith({ ...untuned, llm: { ...plugin("causal-lm"), sampler: plugin("tiny") } }),
      conflictAt("/llm/sampler/plugin"),
    );
  });

  it("texts that all keep the structure are not told apart by it", () => {
    const weighted = (...names: string[]) => plugin("weighted", { rewards: names.map((name) => ({ reward: plugin(name) })) });
    const aligned = (structure: string) => ({ alignment: { ...(quickstart.alignment as object), structure } });
    for (const reward of [plugin("structure"), weighted("structure"), plugin("learned", { reward: weighted("structure", "structure") })]) {
      assert.deepEqual(faultsWith({ reward }), conflictAt("/alignment/structure"));
      assert.deepEqual(faultsWith({ reward, ...aligned("off") }), []);
    }
    assert.deepEqual(faultsWith({ reward: plugin("structure"), loss: plugin("sft"), sampling: plugin("rejection") }), []);
    assert.deepEqual(faultsWith({ reward: weighted("structure", "ndcg") }), []);
  });

  it("in every combination of how many rejected texts there are", () => {
    const counts: readonly Rejected[] = [0, 1, "many", "ranked"];
    const fits = counts.map((takes) => counts.map((gives) => rejectedMisfit(takes, gives) === null));
    assert.deepEqual(fits, [
      [true, true, true, true],
      [false, true, false, false],
      [false, false, true, true],
      [false, false, false, true],
    ]);
  });
});
