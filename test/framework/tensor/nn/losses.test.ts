import * as tf from "@tensorflow/tfjs-core";
import { binaryCrossEntropy, listwiseSoftmax, softmaxCrossEntropy } from "../../../../framework/tensor/nn/index.js";
import { useEngine } from "../../../support/engine.js";
import { checkGradients, close, variable, withoutLeak } from "../../../support/tensors.js";

const { log } = Math;

describe("nn losses", () => {
  useEngine();

  it("listwise softmax: by hand, with two relevant items and a list without any", () =>
    withoutLeak(() =>
      tf.tidy(() => {
        const scores = tf.tensor2d([
          [log(1), log(2), log(5)],
          [log(1), log(1), log(2)],
          [3, 1, 2],
        ]);
        const labels = tf.tensor2d([
          [0, 1, 0],
          [1, 0, 1],
          [0, 0, 0],
        ]);
        // -(ln 2/8 + (ln 1/4 + ln 2/4) / 2) / 2
        close(listwiseSoftmax(scores, labels), [(log(4) + (log(4) + log(2)) / 2) / 2]);
        close(listwiseSoftmax(scores, tf.zerosLike(labels)), [0]);
      }),
    ));
  it("binary cross-entropy: by hand, weighted, and finite far out", () =>
    withoutLeak(() =>
      tf.tidy(() => {
        const logits = tf.tensor1d([log(3), log(3), 0]); // probabilities 3/4, 3/4, 1/2
        close(binaryCrossEntropy(logits, tf.tensor1d([1, 0, 1])), [(log(4 / 3) + log(4) + log(2)) / 3]);
        close(binaryCrossEntropy(logits, tf.tensor1d([1, 0, 1]), tf.tensor1d([2, 0, 1])), [(2 * log(4 / 3) + log(2)) / 3]);
        close(binaryCrossEntropy(tf.tensor1d([200, -200]), tf.tensor1d([0, 0])), [100]);
      }),
    ));
  it("softmax cross-entropy: by hand", () =>
    withoutLeak(() =>
      tf.tidy(() => {
        const logits = tf.tensor2d([
          [log(1), log(3)],
          [log(4), log(1)],
        ]);
        close(softmaxCrossEntropy(logits, tf.tensor1d([0, 0], "int32")), [(log(4) + log(5 / 4)) / 2]);
      }),
    ));
  it("has right gradients", () =>
    withoutLeak(() => {
      const x = variable(() =>
        tf.tensor2d([
          [0.3, -1, 2],
          [1, 0.2, 0.1],
          [0.5, -0.4, 0],
        ]),
      );
      const scores = x as tf.Tensor as tf.Tensor2D;
      const labels = () =>
        tf.tensor2d([
          [1, 0, 1],
          [0, 0, 0],
          [0, 1, 0],
        ]);
      checkGradients([x], () => tf.mul(listwiseSoftmax(scores, labels()), 3) as tf.Scalar);
      checkGradients([x], () => tf.mul(binaryCrossEntropy(scores, labels()), 3) as tf.Scalar);
      checkGradients([x], () =>
        binaryCrossEntropy(
          scores,
          labels(),
          tf.tensor2d([
            [1, 0, 2],
            [0, 3, 1],
            [1, 1, 1],
          ]),
        ),
      );
      checkGradients([x], () => softmaxCrossEntropy(scores, tf.tensor1d([2, 0, 1], "int32")));
      x.dispose();
    }));
});
