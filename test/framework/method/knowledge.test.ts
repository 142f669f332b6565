import assert from "node:assert/strict";
import type { TextEncoder } from "../../../framework/contracts/recommender.js";
import { written } from "../../../framework/method/answer-vectors.js";
import { itemText, itemVectors, userVectors, VectorCache, type VectorLog } from "../../../framework/method/knowledge.js";
import { parseStructure } from "../../../framework/method/structure.js";
import { movies } from "./data.js";

/** Gives each text [its length, its first letter], and remembers what it was asked. */
class Lengths implements TextEncoder {
  readonly asked: string[] = [];
  async encode(texts: readonly string[]) {
    this.asked.push(...texts);
    return { width: 2, vectors: Float32Array.from(texts.flatMap((text) => [text.length, text.charCodeAt(0)])) };
  }
}
class MemoryLog implements VectorLog {
  private readonly values = new Map<string, string>();
  get(key: string) {
    return this.values.get(key);
  }
  put(key: string, value: string) {
    this.values.set(key, value);
  }
  async refresh() {}
  close() {}
}
const fixed = (...answers: { width: number; vectors: Float32Array }[]): TextEncoder => ({
  encode: async () => answers.shift() ?? assert.fail("asked too often"),
});

describe("knowledge", () => {
  it("encodes each aspect by itself; an aspect without an answer is silent", async () => {
    const encoder = new Lengths();
    const texts = ["Genre: Drama\nPeriod: 1990s", "Period: 1990s", ""].map((text) => parseStructure(text, ["Genre", "Period"]));
    const vectors = await userVectors(texts, ["Genre", "Period"], new VectorCache(encoder, new MemoryLog()));
    assert.deepEqual([...written(vectors)], [12, 71, 13, 80, 0, 0, 13, 80, 0, 0, 0, 0]);
    assert.deepEqual([vectors.rows, vectors.table.length], [Int32Array.of(1, 2, 0, 2, 0, 0), 3 * 2], "each answer once");
    assert.deepEqual(encoder.asked, ["Genre: Drama", "Period: 1990s"]);
  });

  it("keeps the width when nobody says anything", async () => {
    const cache = new VectorCache(new Lengths(), new MemoryLog());
    await cache.encode(["x"]);
    const { width, table, rows } = await userVectors([parseStructure("", ["Genre"])], ["Genre"], cache);
    assert.deepEqual([width, table, rows], [2, Float32Array.of(0, 0), Int32Array.of(0)]);
  });

  it("numbers items from 1 and leaves row 0 to the padding", async () => {
    const { width, vectors } = await itemVectors(movies, new VectorCache(new Lengths(), new MemoryLog()), false);
    assert.equal(width, 2);
    assert.equal(vectors.length, movies.items.length * 2);
    assert.deepEqual([...vectors.subarray(0, 4)], [0, 0, itemText(movies.items[1] ?? assert.fail()).length, "H".charCodeAt(0)]);
  });

  it("takes the items' mean from each of them, and leaves the padding and what is kept as they were", async () => {
    const cache = new VectorCache(new Lengths(), new MemoryLog());
    const plain = await itemVectors(movies, cache, false);
    const { vectors } = await itemVectors(movies, cache, true);
    const items = movies.items.length - 1;
    const lengths = movies.items.slice(1).map((item) => itemText(item).length);
    const mean = lengths.reduce((sum, length) => sum + length, 0) / items;
    assert.deepEqual([...vectors.subarray(0, 2)], [0, 0]);
    for (const [i, length] of lengths.entries()) assert.ok(Math.abs((vectors[2 * (i + 1)] as number) - (length - mean)) < 1e-4);
    const firstLetters = vectors.filter((_, i) => i % 2 === 1);
    assert.ok(Math.abs(firstLetters.reduce((sum, value) => sum + value, 0)) < 1e-3);
    assert.deepEqual(await itemVectors(movies, cache, false), plain);
  });

  it("describes an item by its title, year and fields", () => {
    assert.equal(itemText(movies.items[1] ?? assert.fail()), "Heat (1995). genres: Action, Crime. period: 1990s");
    assert.equal(itemText(movies.items[6] ?? assert.fail()), "Solo (2001)");
  });

  it("encodes a text once, also across runs", async () => {
    const log = new MemoryLog();
    const first = new Lengths();
    const cache = new VectorCache(first, log);
    const before = await cache.encode(["a", "bb", "a"]);
    await cache.encode(["bb"]);
    assert.deepEqual(first.asked, ["a", "bb"]);
    const second = new Lengths();
    assert.deepEqual(await new VectorCache(second, log).encode(["a", "bb", "a"]), before);
    assert.deepEqual(second.asked, []);
  });

  const refuses = async (code: string, encoder: TextEncoder, log: VectorLog, ...calls: string[][]) => {
    const cache = new VectorCache(encoder, log);
    await assert.rejects(
      async () => {
        for (const texts of calls) await cache.encode(texts);
      },
      { name: "RlrfError", code },
    );
  };

  it("forgets the oldest vectors beyond its limit, after each call", async () => {
    const encoder = new Lengths();
    const cache = new VectorCache(encoder, { get: () => undefined, put: () => {}, refresh: async () => {}, close: () => {} }, undefined, 2);
    assert.equal((await cache.encode(["a", "bb", "ccc"])).vectors.length, 6);
    await cache.encode(["bb", "ccc"]);
    assert.equal(encoder.asked.length, 3);
    await cache.encode(["a"]);
    assert.equal(encoder.asked.length, 4);
  });

  it("gives every vector, whatever calls that run at the same time forget", async () => {
    const log: VectorLog = { get: () => undefined, put: () => {}, refresh: async () => {}, close: () => {} };
    const cache = new VectorCache(new Lengths(), log, undefined, 1);
    await cache.encode(["popular"]);
    const both = await Promise.all([cache.encode(["popular", "new"]), cache.encode(["another"])]);
    assert.deepEqual(
      both.map(({ vectors }) => [...vectors].filter((_, i) => i % 2 === 0)),
      [[7, 3], [7]],
    );
  });

  it("refuses vectors of two widths, or of another width than it says", async () => {
    const two = [
      { width: 2, vectors: Float32Array.of(1, 2) },
      { width: 3, vectors: Float32Array.of(1, 2, 3) },
    ];
    await refuses("RLRF_TEXT_WIDTH", fixed(...two), new MemoryLog(), ["a"], ["b"]);
    await refuses("RLRF_TEXT_WIDTH", fixed({ width: 2, vectors: Float32Array.of(1, 2, 3) }), new MemoryLog(), ["a"]);
    await refuses("RLRF_TEXT_WIDTH", fixed({ width: 0, vectors: new Float32Array() }), new MemoryLog(), ["a"]);
  });

  it("refuses a kept vector of another width than the encoder's", async () => {
    const log = new MemoryLog();
    await new VectorCache(new Lengths(), log).encode(["a"]);
    await refuses("RLRF_TEXT_WIDTH", fixed({ width: 3, vectors: Float32Array.of(1, 2, 3) }), log, ["a", "b"]);
  });

  it("refuses NaN and infinity, and keeps neither", async () => {
    const log = new MemoryLog();
    await refuses("RLRF_TEXT_NOT_FINITE", fixed({ width: 1, vectors: Float32Array.of(Number.NaN) }), log, ["a"]);
    await refuses("RLRF_TEXT_NOT_FINITE", fixed({ width: 1, vectors: Float32Array.of(Number.POSITIVE_INFINITY) }), log, ["a"]);
    assert.deepEqual([...(await new VectorCache(fixed({ width: 1, vectors: Float32Array.of(1) }), log).encode(["a"])).vectors], [1]);
  });
});
