/** Rerankers that look at the history themselves are given what preceded the list, and nothing else. */
import assert from "node:assert/strict";
import type { ListHistory, Reranker } from "../../../framework/contracts/recommender.js";
import { fitEncoder, fitRecommender, listsOf } from "../../../framework/method/recommender.js";
import { withPlugin } from "../../../framework/testing/index.js";
import { HybridExperts } from "../../../plugins/adaptors/hea.js";
import { NoEncoder } from "../../../plugins/encoders/none.js";
import { Mir } from "../../../plugins/rerankers/mir.js";
import { assertNoLeak, useEngine } from "../../support/engine.js";
import { close } from "../../support/tensors.js";
import { tastes } from "./tastes.js";

const { data, knowledge, round } = tastes();
const adaptor = new HybridExperts({
  join: "aspects",
  shared: 1,
  specific: 1,
  hidden: 8,
  adapted: 4,
  output: "linear",
  dropout: 0,
  gain: 1,
});
const lists = listsOf(data, round.test);
const owners = lists.map((list) => data.lists.user[list] as number);
const options = { embedding: 3, hidden: 8, units: 4, history: 2, mlp: [8], epochs: 1, weightDecay: 0 };

describe("a list's history", () => {
  useEngine();

  for (const [texts, asked, allowed] of [
    [knowledge, 2, 5],
    [null, 2, 5],
    [null, 30, 2],
  ] as const)
    it(`holds the ${Math.min(asked, allowed)} items right before the list, of ${asked} asked for and ${allowed} allowed${texts ? ", with their adapted texts" : ""}`, () =>
      withPlugin({ plugin: Mir, options: { ...options, history: asked } }, (mir: Reranker) =>
        assertNoLeak(async () => {
          const seen: { training: boolean; items: number[][][]; real: number[][] }[] = [];
          const note = (training: boolean, history: ListHistory | undefined) => {
            assert.ok(history);
            seen.push({ training, items: history.items.arraySync(), real: history.real.arraySync() });
          };
          const spy: Reranker = {
            fit: mir.fit,
            embedding: mir.embedding,
            history: mir.history ?? 0,
            build: (scope, shape) => {
              assert.equal(shape.historyWidth, texts ? 3 + 4 : 3);
              const network = mir.build(scope, shape);
              return {
                ...network,
                score: (features, mode, history) => {
                  note(mode.training, history);
                  return network.score(features, mode, history);
                },
              };
            },
          };
          const encoder = await fitEncoder({ data, round, encoder: new NoEncoder(), history: allowed, seed: 1 });
          const request = {
            data,
            round,
            encoder,
            adaptor,
            reranker: spy,
            knowledge: texts,
            seed: 1,
            metric: "ndcg@5",
            ties: "expected",
          } as const;
          const recommender = await fitRecommender(request);
          assert.ok(seen.some(({ training }) => training));
          seen.length = 0;
          await recommender.score(lists, texts?.users ?? null, texts && owners);
          const [{ items, real }] = seen as [(typeof seen)[number]];
          const { "items/table": table } = await recommender.state();
          for (const [row, list] of lists.entries()) {
            assert.deepEqual(real[row], [1, 1]);
            const start = data.lists.start[list] as number;
            for (const [i, item] of data.sequence.items.subarray(start - 2, start).entries())
              close((items[row]?.[i] ?? []).slice(0, 3), table?.values.subarray(3 * item, 3 * item + 3) ?? []);
          }
          recommender.dispose();
          encoder.dispose();
        }),
      )).timeout(20_000);

  it("is empty for a user's first interactions", () =>
    withPlugin({ plugin: Mir, options }, (mir: Reranker) =>
      assertNoLeak(async () => {
        const first = { ...data, lists: { ...data.lists, start: data.lists.user.map((user) => data.sequence.offsets[user] as number) } };
        const encoder = await fitEncoder({ data: first, round, encoder: new NoEncoder(), history: 5, seed: 1 });
        const request = {
          data: first,
          round,
          encoder,
          adaptor,
          reranker: mir,
          knowledge,
          seed: 1,
          metric: "ndcg@5",
          ties: "expected",
        } as const;
        const recommender = await fitRecommender(request);
        const scores = await recommender.score(lists, knowledge.users, owners);
        assert.ok(scores.every(Number.isFinite));
        recommender.dispose();
        encoder.dispose();
      }),
    ));
});
