import assert from "node:assert/strict";
import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import { AdamW, valueAndGradients } from "../../../framework/tensor/optimiser.js";
import { learningRateScale } from "../../../framework/tensor/schedule.js";
import { close, variable, withoutLeak } from "../../support/tensors.js";

describe("AdamW", () => {
  it("makes two steps as computed by hand, on two variables", () => {
    withoutLeak(() => {
      const a = variable(() => tf.tensor1d([1, -2]));
      const b = variable(() => tf.tensor2d([[0.5]]));
      const optimiser = new AdamW([a, b], { learningRate: 0.1, weightDecay: 0.01 });
      const gradients = [tf.tensor1d([3, -4]), tf.tensor2d([[12]])];
      assert.equal(optimiser.apply(gradients), 13);
      // bias-corrected moments of the first step are g and g²: a step is lr * sign(g); the decay is 1 - lr * wd = 0.999
      close(a, [0.999 - 0.1, -1.998 + 0.1]);
      close(b, [0.4995 - 0.1]);
      tf.dispose(gradients);
      const second = [tf.tensor1d([1, 0]), tf.tensor2d([[-12]])];
      optimiser.apply(second, 0.5);
      const expected = (p: number, g1: number, g2: number) => {
        const m = (0.09 * g1 + 0.1 * g2) / (1 - 0.81); // 0.9 * 0.1 g1 + 0.1 g2
        const v = (0.000999 * g1 ** 2 + 0.001 * g2 ** 2) / (1 - 0.998001);
        return p * (1 - 0.05 * 0.01) - (0.05 * m) / (Math.sqrt(v) + 1e-8);
      };
      close(a, [expected(0.899, 3, 1), expected(-1.898, -4, 0)]);
      close(b, [expected(0.3995, 12, -12)]);
      tf.dispose([second, a, b]);
      optimiser.dispose();
    });
  });

  it("clips by the global norm, and tells the norm before", () => {
    withoutLeak(() => {
      // with epsilon = 1 and no momentum a step is lr * g / (|g| + 1): the size of g shows
      const a = variable(() => tf.tensor1d([0, 0]));
      const optimiser = new AdamW([a], { learningRate: 1, weightDecay: 0, beta1: 0, beta2: 0, epsilon: 1, clip: 1 });
      const gradient = tf.tensor1d([3, 4]);
      assert.equal(optimiser.apply([gradient]), 5);
      close(a, [-0.6 / 1.6, -0.8 / 1.8]);
      tf.dispose([gradient, a]);
      optimiser.dispose();
    });
  });

  it("changes nothing when a gradient is not finite", () => {
    withoutLeak(() => {
      const a = variable(() => tf.tensor1d([1, 2]));
      const optimiser = new AdamW([a], { learningRate: 1, weightDecay: 0.1 });
      const gradient = tf.tensor1d([Number.NaN, 1]);
      assert.ok(Number.isNaN(optimiser.apply([gradient])));
      close(a, [1, 2]);
      tf.dispose([gradient, a]);
      optimiser.dispose();
    });
  });

  it("notices values assigned from outside, and goes on from a restored state bit for bit", async () => {
    const before = tf.memory().numTensors;
    const gradientsAt = (step: number) => [tf.tensor1d([Math.sin(step), 0.3]), tf.tensor1d([Math.cos(step)])];
    const make = () => [variable(() => tf.tensor1d([1, 2])), variable(() => tf.tensor1d([3]))];
    const one = make();
    const optimiser = new AdamW(one, { learningRate: 0.01, weightDecay: 0.1 });
    for (let step = 0; step < 3; step++) tf.tidy(() => optimiser.apply(gradientsAt(step)));
    const state = await optimiser.state();
    const two = make();
    const copyOver = () => {
      for (const [i, each] of two.entries()) tf.tidy(() => each.assign(tf.clone(one[i] as tf.Tensor)));
    };
    copyOver();
    const again = new AdamW(two, { learningRate: 0.01, weightDecay: 0.1 });
    tf.tidy(() => again.apply(gradientsAt(0)));
    copyOver();
    again.restore(state);
    for (let step = 3; step < 5; step++) for (const each of [optimiser, again]) tf.tidy(() => each.apply(gradientsAt(step)));
    for (const [i, each] of one.entries()) assert.deepEqual(each.dataSync(), (two[i] as tf.Variable).dataSync());
    tf.dispose([one, two]);
    optimiser.dispose();
    again.dispose();
    assert.equal(tf.memory().numTensors, before);
  });

  it("fits a line", () => {
    withoutLeak(() => {
      const slope = variable(() => tf.scalar(0));
      const unused = variable(() => tf.scalar(7));
      const x = tf.tensor1d([0, 1, 2, 3]);
      const y = tf.tensor1d([0, 2, 4, 6]);
      const optimiser = new AdamW([slope, unused], { learningRate: 0.1, weightDecay: 0 });
      for (let step = 0; step < 200; step++) {
        const { gradients } = valueAndGradients([slope, unused], () => tf.mean(tf.square(tf.sub(tf.mul(x, slope), y))) as tf.Scalar);
        optimiser.apply(gradients, learningRateScale(step, 200, "cosine", 0.1));
        tf.dispose(gradients as tf.Tensor[]);
      }
      close(slope, [2], 1e-3);
      close(unused, [7]);
      tf.dispose([slope, unused, x, y]);
      optimiser.dispose();
    });
  });
});

describe("learningRateScale", () => {
  it("rises, then follows its schedule", () => {
    const scales = (schedule: "constant" | "linear" | "cosine") =>
      Array.from({ length: 6 }, (_, step) => learningRateScale(step, 6, schedule, 1 / 3));
    assert.deepEqual(scales("constant"), [0.5, 1, 1, 1, 1, 1]);
    assert.deepEqual(scales("linear"), [0.5, 1, 1, 0.75, 0.5, 0.25]);
    const cosine = [0.5, 1, 1, (1 + Math.SQRT1_2) / 2, 0.5, (1 - Math.SQRT1_2) / 2];
    close(scales("cosine"), cosine, 1e-12);
    assert.equal(learningRateScale(0, 10, "cosine", 0), 1);
  });
});
