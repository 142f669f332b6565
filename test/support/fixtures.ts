/** The fixture plugins as a registry, and specs made of them. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Services } from "../../framework/kernel/assemble.js";
import { describePlugins } from "../../framework/kernel/manifest.js";
import { Registry } from "../../framework/kernel/registry.js";
import { packageRoot } from "../../framework/setup/paths.js";
import type { Json } from "../../framework/spec/json.js";
import { folderUntilExit } from "./folder.js";

export async function temporaryFolder(): Promise<string> {
  return folderUntilExit();
}

/** Writes a manifest of test/fixtures/plugins into a new folder. @returns its path */
export async function fixtureManifest(): Promise<string> {
  const folder = await temporaryFolder();
  const sources = join(packageRoot, "test", "fixtures", "plugins");
  const manifest = await describePlugins(sources, join(packageRoot, "dist", "test", "fixtures", "plugins"), folder);
  const path = join(folder, "plugins.json");
  await writeFile(path, JSON.stringify(manifest));
  return path;
}

export async function fixtureRegistry(): Promise<Registry> {
  return Registry.read([await fixtureManifest()]);
}

/** A valid spec of fixture plugins, without an LLM. */
export function baseSpec(): { [key: string]: Json } {
  return {
    name: "fixture",
    dataset: { plugin: "@fixture/rows" },
    protocol: {},
    encoder: { plugin: "@fixture/nothing" },
    adaptor: { plugin: "@fixture/join" },
    reranker: { plugin: "@fixture/order" },
    textEncoder: { plugin: "@fixture/lengths" },
    prompt: { aspects: ["Genre", "Avoids"] },
    executor: { plugin: "@fixture/idle" },
    arms: ["id-only", "metadata"],
  };
}

/** The same with everything that tuning takes. */
export function tunedSpec(): { [key: string]: Json } {
  return {
    ...baseSpec(),
    llm: { plugin: "@fixture/echo" },
    reward: { plugin: "@fixture/first" },
    sampling: { plugin: "@fixture/ends" },
    loss: { plugin: "@fixture/margin", options: { beta: 0.5 } },
    tuner: { plugin: "@fixture/idle" },
    alignment: { iterations: 1 },
    arms: ["id-only", "llm", "best-of-N"],
  };
}

export const silent: Services = {
  logger: { info: () => {}, warn: () => {} },
  progress: { start: () => ({ advance: () => {}, end: () => {} }) },
  assets: {
    folder: async (id) => {
      throw new Error(`no asset ${id} in tests`);
    },
    requirements: async () => [],
  },
};
