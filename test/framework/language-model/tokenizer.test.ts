import assert from "node:assert/strict";
import fc from "fast-check";
import { trainBpe } from "../../../framework/language-model/bpe-training.js";
import { ChatMl, chatTokens } from "../../../framework/language-model/chat.js";
import { MinHeap } from "../../../framework/language-model/heap.js";
import { BpeTokenizer, type TokenizerState } from "../../../framework/language-model/tokenizer.js";

const corpus = ["Genre: Drama, Comedy", "Genre: Comedy, Horror", "Avoids: Horror", "Genre: Drama", "café ça va 東京 🎬🎬"];
const trained = (vocabulary = 320) => trainBpe(corpus, { vocabulary, special: chatTokens });
const text = fc.string({ unit: "grapheme", maxLength: 60 });

/** Merges by their definition: the pair of least rank, everywhere from the left, until none is left. */
function encodeByDefinition({ tokens, merges, pattern }: TokenizerState, whole: string): number[] {
  return [...whole.matchAll(new RegExp(pattern, "gu"))].flatMap(([word]) => {
    let ids = [...Buffer.from(word)].map((byte) => tokens.indexOf(String.fromCharCode(byte)));
    for (;;) {
      const present = (left: number, right: number) => ids.some((id, i) => id === left && ids[i + 1] === right);
      const merge = merges.find(([left, right]) => present(left, right));
      if (merge === undefined) return ids;
      const next: number[] = [];
      for (let i = 0; i < ids.length; i++) {
        const merges = ids[i] === merge[0] && ids[i + 1] === merge[1];
        next.push(merges ? merge[2] : (ids[i] as number));
        if (merges) i++;
      }
      ids = next;
    }
  });
}

describe("byte-level BPE", () => {
  it("learns the most frequent pairs first, hand-computed", () => {
    const { tokens, merges } = trainBpe(["aab aab aab ab"], { vocabulary: 256 + 4, special: [] });
    // pieces: "aab", " aab" twice, " ab": ab 4, aa 3, " a" 3; then aab 3; then " aab" 2
    assert.deepEqual(merges.map(([, , merged]) => tokens[merged]), ["ab", "aab", " aab"]); // biome-ignore format: one line
    assert.equal(tokens.length, 259, "no pair is left that occurs twice");
  });

  it("does not depend on the order of the texts", () => {
    assert.deepEqual(
      trainBpe([...corpus].reverse(), { vocabulary: 300, special: chatTokens }),
      trainBpe(corpus, { vocabulary: 300, special: chatTokens }),
    );
  });

  it("gives every text back", () => {
    const tokenizer = new BpeTokenizer(trained());
    const check = (whole: string) => assert.equal(tokenizer.decode(tokenizer.encode(whole)), whole);
    for (const whole of [
      "",
      " ",
      "\n\n\t x",
      "\u0000\u007f",
      "don't",
      "👩‍👩‍👧‍👦 🇩🇪",
      "<|im_end|>",
      "\ufeffa\ufffdb",
      "١٢٣ ½",
      "a".repeat(5000),
    ])
      check(whole);
    fc.assert(fc.property(text, check), { numRuns: 500 });
    fc.assert(fc.property(fc.string({ unit: "binary" }), check), { numRuns: 500 });
  });

  it("agrees with the definition of its merges", () => {
    const state = trained(340);
    const tokenizer = new BpeTokenizer(state);
    const known = fc.array(fc.constantFrom("a", "b", "aab", "Genre", ": ", "Drama", "Horror", "Comedy", "é", "🎬", " "), { maxLength: 12 });
    fc.assert(
      fc.property(known, (parts) => assert.deepEqual([...tokenizer.encode(parts.join(""))], encodeByDefinition(state, parts.join("")))),
    );
  });

  it("stays fast on a long text without a space", () => {
    const tokenizer = new BpeTokenizer(trained());
    const begun = performance.now();
    tokenizer.encode("Drama".repeat(40_000));
    assert.ok(performance.now() - begun < 5000);
  });

  it("never makes a special token of a text, and leaves special tokens out of one", () => {
    const tokenizer = new BpeTokenizer(trained());
    const special = new Set(chatTokens.map((name) => tokenizer.special(name)));
    for (const name of chatTokens) assert.ok(tokenizer.encode(`x${name}y`).every((id) => !special.has(id)));
    assert.equal(tokenizer.decode([...special, ...tokenizer.encode("ok")]), "ok");
    assert.throws(() => tokenizer.special("<|no|>"));
  });

  it("writes a character that was cut as U+FFFD", () => {
    const tokenizer = new BpeTokenizer(trainBpe([], { vocabulary: 256, special: [] }));
    assert.equal(tokenizer.decode(tokenizer.encode("é").slice(0, 1)), "\ufffd");
  });
});

describe("chat form", () => {
  it("is ChatML, with an end only where the text ended", () => {
    const tokenizer = new BpeTokenizer(trained());
    const codec = new ChatMl(tokenizer);
    const spelled = (ids: Int32Array) => [...ids].map((id) => tokenizer.state.tokens[id]).join("");
    assert.equal(
      spelled(codec.prompt([{ role: "system", content: "S" }, { role: "user", content: "<|im_end|>" }])), // biome-ignore format: one line
      "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\n<|im_end|><|im_end|>\n<|im_start|>assistant\n",
    );
    assert.equal(spelled(codec.completion("ok", true)), "ok<|im_end|>");
    assert.equal(spelled(codec.completion("ok", false)), "ok");
    assert.ok(codec.endTokens.has(codec.completion("ok", true).at(-1) as number));
  });
});

describe("heap", () => {
  it("sorts", () => {
    fc.assert(
      fc.property(fc.array(fc.integer()), (values) => {
        const heap = new MinHeap<number>((a, b) => a - b);
        for (const value of values) heap.push(value);
        const popped = values.map(() => heap.pop());
        assert.deepEqual(
          popped,
          [...values].sort((a, b) => a - b),
        );
        assert.equal(heap.pop(), undefined);
      }),
    );
  });
});
