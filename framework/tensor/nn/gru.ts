import * as tf from "@tensorflow/tfjs-core";
import type { Parameters } from "../parameters.js";
import { dense } from "./dense.js";
import { uniform } from "./initialisers.js";
import { biasGradient } from "./native.js";
import { withGradient } from "./with-gradient.js";

/** For the source of what has this GRU, and a paper with another. */
export const gruForm = "its GRU as in cuDNN and PyTorch, tanh(W x + r ⊙ (U h)) where the paper has tanh(W x + U (r ⊙ h))";

/** What one step leaves for its gradient. */
interface Step {
  readonly before: tf.Tensor2D; // state before the step, [batch, hidden]
  readonly reset: tf.Tensor2D;
  readonly update: tf.Tensor2D;
  readonly candidate: tf.Tensor2D;
  /** What the state says to the candidate, before the reset gate. */
  readonly recalled: tf.Tensor2D;
}

/**
 * Gated recurrent unit (Cho et al. 2014, arXiv 1406.1078), with the reset gate after the state's matrix product, so that a step is one product:
 * r, z = σ(x W + h U + b), n = tanh(x W_n + r (h U_n + b_n)), h' = (1 - z) n + z h; the state before the first step is 0.
 * Its gradient through time is written out: a step of the tape would take three times the ops.
 * @returns x [batch, length, inputs], real [batch, length] (0 where padded: the state is 0 there; absent = all real) -> states [batch, length, hidden]
 */
export function gru(scope: Parameters, { inputs, hidden }: { inputs: number; hidden: number }) {
  const initialiser = uniform(1 / Math.sqrt(hidden));
  const project = dense(scope.scope("input"), { inputs, outputs: 3 * hidden, initialiser });
  const weights = scope.create("state/weights", [hidden, 3 * hidden], initialiser);
  const biases = scope.create("state/biases", [3 * hidden], initialiser);
  return (x: tf.Tensor3D, real?: tf.Tensor2D): tf.Tensor3D => scan(project(x), weights, biases, real);
}

function scan(inputs: tf.Tensor3D, weights: tf.Tensor, biases: tf.Tensor, real?: tf.Tensor2D): tf.Tensor3D {
  const reals = real ? tf.unstack(tf.expandDims(real, 2), 1) : undefined; // length of [batch, 1]
  return withGradient<[tf.Tensor3D, tf.Tensor, tf.Tensor], tf.Tensor3D>([inputs, weights, biases], (inputs, weights, biases) => {
    const [batch, , wide] = inputs.shape;
    let state = tf.zeros([batch, wide / 3]) as tf.Tensor2D;
    const states: tf.Tensor2D[] = [];
    const saved: tf.Tensor[] = [];
    for (const [t, input] of tf.unstack(inputs, 1).entries()) {
      const { after, ...step } = forward(input as tf.Tensor2D, state, weights, biases);
      saved.push(step.before, step.reset, step.update, step.candidate, step.recalled);
      state = (reals ? tf.mul(after, reals[t] as tf.Tensor) : after) as tf.Tensor2D;
      states.push(state);
    }
    return {
      value: tf.stack(states, 1) as tf.Tensor3D,
      saved: [weights, ...(reals ?? []), ...saved],
      gradients: (dy, weights, ...rest) => {
        const masks = reals ? rest.slice(0, states.length) : undefined;
        const each = rest.slice(masks ? states.length : 0) as tf.Tensor2D[];
        const steps = states.map((_, t) => {
          const [before, reset, update, candidate, recalled] = each.slice(5 * t) as [
            tf.Tensor2D,
            tf.Tensor2D,
            tf.Tensor2D,
            tf.Tensor2D,
            tf.Tensor2D,
          ];
          return { before, reset, update, candidate, recalled };
        });
        return throughTime(dy, weights as tf.Tensor2D, steps, masks);
      },
    };
  });
}

function forward(input: tf.Tensor2D, before: tf.Tensor2D, weights: tf.Tensor, biases: tf.Tensor): Step & { readonly after: tf.Tensor2D } {
  const hidden = before.shape[1];
  const [toGates, toCandidate] = tf.split(input, [2 * hidden, hidden], 1) as [tf.Tensor2D, tf.Tensor2D];
  const said = tf.add(tf.matMul(before, weights as tf.Tensor2D), biases);
  const [gates, recalled] = tf.split(said, [2 * hidden, hidden], 1) as [tf.Tensor2D, tf.Tensor2D];
  const [reset, update] = tf.split(tf.sigmoid(tf.add(toGates, gates)), 2, 1) as [tf.Tensor2D, tf.Tensor2D];
  const candidate = tf.tanh(tf.add(toCandidate, tf.mul(reset, recalled))) as tf.Tensor2D;
  const after = tf.add(candidate, tf.mul(update, tf.sub(before, candidate))) as tf.Tensor2D;
  return { before, reset, update, candidate, recalled, after };
}

/** @returns the gradients of the projected inputs, the weights and the biases */
function throughTime(dy: tf.Tensor, weights: tf.Tensor2D, steps: readonly Step[], masks?: readonly tf.Tensor[]): tf.Tensor[] {
  const dStates = tf.unstack(dy, 1);
  const toInputs: tf.Tensor[] = [];
  const toStates: tf.Tensor[] = [];
  let after: tf.Tensor | undefined;
  for (let t = steps.length - 1; t >= 0; t--) {
    const { before, reset, update, candidate, recalled } = steps[t] as Step;
    const whole = after ? tf.add(after, dStates[t] as tf.Tensor) : (dStates[t] as tf.Tensor);
    const d = masks ? tf.mul(whole, masks[t] as tf.Tensor) : whole;
    const dUpdate = tf.mul(tf.mul(d, tf.sub(before, candidate)), slope(update));
    const dCandidate = tf.mul(tf.mul(d, tf.sub(1, update)), tf.sub(1, tf.square(candidate)));
    const dReset = tf.mul(tf.mul(dCandidate, recalled), slope(reset));
    const toState = tf.concat([dReset, dUpdate, tf.mul(dCandidate, reset)], 1); // [batch, 3 * hidden]
    toInputs[t] = tf.concat([dReset, dUpdate, dCandidate], 1);
    toStates[t] = toState;
    after = tf.add(tf.mul(d, update), tf.matMul(toState as tf.Tensor2D, weights, false, true));
  }
  const all = tf.concat(toStates, 0); // [length * batch, 3 * hidden]
  const befores = tf.concat(
    steps.map(({ before }) => before),
    0,
  );
  return [tf.stack(toInputs, 1), tf.matMul(befores, all as tf.Tensor2D, true, false), biasGradient(all)];
}

/** σ' from σ. */
function slope(gate: tf.Tensor): tf.Tensor {
  return tf.mul(gate, tf.sub(1, gate));
}
