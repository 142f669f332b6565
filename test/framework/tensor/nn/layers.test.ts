import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { Mode } from "../../../../framework/contracts/recommender.js";
import { createRng } from "../../../../framework/rng.js";
import * as nn from "../../../../framework/tensor/nn/index.js";
import { Parameters } from "../../../../framework/tensor/parameters.js";
import { useEngine } from "../../../support/engine.js";
import { checkGradients, close, variable, withoutLeak } from "../../../support/tensors.js";

const random = (shape: number[], seed: number, scale = 1) => {
  const rng = createRng("test", seed);
  return tf.tensor(
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => rng.normal() * scale),
    shape,
  );
};
/** Weighs every output differently, so that no entry's gradient can hide in a sum. */
const probe = (x: tf.Tensor): tf.Scalar => tf.sum(tf.mul(x, random(x.shape, 99)));

/** Gradients of all parameters and of the input. */
function checkLayer(build: (scope: Parameters) => (x: tf.Tensor) => tf.Tensor, inputShape: number[]): void {
  withoutLeak(() => {
    const parameters = new Parameters(createRng("layer"));
    const layer = build(parameters);
    const x = variable(() => random(inputShape, 1));
    // away from the initial zeros and ones, at which some gradients vanish
    for (const [i, each] of [...parameters.all.values()].entries())
      tf.tidy(() => each.assign(tf.add(each, random(each.shape, i + 2, 0.3))));
    checkGradients([x, ...parameters.all.values()], () => probe(layer(x)));
    parameters.dispose();
    x.dispose();
  });
}

/** The layer's output for parameters given by name. */
function forward(
  build: (scope: Parameters) => (x: tf.Tensor) => tf.Tensor,
  values: Record<string, number[]>,
  x: () => tf.Tensor,
): number[] {
  return withoutLeak(() => {
    const parameters = new Parameters(createRng("layer"));
    const layer = build(parameters);
    parameters.restore(
      Object.fromEntries([...parameters.all].map(([name, { shape }]) => [name, { shape, values: Float32Array.from(values[name] ?? []) }])),
    );
    const out = tf.tidy(() => [...layer(x()).dataSync()]);
    parameters.dispose();
    return out;
  });
}

