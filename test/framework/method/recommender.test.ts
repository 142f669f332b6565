import { silentTexts, textsAt } from "../../../framework/method/answer-vectors.js";
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { Adaptor, Reranker, RerankerNetwork, SequenceEncoder } from "../../../framework/contracts/recommender.js";
import { RlrfError } from "../../../framework/errors.js";
import {
  DivergedError,
  fitEncoder,
  fitRecommender,
  type Knowledge,
  listsOf,
  type Recommender,
  type RecommenderRequest,
  restoreEncoder,
  restoreRecommender,
} from "../../../framework/method/recommender.js";
import { mean } from "../../../framework/metrics/aggregate.js";
import { ndcg } from "../../../framework/metrics/ranking.js";
import { HybridExperts } from "../../../plugins/adaptors/hea.js";
import { NoEncoder } from "../../../plugins/encoders/none.js";
import { SasRec } from "../../../plugins/encoders/sasrec.js";
import { Prm } from "../../../plugins/rerankers/prm.js";
import { assertNoLeak, useEngine } from "../../support/engine.js";
import { close } from "../../support/tensors.js";
import { tastes } from "./tastes.js";

const hea = (join: "aspects" | "product" | "concat" = "aspects"): Adaptor =>
  new HybridExperts({ join, shared: 1, specific: 2, hidden: 16, adapted: 8, output: "linear", dropout: 0, gain: 1 });
const prm = (options: { epochs?: number; learningRate?: number; dropout?: number } = {}): Reranker =>
  new Prm({
    ...{ embedding: 4, hidden: 16, layers: 1, heads: 1, inner: 16, mlp: [16], dropout: 0.1, positions: false, objective: "softmax" },
    ...{ epochs: 25, batchSize: 64, learningRate: 5e-3, weightDecay: 0.01, patience: 25, ...options },
  });
const sasrec = (): SequenceEncoder =>
  new SasRec({
    ...{ hidden: 8, layers: 1, heads: 1, dropout: 0.1, attentionDropout: 0, scaled: true, projected: true, normalised: true },
    ...{ objective: "ce", negatives: 8, drawn: "shared", bceNegatives: 1, calibration: 0.75 },
    ...{ epochs: 3, batchSize: 32, learningRate: 1e-2, weightDecay: 0, patience: 3 },
  });

const { data, knowledge, round } = tastes();
const test = listsOf(data, round.test);
const owners = test.map((list) => data.lists.user[list] as number);
const noEncoder = () => fitEncoder({ data, round, encoder: new NoEncoder(), history: 5, seed: 1 });

async function request(over: Partial<RecommenderRequest> = {}): Promise<RecommenderRequest> {
  const encoder = over.encoder ?? (await noEncoder());
  return { data, round, encoder, adaptor: hea(), reranker: prm(), knowledge, seed: 1, metric: "ndcg@5", ties: "expected", ...over };
}
/** NDCG@5 of the test lists, each heard with the text of `heard[its user]`. */
async function judge(recommender: Recommender, texts: Knowledge | null, heard = (user: number) => user): Promise<number> {
  const scores = await recommender.score(test, texts?.users ?? null, texts && owners.map(heard));
  const { length, labels } = data.lists;
  const own = Uint8Array.from(
    test.length === 0 ? [] : [...test].flatMap((list) => [...labels.subarray(list * length, (list + 1) * length)]),
  );
  return mean(ndcg(scores, own, length, 5, "expected"));
}

