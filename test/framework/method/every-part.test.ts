/** Every encoder, adaptor and reranker as a part of a recommender: fitted, finite, the same after it was kept and restored. */
import assert from "node:assert/strict";
import type { Adaptor, Reranker, SequenceEncoder } from "../../../framework/contracts/recommender.js";
import type { PluginClass } from "../../../framework/contracts/plugin.js";
import { loadPlugin } from "../../../framework/kernel/load.js";
import { Registry } from "../../../framework/kernel/registry.js";
import { fitEncoder, fitRecommender, listsOf, restoreEncoder, restoreRecommender } from "../../../framework/method/recommender.js";
import { withPlugin } from "../../../framework/testing/index.js";
import { assertNoLeak, useEngine } from "../../support/engine.js";
import { tastes } from "./tastes.js";

/** A step or two of each. */
const sizes: Readonly<Record<string, object>> = {
  mean: { hidden: 4 },
  sasrec: { hidden: 4 },
  gru4rec: { embedding: 4, hidden: 4 },
  bert4rec: { hidden: 4 },
  caser: { hidden: 4 },
  narm: { embedding: 4, hidden: 4 },
  fmlp: { hidden: 4 },
  hstu: { hidden: 4 },
  din: { hidden: 4, unit: 4, mlp: [4] },
};
const { data, knowledge, round } = tastes();
const lists = listsOf(data, round.test);
const owners = lists.map((list) => data.lists.user[list] as number);

const registry = await Registry.read();
const parts = await Promise.all(
  (["encoder", "adaptor", "reranker"] as const).flatMap((kind) =>
    registry.list(kind).map(async (entry) => ({ kind, name: entry.name, plugin: await loadPlugin(entry) })),
  ),
);
const named = <Product extends object>(kind: string, name: string) =>
  parts.find((part) => part.kind === kind && part.name === name)?.plugin as PluginClass<Product>;

describe("every part of a recommender", () => {
  useEngine();

  for (const { kind, name } of parts)
    it(`${kind}/${name}`, async () => {
      const chosen = { encoder: "none", adaptor: "mlp", reranker: "pointwise", [kind]: name };
      const encoderOptions = sizes[chosen.encoder] === undefined ? {} : { ...sizes[chosen.encoder], epochs: 1 };
      await withPlugin({ plugin: named<SequenceEncoder>("encoder", chosen.encoder), options: encoderOptions }, (encoder) =>
        withPlugin({ plugin: named<Adaptor>("adaptor", chosen.adaptor) }, (adaptor) =>
          withPlugin({ plugin: named<Reranker>("reranker", chosen.reranker), options: { epochs: 1 } }, (reranker) =>
            assertNoLeak(async () => {
              const fitted = await fitEncoder({ data, round, encoder, history: 5, seed: 1 });
              const request = { data, round, adaptor, reranker, knowledge, seed: 1, metric: "ndcg@5", ties: "expected" } as const;
              const recommender = await fitRecommender({ ...request, encoder: fitted });
              const scores = await recommender.score(lists, knowledge.users, owners);
              assert.ok(scores.every(Number.isFinite));
              assert.ok(new Set(scores).size > 10);
              const kept = restoreEncoder({ data, encoder, history: 5 }, await fitted.state());
              const restored = restoreRecommender({ ...request, encoder: kept }, await recommender.state());
              assert.deepEqual(await restored.score(lists, knowledge.users, owners), scores);
              for (const each of [recommender, restored, fitted, kept]) each.dispose();
            }),
          ),
        ),
      );
    }).timeout(60_000);
});
