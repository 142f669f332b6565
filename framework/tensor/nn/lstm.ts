import * as tf from "@tensorflow/tfjs-core";
import type { Parameters } from "../parameters.js";
import { affine } from "./dense.js";
import { uniform, zeros } from "./initialisers.js";
import { isTensorFlow, type LstmTrace, lstmGradient, lstmTrace } from "./native.js";
import { withGradient } from "./with-gradient.js";

export interface LstmState {
  readonly hidden: tf.Tensor2D; // [batch, hidden]
  readonly cell: tf.Tensor2D; // [batch, hidden]
}

/** The gates and both cells of a step: what its gradient needs. */
interface Step {
  readonly before: LstmState;
  readonly input: tf.Tensor2D;
  readonly forget: tf.Tensor2D;
  readonly candidate: tf.Tensor2D;
  readonly output: tf.Tensor2D;
  /** tanh of the new cell. */
  readonly shown: tf.Tensor2D;
}
const savedPerStep = 7;

export interface Lstm {
  /** @returns x [batch, length, inputs], real [batch, length] (0 where padded: the state is 0 there; absent = all real) -> every state [batch, length, hidden], and the last */
  scan(x: tf.Tensor3D, real?: tf.Tensor2D): { readonly states: tf.Tensor3D; readonly last: LstmState };
  /** One step. @param x [batch, inputs] */
  step(x: tf.Tensor2D, state: LstmState): LstmState;
}

interface Weights {
  readonly input: tf.Tensor2D; // [inputs, 4 * hidden]: input gate, forget gate, candidate, output gate
  readonly biases: tf.Tensor1D; // [4 * hidden]
  readonly state: tf.Tensor2D; // [hidden, 4 * hidden]
}

/**
 * Long short-term memory with forget gates (Gers et al. 2000): i, f, o = σ(x W + h U + b), g = tanh(…), c' = f c + i g, h' = o tanh(c');
 * both states are 0 before the first step. A scan is one op where TensorFlow runs; elsewhere its gradient through time is written out, as the GRU's.
 */
export function lstm(scope: Parameters, { inputs, hidden }: { inputs: number; hidden: number }): Lstm {
  const initialiser = uniform(1 / Math.sqrt(hidden));
  const input = scope.create("input/weights", [inputs, 4 * hidden], initialiser);
  const biases = scope.create("input/biases", [4 * hidden], zeros);
  const state = scope.create("state/weights", [hidden, 4 * hidden], initialiser);
  const weights = { input, biases, state } as { [Name in keyof Weights]: tf.Tensor } as Weights;
  return {
    scan: (x, real) => {
      const all = (isTensorFlow() ? scanAtOnce : scanStepwise)(x, weights, real); // [batch, length, 2 * hidden]
      const [batch, length] = all.shape;
      const [states, cells] = tf.split(all, 2, 2) as [tf.Tensor3D, tf.Tensor3D];
      const last = (of: tf.Tensor3D) => tf.reshape(tf.slice(of, [0, length - 1, 0], [batch, 1, hidden]), [batch, hidden]) as tf.Tensor2D;
      return { states, last: { hidden: last(states), cell: last(cells) } };
    },
    step: (x, before) => {
      const { hidden, cell } = forward(affine(x, weights.input, weights.biases) as tf.Tensor2D, before, weights.state);
      return { hidden, cell };
    },
  };
}

/** Closes a gate: its sigmoid is 0 whatever else it hears. */
const shut = -1e9;

/** @returns states and cells side by side, [batch, length, 2 * hidden] */
function scanAtOnce(x: tf.Tensor3D, { input, biases, state }: Weights, real?: tf.Tensor2D): tf.Tensor3D {
  type Inputs = [tf.Tensor3D, tf.Tensor2D, tf.Tensor1D, tf.Tensor2D];
  return withGradient<Inputs, tf.Tensor3D>([x, input, biases, state], (x, input, biases, state) => {
    const [inputs, hidden] = [input.shape[0], state.shape[0]];
    // Padding is one more input, which shuts what would enter or stay in the cell: both states are 0 there.
    const gates = tf.concat([tf.fill([1, 2 * hidden], shut), tf.zeros([1, 2 * hidden])], 1);
    const heights = real ? [inputs, 1, hidden] : [inputs, hidden];
    const all = real ? tf.concat([x, tf.expandDims(tf.sub(1, real), 2)], 2) : x;
    const given = {
      x: tf.transpose(all, [1, 0, 2]) as tf.Tensor3D,
      weights: tf.concat(real ? [input, gates, state] : [input, state], 0) as tf.Tensor2D,
      biases,
    };
    const trace = lstmTrace(given);
    const [, cell, , , , , states] = trace;
    return {
      value: tf.transpose(tf.concat([states, cell], 2), [1, 0, 2]) as tf.Tensor3D,
      saved: [given.x, given.weights, biases, ...trace],
      gradients: (dy, ...saved) => {
        const [x, weights, biases, ...trace] = saved as unknown as [tf.Tensor3D, tf.Tensor2D, tf.Tensor1D, ...LstmTrace];
        const [dStates, dCell] = tf.split(tf.transpose(dy, [1, 0, 2]), 2, 2) as [tf.Tensor3D, tf.Tensor3D];
        const [dAll, dWeights, dBiases] = lstmGradient({ x, weights, biases }, trace, dCell, dStates);
        const [length, batch] = dAll.shape;
        const dx = tf.transpose(tf.slice(dAll, [0, 0, 0], [length, batch, inputs]), [1, 0, 2]);
        const parts = tf.split(dWeights, heights, 0);
        return [dx, parts[0] as tf.Tensor, dBiases, parts.at(-1) as tf.Tensor];
      },
    };
  });
}

