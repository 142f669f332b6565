/** What a fit holds on the engine depends on the size of its batches, not on how many users and lists there are. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { EncoderNetwork, Reranker, SequenceEncoder } from "../../../framework/contracts/recommender.js";
import { prepare } from "../../../framework/data/prepare.js";
import { fitEncoder, fitRecommender } from "../../../framework/method/recommender.js";
import { NoAdaptor } from "../../../plugins/adaptors/none.js";
import { NoEncoder } from "../../../plugins/encoders/none.js";
import { SasRec } from "../../../plugins/encoders/sasrec.js";
import { Mir } from "../../../plugins/rerankers/mir.js";
import { Synthetic } from "../../../plugins/datasets/synthetic.js";
import { defaultsOf } from "../../bench/workload.js";
import { protocolOf } from "../../support/dataset.js";
import { assertNoLeak, useEngine } from "../../support/engine.js";

const fit = { epochs: 1, patience: 1, batchSize: 32 };
const protocol = protocolOf({ history: 12, listLength: 10, positives: 4, split: [0.2, 0.6, 0.2] });

/** Of the engine's memory while something is computed: the most above where it began. */
class Peak {
  bytes = 0;
  private readonly before = tf.memory().numBytes;

  of<Args extends unknown[], Result>(compute: (...args: Args) => Result): (...args: Args) => Result {
    return (...args) => {
      const result = compute(...args);
      this.bytes = Math.max(this.bytes, tf.memory().numBytes - this.before);
      return result;
    };
  }
}

const prepared = (users: number) =>
  prepare(new Synthetic({ ...defaultsOf(Synthetic), users, items: 300, interactions: [20, 24] }), protocol, { folds: 0 });

async function encoderPeak(users: number): Promise<number> {
  const data = await prepared(users);
  const inner = new SasRec({ ...defaultsOf(SasRec), ...fit, hidden: 8 });
  const peak = new Peak();
  const build: SequenceEncoder["build"] = (...args) => {
    const network = inner.build(...args);
    const measured: EncoderNetwork = { ...network, loss: peak.of(network.loss), scores: peak.of(network.scores) };
    return measured;
  };
  const encoder = { fit: inner.fit, build } as SequenceEncoder;
  const [round] = data.parts.evaluate;
  assert.ok(round);
  (await fitEncoder({ data, round, encoder, history: protocol.history, seed: 1 })).dispose();
  return peak.bytes;
}

async function recommenderPeak(users: number): Promise<number> {
  const data = await prepared(users);
  const inner = new Mir({ ...defaultsOf(Mir), ...fit, hidden: 8, units: 8, mlp: [8] });
  const peak = new Peak();
  const build: Reranker["build"] = (...args) => {
    const network = inner.build(...args);
    return { score: peak.of(network.score), loss: peak.of(network.loss) };
  };
  const reranker: Reranker = { fit: inner.fit, embedding: inner.embedding, history: inner.history, build };
  const [round] = data.parts.evaluate;
  assert.ok(round);
  const encoder = await fitEncoder({ data, round, encoder: new NoEncoder(), history: protocol.history, seed: 1 });
  const adaptor = new NoAdaptor(defaultsOf(NoAdaptor));
  const request = { data, round, encoder, adaptor, reranker, knowledge: null, seed: 1, metric: "ndcg@2", ties: "expected" } as const;
  (await fitRecommender(request)).dispose();
  encoder.dispose();
  return peak.bytes;
}

/** Training sequences of an epoch of the sequence encoder, and how many of their items are targets. */
async function learntWith(stride?: number): Promise<readonly [sequences: number, targets: number]> {
  const data = await prepared(20);
  const inner = new SasRec({ ...defaultsOf(SasRec), ...fit, hidden: 8 });
  let [sequences, targets] = [0, 0];
  const build: SequenceEncoder["build"] = (...args) => {
    const network = inner.build(...args);
    const loss: EncoderNetwork["loss"] = (ids, mode) => {
      sequences += ids.shape[0];
      targets += ids.dataSync<"int32">().filter((id) => id > 0).length - ids.shape[0];
      return network.loss(ids, mode);
    };
    return { ...network, loss };
  };
  const [round] = data.parts.evaluate;
  assert.ok(round);
  (await fitEncoder({ data, round, encoder: { fit: inner.fit, build }, history: protocol.history, stride, seed: 1 })).dispose();
  return [sequences, targets];
}

describe("an epoch in batches", function () {
  this.timeout(60_000);
  useEngine();

  it("learns sequences that overlap where they are asked to", async () => {
    const [whole, once] = await learntWith();
    assert.deepEqual(await learntWith(protocol.history), [whole, once]);
    const [overlapping, often] = await learntWith(4);
    assert.ok(overlapping > 1.5 * whole && often > 1.5 * once, `${[whole, once, overlapping, often]}`);
  });

  for (const [name, peakOf] of Object.entries({ encoderPeak, recommenderPeak }))
    it(`${name}: four times the users, the same memory`, () =>
      assertNoLeak(async () => {
        const [few, many] = [await peakOf(450), await peakOf(1800)];
        assert.ok(few > 0 && many < 1.1 * few, `${few} bytes for 450 users, ${many} for 1,800`);
      }));
});
