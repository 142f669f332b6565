import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import type { PreferenceBatch } from "../../../framework/contracts/feedback.js";
import { Dpo } from "../../../plugins/losses/dpo.js";
import { assertNoLeak, useEngine } from "../../support/engine.js";
import { checkGradients, close, variable } from "../../support/tensors.js";

interface Side {
  readonly logProbs: number[];
  readonly reference: number[];
}

/** @param rejected [pairs][k], flat by pair */
function lossesOf({ beta = 0.1, labelSmoothing = 0 }, chosen: Side, rejected: Side): number[] {
  return tf.tidy(() => {
    const pairs = chosen.logProbs.length;
    const matrix = (values: number[]) => tf.tensor2d(values, [pairs, values.length / pairs]);
    const batch: PreferenceBatch = {
      chosen: { logProbs: tf.tensor1d(chosen.logProbs), reference: tf.tensor1d(chosen.reference) },
      rejected: { logProbs: matrix(rejected.logProbs), reference: matrix(rejected.reference) },
    };
    const losses = new Dpo({ beta, labelSmoothing }).loss(batch);
    assert.deepEqual(losses.shape, [pairs]);
    return [...losses.dataSync()];
  });
}

const chosen = { logProbs: [-12.3, -8, -20.5], reference: [-13, -8.5, -20] };
const rejected = { logProbs: [-14.1, -7.2, -19], reference: [-13.5, -8.1, -20.4] };
const logProb = fc.double({ min: -200, max: 0, noNaN: true });

describe("dpo", () => {
  useEngine();

  it("has the golden rows of losses.md", () => {
    close(lossesOf({}, chosen, rejected), [0.630258, 0.713347, 0.792653], 2e-6);
  });

  it("is the mean over rejected texts, and smooths labels as cDPO", () => {
    // D = 1.3 and -2 at beta 0.1: softplus(-0.13) = 0.630258, softplus(0.2) = 0.798139
    const two = lossesOf({}, { logProbs: [-12.3], reference: [-13] }, { logProbs: [-14.1, -10], reference: [-13.5, -12.7] });
    close(two, [(0.630258 + 0.798139) / 2], 2e-6);
    // 0.9 softplus(-0.13) + 0.1 softplus(0.13)
    close(lossesOf({ labelSmoothing: 0.1 }, chosen, rejected).slice(0, 1), [0.9 * 0.630258 + 0.1 * 0.760258], 2e-6);
  });

  it("is ln 2 where policy and reference agree, falls as the margin grows, and needs the reference", () => {
    fc.assert(
      fc.property(logProb, logProb, (w, l) => {
        close(lossesOf({}, { logProbs: [w], reference: [w] }, { logProbs: [l], reference: [l] }), [Math.LN2], 1e-5);
      }),
    );
    fc.assert(
      fc.property(logProb, logProb, fc.double({ min: 0.1, max: 5, noNaN: true }), (w, l, more) => {
        const at = (margin: number) =>
          lossesOf({}, { logProbs: [w + margin], reference: [w] }, { logProbs: [l], reference: [l] })[0] as number;
        assert.ok(at(more) < at(0) && at(0) < at(-more));
      }),
    );
    const batch = { chosen: { logProbs: tf.tensor1d([0]) }, rejected: { logProbs: tf.tensor2d([[0]]) } };
    assert.throws(() => tf.tidy(() => new Dpo({ beta: 1, labelSmoothing: 0 }).loss(batch)), /"reference"/);
    tf.dispose([batch.chosen.logProbs, batch.rejected.logProbs]);
  });

  it("stays finite far out", () => {
    for (const far of [-1e6, -1e3, 1e3, 1e6]) {
      const [loss] = lossesOf({ beta: 1, labelSmoothing: 0.1 }, { logProbs: [far], reference: [0] }, { logProbs: [0], reference: [0] });
      assert.ok(Number.isFinite(loss), `${far}: ${loss}`);
    }
  });

  it("has the gradient of finite differences, opposite for the two sides", () =>
    assertNoLeak(() => {
      const [w, l] = [variable(() => tf.tensor1d(chosen.logProbs)), variable(() => tf.tensor2d(rejected.logProbs, [3, 1]))];
      const reference = [tf.tensor1d(chosen.reference), tf.tensor2d(rejected.reference, [3, 1])] as const;
      for (const labelSmoothing of [0, 0.2]) {
        const loss = new Dpo({ beta: 0.5, labelSmoothing });
        const mean = () =>
          tf.mean(
            loss.loss({
              chosen: { logProbs: w as tf.Tensor as tf.Tensor1D, reference: reference[0] },
              rejected: { logProbs: l as tf.Tensor as tf.Tensor2D, reference: reference[1] },
            }),
          ) as tf.Scalar;
        checkGradients([w, l], mean);
        tf.tidy(() => {
          const { grads } = tf.variableGrads(mean, [w, l]);
          close(grads[w.name] as tf.Tensor, tf.neg(grads[l.name] as tf.Tensor).dataSync(), 1e-6);
        });
      }
      tf.dispose([w, l, ...reference]);
    }));
});
