/**
 * Kernels of the TensorFlow engine that keep what tfjs-node makes anew at each call: to TensorFlow a shape, an axis or a permutation is a
 * tensor, and making it costs as much as the op itself. A decoder's step is two thousand ops on small tensors, half of which have one.
 */
import * as tf from "@tensorflow/tfjs-core";

/** What is used of tfjs-node's backend besides tfjs' interface. */
export interface NodeBackend {
  readonly binding: {
    readonly TF_ATTR_TYPE: number;
    readonly TF_ATTR_INT: number;
    readonly TF_ATTR_BOOL: number;
    readonly TF_ATTR_FLOAT: number;
    readonly TF_FLOAT: number;
    readonly TF_INT32: number;
    readonly TF_INT64: number;
    createTensor(shape: readonly number[], type: number, values: Int32Array): number;
    deleteTensor(id: number): void;
    executeOp(op: string, attributes: readonly object[], inputs: readonly number[], outputs: number): object[];
  };
  getInputTensorIds(tensors: readonly tf.TensorInfo[]): number[];
  createOutputTensor(made: object): tf.Tensor;
  getDTypeInteger(type: tf.DataType): number;
}

/** Constants at most: prompts of all lengths have shapes of their own. */
const mostConstants = 4096;

/** Integers that ops take as tensors, each made once. They are no tensors to tfjs, which would count them as left behind. */
class Constants {
  private readonly known = new Map<string, number>();

  id({ binding }: NodeBackend, values: number | readonly number[]): number {
    const key = typeof values === "number" ? `${values}` : `[${values.join()}]`;
    const found = this.known.get(key);
    if (found !== undefined) return found;
    if (this.known.size >= mostConstants) {
      for (const id of this.known.values()) binding.deleteTensor(id);
      this.known.clear();
    }
    const list = typeof values === "number" ? [values] : values;
    const id = binding.createTensor(typeof values === "number" ? [] : [list.length], binding.TF_INT32, Int32Array.from(list));
    this.known.set(key, id);
    return id;
  }
}

type Attributes = Readonly<Record<string, unknown>>;
type Inputs = readonly tf.TensorInfo[];

/** Replaces kernels of the TensorFlow backend. Called once, after it was loaded. */
export function registerTensorFlowKernels(): void {
  const constants = new Constants();
  const replace = (name: string, run: (call: Call) => tf.TensorInfo | tf.TensorInfo[] | null) => {
    const original = tf.getKernel(name, "tensorflow").kernelFunc;
    tf.unregisterKernel(name, "tensorflow");
    tf.registerKernel({
      kernelName: name,
      backendName: "tensorflow",
      kernelFunc: (parameters) => {
        const { inputs, attrs = {}, backend } = parameters;
        const call = new Call(backend as unknown as NodeBackend, constants, Object.values(inputs) as Inputs, attrs);
        return run(call) ?? original(parameters);
      },
    });
  };
  replace(tf.Reshape, (call) => call.one("Reshape", [call.type("T"), call.int32("Tshape")], call.integers("shape")));
  replace(tf.Transpose, (call) => call.one("Transpose", [call.type("T"), call.int32("Tperm")], call.integers("perm")));
  replace(tf.Concat, (call) =>
    call.one("ConcatV2", [call.int("N", call.inputs.length), call.int32("Tidx"), call.type("T")], call.integer("axis")),
  );
  replace(tf.SplitV, split);
  replace(tf.Sum, (call) => reduced("Sum", call));
  replace(tf.Mean, (call) => (call.first.dtype === "float32" ? reduced("Mean", call) : null)); // of integers it is one of their floats
}

function reduced(name: string, call: Call): tf.TensorInfo {
  const axes = tf.util.parseAxisParam(call.integers("axis") as number[], call.first.shape);
  return call.one(name, [call.bool("keep_dims", call.attributes.keepDims === true), call.type("T"), call.int32("Tidx")], axes);
}

function split(call: Call): tf.TensorInfo[] {
  const axis = tf.util.parseAxisParam(call.integer("axis"), call.first.shape)[0] as number; // one axis
  const sizes = tf.backend_util.prepareSplitSize(call.first as tf.Tensor, call.attributes.numOrSizeSplits as number[] | number, axis);
  return call.many("SplitV", [call.int("num_split", sizes.length), call.type("T"), call.int32("Tlen")], sizes.length, sizes, axis);
}

/** One call of a kernel. */
class Call {
  readonly first: tf.TensorInfo;

  constructor(
    private readonly backend: NodeBackend,
    private readonly constants: Constants,
    readonly inputs: Inputs,
    readonly attributes: Attributes,
  ) {
    this.first = inputs[0] as tf.TensorInfo; // every kernel here has one
  }

  integer(name: string): number {
    return this.attributes[name] as number;
  }
  integers(name: string): readonly number[] {
    return this.attributes[name] as readonly number[];
  }

  type(name: string): object {
    return { name, type: this.backend.binding.TF_ATTR_TYPE, value: this.backend.getDTypeInteger(this.first.dtype) };
  }
  int32(name: string): object {
    return { name, type: this.backend.binding.TF_ATTR_TYPE, value: this.backend.binding.TF_INT32 };
  }
  int(name: string, value: number): object {
    return { name, type: this.backend.binding.TF_ATTR_INT, value };
  }
  bool(name: string, value: boolean): object {
    return { name, type: this.backend.binding.TF_ATTR_BOOL, value };
  }

  one(op: string, attributes: readonly object[], ...constants: readonly (number | readonly number[])[]): tf.TensorInfo {
    return this.many(op, attributes, 1, ...constants)[0] as tf.TensorInfo;
  }
  many(op: string, attributes: readonly object[], outputs: number, ...constants: readonly (number | readonly number[])[]): tf.TensorInfo[] {
    const { backend } = this;
    const ids = backend.getInputTensorIds(this.inputs);
    for (const values of constants) ids.push(this.constants.id(backend, values));
    return backend.binding.executeOp(op, attributes, ids, outputs).map((made) => backend.createOutputTensor(made));
  }
}
