import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { totalmem } from "node:os";
import { promisify } from "node:util";
import * as tf from "@tensorflow/tfjs-core";
import { RlrfError } from "../../../framework/errors.js";
import { packageRoot } from "../../../framework/setup/paths.js";
import { type EngineInfo, type EngineName, requireTensorMemory, startEngine } from "../../../framework/tensor/engine.js";
import { lstm } from "../../../framework/tensor/nn/index.js";
import type { Parameters } from "../../../framework/tensor/parameters.js";
import { assertNoLeak } from "../../support/engine.js";

/** Deterministic values without symmetry; no two equal, none at a kink. */
function values(shape: number[], scale = 1): tf.Tensor {
  const size = tf.util.sizeFromShape(shape);
  return tf.tensor(
    Float32Array.from({ length: size }, (_, i) => scale * Math.sin(1.7 * i + 0.3) * (1 + i / size)),
    shape,
  );
}
const ids = () => tf.tensor1d([4, 0, 4, 2], "int32");
const mask = () => tf.tensor2d([1, 0, 1, 1, 0, 1, 0, 1, 1, 0, 0, 1], [3, 4], "bool");
/** States and cells of a scan after padding. @param weights those of these names, in place of fixed values */
function scanned(x: tf.Tensor, weights: Readonly<Record<string, tf.Tensor>> = {}): tf.Tensor {
  const fixed = { create: (name: string, shape: number[]) => weights[name] ?? values(shape, 0.5) } as unknown as Parameters;
  const real = tf.tensor2d([0, 1, 1, 1, 1, 1], [2, 3]);
  const { states, last } = lstm(fixed, { inputs: 3, hidden: 2 }).scan(x as tf.Tensor3D, real);
  return tf.concat([states, tf.expandDims(last.cell, 1)], 1);
}
const positive = (x: tf.Tensor) => tf.add(tf.abs(x), 0.5);

/** What training and decoding use, each with the shape of its differentiable input. */
const differentiable: Record<string, [shape: number[], f: (x: tf.Tensor) => tf.Tensor]> = {
  "gather (embedding)": [[5, 3], (x) => tf.gather(x, ids())],
  "gather of a 2d index": [[5, 3], (x) => tf.gather(x, tf.tensor2d([1, 1, 4, 0], [2, 2], "int32"))],
  "gather along axis 1": [[3, 5], (x) => tf.gather(x, ids(), 1)],
  "gather with batchDims": [[2, 5, 3], (x) => tf.gather(x, tf.tensor2d([1, 1, 4, 0], [2, 2], "int32"), 1, 1)],
  softmax: [[3, 4], (x) => tf.softmax(x)],
  logSoftmax: [[3, 4], (x) => tf.logSoftmax(x)],
  logSumExp: [[3, 4], (x) => tf.logSumExp(x, 1)],
  "layer norm": [
    [3, 4],
    (x) => {
      const { mean, variance } = tf.moments(x, 1, true);
      return tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 1e-5)));
    },
  ],
  "RMS norm": [[3, 4], (x) => tf.mul(x, tf.rsqrt(tf.add(tf.mean(tf.square(x), 1, true), 1e-5)))],
  "gelu by erf": [[3, 4], (x) => tf.mul(tf.mul(x, 0.5), tf.add(1, tf.erf(tf.div(x, Math.SQRT2))))],
  silu: [[3, 4], (x) => tf.mul(x, tf.sigmoid(x))],
  relu: [[3, 4], (x) => tf.relu(x)],
  elu: [[3, 4], (x) => tf.elu(x)],
  leakyRelu: [[3, 4], (x) => tf.leakyRelu(x, 0.2)],
  tanh: [[3, 4], (x) => tf.tanh(x)],
  softplus: [[3, 4], (x) => tf.softplus(tf.neg(x))],
  "exp and log": [[3, 4], (x) => tf.log(tf.add(1, tf.exp(x)))],
  "sqrt and pow": [[3, 4], (x) => tf.add(tf.sqrt(positive(x)), tf.pow(positive(x), 1.5))],
  "sin and cos": [[3, 4], (x) => tf.mul(tf.sin(x), tf.cos(x))],
  "div and reciprocal": [[3, 4], (x) => tf.div(x, tf.add(positive(x), tf.reciprocal(positive(x))))],
  "maximum and minimum": [[3, 4], (x) => tf.maximum(tf.minimum(x, 0.4), tf.mul(x, -0.5))],
  squaredDifference: [[3, 4], (x) => tf.squaredDifference(x, tf.reverse(x, 1))],
  clipByValue: [[3, 4], (x) => tf.clipByValue(x, -0.5, 0.5)],
  cumsum: [[3, 4], (x) => tf.cumsum(x, 1, true)],
  "matMul, transposed": [[4, 3], (x) => tf.matMul(x, values([5, 4]), true, true)],
  "matMul, batched": [[2, 3, 4], (x) => tf.matMul(x, values([2, 4, 5]))],
  "matMul, broadcast batch": [[2, 3, 4], (x) => tf.matMul(x, values([1, 4, 5]))],
  "concat, slice, pad, tile": [[3, 4], (x) => tf.tile(tf.pad(tf.concat([x, tf.slice(x, [0, 1], [3, 2])], 1), [[1, 0], [0, 2]]), [1, 2])], // biome-ignore format: one row a case
  "split and stack": [[3, 4], (x) => tf.stack(tf.split(x, 2, 1))],
  "unstack, expandDims, squeeze": [[3, 4], (x) => tf.squeeze(tf.expandDims(tf.unstack(x)[1] as tf.Tensor, 0), [0])],
  "transpose and reshape": [[2, 3, 4], (x) => tf.reshape(tf.transpose(x, [1, 2, 0]), [3, 8])],
  where: [[3, 4], (x) => tf.where(mask(), x, tf.mul(x, 0.1))],
  "max and min": [[3, 4], (x) => tf.add(tf.max(x, 1), tf.min(x, 1))],
  "mean of two axes": [[2, 3, 4], (x) => tf.mean(x, [0, 2])],
  broadcastTo: [[1, 4], (x) => tf.broadcastTo(x, [3, 4])],
  "add with broadcasting": [[4], (x) => tf.add(values([3, 4]), x)],
  norm: [[3, 4], (x) => tf.norm(x, 2, 1)],
  "an LSTM's scan": [[2, 3, 3], (x) => scanned(x)],
  "weights of an LSTM's input": [[3, 8], (x) => scanned(values([2, 3, 3]), { "input/weights": x })],
  "weights of an LSTM's state": [[2, 8], (x) => scanned(values([2, 3, 3]), { "state/weights": x })],
  "biases of an LSTM": [[8], (x) => scanned(values([2, 3, 3]), { "input/biases": x })],
};

