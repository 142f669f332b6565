import assert from "node:assert/strict";
import fc from "fast-check";
import { Hashing } from "../../../plugins/text-encoders/hashing.js";

const encoder = new Hashing({ width: 384, words: 1, characters: [3, 4] });
const encode = async (text: string) => (await encoder.encode([text])).vectors;
const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, x, i) => sum + x * (b[i] ?? 0), 0);

describe("text-encoders/hashing", () => {
  it("puts one word without character n-grams into one bucket", async () => {
    const { width, vectors } = await new Hashing({ width: 16, words: 1, characters: [0, 0] }).encode(["Drama", "drama!", "drama drama"]);
    assert.equal(width, 16);
    for (const row of [0, 1, 2]) {
      const vector = vectors.slice(row * 16, row * 16 + 16);
      assert.deepEqual(
        [...vector]
          .map(Math.abs)
          .sort((a, b) => b - a)
          .slice(0, 2),
        [1, 0],
      );
      assert.deepEqual(vector, vectors.slice(0, 16));
    }
  });

  it("weighs a word as much as all of its character n-grams", async () => {
    // "ab" alone: word "ab" weighs 1; "<ab", "ab>" and "<ab>" weigh 1/3 each: norm sqrt(1 + 3/9), if no two collide
    const vector = await encode("ab");
    const norm = Math.sqrt(1 + 3 / 9);
    const weights = [...vector]
      .map(Math.abs)
      .filter((x) => x > 0)
      .sort((a, b) => b - a);
    assert.equal(weights.length, 4);
    for (const [i, expected] of [1, 1 / 3, 1 / 3, 1 / 3].entries()) assert.ok(Math.abs((weights[i] ?? 0) - expected / norm) < 1e-6);
  });

  it("puts texts that share words nearer than texts that do not", async () => {
    const [comedy, comedies, horror] = await Promise.all(["Genre: Comedy, Drama", "Genre: Comedies", "Avoids: Horror"].map(encode));
    if (!comedy || !comedies || !horror) return assert.fail();
    assert.ok(dot(comedy, comedies) > dot(comedy, horror) + 0.2);
  });

  it("is silent for a text without a letter or digit", async () => {
    assert.ok((await encode(" … ")).every((x) => x === 0));
  });

  it("gives unit vectors that do not depend on the other texts of a call", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.string({ unit: "grapheme" }), { minLength: 1, maxLength: 4 }), async (texts) => {
        const { vectors } = await encoder.encode(texts);
        for (const [row, text] of texts.entries()) {
          const vector = vectors.slice(row * 384, (row + 1) * 384);
          const norm = Math.sqrt(dot(vector, vector));
          assert.ok(norm === 0 || Math.abs(norm - 1) < 1e-5);
          assert.deepEqual(vector, await encode(text));
        }
      }),
    );
  });
});
