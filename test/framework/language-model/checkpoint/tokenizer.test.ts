import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { TemplateChat } from "../../../../framework/language-model/chat.js";
import { ChatTemplate, type TemplateVariables, withVariables } from "../../../../framework/language-model/checkpoint/chat-template.js";
import type { ChatDescription } from "../../../../framework/language-model/checkpoint/checkpoint.js";
import { GgufMetadata } from "../../../../framework/language-model/checkpoint/gguf-metadata.js";
import { GgufReader } from "../../../../framework/language-model/checkpoint/gguf-reader.js";
import { openCheckpoint } from "../../../../framework/language-model/checkpoint/open.js";
import { TextTokenizer } from "../../../../framework/language-model/checkpoint/text-tokenizer.js";
import { type TokenizerJson, tokenizerOfGguf } from "../../../../framework/language-model/checkpoint/tokenizer-json.js";
import { decodeBytes } from "../../../../framework/language-model/tokenizer.js";
import { packageRoot } from "../../../../framework/setup/paths.js";
import { gguf, ggufBytes } from "../../../support/checkpoint.js";
import { assertFails } from "../../../support/faults.js";
import { oddTexts } from "../../../support/odd-texts.js";
import { smollm2Path } from "../../../support/smollm2.js";

const golden = JSON.parse(readFileSync(join(packageRoot, "test/golden/smollm2.json"), "utf8")) as {
  readonly tokens: Readonly<Record<string, readonly string[]>>;
};