const others: Record<string, () => tf.Tensor> = {
  "unsortedSegmentSum, a negative segment": () => tf.unsortedSegmentSum(values([4, 3]), tf.tensor1d([1, -1, 1, 0], "int32"), 3),
  "unsortedSegmentSum of integers": () => tf.unsortedSegmentSum(tf.tensor1d([1, 2, 3], "int32"), tf.tensor1d([1, 1, 0], "int32"), 2),
  "unsortedSegmentSum of nothing": () => tf.unsortedSegmentSum(tf.zeros([0, 2]), tf.tensor1d([], "int32"), 2),
  oneHot: () => tf.oneHot(ids(), 6),
  "topk values": () => tf.topk(values([3, 7]), 4).values,
  "topk indices": () => tf.topk(values([3, 7]), 4).indices,
  argMax: () => tf.argMax(values([3, 7]), 1),
  einsum: () => tf.einsum("bij,bjk->bik", values([2, 3, 4]), values([2, 4, 5])),
  gatherND: () => tf.gatherND(values([3, 4]), tf.tensor2d([0, 1, 2, 3], [2, 2], "int32")),
  scatterND: () => tf.scatterND(tf.tensor2d([1, 4], [2, 1], "int32"), tf.tensor1d([0.5, 2]), [6]),
  "comparisons and logic": () => tf.logicalAnd(tf.greater(values([3, 4]), 0), tf.logicalNot(tf.lessEqual(values([3, 4]), 0.5))),
  "integer arithmetic": () => tf.add(tf.mul(ids(), tf.scalar(3, "int32")), tf.scalar(1, "int32")),
  "sum of integers": () => tf.sum(ids()),
  "equal of integers": () => tf.cast(tf.equal(ids(), tf.scalar(4, "int32")), "float32"),
  "floorDiv and mod": () => tf.add(tf.floorDiv(ids(), tf.scalar(3, "int32")), tf.mod(ids(), tf.scalar(3, "int32"))),
  "any and all": () => tf.stack([tf.any(mask(), 1), tf.all(mask(), 1)]),
  range: () => tf.range(0, 6, 1, "int32"),
  bandPart: () => tf.linalg.bandPart(tf.ones([4, 4]), -1, 0),
};

function results(): Record<string, number[]> {
  return tf.tidy(() => {
    const found: Record<string, number[]> = {};
    const keep = (name: string, compute: () => tf.Tensor) => {
      try {
        found[name] = [...compute().dataSync()];
      } catch (error) {
        throw new Error(`${name} on ${tf.getBackend()}: ${(error as Error).message}`);
      }
    };
    for (const [name, [shape, f]] of Object.entries(differentiable)) {
      keep(name, () => f(values(shape)));
      // Weighted, so that gradients that a plain sum makes zero (softmax) are seen.
      keep(`gradient of ${name}`, () =>
        tf.grad((x) => {
          const y = f(x);
          return tf.sum(tf.mul(y, values(y.shape, 0.7)));
        })(values(shape)),
      );
    }
    for (const [name, f] of Object.entries(others)) keep(name, f);
    return found;
  });
}

async function startable(name: EngineName): Promise<boolean> {
  return startEngine(name).then(
    () => true,
    () => false,
  );
}

