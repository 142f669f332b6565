/** What the benchmarks work on: MovieLens-100K under method.md's protocol, and MiniLM's vectors of the template's texts. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { PreparedData, Round } from "../../framework/contracts/dataset.js";
import type { PluginClass } from "../../framework/contracts/plugin.js";
import { prepare } from "../../framework/data/prepare.js";
import { identityOf } from "../../framework/kernel/plugin.js";
import { itemVectors, userVectors, VectorCache } from "../../framework/method/knowledge.js";
import { metadataText } from "../../framework/method/metadata.js";
import type { Knowledge } from "../../framework/method/recommender.js";
import { parseStructure } from "../../framework/method/structure.js";
import { createAssets } from "../../framework/setup/assets.js";
import { packageRoot } from "../../framework/setup/paths.js";
import { knownAspects } from "../../framework/spec/envelope.js";
import type { Prompt, Protocol } from "../../framework/spec/types.js";
import { hashOf, Store } from "../../framework/store/store.js";
import { MovieLens } from "../../plugins/datasets/movielens.js";
import { Transformers } from "../../plugins/text-encoders/transformers.js";

/** Git-ignored: results, the rivals' data, vectors kept between runs. */
export const benchFolder = join(packageRoot, ".rlrf", "bench");

const protocol: Protocol = {
  window: 15,
  history: 50,
  listLength: 10,
  positives: 4,
  ties: "expected",
  seed: 7,
  split: [0.8, 0.1, 0.1],
  align: 0,
  folds: 0,
  metrics: ["ndcg@5"],
};

const prompt: Prompt = { aspects: Object.values(knownAspects), template: "movies", items: "title+genres" };

export async function movieLens(): Promise<PreparedData> {
  await mkdir(benchFolder, { recursive: true });
  return prepare(new MovieLens({ ...defaultsOf(MovieLens), size: "100k" }, createAssets()), protocol, { folds: 2 });
}

/** All users train and nobody is looked at in between: an epoch is an epoch. */
export function everyoneTrains(data: PreparedData): Round {
  return { train: Int32Array.from(data.users.keys()), valid: new Int32Array(), test: new Int32Array() };
}

/** MiniLM's vectors, each aspect by itself, of the template's texts. */
export async function templateKnowledge(data: PreparedData): Promise<Knowledge> {
  const options = defaultsOf(Transformers);
  const encoder = new Transformers(options, createAssets());
  const cache = await VectorCache.open(new Store(join(benchFolder, "store")), encoder, `transformers-${hashOf(options)}`);
  const aspects = prompt.aspects.map(({ name }) => name);
  try {
    const { vectors: items } = await itemVectors(data, cache, false);
    const texts = data.users.map((_, user) => parseStructure(metadataText(user, data, prompt), aspects));
    return { users: await userVectors(texts, aspects, cache), items };
  } finally {
    await cache.close();
    await encoder.dispose();
  }
}

/** The defaults that a plugin's own schema declares: the only place they stand. */
// biome-ignore lint/suspicious/noExplicitAny: the schema promises the constructor's options, which TypeScript cannot see
export function defaultsOf(target: PluginClass<object>): any {
  const properties = identityOf(target)?.options?.properties ?? {};
  return Object.fromEntries(Object.entries(properties).flatMap(([name, schema]) => ("default" in schema ? [[name, schema.default]] : [])));
}
