/**
 * Kernels that tfjs 4.22 has not in WebAssembly, and one that its plain-JavaScript backend has in a form too slow to use:
 * UnsortedSegmentSum is the gradient of `gather`, so nothing with an embedding trains without it. The other missing ones
 * (Einsum and the gradients of convolutions among them) borrow the plain-JavaScript backend's.
 */
import * as tf from "@tensorflow/tfjs-core";

type Values = Float32Array | Int32Array | Uint8Array;

/** What is used of tfjs-backend-wasm's BackendWasm. */
interface WasmBackend {
  makeOutput(shape: number[], dtype: tf.DataType, offset?: number, values?: Values): tf.TensorInfo;
  typedArrayFromHeap(tensor: tf.TensorInfo): Values;
}
/** What is used of tfjs-backend-cpu's MathBackendCPU. */
interface CpuBackend {
  makeTensorInfo(shape: number[], dtype: tf.DataType, values: Values): tf.TensorInfo;
  disposeIntermediateTensorInfo(tensor: tf.TensorInfo): void;
  readonly data: { get(id: tf.DataId): { readonly values: Values } };
}

/** These hold complex numbers or strings, of which the WebAssembly backend has none. */
const without = new Set(["Complex", "ComplexAbs", "Real", "Imag", "FFT", "IFFT", "StaticRegexReplace", "Draw"]);

/** Completes the WebAssembly backend. Called once, after it was imported. */
export async function registerWasmKernels(): Promise<void> {
  const { MathBackendCPU } = await import("@tensorflow/tfjs-backend-cpu");
  const lender = new MathBackendCPU() as unknown as CpuBackend;
  tf.registerKernel({
    kernelName: tf.UnsortedSegmentSum,
    backendName: "wasm",
    kernelFunc: ({ inputs, attrs, backend }) => {
      const wasm = backend as WasmBackend;
      const { x, segmentIds } = inputs as { x: tf.TensorInfo; segmentIds: tf.TensorInfo };
      const shape = segmentSumShape(x, segmentIds, attrs as { numSegments: number });
      const output = wasm.makeOutput(shape, x.dtype);
      // Views only after the output was made: making it may move the heap.
      segmentSum(wasm.typedArrayFromHeap(x), wasm.typedArrayFromHeap(segmentIds), wasm.typedArrayFromHeap(output).fill(0), shape[0] ?? 0);
      return output;
    },
  });
  const present = new Set(tf.getKernelsForBackend("wasm").map(({ kernelName }) => kernelName));
  for (const { kernelName, kernelFunc } of tf.getKernelsForBackend("cpu"))
    if (!present.has(kernelName) && !without.has(kernelName)) borrow(kernelName, kernelFunc, lender);
}

/** Replaces the plain-JavaScript UnsortedSegmentSum, which passes over all of x once for each segment. */
export function registerCpuKernels(): void {
  tf.unregisterKernel(tf.UnsortedSegmentSum, "cpu");
  tf.registerKernel({
    kernelName: tf.UnsortedSegmentSum,
    backendName: "cpu",
    kernelFunc: ({ inputs, attrs, backend }) => {
      const cpu = backend as CpuBackend;
      const { x, segmentIds } = inputs as { x: tf.TensorInfo; segmentIds: tf.TensorInfo };
      const shape = segmentSumShape(x, segmentIds, attrs as { numSegments: number });
      const output = tf.util.getTypedArrayFromDType(x.dtype as "float32", tf.util.sizeFromShape(shape));
      segmentSum(cpu.data.get(x.dataId).values, cpu.data.get(segmentIds.dataId).values, output, shape[0] ?? 0);
      return cpu.makeTensorInfo(shape, x.dtype, output);
    },
  });
}

function segmentSumShape(x: tf.TensorInfo, segmentIds: tf.TensorInfo, { numSegments }: { numSegments: number }): number[] {
  return [numSegments, ...x.shape.slice(segmentIds.shape.length)];
}

/** Adds each row of x to the row of the output that its segment names; rows of negative segments are dropped, as TensorFlow does. */
function segmentSum(x: Values, segments: Values, output: Values, count: number): void {
  const width = segments.length === 0 ? 0 : x.length / segments.length;
  for (let row = 0; row < segments.length; row++) {
    const segment = segments[row] ?? -1;
    if (segment < 0 || segment >= count) continue;
    const from = row * width;
    const to = segment * width;
    // Both indices are in bounds: x has segments.length rows of `width`, the output `count`.
    for (let i = 0; i < width; i++) output[to + i] = (output[to + i] as number) + (x[from + i] as number);
  }
}

/** Registers a kernel that copies its inputs to the plain-JavaScript backend, runs that one's kernel, and copies back. */
function borrow(kernelName: string, kernelFunc: tf.KernelFunc, lender: CpuBackend): void {
  tf.registerKernel({
    kernelName,
    backendName: "wasm",
    kernelFunc: ({ inputs, attrs, backend }) => {
      const wasm = backend as WasmBackend;
      const lend = (tensor: tf.TensorInfo) => lender.makeTensorInfo(tensor.shape, tensor.dtype, wasm.typedArrayFromHeap(tensor).slice());
      // Kernels of any number of inputs take an array, the others an object.
      const lent = Array.isArray(inputs)
        ? inputs.map(lend)
        : Object.fromEntries(Object.entries(inputs).map(([name, x]) => [name, lend(x as tf.TensorInfo)]));
      const borrowed = { inputs: lent as tf.NamedTensorInfoMap, backend: lender, ...(attrs === undefined ? {} : { attrs }) };
      const outputs = [kernelFunc(borrowed)].flat();
      const results = outputs.map((output) =>
        wasm.makeOutput(output.shape, output.dtype, undefined, lender.data.get(output.dataId).values),
      );
      for (const tensor of [...Object.values(lent), ...outputs]) lender.disposeIntermediateTensorInfo(tensor);
      return results.length === 1 && results[0] !== undefined ? results[0] : results;
    },
  });
}
