import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Assets } from "../../../framework/contracts/plugin.js";
import { createAssets } from "../../../framework/setup/assets.js";
import { packageRoot } from "../../../framework/setup/paths.js";
import { Transformers } from "../../../plugins/text-encoders/transformers.js";

const defaults = {
  model: "all-minilm-l6-v2",
  dtype: "q8",
  pooling: "mean",
  dimensions: null,
  normalise: true,
  prefix: "",
  suffix: "",
  maxTokens: null,
  batchSize: 32,
  threads: 0,
} as const;

interface Golden {
  readonly texts: readonly string[];
  /** Cosines of the same int8 file by onnxruntime in Python, and of the published float weights by transformers. */
  readonly int8: readonly (readonly number[])[];
  readonly float: readonly (readonly number[])[];
}

describe("text-encoders/transformers", function () {
  this.timeout(600_000); // the first run fetches the model
  const assets: Assets = createAssets({});
  const encoders = new Map<string, Transformers>();
  const encoder = (options: Partial<ConstructorParameters<typeof Transformers>[0]> = {}) => {
    const key = JSON.stringify(options);
    const one = encoders.get(key) ?? new Transformers({ ...defaults, ...options }, assets);
    encoders.set(key, one);
    return one;
  };
  const encode = async (texts: readonly string[], options = {}) => (await encoder(options).encode(texts)).vectors;
  let golden: Golden;
  before(async () => {
    golden = JSON.parse(await readFile(join(packageRoot, "test/golden/minilm.json"), "utf8")) as Golden;
  });
  after(() => Promise.all([...encoders.values()].map((each) => each.dispose())));

  it("gives the cosines that onnxruntime gives in Python for the same file, and nearly those of the float weights", async () => {
    const { width, vectors } = await encoder().encode(golden.texts);
    assert.equal(width, 384);
    const row = (i: number) => vectors.subarray(i * width, (i + 1) * width);
    for (const i of golden.texts.keys())
      for (const j of golden.texts.keys()) {
        const cosine = dot(row(i), row(j));
        assert.ok(Math.abs(cosine - (golden.int8[i]?.[j] ?? Number.NaN)) < 1e-4, `int8 ${i}, ${j}: ${cosine}`);
        assert.ok(Math.abs(cosine - (golden.float[i]?.[j] ?? Number.NaN)) < 0.01, `float ${i}, ${j}: ${cosine}`);
      }
  });

  it("gives a text the same vector, bit for bit, whatever else is in the call or the batch", async () => {
    const { vectors } = await encoder().encode(golden.texts);
    const pairs = await encode(golden.texts, { batchSize: 2 });
    assert.deepEqual(pairs, vectors);
    assert.deepEqual(await encode([golden.texts[4] ?? assert.fail()]), vectors.slice(4 * 384, 5 * 384));
  });

  it("normalises, or not", async () => {
    const texts = ["Genre: Drama"];
    const [unit, raw] = [await encode(texts), await encode(texts, { normalise: false })];
    assert.ok(Math.abs(dot(unit, unit) - 1) < 1e-5);
    const length = Math.sqrt(dot(raw, raw));
    assert.ok(Math.abs(length - 1) > 0.1);
    for (const [i, x] of unit.entries()) assert.ok(Math.abs(x - (raw[i] ?? Number.NaN) / length) < 1e-5);
  });

  it("pools the first token instead of the mean", async () => {
    const [mean, cls] = [await encode(["Genre: Drama"]), await encode(["Genre: Drama"], { pooling: "cls" })];
    assert.ok(Math.abs(dot(cls, cls) - 1) < 1e-5);
    assert.ok(dot(mean, cls) < 0.99);
  });

  it("pools the last token, which is no padding", async () => {
    const texts = ["Drama", "Genre: Drama, Comedy and a long list of others"];
    const together = await encode(texts, { pooling: "last", batchSize: 2 });
    for (const [i, text] of texts.entries()) {
      const alone = await encode([text], { pooling: "last" }); // nothing is padded
      assert.ok(dot(together.subarray(i * 384, (i + 1) * 384), alone) > 0.999, text);
      assert.ok(dot(alone, await encode([text], { pooling: "cls" })) < 0.99);
    }
  });

  it("says what the model gives where it pools nothing itself", async () => {
    await assert.rejects(encode(["Drama"], { pooling: "model" }), (error: Error & { code?: string }) => {
      assert.equal(error.code, "RLRF_TEXT_MODEL");
      assert.match(error.message, /should give sentence_embedding or .*gives last_hidden_state/);
      return true;
    });
  });

  it("cuts vectors to their first numbers, and normalises what is left", async () => {
    const [whole, short] = [await encode(["Drama"]), await encode(["Drama"], { dimensions: 64 })];
    assert.equal(short.length, 64);
    assert.ok(Math.abs(dot(short, short) - 1) < 1e-5);
    const length = Math.sqrt(dot(whole.subarray(0, 64), whole.subarray(0, 64)));
    for (const [i, x] of short.entries()) assert.ok(Math.abs(x - (whole[i] as number) / length) < 1e-5);
    await assert.rejects(encode(["Drama"], { dimensions: 385 }), /384 numbers, not the 385/);
  });

  it("cuts texts to the tokens asked for", async () => {
    const [one, other] = [
      await encode(["Drama Comedy Horror"], { maxTokens: 3 }),
      await encode(["Drama Comedy Western"], { maxTokens: 3 }),
    ];
    assert.ok(one.every((value, i) => value === other[i]));
    assert.ok(dot(one, await encode(["Drama Comedy Horror"])) < 0.999);
  });

  it("puts the suffix after every text", async () => {
    assert.deepEqual(await encode(["Genre:"], { suffix: " Drama" }), await encode(["Genre: Drama"]));
  });

  it("puts the prefix before every text", async () => {
    assert.deepEqual(await encode(["Drama"], { prefix: "Genre: " }), await encode(["Genre: Drama"]));
  });

  it("takes the path of a model's folder", async () => {
    assert.deepEqual(await encode(["Drama"], { model: await assets.folder("all-minilm-l6-v2") }), await encode(["Drama"]));
  });

  it("encodes nothing to nothing, and cuts what is longer than the model reads", async () => {
    assert.equal((await encode([])).length, 0);
    assert.ok((await encode(["word ".repeat(2000)])).every(Number.isFinite));
  });

  it("says which file is missing, and what is wrong with a damaged one", async () => {
    const folder = await mkdtemp(join(tmpdir(), "rlrf-model-"));
    try {
      const fails = (pattern: RegExp) =>
        assert.rejects(encode(["x"], { model: folder }), (error: Error & { code?: string }) => {
          assert.equal(error.code, "RLRF_TEXT_MODEL");
          assert.match(error.message, pattern);
          return true;
        });
      await fails(/config\.json/);
      const source = await assets.folder("all-minilm-l6-v2");
      for (const name of ["config.json", "tokenizer.json", "tokenizer_config.json"])
        await writeFile(join(folder, name), await readFile(join(source, name)));
      await fails(/model_quantized\.onnx/);
      await mkdir(join(folder, "onnx"));
      await writeFile(join(folder, "onnx", "model_quantized.onnx"), "not a model");
      await fails(/cannot be read/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, x, i) => sum + x * (b[i] ?? 0), 0);
}