describe("recommender", () => {
  useEngine();

  it("hears: right texts rank far better than swapped ones, and than none", async function () {
    this.timeout(60_000);
    await assertNoLeak(async () => {
      const asked = await request();
      const told = await fitRecommender(asked);
      const [right, swapped] = [await judge(told, knowledge), await judge(told, knowledge, (user) => (user + 7) % 90)];
      assert.ok(right > 0.9 && right - swapped > 0.15, `right ${right}, swapped ${swapped}`);
      assert.equal(told.report?.history.length, 25);
      assert.equal(told.report?.metric, Math.max(...(told.report?.history ?? []).map(({ metric }) => metric)));
      const idOnly = await fitRecommender({ ...asked, knowledge: null });
      assert.ok(right - (await judge(idOnly, null)) > 0.1);
      for (const each of [told, idOnly, asked.encoder]) each.dispose();
    });
  });

  it("gives the same numbers for a seed, others for another; a restored one scores the same", async function () {
    this.timeout(60_000);
    await assertNoLeak(async () => {
      const encoder = await fitEncoder({ data, round, encoder: sasrec(), history: 5, seed: 1 });
      const asked = await request({ encoder, reranker: prm({ epochs: 3 }) });
      const [one, two, three] = [await fitRecommender(asked), await fitRecommender(asked), await fitRecommender({ ...asked, seed: 2 })];
      const score = (of: Recommender) => of.score(test, knowledge.users, owners);
      assert.deepEqual(await one.state(), await two.state());
      assert.notDeepEqual(await score(one), await score(three));
      const frozen = restoreEncoder({ data, encoder: sasrec(), history: 5 }, await encoder.state());
      const restored = restoreRecommender({ ...asked, encoder: frozen }, await one.state());
      assert.deepEqual(await score(restored), await score(one));
      for (const each of [one, two, three, restored, encoder, frozen]) each.dispose();
    });
  });

  it("scores any texts in any order: each list hears the text that is named for it", async () => {
    await assertNoLeak(async () => {
      const asked = await request({ reranker: prm({ epochs: 1 }) });
      const recommender = await fitRecommender(asked);
      const lists = Int32Array.of(3, 500, 3);
      const both = await recommender.score(lists, textsAt(knowledge.users, [88, 75]), Int32Array.of(1, 0, 0));
      const own = await recommender.score(lists, knowledge.users, Int32Array.of(75, 88, 88));
      close(both, own);
      // silence is well defined: it does not depend on who is silent
      const silent = await recommender.score(lists, silentTexts(2, knowledge.users), Int32Array.of(0, 1, 1));
      close(silent.subarray(0, 6), silent.subarray(12));
      assert.deepEqual(await recommender.score(new Int32Array(), knowledge.users, new Int32Array()), new Float32Array());
      recommender.dispose();
      asked.encoder.dispose();
    });
  });

  it("kept encoder features are those computed list by list", async () => {
    await assertNoLeak(async () => {
      const encoder = await fitEncoder({ data, round, encoder: sasrec(), history: 5, seed: 1 });
      const lists = Int32Array.of(7, 0, 500);
      const before = tf.tidy(() => encoder.features(lists).dataSync());
      await encoder.warm();
      const after = tf.tidy(() => encoder.features(lists).dataSync());
      for (const [i, value] of before.entries()) assert.ok(Math.abs(value - (after[i] as number)) < 1e-5);
      encoder.dispose();
    });
  });

  it("stops at a loss that is not a number, names the step, and hands over the last good state", async () => {
    await assertNoLeak(async () => {
      let step = 0;
      const inner = prm({ epochs: 5 });
      const faulty: Reranker = {
        fit: inner.fit,
        embedding: inner.embedding,
        build: (scope, shape): RerankerNetwork => {
          const network = inner.build(scope, shape);
          // 360 train lists are 6 steps an epoch: the second step of the third epoch breaks
          return {
            ...network,
            loss: (scores, labels) => tf.mul(network.loss(scores, labels), ++step === 14 ? Number.NaN : 1) as tf.Scalar,
          };
        },
      };
      const asked = await request({ reranker: faulty });
      const error = await fitRecommender(asked).then(
        () => assert.fail("it went on"),
        (reason: unknown) => reason,
      );
      assert.ok(error instanceof DivergedError && error instanceof RlrfError);
      assert.equal(error.code, "RLRF_TRAIN_NAN");
      assert.match(error.message, /epoch 3, step 14/);
      const good = restoreRecommender({ ...asked, reranker: inner }, error.lastGood);
      assert.ok((await judge(good, knowledge)) > 0.5);
      good.dispose();
      asked.encoder.dispose();
    });
  });

  it("stops when the signal says so", async () => {
    await assertNoLeak(async () => {
      const stop = new AbortController();
      const asked = await request({ signal: stop.signal });
      setTimeout(() => stop.abort(new Error("enough")), 30);
      await assert.rejects(fitRecommender(asked), /enough/);
      asked.encoder.dispose();
    });
  });

  it("reports progress, and ends it", async () => {
    const told: string[] = [];
    const progress = {
      start: (label: string, total: number, unit: string) => {
        told.push(`${label} ${total} ${unit}`);
        return { advance: (by = 1) => void told.push(`+${by}`), end: () => void told.push("end") };
      },
    };
    const asked = await request({ reranker: prm({ epochs: 2 }), progress });
    const recommender = await fitRecommender(asked);
    assert.deepEqual(told, ["recommender 2 epochs", "+1", "+1", "end"]);
    told.length = 0;
    await recommender.score(test, knowledge.users, owners, { progress });
    assert.deepEqual(told, ["scoring lists 120 lists", "+120", "end"]);
    recommender.dispose();
    asked.encoder.dispose();
  });
});