function scanStepwise(x: tf.Tensor3D, { input, biases, state }: Weights, real?: tf.Tensor2D): tf.Tensor3D {
  const [batch, length, inputs] = x.shape;
  const projected = affine(tf.reshape(x, [batch * length, inputs]), input, biases);
  return scan(tf.reshape(projected, [batch, length, -1]), state, real);
}

/** @param inputs after the weights of the input, [batch, length, 4 * hidden] */
function scan(inputs: tf.Tensor3D, weights: tf.Tensor, real?: tf.Tensor2D): tf.Tensor3D {
  const reals = real ? tf.unstack(tf.expandDims(real, 2), 1) : undefined; // length of [batch, 1]
  return withGradient<[tf.Tensor3D, tf.Tensor], tf.Tensor3D>([inputs, weights], (inputs, weights) => {
    const [batch, , wide] = inputs.shape;
    const nothing = tf.zeros([batch, wide / 4]) as tf.Tensor2D;
    let state: LstmState = { hidden: nothing, cell: nothing };
    const states: tf.Tensor[] = [];
    const saved: tf.Tensor[] = [];
    for (const [t, input] of tf.unstack(inputs, 1).entries()) {
      const step = forward(input as tf.Tensor2D, state, weights);
      saved.push(step.before.hidden, step.before.cell, step.input, step.forget, step.candidate, step.output, step.shown);
      const kept = (x: tf.Tensor2D) => (reals ? tf.mul(x, reals[t] as tf.Tensor) : x) as tf.Tensor2D;
      state = { hidden: kept(step.hidden), cell: kept(step.cell) };
      states.push(tf.concat([state.hidden, state.cell], 1));
    }
    return {
      value: tf.stack(states, 1) as tf.Tensor3D,
      saved: [weights, ...(reals ?? []), ...saved],
      gradients: (dy, weights, ...rest) => {
        const masks = reals ? rest.slice(0, states.length) : undefined;
        const each = rest.slice(masks ? states.length : 0) as tf.Tensor2D[];
        return throughTime(
          dy,
          weights as tf.Tensor2D,
          states.map((_, t) => stepOf(each.slice(savedPerStep * t))),
          masks,
        );
      },
    };
  });
}

function stepOf(saved: readonly tf.Tensor2D[]): Step {
  const [hidden, cell, input, forget, candidate, output, shown] = saved as [
    tf.Tensor2D,
    tf.Tensor2D,
    tf.Tensor2D,
    tf.Tensor2D,
    tf.Tensor2D,
    tf.Tensor2D,
    tf.Tensor2D,
  ];
  return { before: { hidden, cell }, input, forget, candidate, output, shown };
}

function forward(projected: tf.Tensor2D, before: LstmState, weights: tf.Tensor): Step & LstmState {
  const said = tf.add(projected, tf.matMul(before.hidden, weights as tf.Tensor2D));
  const parts = tf.split(said, 4, 1) as tf.Tensor2D[];
  const [input, forget, output] = [0, 1, 3].map((i) => tf.sigmoid(parts[i] as tf.Tensor2D)) as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D];
  const candidate = tf.tanh(parts[2] as tf.Tensor2D);
  const cell = tf.add(tf.mul(forget, before.cell), tf.mul(input, candidate)) as tf.Tensor2D;
  const shown = tf.tanh(cell);
  return { before, input, forget, candidate, output, shown, cell, hidden: tf.mul(output, shown) };
}

/** @returns the gradients of the projected inputs and of the weights */
function throughTime(dy: tf.Tensor, weights: tf.Tensor2D, steps: readonly Step[], masks?: readonly tf.Tensor[]): tf.Tensor[] {
  const dStates = tf.unstack(dy, 1);
  const toInputs: tf.Tensor2D[] = [];
  let [hiddenAfter, cellAfter]: (tf.Tensor | undefined)[] = [];
  for (let t = steps.length - 1; t >= 0; t--) {
    const step = steps[t] as Step;
    const [ofHidden, ofCell] = tf.split(dStates[t] as tf.Tensor, 2, 1) as [tf.Tensor, tf.Tensor];
    const whole = (now: tf.Tensor, later: tf.Tensor | undefined) => {
      const sum = later ? tf.add(now, later) : now;
      return masks ? tf.mul(sum, masks[t] as tf.Tensor) : sum;
    };
    const dHidden = whole(ofHidden, hiddenAfter);
    const dCell: tf.Tensor = tf.add(whole(ofCell, cellAfter), tf.mul(tf.mul(dHidden, step.output), tf.sub(1, tf.square(step.shown))));
    const dInput = tf.mul(tf.mul(dCell, step.candidate), slope(step.input));
    const dForget = tf.mul(tf.mul(dCell, step.before.cell), slope(step.forget));
    const dCandidate = tf.mul(tf.mul(dCell, step.input), tf.sub(1, tf.square(step.candidate)));
    const dOutput = tf.mul(tf.mul(dHidden, step.shown), slope(step.output));
    const said = tf.concat([dInput, dForget, dCandidate, dOutput], 1) as tf.Tensor2D; // [batch, 4 * hidden]
    toInputs[t] = said;
    hiddenAfter = tf.matMul(said, weights, false, true);
    cellAfter = tf.mul(dCell, step.forget);
  }
  const befores = tf.concat(
    steps.map(({ before }) => before.hidden),
    0,
  );
  return [tf.stack(toInputs, 1), tf.matMul(befores, tf.concat(toInputs, 0), true, false)];
}

/** σ' from σ. */
function slope(gate: tf.Tensor): tf.Tensor {
  return tf.mul(gate, tf.sub(1, gate));
}
