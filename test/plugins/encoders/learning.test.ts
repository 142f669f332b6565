/** What every encoder that learns has in common: right gradients, no look ahead, and a cycle of items learnt. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { EncoderNetwork, SequenceEncoder } from "../../../framework/contracts/recommender.js";
import { fitSequences } from "../../../framework/method/encoder.js";
import { nextItemNdcg } from "../../../framework/method/next-item.js";
import { createRng } from "../../../framework/rng.js";
import { Parameters } from "../../../framework/tensor/parameters.js";
import { withPlugin } from "../../../framework/testing/index.js";
import { assertNoLeak, useEngine } from "../../support/engine.js";
import { checkGradients, close, withoutLeak } from "../../support/tensors.js";
import { hashWeights } from "../../support/weights.js";
import { encoders } from "./encoders.js";

type Name = keyof typeof encoders;

/** Small, and nothing random but what is masked or drawn. */
const small: Readonly<Record<Name, object>> = {
  mean: { hidden: 8 },
  sasrec: { hidden: 8, heads: 2, dropout: 0 },
  gru4rec: { embedding: 6, hidden: 8, dropout: 0 },
  bert4rec: { hidden: 8, dropout: 0, masked: 0.3, lastOnly: 0.3 },
  caser: { hidden: 8, window: 3, targets: 1, horizontal: 3, vertical: 2, dropout: 0, weightDecay: 0, objective: "ce" },
  narm: { embedding: 6, hidden: 8, dropout: 0, contextDropout: 0 },
  fmlp: { hidden: 8, inner: 2, dropout: 0, targets: 8, objective: "ce" },
  hstu: { hidden: 8, heads: 2, dropout: 0, temperature: 0.2 },
  din: { hidden: 8, unit: 6, mlp: [12], targets: 8 },
};
const names = Object.keys(encoders) as Name[];
const seeded = { training: false, nextSeed: () => 11 };
const { log, exp } = Math;

/** @param changes of the options */
function withNetwork(name: Name, body: (network: EncoderNetwork, parameters: Parameters) => void, changes: object = {}): Promise<void> {
  return withPlugin({ plugin: encoders[name], options: { ...small[name], ...changes } }, (encoder: SequenceEncoder) =>
    withoutLeak(() => {
      const parameters = new Parameters(createRng(name));
      const network = encoder.build(parameters, { items: 7, history: 5 });
      hashWeights(parameters);
      body(network, parameters);
      parameters.dispose();
    }),
  );
}
const ids = (rows: number[][]) => tf.tensor2d(rows.flat(), [rows.length, rows[0]?.length ?? 0], "int32");
const sequences = () =>
  ids([
    [0, 0, 2, 3, 1, 6],
    [4, 5, 6, 2, 7, 1],
  ]);

