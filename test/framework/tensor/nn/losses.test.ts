import * as tf from "@tensorflow/tfjs-core";
import { attentionRank, binaryCrossEntropy, catalogueCrossEntropy, listwiseSoftmax } from "../../../../framework/tensor/nn/index.js";
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
  it("attention rank: by hand, graded, and a list without a relevant item; right gradients", () =>
    withoutLeak(() => {
      tf.tidy(() => {
        const scores = tf.tensor2d([
          [log(1), log(2), log(5)], // 1/8, 2/8, 5/8
          [3, 1, 2],
        ]);
        const labels = (first: number[]) => tf.tensor2d([first, [0, 0, 0]]);
        close(attentionRank(scores, labels([0, 1, 0])), [log(8 / 7) + log(4) + log(8 / 3)]);
        const more = Math.E / (1 + Math.E); // e² against e
        const each = (wanted: number, given: number) => -(wanted * log(given) + (1 - wanted) * log(1 - given));
        close(attentionRank(scores, labels([2, 1, 0])), [each(more, 1 / 8) + each(1 - more, 2 / 8) + each(0, 5 / 8)]);
        close(attentionRank(tf.tensor2d([[100, -100]]), tf.tensor2d([[0, 1]])), [200 + 7 * log(10)], 1e-3);
      });
      const scores = variable(() => tf.tensor2d([0.3, -1, 2, 0.5, 0.1, -0.4], [2, 3]));
      checkGradients([scores], () => attentionRank(scores as tf.Tensor as tf.Tensor2D, tf.tensor2d([1, 0, 1, 0, 0, 0], [2, 3])));
      scores.dispose();
    }));
  it("binary cross-entropy: by hand, weighted, and finite far out", () =>
    withoutLeak(() =>
      tf.tidy(() => {
        const logits = tf.tensor1d([log(3), log(3), 0]); // probabilities 3/4, 3/4, 1/2
        close(binaryCrossEntropy(logits, tf.tensor1d([1, 0, 1])), [(log(4 / 3) + log(4) + log(2)) / 3]);
        close(binaryCrossEntropy(logits, tf.tensor1d([1, 0, 1]), tf.tensor1d([2, 0, 1])), [(2 * log(4 / 3) + log(2)) / 3]);
        close(binaryCrossEntropy(tf.tensor1d([200, -200]), tf.tensor1d([0, 0])), [100]);
      }),
    ));
  it("catalogue cross-entropy: by hand", () =>
    withoutLeak(() =>
      tf.tidy(() => {
        const states = tf.tensor2d([[1], [-1]]);
        const table = tf.tensor2d([[0], [log(3)]]); // probabilities 1/4, 3/4 and 3/4, 1/4
        close(catalogueCrossEntropy(states, table, Int32Array.of(0, 0)), [(log(4) + log(4 / 3)) / 2]);
      }),
    ));
  it("catalogue cross-entropy: pieces give what the whole would, with right gradients", () =>
    withoutLeak(() => {
      // 3,000 items: at most 1,398 rows at once, so 2,000 rows are two pieces
      const [rows, items] = [2000, 3000];
      const state = variable(() => tf.reshape(tf.mul(tf.sin(tf.range(0, rows * 2)), 2), [rows, 2]));
      const table = variable(() => tf.reshape(tf.mul(tf.cos(tf.range(0, items * 2)), 2), [items, 2]));
      const right = Int32Array.from({ length: rows }, (_, i) => (i * 7) % items);
      const [states, all] = [state as tf.Tensor as tf.Tensor2D, table as tf.Tensor as tf.Tensor2D];
      tf.tidy(() => {
        const logProbs = tf.logSoftmax(tf.matMul(states, all, false, true)).arraySync() as number[][];
        const expected = -right.reduce((sum, item, row) => sum + ((logProbs[row] as number[])[item] as number), 0) / rows;
        close(catalogueCrossEntropy(states, all, right), [expected], 1e-4);
      });
      state.dispose();
      table.dispose();
      const [few, small] = [
        variable(() =>
          tf.tensor2d([
            [0.3, -1],
            [1, 0.2],
            [0.5, 2],
          ]),
        ),
        variable(() =>
          tf.tensor2d([
            [1, 2],
            [-1, 0.5],
            [0.3, 0.1],
            [2, -1],
          ]),
        ),
      ];
      checkGradients(
        [few, small],
        () =>
          tf.mul(
            catalogueCrossEntropy(few as tf.Tensor as tf.Tensor2D, small as tf.Tensor as tf.Tensor2D, Int32Array.of(3, 0, 3)),
            3,
          ) as tf.Scalar,
      );
      tf.dispose([few, small]);
    }));
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
      x.dispose();
    }));
});
