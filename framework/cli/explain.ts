import type { Registry } from "../kernel/registry.js";
import type { Needs } from "../spec/needs.js";
import type { SpecSource } from "../spec/origins.js";
import type { Spec } from "../spec/types.js";
import type { ResolvedSpec } from "../spec/resolve.js";
import { jsonOption, type Register, setOption } from "./command.js";
import type { Estimate } from "../plan/estimate.js";
import { print, printJson, table } from "./terminal.js";

interface AssetNeed {
  readonly id: string;
  readonly for: string;
  readonly state: string;
  readonly bytes: number;
}
interface Explanation {
  readonly resolved: ResolvedSpec;
  readonly assets: readonly AssetNeed[];
  readonly files: Needs["files"];
  readonly estimate: Estimate | null;
}

/** `rlrf explain SPEC`: the resolved spec, where each value came from, what it will need, and how much it will do. */
export const register: Register = (program) => {
  const command = program
    .command("explain")
    .description(
      "show a spec with every default, where each value comes from, what it needs and how much it will do; of a sweep its trials",
    )
    .argument("<spec>");
  setOption(jsonOption(command)).action(async (file: string, { json, set }: { json?: boolean; set: readonly string[] }) => {
    const { readSpec } = await import("../spec/read.js");
    const { Registry } = await import("../kernel/registry.js");
    const { expandSweep } = await import("../sweep/expand.js");
    const source = await readSpec(file, set);
    const registry = await Registry.read();
    const sweep = expandSweep(source, registry);
    if (sweep !== null) {
      const { explainSweep } = await import("./explain-sweep.js");
      return explainSweep(sweep, registry, await usersBySpec(registry), json === true);
    }
    const explanation = await explain(source, registry);
    if (json) await printAsJson(explanation);
    else await printAsText(explanation);
  });
};

/** Users of a spec's data set, where its options or the asset that it needs tell. */
async function usersBySpec(registry: Registry): Promise<(spec: Spec) => number | undefined> {
  const { needsOf } = await import("../spec/needs.js");
  const { namedPlugins } = await import("../spec/named-plugins.js");
  const { readCatalogue } = await import("../setup/asset-catalogue.js");
  const catalogue = await readCatalogue();
  return (spec) => {
    const { users } = spec.dataset.options;
    const asset = needsOf(namedPlugins(spec, registry)).assets.find(({ pointer }) => pointer.startsWith("/dataset/"));
    return typeof users === "number" ? users : catalogue.assets[asset?.id ?? ""]?.counts?.users;
  };
}

async function explain(source: SpecSource, registry: Registry): Promise<Explanation> {
  const { resolveSpec } = await import("../spec/resolve.js");
  const { needsOf } = await import("../spec/needs.js");
  const { namedPlugins } = await import("../spec/named-plugins.js");
  const { createAssets } = await import("../setup/assets.js");
  const { estimate } = await import("../plan/estimate.js");
  const resolved = resolveSpec(source, registry);
  const needs = needsOf(namedPlugins(resolved.spec, registry));
  const assets = createAssets();
  const sizes = new Map((await assets.list()).map(({ id, bytes }) => [id, bytes]));
  const states = needs.assets.map(async ({ id, pointer }) => ({
    id,
    for: pointer,
    state: (await assets.status(id)).state,
    bytes: sizes.get(id) ?? 0,
  }));
  const counted = (await usersBySpec(registry))(resolved.spec);
  return { resolved, assets: await Promise.all(states), files: needs.files, estimate: estimate(resolved.spec, registry, counted) };
}

async function printAsJson({ resolved, ...rest }: Explanation): Promise<void> {
  const { originTexts } = await import("../spec/origins.js");
  printJson({ spec: resolved.spec, hash: resolved.hash, origins: originTexts(resolved.spec, resolved.origins), ...rest });
}

async function printAsText({ resolved, assets, files, estimate }: Explanation): Promise<void> {
  const { leaves, originTexts } = await import("../spec/origins.js");
  const origins = originTexts(resolved.spec, resolved.origins);
  const values = leaves(resolved.spec).map(([pointer, value]) => [
    pointer.slice(1).replaceAll("/", "."),
    JSON.stringify(value),
    origins[pointer] ?? "",
  ]);
  print(table([["value", "is", "from"], ...values]));
  print(`\nspec hash  ${resolved.hash}`);
  const needed = [
    ...assets.map(({ id, for: pointer, state, bytes }) => [id, state, `${(bytes / 1e6).toFixed(1)} MB`, pointer]),
    ...files.map(({ path, pointer, exists }) => [path, exists ? "present" : "missing", "", pointer]),
  ];
  print(needed.length === 0 ? "\nneeds no assets and no files" : `\n${table([["needs", "state", "size", "for"], ...needed])}`);
  if (estimate === null)
    return print(
      resolved.spec.llm === undefined
        ? "\nno LLM: no texts are written, no pairs are made"
        : "\nno estimate: how many users there are is not known before the data are read",
    );
  const { users, alignUsers, texts, promptTokens, completionTokens, pairs, assumptions } = estimate;
  const thousands = (count: number) => count.toLocaleString("en-US");
  print(
    `\nestimate   ${thousands(texts)} texts: about ${thousands(promptTokens)} prompt tokens and at most ${thousands(completionTokens)} completion tokens`,
  );
  print(`           at most ${thousands(pairs)} pairs from ${thousands(alignUsers)} of ${thousands(users)} users`);
  const { llm } = resolved.spec;
  if (llm?.sampler !== undefined)
    print(`           written by ${llm.sampler.plugin}${pairs > 0 ? `, with what ${llm.plugin} is tuned to` : ""}`);
  print(`assuming   ${assumptions.join("\n           ")}`);
}