describe("encoders that learn", () => {
  useEngine();

  for (const name of names)
    it(`${name}: right gradients of its own objective`, () =>
      withNetwork(name, (network, parameters) => {
        checkGradients([...parameters.all.values()], () => tf.mul(network.loss(sequences(), seeded), 5) as tf.Scalar, {
          ...{ step: 2e-3, probes: 4, tolerance: 3e-2 },
        });
      })).timeout(20_000);

  for (const objective of ["bpr", "top1"])
    it(`right gradients under ${objective}`, () =>
      withNetwork(
        "gru4rec",
        (network, parameters) =>
          checkGradients([...parameters.all.values()], () => tf.mul(network.loss(sequences(), seeded), 5) as tf.Scalar, {
            ...{ step: 2e-3, probes: 4, tolerance: 3e-2 },
          }),
        { objective, negatives: 3 },
      ));

  // What is learnt at a position is the score after the same history alone: nothing after it was seen.
  for (const name of ["mean", "gru4rec", "narm", "caser", "fmlp", "hstu", "sasrec"] as const)
    it(`${name}: learns each next item from what precedes it alone`, () =>
      withNetwork(name, (network, parameters) => {
        const positions = parameters.all.get("positions"); // counted from the end: at a prefix's end they are others
        if (positions && name !== "fmlp") tf.tidy(() => positions.assign(tf.zerosLike(positions)));
        const sequence = [2, 4, 1, 6, 3, 2];
        const losses = sequence.slice(1).map((target, i) => {
          const scores = tf.tidy(() => [...network.scores(ids([sequence.slice(0, i + 1)])).dataSync()]).slice(1);
          return log(scores.reduce((sum, score) => sum + exp(score), 0)) - (scores[target - 1] as number);
        });
        tf.tidy(() => close(network.loss(ids([sequence]), seeded), [losses.reduce((a, b) => a + b) / losses.length], 1e-4));
      }));

  it("din: learns each next item, and a negative, from what precedes it alone", () =>
    withNetwork("din", (network) => {
      const sequence = [2, 4, 1, 6, 3, 5]; // 7 is the only negative
      const losses = sequence.slice(1).map((target, i) => {
        const scores = tf.tidy(() => [...network.scores(ids([sequence.slice(0, i + 1)])).dataSync()]);
        return log(1 + exp(-(scores[target] as number))) + log(1 + exp(scores[7] as number));
      });
      tf.tidy(() => close(network.loss(ids([sequence]), seeded), [losses.reduce((a, b) => a + b) / losses.length], 1e-4));
    }));

  it("caser: learns the next items up to `targets`", () =>
    withNetwork(
      "caser",
      (network) => {
        const sequence = [2, 4, 1];
        const ofTarget = (length: number, target: number) => {
          const scores = tf.tidy(() => [...network.scores(ids([sequence.slice(0, length)])).dataSync()]).slice(1);
          return log(scores.reduce((sum, score) => sum + exp(score), 0)) - (scores[target - 1] as number);
        };
        const expected = (ofTarget(1, 4) + ofTarget(1, 1) + ofTarget(2, 1)) / 3;
        tf.tidy(() => close(network.loss(ids([sequence]), seeded), [expected], 1e-4));
      },
      { targets: 2 },
    ));

  it("bert4rec: asked for the last item alone, it learns what it scores", () =>
    withNetwork(
      "bert4rec",
      (network) => {
        const sequence = [2, 4, 1];
        const scores = tf.tidy(() => [...network.scores(ids([sequence.slice(0, 2)])).dataSync()]).slice(1);
        const expected = log(scores.reduce((sum, score) => sum + exp(score), 0)) - (scores[0] as number);
        tf.tidy(() => close(network.loss(ids([sequence]), seeded), [expected], 1e-4));
      },
      { lastOnly: 1 },
    ));

  for (const name of names)
    it(`${name}: the last feature of a candidate is its score`, () =>
      withNetwork(name, (network) =>
        tf.tidy(() => {
          const history = () => ids([[0, 0, 3, 1, 2]]);
          const features = network.features(history(), ids([[5, 2]]), seeded);
          assert.deepEqual(features.shape, [1, 2, network.width]);
          const scores = network.scores(history()).dataSync();
          close(tf.slice(features, [0, 0, network.width - 1], [1, 2, 1]), [scores[5] as number, scores[2] as number], 1e-4);
        }),
      ));

  for (const name of names)
    it(`${name}: learns a cycle of items`, async () => {
      const items = 12;
      const cycle = Array.from({ length: 36 }, (_, u) => Array.from({ length: 6 }, (_, i) => 1 + ((u + i) % items)));
      const flat = Int32Array.from(cycle.flat());
      const begin = Int32Array.from(cycle.keys(), (u) => u * 6);
      const rows = { items: flat, begin, end: begin.map((at) => at + 6) };
      const valid = {
        histories: { items: flat, begin, end: begin.map((at) => at + 5) },
        targets: begin.map((at) => flat[at + 5] as number),
      };
      const options = { ...small[name], epochs: 60, patience: 60, batchSize: 12, learningRate: 1e-2 };
      await withPlugin({ plugin: encoders[name], options }, (encoder: SequenceEncoder) =>
        assertNoLeak(async () => {
          const { network, parameters, report } = await fitSequences({ encoder, history: 5, seed: 3, items, rows, valid });
          const ndcg = nextItemNdcg(network, valid, 5, 10);
          assert.ok(ndcg > (name === "mean" ? 0.6 : 0.85), `NDCG@10 ${ndcg}, best of ${report?.epochs} epochs: ${report?.metric}`);
          parameters.dispose();
        }),
      );
    }).timeout(60_000);
});
