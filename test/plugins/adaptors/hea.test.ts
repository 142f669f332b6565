import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { createRng } from "../../../framework/rng.js";
import { evaluating, training } from "../../../framework/tensor/nn/index.js";
import { Parameters } from "../../../framework/tensor/parameters.js";
import { type HeaOptions, HybridExperts } from "../../../plugins/adaptors/hea.js";
import { useEngine } from "../../support/engine.js";
import { checkGradients, close, withoutLeak } from "../../support/tensors.js";

const small: HeaOptions = { join: "aspects", shared: 1, specific: 2, hidden: 4, adapted: 3, output: "linear", dropout: 0.5, gain: 1 };

function build(options: Partial<HeaOptions> = {}, shape = { aspects: 2, width: 5 }) {
  const parameters = new Parameters(createRng("hea"));
  return { parameters, network: new HybridExperts({ ...small, ...options }).build(parameters, shape) };
}

/** Σ_e softmax(gate)_e f(relu(x W + b) V + c), expert by expert, in plain numbers. */
async function naive(
  parameters: Parameters,
  side: "users" | "items",
  x: readonly number[],
  output = (said: number) => said,
): Promise<number[]> {
  const state = await parameters.state();
  const value = (name: string) => [...(state[name]?.values ?? [])];
  const rms = Math.sqrt(x.reduce((sum, v) => sum + v * v, 0) / x.length);
  const input = x.map((v) => v / rms);
  const at = (values: number[], columns: number, row: number, column: number) => values[row * columns + column] as number;
  const weights = value(`${side}/gateWeights`);
  const gates = [0, 1, 2].map((e) =>
    Math.exp(input.reduce((sum, v, i) => sum + v * at(weights, 3, i, e), value(`${side}/gateBiases`)[e] as number)),
  );
  const total = gates.reduce((a, b) => a + b);
  const out = [0, 0, 0];
  for (const [e, gate] of gates.entries()) {
    const scope = e === 0 ? "shared" : side; // shared experts come first
    const expert = e === 0 ? 0 : e - 1;
    const [inWeights, inBiases] = [value(`${scope}/inWeights`), value(`${scope}/inBiases`)];
    const [outWeights, outBiases] = [value(`${scope}/outWeights`), value(`${scope}/outBiases`)];
    const hidden = [0, 1, 2, 3].map((h) =>
      Math.max(
        0,
        input.reduce((sum, v, i) => sum + v * at(inWeights, inBiases.length, i, expert * 4 + h), inBiases[expert * 4 + h] as number),
      ),
    );
    for (let d = 0; d < 3; d++) {
      const said = hidden.reduce((sum, v, h) => sum + v * at(outWeights, 3, expert * 4 + h, d), outBiases[expert * 3 + d] as number);
      out[d] = (out[d] as number) + (gate / total) * output(said);
    }
  }
  return out;
}

function perturb(parameters: Parameters): void {
  const rng = createRng("perturb");
  for (const each of parameters.all.values())
    tf.tidy(() =>
      each.assign(
        tf.add(
          each,
          tf.tensor(
            Float32Array.from({ length: each.size }, () => 0.3 * rng.normal()),
            each.shape,
          ),
        ),
      ),
    );
}

const text = [0.5, -1, 2, 0.25, 0];
const other = [1, 1, -1, 0, 3];
const silent = [0, 0, 0, 0, 0];

