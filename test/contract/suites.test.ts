/** The contract suites themselves: each fault of a plugin fails the check that is there for it, and no other. */
import assert from "node:assert/strict";
import {
  type Dataset,
  options,
  type PluginClass,
  type PreferenceBatch,
  type PreferenceLoss,
  plugin,
  type Reward,
  type SamplingStrategy,
  type TextEncoder,
  tf,
} from "rlrf4rec";
import {
  datasetContract,
  lossContract,
  type Runner,
  rewardContract,
  type Subject,
  samplingContract,
  textEncoderContract,
} from "rlrf4rec/testing";
import { Ends, First, Lengths, Margin, Rows } from "../fixtures/plugins/parts.js";
import { useEngine } from "../support/engine.js";

/** Runs a suite by itself. @returns the titles of the checks that fail */
async function failures<Product extends object>(
  suite: (subject: Subject<Product>, runner: Runner) => void,
  subject: Subject<Product>,
): Promise<string[]> {
  const checks: [string, () => Promise<void>][] = [];
  suite(subject, { describe: (_title, body) => body(), it: (title, body) => void checks.push([title, body]) });
  assert.ok(checks.length > 4);
  const failed: string[] = [];
  for (const [title, check] of checks) await check().catch(() => failed.push(title));
  return failed;
}

const described = { version: "1.0.0", summary: "A plugin with a fault", source: "test/contract" } as const;
const chosen = ({ chosen: side }: PreferenceBatch): tf.Tensor1D => tf.neg(side.logProbs);

@plugin({ ...described, kind: "loss", name: "leaks" })
class Leaks implements PreferenceLoss {
  readonly needs = [];
  loss(batch: PreferenceBatch): tf.Tensor1D {
    tf.keep(tf.scalar(1));
    return chosen(batch);
  }
}

@plugin({ ...described, kind: "loss", name: "one-number" })
class OneNumber implements PreferenceLoss {
  readonly needs = [];
  loss(batch: PreferenceBatch): tf.Tensor1D {
    return tf.reshape(tf.mean(chosen(batch)), [1]);
  }
}

@plugin({ ...described, kind: "loss", name: "constant" })
class Constant implements PreferenceLoss {
  readonly needs = [];
  loss({ chosen: side }: PreferenceBatch): tf.Tensor1D {
    return tf.onesLike(side.logProbs);
  }
}

@plugin({ ...described, kind: "loss", name: "undeclared" })
class Undeclared implements PreferenceLoss {
  readonly needs = [];
  loss({ chosen: side }: PreferenceBatch): tf.Tensor1D {
    return tf.sub(side.reference as tf.Tensor1D, side.logProbs);
  }
}

@plugin({
  ...described,
  kind: "loss",
  name: "Overflows",
  version: "1",
  options: { type: "object", properties: { beta: { type: "nummer" } } },
})
class Overflows implements PreferenceLoss {
  readonly needs = ["reference"] as const;
  constructor(@options() readonly options: object) {}
  loss({ chosen: side }: PreferenceBatch): tf.Tensor1D {
    return tf.exp(tf.sub(side.reference as tf.Tensor1D, side.logProbs));
  }
}

@plugin({ ...described, kind: "reward", name: "upside-down" })
class UpsideDown extends First implements Reward {
  constructor() {
    super({ at: 1 });
  }
  override reward(batch: Parameters<First["reward"]>[0]): Float64Array {
    return super.reward(batch).map((reward) => -reward);
  }
}

@plugin({ ...described, kind: "sampling", name: "first-two" })
class FirstTwo implements SamplingStrategy {
  readonly samples = 2;
  readonly generation = { temperature: 1, topK: 0, topP: 1, minP: 0, maxTokens: 8, stop: [] };
  readonly needs = [];
  readonly rejected = 1;
  select() {
    return { examples: [{ chosen: 0, rejected: [1] }], dropped: null };
  }
}

@plugin({ ...described, kind: "text-encoder", name: "counts-calls" })
class CountsCalls implements TextEncoder {
  private calls = 0;
  async encode(texts: readonly string[]) {
    this.calls++;
    return { width: 1, vectors: Float32Array.from(texts, () => this.calls) };
  }
}

describe("contract suites", () => {
  useEngine();

  const loss = (type: PluginClass<PreferenceLoss>) => failures(lossContract, { plugin: type });
  it("pass what is sound", async () => {
    assert.deepEqual(await failures(lossContract, { plugin: Margin as PluginClass<PreferenceLoss> }), []);
    assert.deepEqual(await failures(samplingContract, { plugin: Ends as PluginClass<SamplingStrategy> }), [
      "makes examples of the samples' own indices, or says why not", // it looks at no NaN and chooses what does not conform
    ]);
    assert.deepEqual(await failures(textEncoderContract, { plugin: Lengths as PluginClass<TextEncoder> }), []);
  });

  it("find tensors that are left behind", async () => {
    assert.deepEqual(await loss(Leaks), [
      "gives a finite loss for each pair",
      "computes with what it says it needs, and nothing else",
      "sends a finite gradient to the policy",
      "is finite 10,000 nats away from the reference, and so is its gradient",
      "begins anew with restore(null), and goes on from its state",
    ]);
  });
  it("find a wrong shape", async () => assert.deepEqual(await loss(OneNumber), ["gives a finite loss for each pair"]));
  it("find a gradient that does not arrive", async () => assert.deepEqual(await loss(Constant), ["sends a finite gradient to the policy"]));
  it("find needs that are not declared", async () =>
    assert.deepEqual(await loss(Undeclared), ["computes with what it says it needs, and nothing else"]));
  it("find values that overflow, and an identity that is not complete", async () => {
    assert.deepEqual((await loss(Overflows as PluginClass<PreferenceLoss>)).slice(0, 2), [
      "says who it is",
      "has a valid schema of its options, and says what each is",
    ]);
  });
  it("find rewards that are the wrong way round or that know nothing of missing relevance", async () => {
    assert.deepEqual(await failures(rewardContract, { plugin: UpsideDown }), [
      "gives one number a text, and NaN where no list has a relevant candidate",
      "is higher for a better ranking",
    ]);
  });
  it("find strategies that prefer without a reason", async () => {
    assert.deepEqual(await failures(samplingContract, { plugin: FirstTwo }), [
      "makes examples of the samples' own indices, or says why not",
      "makes nothing of nothing, and of rewards that are all equal no preference",
    ]);
  });
  it("find vectors that change", async () => {
    const failed = await failures(textEncoderContract, { plugin: CountsCalls });
    assert.deepEqual(failed, ["gives a text the same vector, whatever stands beside it", "tells texts apart"]);
  });
  it("find empty data", async () => {
    assert.deepEqual(await failures(datasetContract, { plugin: Rows as PluginClass<Dataset> }), [
      "fills interactions and items",
      "has relevant interactions and others, rated on its scale",
    ]);
  });
});