describe("tensor engines", () => {
  let initial: EngineInfo;
  before(async function () {
    this.timeout(60_000);
    initial = await startEngine();
  });
  afterEach(() => startEngine(initial.name));

  it("computes the same on every engine that starts here, with gradients, and leaks nothing", async function () {
    this.timeout(60_000);
    await startEngine("cpu");
    const expected = await assertNoLeak(results);
    const engines: EngineName[] = ["wasm"];
    if (await startable("tensorflow")) engines.push("tensorflow");
    for (const engine of engines) {
      await startEngine(engine);
      assert.equal(tf.getBackend(), engine);
      const actual = await assertNoLeak(results);
      for (const [name, numbers] of Object.entries(expected)) {
        const found = actual[name] ?? [];
        assert.equal(found.length, numbers.length, `${name} on ${engine}`);
        const worst = Math.max(0, ...numbers.map((number, i) => Math.abs(number - (found[i] ?? Number.NaN))));
        assert.ok(worst < 2e-5, `${name} on ${engine} is off by ${worst}: ${found} instead of ${numbers}`);
      }
    }
  });

  it("sums segments by hand-computed numbers", async () => {
    for (const engine of ["cpu", "wasm"] as const) {
      await startEngine(engine);
      const sums = tf.tidy(
        () =>
        tf.unsortedSegmentSum(tf.tensor2d([[1, 2], [10, 20], [100, 200]]), tf.tensor1d([2, 0, 2], "int32"), 4).arraySync(), // biome-ignore format: rows
      );
      assert.deepEqual(sums, [[10, 20], [0, 0], [101, 202], [0, 0]]); // biome-ignore format: rows
    }
  });

  it("says which engine runs, and returns it again for auto", async () => {
    const wasm = await startEngine("wasm");
    assert.deepEqual(await startEngine("auto"), wasm);
    assert.equal(wasm.name, "wasm");
    assert.equal(wasm.version, "4.22.0");
    assert.match(wasm.reason, /caller/);
  });

  it("refuses what does not fit into WebAssembly before it aborts", async () => {
    const wasm = await startEngine("wasm");
    assert.doesNotThrow(() => requireTensorMemory(wasm, 1e9, "the model"));
    assert.throws(
      () => requireTensorMemory(wasm, 3e9, "training smollm2-135m-instruct"),
      (error) => error instanceof RlrfError && error.code === "RLRF_ENGINE_MEMORY" && /3\.0 GB.*2\.1 GB/s.test(error.message),
    );
  });

  it("refuses what does not fit into the machine, and names what would do", async () => {
    const { memory, ...cpu } = await startEngine("cpu");
    assert.ok(memory !== null && memory > 1e8 && memory <= totalmem(), `${memory}`);
    assert.doesNotThrow(() => requireTensorMemory({ ...cpu, memory }, memory, "the model"));
    assert.throws(() => requireTensorMemory({ ...cpu, memory }, memory + 1, "the model"), {
      code: "RLRF_ENGINE_MEMORY",
      message: /"cpu" holds[\s\S]*alignment\.batchSize/,
    });
  });

  it("rejects an unknown name", async () => {
    await assert.rejects(
      startEngine("tensorfow" as EngineName),
      (error) => error instanceof RlrfError && error.code === "RLRF_ENGINE_UNKNOWN",
    );
  });

  describe("in a process of its own", () => {
    const script = `
      const { startEngine } = await import("${packageRoot}/dist/framework/tensor/engine.js");
      try { console.log(JSON.stringify(await startEngine())); }
      catch (error) { console.log(JSON.stringify({ code: error.code, message: error.message })); }`;
    const startWith = async (env: Record<string, string>) => {
      const { stdout, stderr } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], {
        cwd: packageRoot,
        env: { ...process.env, ...env },
      });
      return { answer: JSON.parse(stdout.trim().split("\n").at(-1) ?? ""), lines: stdout.trim().split("\n").length, stderr };
    };

    it("obeys RLRF_ENGINE, and starts without a word of its own", async () => {
      for (const name of ["cpu", "wasm", "auto"]) {
        const { answer, lines, stderr } = await startWith({ RLRF_ENGINE: name });
        if (name !== "auto") assert.equal(answer.name, name);
        assert.equal(answer.reason, name === "auto" ? answer.reason : "RLRF_ENGINE asks for it");
        assert.deepEqual([lines, stderr], [1, ""], `${name} printed something`);
      }
    });

    it("names the variable when RLRF_ENGINE is wrong", async () => {
      const { answer } = await startWith({ RLRF_ENGINE: "cuda" });
      assert.equal(answer.code, "RLRF_ENGINE_UNKNOWN");
      assert.match(answer.message, /environment variable RLRF_ENGINE/);
    });

    it("uses as many threads as RLRF_THREADS says", async () => {
      const { answer } = await startWith({ RLRF_THREADS: "1", RLRF_ENGINE: "auto" });
      assert.equal(answer.threads, 1);
      for (const threads of ["0", "-1", "1.5", "x", "100000"]) {
        const refused = (await startWith({ RLRF_THREADS: threads, RLRF_ENGINE: "cpu" })).answer;
        assert.equal(refused.code, "RLRF_ENGINE_THREADS", threads);
        assert.match(refused.message, /environment variable RLRF_THREADS[\s\S]*from 1 to 1024/);
      }
    });
  });
});