describe("hea adaptor", () => {
  useEngine();

  it("is the gated sum of its experts, computed one by one", async () => {
    const { parameters, network } = build();
    perturb(parameters);
    const [users, items] = [await naive(parameters, "users", text), await naive(parameters, "items", other)];
    withoutLeak(() =>
      tf.tidy(() => {
        close(network.users(tf.tensor3d([[text, silent]]), evaluating), [...users, 0, 0, 0]);
        close(network.items(tf.tensor2d([silent, other]), evaluating), [0, 0, 0, ...items]);
        // the text encoder's scale does not matter
        close(network.items(tf.tensor2d([other.map((v) => v * 1000)]), evaluating), items);
      }),
    );
    parameters.dispose();
  });

  it("rectifies what each expert gives, where it is told to", async () => {
    const { parameters, network } = build({ output: "relu" });
    perturb(parameters);
    const relu = (said: number) => Math.max(0, said);
    const [users, items] = [await naive(parameters, "users", text, relu), await naive(parameters, "items", other, relu)];
    assert.notDeepEqual(users, await naive(parameters, "users", text));
    withoutLeak(() =>
      tf.tidy(() => {
        close(network.users(tf.tensor3d([[text, silent]]), evaluating), [...users, 0, 0, 0]);
        close(network.items(tf.tensor2d([silent, other]), evaluating), [0, 0, 0, ...items]);
      }),
    );
    parameters.dispose();
  });

  it("drops of the hidden layers, and of the outputs where these are rectified: all experts alike", () =>
    withoutLeak(() => {
      for (const output of ["linear", "relu"] as const) {
        const { parameters, network } = build({ output });
        // Hidden layers of ones, and a gate that says nothing: what is left of an output is what is left of the hidden layers.
        for (const [name, each] of parameters.all)
          tf.tidy(() => each.assign(tf.fill(each.shape, Number(/inBiases|outWeights/.test(name)))));
        const seen = tf.tidy(() => [...network.items(tf.tensor2d([text, other, text, other]), training(createRng("drop"))).dataSync()]);
        // rate 0.5 of 4 hidden units, each kept one doubled: 0, 2, …, 8; rectified ones are doubled once more, or dropped
        const allowed = output === "linear" ? [0, 2, 4, 6, 8] : [0, 4, 8, 12, 16];
        assert.ok(
          seen.every((value) => allowed.some((one) => Math.abs(value - one) < 1e-5)),
          `${seen}`,
        );
        const ofRow = (row: number) => seen.slice(3 * row, 3 * row + 3);
        const mixed = [0, 1, 2, 3].some((row) => new Set(ofRow(row).map(Math.round)).size > 1);
        assert.equal(mixed, output === "relu", "only outputs that are dropped of differ in a row");
        parameters.dispose();
      }
    }));

  it("joins as each option says", () =>
    withoutLeak(() =>
      tf.tidy(() => {
        const users = tf.tensor3d([
          [
            [1, 2, 3],
            [10, 20, 30],
          ],
        ]); // [1, 2, 3]
        const one = tf.tensor3d([[[1, 2, 3]]]);
        const items = tf.tensor3d([
          [
            [1, 1, 2],
            [0, 5, 0],
          ],
        ]);
        const run = (join: HeaOptions["join"], voices: tf.Tensor3D, gain = 1) => {
          const { parameters, network } = build({ join, gain });
          const out = network.join(voices, items);
          assert.equal(out.shape[2], network.features);
          parameters.dispose();
          return [...out.dataSync()];
        };
        assert.deepEqual(run("aspects", users), [1, 1, 2, 1, 2, 6, 10, 20, 60, 0, 5, 0, 0, 10, 0, 0, 100, 0]);
        assert.deepEqual(run("product", one), [1, 1, 2, 1, 2, 3, 1, 2, 6, 0, 5, 0, 1, 2, 3, 0, 10, 0]);
        assert.deepEqual(run("product", one, 0.5), [1, 1, 2, 1, 2, 3, 0.5, 1, 3, 0, 5, 0, 1, 2, 3, 0, 5, 0]);
        assert.deepEqual(run("concat", one), [1, 1, 2, 1, 2, 3, 0, 5, 0, 1, 2, 3]);
      }),
    ));

  for (const join of ["product", "concat"] as const)
    it(`${join}: a missing aspect is left out of the mean; a silent user gives zeros`, () =>
      withoutLeak(() => {
        const { parameters, network } = build({ join });
        perturb(parameters);
        tf.tidy(() => {
          const out = network.users(
            tf.tensor3d([
              [text, silent],
              [text, text],
              [silent, silent],
            ]),
            evaluating,
          );
          assert.deepEqual(out.shape, [3, 1, 3]);
          const [a, b, c] = tf.unstack(out) as [tf.Tensor, tf.Tensor, tf.Tensor];
          close(a, b.dataSync());
          close(c, [0, 0, 0]);
        });
        parameters.dispose();
      }));

  for (const [join, output] of [
    ["aspects", "linear"],
    ["product", "linear"],
    ["concat", "linear"],
    ["aspects", "relu"],
  ] as const)
    it(`${join}, ${output}: right gradients of every parameter`, () =>
      withoutLeak(() => {
        const { parameters, network } = build({ join, output });
        perturb(parameters);
        const weigh = createRng("weigh");
        const weights = Float32Array.from({ length: 2 * 2 * network.features }, () => weigh.normal());
        checkGradients([...parameters.all.values()], () => {
          const users = network.users(
            tf.tensor3d([
              [text, other],
              [other, silent],
            ]),
            evaluating,
          );
          const items = tf.gather(
            network.items(tf.tensor2d([text, other, text]), evaluating),
            tf.tensor2d(
              [
                [0, 1],
                [2, 1],
              ],
              [2, 2],
              "int32",
            ),
          );
          const joined = network.join(users, items as tf.Tensor as tf.Tensor3D);
          return tf.sum(tf.mul(joined, tf.tensor3d(weights, [2, 2, network.features])));
        });
        parameters.dispose();
      }));

  it("works without shared experts", () =>
    withoutLeak(() => {
      const { parameters, network } = build({ shared: 0 });
      tf.tidy(() => assert.deepEqual(network.items(tf.tensor2d([text]), evaluating).shape, [1, 3]));
      assert.ok(![...parameters.all.keys()].some((name) => name.startsWith("shared")));
      parameters.dispose();
    }));
});