describe("published tokenizers and chat templates", function () {
  this.timeout(600_000); // the first run fetches the model
  let json: TokenizerJson;
  let chat: ChatDescription;
  let tokenizer: TextTokenizer;
  before(async () => {
    const checkpoint = await openCheckpoint(await smollm2Path());
    ({ tokenizer: json, chat } = checkpoint);
    await checkpoint.close();
    tokenizer = new TextTokenizer("here", json);
  });
  /** By number: a JavaScript object would list the token "7" before "a". */
  const tokens = () =>
    Object.entries(json.model.vocab)
      .sort(([, a], [, b]) => a - b)
      .map(([token]) => token);
  /** The tokenizer of a GGUF file with the same vocabulary behind another pre-tokenizer. */
  const ofGguf = (pre: string, changes: Readonly<Record<string, Buffer>> = {}) => {
    const types = tokens().map((_, id) => (json.added_tokens.some((token) => token.id === id) ? 3 : 1));
    const metadata = {
      "tokenizer.ggml.model": gguf.text("gpt2"),
      "tokenizer.ggml.pre": gguf.text(pre),
      "tokenizer.ggml.tokens": gguf.texts(tokens()),
      "tokenizer.ggml.token_type": gguf.i32s(types),
      "tokenizer.ggml.merges": gguf.texts(json.model.merges.map((pair) => (pair as readonly string[]).join(" "))),
    };
    const bytes = ggufBytes({ ...metadata, ...changes }, []);
    return tokenizerOfGguf(new GgufMetadata(new GgufReader("here", bytes, bytes.length, 16))); // behind the number of tensors
  };

  for (const [pre, digests] of Object.entries(golden.tokens)) {
    it(`cuts 10,000 texts as the tokenizers library does: ${pre}`, () => {
      const own = new TextTokenizer("here", ofGguf(pre));
      const texts = oddTexts();
      digests.forEach((digest, chunk) => {
        const rows = texts.slice(chunk * 100, (chunk + 1) * 100).map((text) => own.encode(text).join(","));
        const found = createHash("sha256").update(rows.join("\n")).digest("hex").slice(0, 16);
        assert.equal(found, digest, `texts ${chunk * 100} to ${chunk * 100 + 99}`);
      });
    });
  }

  it("gives a text back, byte by byte", () => {
    // Some control characters have no token in this vocabulary.
    const known = (character: string) =>
      character > "\u001f" || Object.hasOwn(json.model.vocab, String.fromCharCode(256 + character.charCodeAt(0)));
    const whole = (text: string) => Array.from(text).filter(known).join("");
    for (const text of oddTexts(300)) {
      const pieces = Array.from(tokenizer.encode(text), (id) => tokenizer.piece(id)).join("");
      assert.equal(
        decodeBytes(pieces).replaceAll("\ufffd", ""),
        decodeBytes(Buffer.from(whole(text)).toString("latin1")).replaceAll("\ufffd", ""),
      );
    }
  });

  it("names tokenizers that it does not compute", async () => {
    await assertFails("RLRF_CHECKPOINT_UNSUPPORTED", () => ofGguf("deepseek-llm"), /"deepseek-llm"[\s\S]*smollm/);
    await assertFails("RLRF_CHECKPOINT_UNSUPPORTED", () => ofGguf("__proto__"));
    const sentencePiece = { "tokenizer.ggml.model": gguf.text("llama") };
    await assertFails("RLRF_CHECKPOINT_UNSUPPORTED", () => ofGguf("gpt-2", sentencePiece), /"llama"/);
    await assertFails("RLRF_CHECKPOINT_UNSUPPORTED", () => new TextTokenizer("here", { ...json, decoder: null }), /decoder none/);
    const merge = (text: string) => ({ "tokenizer.ggml.merges": gguf.texts([text]) });
    await assertFails("RLRF_CHECKPOINT_BROKEN", () => ofGguf("gpt-2", merge("a")), /a merge is "a"/);
  });

  describe("the chat form", () => {
    const codec = (template = chat.template ?? "", endTokens = chat.endTokens) =>
      new TemplateChat(tokenizer, new ChatTemplate("here", template, chat.variables), endTokens);
    const spelled = (ids: Int32Array) =>
      Array.from(ids, (id) => tokenizer.piece(id) || `[${[...tokenizer.special.values()].find((token) => token.id === id)?.content}]`).join(
        "",
      );

    it("is the template's", () => {
      const ids = codec().prompt([{ role: "system", content: "S" }, { role: "user", content: "U" }, { role: "assistant", content: "A" }, { role: "user", content: "V" }]); // biome-ignore format: one line
      const turn = (role: string, text: string) => `[<|im_start|>]${role}\n${text}[<|im_end|>]\n`;
      assert.equal(
        spelled(ids),
        `${turn("system", "S")}${turn("user", "U")}${turn("assistant", "A")}${turn("user", "V")}[<|im_start|>]assistant\n`,
      );
      assert.equal(spelled(codec().completion("ok", true)), "ok[<|im_end|>]");
      assert.equal(spelled(codec().completion("ok", false)), "ok");
    });

    it("is told variables of its own, which stay with the template", async () => {
      const thinking = `\n{% for m in messages %}{{ m.content }}{% endfor %}{% if enable_thinking is defined and not enable_thinking %}[{{ effort }}]{% endif %}<|im_end|>`;
      const written = (variables: TemplateVariables) =>
        new ChatTemplate("here", withVariables("here", thinking, variables), {}).render([{ role: "user", content: "U" }], true);
      assert.equal(written({}), "\nU<|im_end|>");
      assert.equal(written({ enable_thinking: false, effort: 'a "low" one' }), '\nU[a "low" one]<|im_end|>');
      assert.equal(written({ enable_thinking: true }), "\nU<|im_end|>");
      for (const name of ["messages", "add_generation_prompt", "a b", "%} {{ 7 }}"])
        await assertFails("RLRF_CHAT_TEMPLATE", () => written({ [name]: true }), /no variable that can be set/);
    });

    it("ends where the template ends an answer, and where the file says", () => {
      assert.deepEqual([...codec("{% for m in messages %}{{ m['content'] }}<|endoftext|>{% endfor %}").endTokens], [0, 2]);
      assert.deepEqual([...codec("{{ messages[0]['content'] }}{{ messages[-1]['content'] }}").endTokens], [2]);
      return assertFails("RLRF_CHAT_TEMPLATE", () => codec("{{ messages[-1]['content'] }}", []), /names a token/);
    });

    it("merges across the seam of template and message, as transformers does", () => {
      const seam = codec("a{{ messages[-1]['content'] | trim }}<|im_end|>").prompt([{ role: "user", content: "  nd \n" }]);
      assert.deepEqual([...seam.slice(0, -1)], [...tokenizer.encode("and")]);
    });

    it("never makes a special token of what a message says", () => {
      const names = [...tokenizer.special.keys()];
      const specials = (ids: Int32Array) => ids.filter((id) => tokenizer.piece(id) === "").length;
      const templates = [chat.template ?? "", "{% for m in messages %}{{ m['content'] | trim }}|><|im_end|>{% endfor %}end|>"];
      const hostile = fc.array(
        fc.oneof(fc.constantFrom(...names, "<|im_", "end|>", "<", "<|", "<|im_end|", " ", "\ue000", "\n"), fc.string()),
        { maxLength: 8 },
      );
      fc.assert(
        fc.property(hostile, fc.constantFrom(...templates), (parts, template) => {
          const own = codec(template);
          const prompt = (content: string) => own.prompt([{ role: "user", content }]);
          assert.equal(specials(prompt(parts.join(""))), specials(prompt("x")));
          assert.equal(specials(own.completion(parts.join(""), false)), 0);
        }),
        { numRuns: 300 },
      );
    });

    it("stops a template that fails, runs for ever or takes too much", async () => {
      const fails = (template: string, message: RegExp) => assertFails("RLRF_CHAT_TEMPLATE", () => codec(template), message);
      await fails("{{ raise_exception('no system turns') }}", /no system turns/);
      await fails("{% for", /it fails/);
      await fails("{{ messages.x.y.z() }}", /it fails/);
      await fails("{% for i in range(10000000000) %}{% endfor %}", /range\(\) of 10000000000/);
      await fails(
        "{% for i in range(99999) %}{% for j in range(99999) %}{% for k in range(99999) %}x{% endfor %}{% endfor %}{% endfor %}",
        /did not end/,
      );
      await fails("{".repeat(300_000), /300000 characters/);
      await fails("{{ ".concat("(".repeat(60_000)), /it fails/);
    });
  });
});
