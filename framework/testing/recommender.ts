/** Contract suites of the recommender's three parts. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type {
  Adaptor,
  AdaptorNetwork,
  EncoderNetwork,
  ListHistory,
  Reranker,
  RerankerNetwork,
  SequenceEncoder,
} from "../contracts/recommender.js";
import type { Parameters } from "../tensor/parameters.js";
import { identityChecks } from "./identity.js";
import { type Runner, type Subject, suite, withPlugin } from "./subject.js";
import { finite, gradientsArrive, inference, normal, shape, training, withNetwork } from "./tensors.js";

const catalogue = { items: 12, history: 6 };
// Two users, one without any history. [2, 6]
const history = () => tf.tensor2d([0, 0, 3, 1, 2, 5, 0, 0, 0, 0, 0, 0], [2, 6], "int32");
const candidates = () => tf.tensor2d([1, 2, 3, 4, 9, 10, 11, 12], [2, 4], "int32");
const sequences = () => tf.tensor2d([0, 0, 3, 1, 2, 5, 7, 0, 1, 2, 4, 6, 8, 10, 1, 2, 3, 9, 5, 11, 12], [3, 7], "int32");

export function encoderContract(subject: Subject<SequenceEncoder>, runner?: Runner): void {
  const built = (body: (network: EncoderNetwork, parameters: Parameters, encoder: SequenceEncoder) => void) => () =>
    withPlugin(subject, (encoder) =>
      withNetwork(
        (scope) => encoder.build(scope, catalogue),
        (network, parameters) => body(network, parameters, encoder),
      ),
    );
  const checks = {
    "gives features for each candidate, also without any history": built(({ width, ...network }) =>
      shape(network.features(history(), candidates(), inference), [2, 4, width], "features"),
    ),
    "gives the same features again": built((network) => {
      const [first, again] = [0, 1].map(() => network.features(history(), candidates(), inference).dataSync());
      assert.deepEqual(first, again);
    }),
    "says the same whatever the padding, also without any history": built((network, parameters) => {
      for (const each of parameters.all.values()) tf.tidy(() => each.assign(tf.add(each, tf.mul(normal(each.shape, each.size), 0.3)))); // so that differences show
      // padding may be -Infinity
      const items = (scores: tf.Tensor2D) => tf.slice(scores, [0, 1], [2, catalogue.items]);
      const wide = items(network.scores(tf.tensor2d([0, 0, 3, 1, 2, 5, 0, 0, 0, 0, 0, 0], [2, 6], "int32")));
      const narrow = items(network.scores(tf.tensor2d([3, 1, 2, 5, 0, 0, 0, 0], [2, 4], "int32")));
      const [some, none] = tf.max(tf.abs(tf.sub(wide, narrow)), 1).dataSync();
      assert.ok((some ?? 1) < 1e-4, `more padding gives other scores (by ${some})`);
      assert.ok((none ?? 1) < 1e-4, `without any history, more padding gives other scores (by ${none})`);
    }),
    "has a loss whose gradient reaches every parameter, where it has something to learn": built((network, parameters, { fit }) => {
      if (fit === undefined) return assert.equal(parameters.all.size, 0, "an encoder with parameters says how it is fitted");
      shape(network.loss(sequences(), inference), [], "loss");
      gradientsArrive(parameters, () => network.loss(sequences(), training()));
    }),
    "scores every item as the next one": built((network) => {
      const scores = network.scores(history());
      assert.deepEqual(scores.shape, [2, catalogue.items + 1]);
      finite(tf.slice(scores, [0, 1], [2, catalogue.items]).dataSync(), "scores of items"); // padding may be -Infinity
    }),
  };
  suite(subject, runner, checks, identityChecks(subject));
}

const texts = { aspects: 3, width: 8 };

export function adaptorContract(subject: Subject<Adaptor>, runner?: Runner): void {
  const built = (body: (network: AdaptorNetwork, parameters: Parameters) => void) => () =>
    withPlugin(subject, (adaptor) => withNetwork((scope) => adaptor.build(scope, texts), body));
  const users = () => normal<tf.Rank.R3>([2, texts.aspects, texts.width], 1);
  const items = () => normal<tf.Rank.R2>([5, texts.width], 2);
  /** Two lists of four, of two users. */
  const joined = (network: AdaptorNetwork, of: tf.Tensor3D, mode = inference): tf.Tensor3D => {
    const adapted = network.items(items(), mode); // [5, adapted]
    const lists = tf.gather(adapted, tf.tensor2d([0, 1, 2, 3, 4, 3, 2, 1], [2, 4], "int32")) as tf.Tensor as tf.Tensor3D; // [2, 4, adapted]
    return network.join(network.users(of, mode), lists);
  };
  const checks = {
    "adapts users and items to one width, and joins them to features": built((network) => {
      const [user, item] = [network.users(users(), inference), network.items(items(), inference)];
      shape(user, [2, user.shape[1], user.shape[2]], "users"); // a part an aspect, or one for all
      shape(item, [5, item.shape[1]], "items");
      shape(joined(network, users()), [2, 4, network.features], "joined features");
    }),
    "adapts each text by itself, in the same way every time": built((network) => {
      const all = network.items(items(), inference);
      const alone = network.items(tf.slice(items(), [2, 0], [1, texts.width]), inference);
      const difference = tf.max(tf.abs(tf.sub(tf.slice(all, [2, 0], [1, all.shape[1]]), alone))).dataSync()[0] ?? 1;
      assert.ok(difference < 1e-5, `a text is adapted differently in a batch (by ${difference})`);
    }),
    "takes an aspect by itself as among the others, where it says that it does": built((network) => {
      if (network.aspectByAspect !== true) return;
      const together = network.users(users(), inference); // [2, aspects, adapted]
      const apart = network.users(tf.reshape(users(), [2 * texts.aspects, 1, texts.width]), inference); // [2 * aspects, 1, adapted]
      shape(apart, [2 * texts.aspects, 1, together.shape[2]], "aspects by themselves");
      const difference = tf.max(tf.abs(tf.sub(together, tf.reshape(apart, together.shape)))).dataSync()[0] ?? 1;
      assert.ok(difference < 1e-5, `an aspect is adapted differently by itself (by ${difference})`);
    }),
    "hears the user: another text gives other features, silence gives finite ones": built((network) => {
      const said = joined(network, users()).dataSync();
      const other = joined(network, normal<tf.Rank.R3>([2, texts.aspects, texts.width], 9)).dataSync();
      assert.ok(
        said.some((value, i) => value !== other[i]),
        "the features do not depend on the user's text",
      );
      finite(joined(network, tf.zeros([2, texts.aspects, texts.width])).dataSync(), "features of a silent user");
    }),
    "lets a gradient through to every parameter": built((network, parameters) =>
      gradientsArrive(parameters, () => tf.mean(tf.square(joined(network, users(), training()))) as tf.Scalar),
    ),
  };
  suite(subject, runner, checks, identityChecks(subject));
}

