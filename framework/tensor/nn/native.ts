/** What TensorFlow has as one op and tfjs does not name; composed of tfjs' own ops on the other engines. */
import * as tf from "@tensorflow/tfjs-core";
import type { NodeBackend } from "../tensorflow-kernels.js";

/** dy where y > 0, else 0, for y = relu(x). The sign of y is the step function, which tfjs builds from six ops on the native engine. */
export function reluGradient(dy: tf.Tensor, y: tf.Tensor): tf.Tensor {
  return native("ReluGrad", () => ({ inputs: [dy, y] }))?.[0] ?? tf.mul(dy, tf.sign(y));
}

/** Sums over all dimensions but the last. */
export function biasGradient(dy: tf.Tensor): tf.Tensor {
  return (
    native("BiasAddGrad", () => ({ inputs: [dy] }))?.[0] ??
    tf.sum(
      dy,
      dy.shape.slice(0, -1).map((_, axis) => axis),
    )
  );
}

/** What an LSTM gave at every step, each [length, batch, hidden]: the gates, both cells, what the cell shows, the state. */
export type LstmTrace = readonly [
  input: tf.Tensor3D,
  cell: tf.Tensor3D,
  forget: tf.Tensor3D,
  output: tf.Tensor3D,
  candidate: tf.Tensor3D,
  shown: tf.Tensor3D,
  hidden: tf.Tensor3D,
];

/** What it is given. Columns of the weights: input gate, forget gate, candidate, output gate. */
export interface LstmInputs {
  readonly x: tf.Tensor3D; // [length, batch, inputs]
  readonly weights: tf.Tensor2D; // [inputs + hidden, 4 * hidden]
  readonly biases: tf.Tensor1D; // [4 * hidden]
}

/** All steps from states of 0, as one op; on TensorFlow alone. */
export function lstmTrace(inputs: LstmInputs): LstmTrace {
  return native("BlockLSTMV2", ({ binding }) => ({
    attributes: [{ name: "cell_clip", type: binding.TF_ATTR_FLOAT, value: 0 }, ...lstmAttributes(binding)],
    inputs: lstmTensors(inputs),
    length: inputs.x.shape[0],
    outputs: 7,
  })) as unknown as LstmTrace;
}

/** @returns the gradients of x, weights and biases, given those of all cells and states */
export function lstmGradient(
  inputs: LstmInputs,
  trace: LstmTrace,
  dCell: tf.Tensor,
  dHidden: tf.Tensor,
): [tf.Tensor3D, tf.Tensor2D, tf.Tensor1D] {
  const [dx, , , dWeights, , , , dBiases] = native("BlockLSTMGradV2", ({ binding }) => ({
    attributes: lstmAttributes(binding),
    inputs: [...lstmTensors(inputs), ...trace, dCell, dHidden],
    length: inputs.x.shape[0],
    outputs: 8,
  })) as tf.Tensor[];
  return [dx as tf.Tensor3D, dWeights as tf.Tensor2D, dBiases as tf.Tensor1D];
}

function lstmAttributes({ TF_ATTR_BOOL }: Binding): object[] {
  return [{ name: "use_peephole", type: TF_ATTR_BOOL, value: false }];
}

/** Besides what is given: the states before the first step, and the weights of peepholes, which are not looked through. */
function lstmTensors({ x, weights, biases }: LstmInputs): tf.Tensor[] {
  const hidden = (biases.shape[0] as number) / 4;
  const before = tf.zeros([x.shape[1], hidden]);
  const peephole = tf.zeros([hidden]);
  return [x, before, before, weights, peephole, peephole, peephole, biases];
}

type Binding = NodeBackend["binding"];

interface NativeOp {
  readonly attributes?: readonly object[];
  readonly inputs: readonly tf.Tensor[];
  /** What the op takes before its inputs as a 64-bit integer. */
  readonly length?: number;
  /** Default 1. */
  readonly outputs?: number;
}

export function isTensorFlow(): boolean {
  return tf.getBackend() === "tensorflow";
}

/** One TensorFlow op on float32 tensors; undefined where the engine is another. */
function native(op: string, asked: (backend: NodeBackend) => NativeOp): tf.Tensor[] | undefined {
  if (!isTensorFlow()) return undefined;
  const backend = tf.backend() as unknown as NodeBackend;
  const { binding } = backend;
  const { attributes = [], inputs, length, outputs = 1 } = asked(backend);
  // Two halves, the lower first: the binding takes no other array for it.
  const before = length === undefined ? [] : [binding.createTensor([], binding.TF_INT64, Int32Array.of(length, 0))];
  try {
    const type = { name: "T", type: binding.TF_ATTR_TYPE, value: binding.TF_FLOAT };
    return binding
      .executeOp(op, [type, ...attributes], [...before, ...backend.getInputTensorIds(inputs)], outputs)
      .map((made) => backend.createOutputTensor(made));
  } finally {
    for (const id of before) binding.deleteTensor(id);
  }
}