describe("nn layers", () => {
  useEngine();

  describe("dense", () => {
    it("is x W + b over the last dimension", () => {
      const build = (scope: Parameters) => nn.dense(scope, { inputs: 2, outputs: 3 });
      const out = forward(build, { weights: [1, 2, 3, 4, 5, 6], biases: [0.5, 0, -1] }, () => tf.tensor3d([[[1, 1]], [[2, -1]]]));
      close(out, [5.5, 7, 8, -1.5, -1, -1]);
    });
    it("has right gradients", () => checkLayer((scope) => nn.dense(scope, { inputs: 3, outputs: 4 }), [2, 5, 3]));
    it("stacks with ReLU between", () => {
      const build = (scope: Parameters) => {
        const layer = nn.mlp(scope, 1, [2, 1]);
        return (x: tf.Tensor) => layer(x, nn.evaluating);
      };
      const values = { "layer0/weights": [1, -1], "layer0/biases": [0, 0], "layer1/weights": [10, 100], "layer1/biases": [1] };
      close(
        forward(build, values, () => tf.tensor2d([[2], [-3]])),
        [21, 301],
      );
      checkLayer(
        (scope) => {
          const layer = nn.mlp(scope, 3, [5, 4, 2]);
          return (x) => layer(x, nn.evaluating);
        },
        [4, 3],
      );
    });
  });

  describe("embedding", () => {
    it("looks rows up, and sums the gradients of a row looked up twice", () =>
      withoutLeak(() => {
        const parameters = new Parameters(createRng("e"));
        const look = nn.embedding(parameters, { count: 4, width: 2 });
        tf.tidy(() => {
          const ids = tf.tensor2d([[3, 1, 3]], [1, 3], "int32");
          const { grads } = tf.variableGrads(() =>
            tf.sum(
              tf.mul(
                look(ids),
                tf.tensor3d([
                  [
                    [1, 2],
                    [3, 4],
                    [10, 20],
                  ],
                ]),
              ),
            ),
          );
          close(grads[look.table.name] as tf.Tensor, [0, 0, 3, 4, 0, 0, 11, 22]);
        });
        checkGradients([look.table], () => probe(tf.square(look(tf.tensor1d([2, 2, 0], "int32")))));
        parameters.dispose();
      }));
  });

  it("plus adds, and its gradients can be added to", () =>
    withoutLeak(() => {
      const [a, b] = [variable(() => random([2, 3], 1)), variable(() => random([2, 3], 2))];
      checkGradients([a, b], () => probe(tf.mul(nn.plus(nn.plus(a, b), a), a)));
      tf.dispose([a, b]);
    }));

  describe("rowDots", () => {
    it("sums products along the last dimension, with right gradients", () =>
      withoutLeak(() => {
        tf.tidy(() =>
          close(
            nn.rowDots(
              tf.tensor2d([
                [1, 2],
                [3, 4],
              ]),
              tf.tensor2d([
                [5, 6],
                [7, 8],
              ]),
            ),
            [17, 53],
          ),
        );
        const [a, b] = [variable(() => random([2, 3, 4], 1)), variable(() => random([2, 3, 4], 2))];
        checkGradients([a, b], () => probe(nn.rowDots(a, b)));
        tf.dispose([a, b]);
      }));
  });

  describe("layerNorm", () => {
    it("standardises the last dimension, then scales and shifts", () => {
      const build = (scope: Parameters) => nn.layerNorm(scope, 4, 0);
      const out = forward(build, { gain: [1, 1, 2, 2], bias: [0, 0, 0, 1] }, () =>
        tf.tensor2d([
          [1, 1, 3, 3],
          [0, 8, 0, 8],
        ]),
      );
      close(out, [-1, -1, 2, 3, -1, 1, -2, 3]);
    });
    it("has right gradients", () => checkLayer((scope) => nn.layerNorm(scope, 5), [2, 3, 5]));
  });

  describe("dropout", () => {
    it("is the identity outside training", () =>
      withoutLeak(() =>
        tf.tidy(() => {
          const x = random([3, 4], 1);
          assert.equal(nn.dropout(x, 0.5, nn.evaluating), x);
          assert.equal(nn.dropout(x, 0, nn.training(createRng("d"))), x);
        }),
      ));
    it("zeroes a share, scales the rest, differs by step, repeats by seed", () =>
      withoutLeak(() =>
        tf.tidy(() => {
          const x = tf.ones([200, 100]);
          const draw = (mode = nn.training(createRng("d"))) =>
            [nn.dropout(x, 0.2, mode), nn.dropout(x, 0.2, mode)].map((t) => t.dataSync());
          const [one, two] = draw() as [Float32Array, Float32Array];
          assert.ok(one.every((value) => value === 0 || Math.abs(value - 1.25) < 1e-6));
          const kept = one.filter((value) => value > 0).length / one.length;
          assert.ok(Math.abs(kept - 0.8) < 0.015, `kept ${kept}`);
          assert.notDeepEqual(one, two);
          assert.deepEqual(draw(), [one, two]);
        }),
      ));
    it("covers tensors longer than its window", () =>
      withoutLeak(() =>
        tf.tidy(() => {
          const x = tf.ones([6_000_000]);
          const mean = tf.mean(nn.dropout(x, 0.5, nn.training(createRng("d")))).dataSync()[0] as number;
          assert.ok(Math.abs(mean - 1) < 0.01, `mean ${mean}`);
        }),
      ));
    it("drops the same units along a dimension of length 1", () =>
      withoutLeak(() =>
        tf.tidy(() => {
          const [first, second] = tf.unstack(nn.dropout(tf.ones([2, 50, 4]), 0.5, nn.training(createRng("d")), [1, 50, 4])) as [
            tf.Tensor,
            tf.Tensor,
          ];
          assert.deepEqual(first.dataSync(), second.dataSync());
          assert.ok(first.dataSync().includes(0) && first.dataSync().includes(2));
        }),
      ));
    it("passes the gradient where it passed the value", () =>
      withoutLeak(() =>
        tf.tidy(() => {
          const mode = nn.training(createRng("d"));
          let out: tf.Tensor | undefined;
          const gradient = tf.grad((x) => {
            out = tf.keep(nn.dropout(x, 0.5, mode));
            return tf.sum(out);
          })(tf.ones([100]));
          assert.deepEqual(gradient.dataSync(), out?.dataSync());
          out?.dispose();
        }),
      ));
    it("refuses a rate that is none", () => assert.throws(() => nn.dropout(tf.scalar(1), 1, nn.training(createRng("d"))), RangeError));
  });

  describe("attention", () => {
    it("weighs values as computed by hand, one head", () =>
      withoutLeak(() =>
        tf.tidy(() => {
          // d = 1; scores of the one query: ln 1, ln 3 -> weights 1/4, 3/4
          const q = tf.tensor4d([1], [1, 1, 1, 1]);
          const k = tf.tensor4d([0, Math.log(3)], [1, 1, 2, 1]);
          const v = tf.tensor4d([8, 4], [1, 1, 2, 1]);
          close(nn.scaledDotProductAttention(q, k, v), [5]);
          close(nn.scaledDotProductAttention(q, k, v, tf.tensor2d([[-1e9, 0]])), [4]);
        }),
      ));
    it("has right gradients for q, k and v, with a mask", () =>
      withoutLeak(() => {
        const [q, k, v] = [1, 2, 3].map((seed) => variable(() => random([2, 2, 3, 4], seed))) as [tf.Variable, tf.Variable, tf.Variable];
        checkGradients([q, k, v], () =>
          probe(
            nn.scaledDotProductAttention(
              q as tf.Tensor as tf.Tensor4D,
              k as tf.Tensor as tf.Tensor4D,
              v as tf.Tensor as tf.Tensor4D,
              nn.causalMask(3),
            ),
          ),
        );
        tf.dispose([q, k, v]);
      }));
    it("drops of the weights: value and gradients are those of the plain composition", () =>
      withoutLeak(() => {
        const [q, k, v] = [1, 2, 3].map((seed) => random([2, 2, 3, 4], seed)) as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D];
        const dropout = () => ({ rate: 0.4, mode: nn.training(createRng("weights")) }); // the same mask each time
        const ours = (q: tf.Tensor, k: tf.Tensor, v: tf.Tensor) =>
          nn.scaledDotProductAttention(q as tf.Tensor4D, k as tf.Tensor4D, v as tf.Tensor4D, nn.causalMask(3), dropout());
        const plain = (q: tf.Tensor, k: tf.Tensor, v: tf.Tensor) => {
          const weights = tf.softmax(tf.add(tf.div(tf.matMul(q, k, false, true), 2), nn.causalMask(3)));
          const { rate, mode } = dropout();
          return tf.matMul(nn.dropout(weights, rate, mode), v);
        };
        tf.tidy(() => {
          close(ours(q, k, v), plain(q, k, v).dataSync());
          assert.notDeepEqual(ours(q, k, v).dataSync(), nn.scaledDotProductAttention(q, k, v, nn.causalMask(3)).dataSync());
          const gradients = (of: typeof ours | typeof plain) => tf.grads((q, k, v) => probe(of(q, k, v)))([q, k, v]);
          const expected = gradients(plain);
          for (const [i, gradient] of gradients(ours).entries()) close(gradient, (expected[i] as tf.Tensor).dataSync());
        });
        tf.dispose([q, k, v]);
      }));
    it("with dropout of the weights has right gradients, and drops nothing outside training", () =>
      withoutLeak(() => {
        const all = [1, 2, 3].map((seed) => variable(() => random([2, 2, 3, 4], seed)));
        const [q, k, v] = all as tf.Tensor[] as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D];
        const attend = (mode: Mode) => nn.scaledDotProductAttention(q, k, v, undefined, { rate: 0.4, mode });
        checkGradients(all, () => probe(attend(nn.training(createRng("weights")))));
        tf.tidy(() => close(attend(nn.evaluating), nn.scaledDotProductAttention(q, k, v).dataSync()));
        tf.dispose(all);
      }));
    for (const heads of [1, 2])
      it(`self-attention with ${heads} head(s) has right gradients`, () =>
        checkLayer(
          (scope) => {
            const layer = nn.selfAttention(scope, { width: 4, heads });
            return (x) => layer(x as tf.Tensor2D, 2, nn.causalMask(3));
          },
          [2 * 3, 4],
        ));
    it("two heads equal two attentions of half the width", () =>
      withoutLeak(() => {
        const parameters = new Parameters(createRng("h"));
        const layer = nn.selfAttention(parameters, { width: 4, heads: 2 });
        tf.tidy(() => {
          const x = random([2, 3, 4], 5) as tf.Tensor3D;
          const weights = (name: string) => parameters.all.get(`${name}/weights`) as unknown as tf.Tensor2D;
          const project = (name: string) => tf.reshape(tf.matMul(tf.reshape(x, [6, 4]), weights(name)), [2, 3, 4]);
          const half = (t: tf.Tensor, head: number) => tf.reshape(tf.slice(t, [0, 0, head * 2], [2, 3, 2]), [1, 2, 3, 2]) as tf.Tensor4D;
          const heads = [0, 1].map((head) =>
            nn.scaledDotProductAttention(half(project("query"), head), half(project("key"), head), half(project("value"), head)),
          );
          const expected = tf.matMul(tf.reshape(tf.concat(heads, 3), [6, 4]), weights("output"));
          close(layer(tf.reshape(x, [6, 4]), 2), expected.dataSync());
        });
        parameters.dispose();
      }));
    it("does not look ahead under the causal mask, nor at padding under the padding mask", () =>
      withoutLeak(() => {
        const parameters = new Parameters(createRng("c"));
        const layer = nn.selfAttention(parameters, { width: 4, heads: 1 });
        tf.tidy(() => {
          const x = random([1, 3, 4], 5) as tf.Tensor3D;
          const changed = tf.concat([tf.slice(x, [0, 0, 0], [1, 2, 4]), random([1, 1, 4], 6)], 1) as tf.Tensor3D;
          const firstTwo = (x: tf.Tensor3D, mask: tf.Tensor) => tf.slice(layer(tf.reshape(x, [3, 4]), 1, mask), [0, 0], [2, 4]).dataSync();
          assert.deepEqual(firstTwo(x, nn.causalMask(3)), firstTwo(changed, nn.causalMask(3)));
          const padded = nn.paddingMask(tf.tensor2d([[7, 9, 0]], [1, 3], "int32"));
          assert.deepEqual(firstTwo(x, padded), firstTwo(changed, padded));
        });
        parameters.dispose();
      }));
    it("lets an item see itself and what is before it, and padding itself alone, under the history mask", () =>
      withoutLeak(() =>
        tf.tidy(() => {
          const seen = tf
            .equal(
              nn.historyMask(
                tf.tensor2d(
                  [
                    [0, 0, 7],
                    [0, 8, 9],
                  ],
                  [2, 3],
                  "int32",
                ),
              ),
              0,
            )
            .arraySync();
          assert.deepEqual(seen, [
            [
              [1, 0, 0],
              [0, 1, 0],
              [0, 0, 1],
            ],
            [
              [1, 0, 0],
              [0, 1, 0],
              [0, 1, 1],
            ],
          ]);
        }),
      ));
    it("refuses heads that do not divide the width", () =>
      assert.throws(() => nn.selfAttention(new Parameters(createRng("x")), { width: 4, heads: 3 }), RangeError));
  });

  describe("activations", () => {
    it("elu, gelu, silu and prelu have their values", () =>
      withoutLeak(() =>
        tf.tidy(() => {
          const x = () => tf.tensor1d([-1, 0, 2]);
          close(nn.elu(x()), [Math.exp(-1) - 1, 0, 2]);
          close(nn.gelu(x()), [-0.158655, 0, 1.9545]);
          close(nn.silu(x()), [-0.268941, 0, 1.761594]);
          close(
            nn.prelu(
              tf.tensor2d([
                [-1, -1],
                [2, 0],
              ]),
              tf.tensor1d([0.25, 3]),
            ),
            [-0.25, -3, 2, 0],
          );
          close(
            nn.l2Normalised(
              tf.tensor2d([
                [3, 4],
                [0, 0],
              ]),
            ),
            [0.6, 0.8, 0, 0],
          );
        }),
      ));
    const each: Record<string, (x: tf.Tensor) => tf.Tensor> = { elu: nn.elu, gelu: nn.gelu, silu: nn.silu, l2Normalised: nn.l2Normalised };
    for (const [name, activation] of Object.entries(each)) it(`${name} has right gradients`, () => checkLayer(() => activation, [4, 3]));
    it("prelu has right gradients", () =>
      checkLayer(
        (scope) => {
          const slope = scope.create("slope", [3], nn.ones);
          return (x) => nn.prelu(x, slope);
        },
        [4, 3],
      ));
    it("a linear layer and a gelu layer have right gradients", () => {
      checkLayer((scope) => nn.linear(scope, { inputs: 3, outputs: 2 }), [2, 4, 3]);
      checkLayer((scope) => nn.dense(scope, { inputs: 3, outputs: 2, activation: "gelu" }), [2, 4, 3]);
    });
  });

  describe("recurrence", () => {
    const real = () =>
      tf.tensor2d([
        [0, 0, 1, 1],
        [1, 1, 1, 1],
      ]);
    const build = {
      gru: (scope: Parameters) => nn.gru(scope, { inputs: 3, hidden: 2 }),
      lstm: (scope: Parameters) => {
        const layer = nn.lstm(scope, { inputs: 3, hidden: 2 });
        return (x: tf.Tensor3D, mask?: tf.Tensor2D) => {
          const { states, last } = layer.scan(x, mask);
          return tf.concat([states, tf.expandDims(last.cell, 1)], 1);
        };
      },
    };
    for (const [name, create] of Object.entries(build)) {
      for (const masked of [false, true])
        it(`a ${name} has right gradients through time${masked ? ", with padding" : ""}`, () =>
          checkLayer(
            (scope) => {
              const layer = create(scope);
              return (x) => layer(x as tf.Tensor3D, masked ? real() : undefined);
            },
            [2, 4, 3],
          ));
      it(`a ${name} has states of 0 at padding, and begins after it`, () =>
        withoutLeak(() => {
          const parameters = new Parameters(createRng("r"));
          const layer = create(parameters);
          tf.tidy(() => {
            const x = random([2, 4, 3], 4) as tf.Tensor3D;
            const states = layer(x, real());
            close(tf.slice(states, [0, 0, 0], [1, 2, 2]), [0, 0, 0, 0]);
            const alone = layer(tf.slice(x, [0, 2, 0], [1, 2, 3]));
            close(tf.slice(states, [0, 2, 0], [1, 2, 2]), tf.slice(alone, [0, 0, 0], [1, 2, 2]).dataSync());
          });
          parameters.dispose();
        }));
    }
    it("a gru's step is (1 - z) n + z h", () => {
      const values = { "input/weights": [1, 2, 3], "input/biases": [0, 0, 0], "state/weights": [0.5, -1, 2], "state/biases": [0, 0, 0.1] };
      const out = forward(
        (scope) => {
          const layer = nn.gru(scope, { inputs: 1, hidden: 1 });
          return (x) => layer(x as tf.Tensor3D);
        },
        values,
        () => tf.tensor3d([[[0.5], [-1]]]),
      );
      const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
      const step = (x: number, h: number) => {
        const [r, z] = [sigmoid(x + 0.5 * h), sigmoid(2 * x - h)];
        return (1 - z) * Math.tanh(3 * x + r * (2 * h + 0.1)) + z * h;
      };
      const first = step(0.5, 0);
      close(out, [first, step(-1, first)]);
    });
    it("an lstm's steps are its scan's", () =>
      withoutLeak(() => {
        const parameters = new Parameters(createRng("r"));
        const layer = nn.lstm(parameters, { inputs: 3, hidden: 2 });
        tf.tidy(() => {
          const x = random([2, 2, 3], 4) as tf.Tensor3D;
          const [first, second] = tf.unstack(x, 1) as [tf.Tensor2D, tf.Tensor2D];
          const nothing = { hidden: tf.zeros([2, 2]) as tf.Tensor2D, cell: tf.zeros([2, 2]) as tf.Tensor2D };
          const { last } = layer.scan(x);
          const stepped = layer.step(second, layer.step(first, nothing));
          close(stepped.hidden, last.hidden.dataSync());
          close(stepped.cell, last.cell.dataSync());
        });
        parameters.dispose();
      }));
  });

  describe("attention without a softmax", () => {
    for (const activation of ["sigmoid", "tanh"] as const)
      it(`additive scores under ${activation}: v · f(q + k), with right gradients`, () =>
        withoutLeak(() => {
          const [q, k, v] = [[2, 2, 3], [2, 4, 3], [3]].map((shape, i) => variable(() => random(shape, i + 1))) as [
            tf.Variable,
            tf.Variable,
            tf.Variable,
          ];
          const scores = () => nn.additiveScores(q as tf.Tensor as tf.Tensor3D, k as tf.Tensor as tf.Tensor3D, v as tf.Tensor, activation);
          tf.tidy(() => {
            const sum = tf.add(tf.expandDims(q as tf.Tensor, 2), tf.expandDims(k as tf.Tensor, 1));
            close(scores(), tf.sum(tf.mul(activation === "tanh" ? tf.tanh(sum) : tf.sigmoid(sum), v as tf.Tensor), 3).dataSync());
          });
          checkGradients([q, k, v], () => probe(scores()));
          tf.dispose([q, k, v]);
        }));
    it("pointwise attention has right gradients, and does not look ahead", () =>
      withoutLeak(() => {
        const shapes = [
          [2, 1, 3, 2],
          [2, 1, 3, 2],
          [2, 1, 3, 4],
          [3, 3],
        ];
        const all = shapes.map((shape, i) => variable(() => random(shape, i + 1)));
        const [q, k, v, bias] = all as tf.Tensor[] as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D, tf.Tensor2D];
        const allowed = () => tf.linalg.bandPart(tf.ones([3, 3]), -1, 0);
        checkGradients(all, () => probe(nn.pointwiseAttention([q, k, v], bias, allowed(), 3)));
        tf.tidy(() => {
          const first = tf.slice(nn.pointwiseAttention([q, k, v], bias, allowed(), 3), [0, 0, 0, 0], [2, 1, 1, 4]);
          const scores = tf.add(
            tf.sum(tf.mul(tf.slice(q, [0, 0, 0, 0], [2, 1, 1, 2]), tf.slice(k, [0, 0, 0, 0], [2, 1, 1, 2])), 3, true),
            tf.slice(bias, [0, 0], [1, 1]),
          );
          close(first, tf.div(tf.mul(nn.silu(scores), tf.slice(v, [0, 0, 0, 0], [2, 1, 1, 4])), 3).dataSync());
        });
        tf.dispose(all);
      }));
  });

  for (const norm of ["pre", "post"] as const)
    it(`a ${norm}-norm transformer block has right gradients`, () =>
      checkLayer(
        (scope) => {
          const block = nn.transformerBlock(scope, { width: 4, heads: 2, inner: 6, dropout: 0.5, norm });
          return (x) => block(x as tf.Tensor2D, 2, nn.evaluating);
        },
        [2 * 3, 4],
      ));
});
