import * as tf from "@tensorflow/tfjs-core";
import { createRng } from "../../../framework/rng.js";
import { evaluating } from "../../../framework/tensor/nn/index.js";
import { Parameters } from "../../../framework/tensor/parameters.js";
import { MlpAdaptor } from "../../../plugins/adaptors/mlp.js";
import { MixtureOfExperts, type MoeOptions } from "../../../plugins/adaptors/moe.js";
import { NoAdaptor } from "../../../plugins/adaptors/none.js";
import { useEngine } from "../../support/engine.js";
import { checkGradients, close, withoutLeak } from "../../support/tensors.js";
import { hashedWeight, hashWeights } from "../../support/weights.js";

const shape = { aspects: 2, width: 3 };
const small: MoeOptions = { join: "aspects", experts: 3, top: 0, hidden: 2, adapted: 2, output: "linear", dropout: 0.5, gain: 1 };
const text = [2, -1, 2]; // a root mean square of √3
const unit = text.map((value) => value / Math.sqrt(3));
const silent = [0, 0, 0];
const relu = (x: number) => Math.max(0, x);

/** Row by column of a hashed matrix. */
const weight = (name: string, rows: number, columns: number) => {
  const { values } = hashedWeight(name, [rows, columns]);
  return (row: number, column: number) => values[row * columns + column] as number;
};
const biases = (name: string, count: number) => hashedWeight(name, [count]).values;
const product = (x: readonly number[], columns: number, of: (row: number, column: number) => number) =>
  Array.from({ length: columns }, (_, column) => x.reduce((sum, value, row) => sum + value * of(row, column), 0));

/** The gated sum over the experts that a side's gate gives most, expert by expert. */
function gated(side: "users" | "items", top: number, output = (said: number) => said): number[] {
  const logits = product(unit, 3, weight(`${side}/gateWeights`, 3, 3)).map(
    (value, e) => value + (biases(`${side}/gateBiases`, 3)[e] as number),
  );
  const least = [...logits].sort((a, b) => b - a)[top - 1] as number;
  const gates = logits.map((value) => (value >= least ? Math.exp(value) : 0));
  const total = gates.reduce((a, b) => a + b);
  const inner = product(unit, 6, weight("experts/inWeights", 3, 6)).map((value, i) =>
    relu(value + (biases("experts/inBiases", 6)[i] as number)),
  );
  const [out, outBiases] = [weight("experts/outWeights", 6, 2), weight("experts/outBiases", 3, 2)];
  return [0, 1].map((column) =>
    gates.reduce((sum, gate, e) => {
      const said = outBiases(e, column) + [0, 1].reduce((s, h) => s + (inner[2 * e + h] as number) * out(2 * e + h, column), 0);
      return sum + (gate / total) * output(said);
    }, 0),
  );
}

describe("adaptors beside hea", () => {
  useEngine();

  for (const [top, output] of [
    [0, "linear"],
    [2, "linear"],
    [2, "relu"],
  ] as const)
    it(`moe, top ${top}, ${output}: the same experts for both sides, gated by each, computed one by one`, () =>
      withoutLeak(() => {
        const parameters = new Parameters(createRng("moe"));
        const network = new MixtureOfExperts({ ...small, top, output }).build(parameters, shape);
        hashWeights(parameters);
        tf.tidy(() => {
          const expected = (side: "users" | "items") => gated(side, top || 3, output === "relu" ? relu : undefined);
          close(network.users(tf.tensor3d([[text, silent]]), evaluating), [...expected("users"), 0, 0]);
          close(network.items(tf.tensor2d([silent, text]), evaluating), [0, 0, ...expected("items")]);
        });
        const texts = () => tf.tensor2d([2, -1, 2, 1, 4, -3], [2, 3]);
        checkGradients(
          [...parameters.all.values()].slice(0, -1),
          () =>
            tf.add(
              tf.sum(tf.mul(network.users(tf.reshape(texts(), [2, 1, 3]), evaluating), tf.tensor1d([5, -3]))),
              tf.sum(tf.mul(network.items(texts(), evaluating), tf.tensor1d([2, 4]))),
            ),
          { step: 2e-3 },
        );
        parameters.dispose();
      }));

  for (const output of ["linear", "relu"] as const)
    it(`mlp, ${output}: two layers on each side`, () =>
      withoutLeak(() => {
        const parameters = new Parameters(createRng("mlp"));
        const network = new MlpAdaptor({ ...small, output, hidden: [4] }).build(parameters, shape);
        hashWeights(parameters);
        const expected = (side: string) => {
          const inner = product(unit, 4, weight(`${side}/layer0/weights`, 3, 4)).map((value, i) =>
            relu(value + (biases(`${side}/layer0/biases`, 4)[i] as number)),
          );
          return product(inner, 2, weight(`${side}/layer1/weights`, 4, 2)).map((value, i) => {
            const said = value + (biases(`${side}/layer1/biases`, 2)[i] as number);
            return output === "relu" ? relu(said) : said;
          });
        };
        tf.tidy(() => {
          close(network.users(tf.tensor3d([[text, silent]]), evaluating), [...expected("users"), 0, 0]);
          close(network.items(tf.tensor2d([silent, text]), evaluating), [0, 0, ...expected("items")]);
        });
        parameters.dispose();
      }));

  it("none: the vectors themselves, at a root mean square of 1", () =>
    withoutLeak(() => {
      const parameters = new Parameters(createRng("none"));
      const network = new NoAdaptor({ join: "aspects", gain: 2 }).build(parameters, shape);
      tf.tidy(() => {
        const [users, items] = [network.users(tf.tensor3d([[text, silent]]), evaluating), network.items(tf.tensor2d([text]), evaluating)];
        close(users, [...unit, 0, 0, 0]);
        close(items, unit);
        const products = unit.map((value) => 2 * value * value);
        close(network.join(users, tf.reshape(items, [1, 1, 3])), [...unit, ...products, 0, 0, 0]);
      });
      parameters.dispose();
    }));
});