const list = { width: 10, list: 5 };
const historyWidth = 7;

export function rerankerContract(subject: Subject<Reranker>, runner?: Runner): void {
  const built = (body: (network: RerankerNetwork, parameters: Parameters, reranker: Reranker) => void) => () =>
    withPlugin(subject, (reranker) =>
      withNetwork(
        (scope) => reranker.build(scope, { ...list, historyWidth: reranker.history ? historyWidth : 0 }),
        (network, parameters) => body(heardWith(network, reranker), parameters, reranker),
      ),
    );
  // One user has met nothing before the list. [3, 4, 7]
  const history = (): ListHistory => ({
    items: normal<tf.Rank.R3>([3, 4, historyWidth], 5),
    real: tf.tensor2d([1, 1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0], [3, 4]),
  });
  /** A reranker that asks for a history is given one, the rows of whose lists are scored: all, or the second alone. */
  const heardWith = (network: RerankerNetwork, reranker: Reranker): RerankerNetwork => ({
    loss: network.loss,
    score: (features, mode, given) => {
      if (reranker.history === undefined) return network.score(features, mode);
      const { items, real } = given ?? history();
      if (features.shape[0] === 3) return network.score(features, mode, { items, real });
      return network.score(features, mode, { items: tf.slice(items, [1, 0, 0], [1, 4, -1]), real: tf.slice(real, [1, 0], [1, 4]) });
    },
  });
  const features = () => normal<tf.Rank.R3>([3, list.list, list.width], 3);
  // The last list has no relevant candidate: it is kept for training. [3, 5]
  const labels = () => tf.tensor2d([1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0], [3, 5]);
  const checks = {
    "says how it is fitted": built((_network, _parameters, { fit, embedding }) => {
      for (const [name, value] of Object.entries({ epochs: fit.epochs, batchSize: fit.batchSize, patience: fit.patience, embedding }))
        assert.ok(Number.isInteger(value) && value >= (name === "embedding" ? 0 : 1), `${name} is ${value}`);
      assert.ok(fit.learningRate > 0 && fit.weightDecay >= 0);
    }),
    "scores every candidate": built((network) => shape(network.score(features(), inference), [3, list.list], "scores")),
    "scores a list by itself, in the same way every time": built((network) => {
      const all = network.score(features(), inference);
      const alone = network.score(tf.slice(features(), [1, 0, 0], [1, list.list, list.width]), inference);
      const difference = tf.max(tf.abs(tf.sub(tf.slice(all, [1, 0], [1, list.list]), alone))).dataSync()[0] ?? 1;
      assert.ok(difference < 1e-4, `a list is scored differently in a batch (by ${difference})`);
    }),
    "looks at the history that it asks for, but not at what pads it": built((network, _parameters, reranker) => {
      if (reranker.history === undefined) return;
      const { items, real } = history();
      const scores = (items: tf.Tensor3D) => network.score(features(), inference, { items, real }).arraySync() as number[][];
      const padded = tf.sub(1, tf.expandDims(real, 2)); // [3, 4, 1]
      const [as, other, noise] = [items, tf.add(items, 1), tf.add(items, padded)].map((each) => scores(each as tf.Tensor3D));
      assert.notDeepEqual(as?.[1], other?.[1], "another history gives the same scores");
      const difference = Math.max(...(as ?? []).flat().map((score, i) => Math.abs(score - (noise?.flat()[i] ?? Number.NaN))));
      assert.ok(difference < 1e-4, `what stands at padding changes the scores (by ${difference})`);
    }),
    "has a finite loss, also for a list without a relevant candidate, whose gradient reaches every parameter": built(
      (network, parameters) => {
        shape(network.loss(network.score(features(), inference), labels()), [], "loss");
        gradientsArrive(parameters, () => network.loss(network.score(features(), training()), labels()));
      },
    ),
    "prefers what is relevant once it has learnt a list by heart": built((network) => {
      const good = network.loss(tf.mul(tf.sub(tf.mul(labels(), 2), 1), 5), labels()).dataSync()[0] ?? Number.NaN;
      const bad = network.loss(tf.mul(tf.sub(tf.mul(labels(), 2), 1), -5), labels()).dataSync()[0] ?? Number.NaN;
      assert.ok(good < bad, `the loss of right scores (${good}) is not below that of wrong ones (${bad})`);
    }),
  };
  suite(subject, runner, checks, identityChecks(subject));
}
