import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { SequenceEncoder } from "../../../framework/contracts/recommender.js";
import { RewardModels } from "../../../framework/method/reward.js";
import { parseStructure, type UserText } from "../../../framework/method/structure.js";
import { Study } from "../../../framework/method/study.js";
import { Store } from "../../../framework/store/store.js";
import { silentTracker } from "../../../framework/track/tracker.js";
import { MlpAdaptor } from "../../../plugins/adaptors/mlp.js";
import { SasRec } from "../../../plugins/encoders/sasrec.js";
import { Pointwise } from "../../../plugins/rerankers/pointwise.js";
import { Ndcg } from "../../../plugins/rewards/ndcg.js";
import { defaultsOf } from "../../bench/workload.js";
import { assertNoLeak, useEngine } from "../../support/engine.js";
import { createListener } from "../../support/faults.js";
import { useFolder } from "../../support/folder.js";
import { span, tastes } from "./tastes.js";

const { data, knowledge, round } = tastes();
const other = { train: span(30, 90), valid: span(20, 30), test: span(0, 20) };
const texts = data.users.map((_, user): UserText => ({ user, text: "", parsed: parseStructure("", []) }));
const told = { name: "llm-0", texts };

describe("reward models", () => {
  useEngine();
  const folder = useFolder();

  /** With two folds and one seed. @param built counts the networks of the encoder */
  function studyOf(built: { count: number }): Study {
    const sasrec = new SasRec({ ...defaultsOf(SasRec), hidden: 4, epochs: 1 });
    const build: SequenceEncoder["build"] = (...args) => {
      built.count++;
      return sasrec.build(...args);
    };
    const parts = {
      encoder: { fit: sasrec.fit, build },
      adaptor: new MlpAdaptor(defaultsOf(MlpAdaptor)),
      reranker: new Pointwise({ ...defaultsOf(Pointwise), epochs: 1 }),
      identities: { encoder: "sasrec", adaptor: "mlp", reranker: "pointwise", reward: "ndcg" },
      executor: { parallel: 1 },
    };
    const context = {
      store: new Store(folder("store"), createListener()),
      tracker: silentTracker,
      progress: { start: () => ({ advance: () => {}, end: () => {} }) },
      engine: { name: "tensorflow" },
      signal: new AbortController().signal,
    };
    const spec = { seeds: [1], protocol: { metrics: ["ndcg@5"], ties: "expected", history: 5 } };
    const heard = { knowledge: async () => knowledge, encode: async () => knowledge.users };
    const parted = { ...data, parts: { ...data.parts, reward: [round, other] } };
    return Object.assign(Object.create(Study.prototype) as Study, { spec, parts, context, data: parted, dataKey: "tastes", ...heard });
  }

  it("of a later iteration take the encoders of an earlier one, and leave it whole", () =>
    assertNoLeak(async () => {
      const built = { count: 0 };
      const study = studyOf(built);
      const reward = new Ndcg({ at: 5 });
      const first = await RewardModels.fit(study, reward, told);
      assert.equal(built.count, 4, "two folds, each fitted and restored");
      const tensors = tf.memory().numTensors;
      const second = await RewardModels.fit(study, reward, told, first);
      assert.equal(built.count, 4);
      second.dispose();
      assert.equal(tf.memory().numTensors, tensors);
      const rewards = await first.score(texts);
      assert.deepEqual([...rewards.keys()].filter((user) => rewards[user] !== 0), [...span(0, 20), ...span(70, 90)]); // biome-ignore format: one line
      first.dispose();
    })).timeout(60_000);
});
