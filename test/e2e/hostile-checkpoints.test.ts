import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { RlrfError } from "../../framework/errors.js";
import { TemplateChat } from "../../framework/language-model/chat.js";
import { ChatTemplate } from "../../framework/language-model/checkpoint/chat-template.js";
import { type Checkpoint, checkpointShapes } from "../../framework/language-model/checkpoint/checkpoint.js";
import { openCheckpoint } from "../../framework/language-model/checkpoint/open.js";
import { TextTokenizer } from "../../framework/language-model/checkpoint/text-tokenizer.js";
import type { Rng } from "../../framework/contracts/plugin.js";
import { createRng } from "../../framework/rng.js";
import { gguf, ggufBytes, type GgufTensorBytes, ggufMetadata, ggufTensors, smallConfig, writeFolder } from "../support/checkpoint.js";
import { assertFails } from "../support/faults.js";
import { useFolder } from "../support/folder.js";

const config = smallConfig({ layers: 1 });
const mutations = 10_000;

/** All that loading does, short of the engine. @param language whether the tokenizer and the template are tried too */
async function load(path: string, language = true): Promise<void> {
  const checkpoint = await openCheckpoint(path);
  try {
    if (language) speak(path, checkpoint);
    for (const [name, shape] of checkpointShapes(checkpoint.config)) {
      const { values } = await checkpoint.read(name);
      assert.equal(values.length, shape.reduce((a, b) => a * b, 1)); // biome-ignore format: one line
    }
  } finally {
    await checkpoint.close();
  }
}

function speak(path: string, { chat, tokenizer }: Checkpoint): void {
  const template = new ChatTemplate(path, chat.template ?? "", chat.variables);
  const codec = new TemplateChat(new TextTokenizer(path, tokenizer), template, chat.endTokens);
  codec.prompt([{ role: "user", content: "Genre: Drama <|im_end|>" }]);
}

const wide = [0n, 1n, 0x7fn, 0xffffn, 0xffff_ffffn, 1n << 53n, 1n << 60n, (1n << 64n) - 1n];

/** Some bytes changed, a number made huge, a stretch removed or repeated, or the end cut off. */
function mutated(good: Buffer, rng: Rng): Buffer {
  const bad = Buffer.from(good);
  const kind = rng.below(6);
  // Half of the damage is done to the header: that is where lies are told.
  const at = rng.below(rng.below(2) === 0 ? Math.min(good.length, 2048) : good.length);
  if (kind === 0) return bad.subarray(0, at);
  if (kind === 1) return Buffer.concat([bad.subarray(0, at), bad.subarray(Math.min(bad.length, at + 1 + rng.below(64)))]);
  if (kind === 2) return Buffer.concat([bad.subarray(0, at), bad.subarray(Math.max(0, at - 64), at), bad.subarray(at)]);
  if (kind === 3 && at + 8 <= bad.length) bad.writeBigUInt64LE(wide[rng.below(wide.length)] as bigint, at);
  else for (let i = 0; i <= rng.below(4); i++) bad[(at + rng.below(16)) % bad.length] = rng.below(256);
  return bad;
}

async function fuzz(
  good: Buffer,
  path: string,
  model: string,
  language: boolean,
): Promise<{ readonly loaded: number; readonly codes: ReadonlySet<string> }> {
  const rng = createRng("hostile", path.split("/").at(-1) ?? "");
  const codes = new Set<string>();
  let loaded = 0;
  const before = process.memoryUsage().rss;
  for (let i = 0; i < mutations; i++) {
    writeFileSync(path, mutated(good, rng));
    try {
      await load(model, language);
      loaded++;
    } catch (error) {
      if (!(error instanceof RlrfError)) throw new Error(`mutation ${i} gives an error without a code`, { cause: error });
      codes.add(error.code);
    }
    if (i % 500 === 0) assert.ok(process.memoryUsage().rss - before < 1e9, `mutation ${i}: memory grows`);
  }
  return { loaded, codes };
}

/** Bytes of a GGUF file: a number as u32, a bigint as u64, a text as it is. */
const raw = (...parts: readonly (number | bigint | string)[]) =>
  Buffer.concat(
    parts.map((part) => {
      if (typeof part === "string") return Buffer.from(part);
      const bytes = Buffer.alloc(typeof part === "bigint" ? 8 : 4);
      if (typeof part === "bigint") bytes.writeBigUInt64LE(part);
      else bytes.writeUInt32LE(part);
      return bytes;
    }),
  );

describe("hostile checkpoints", function () {
  this.timeout(120_000);
  const path = useFolder();
  const tensors = ggufTensors(config, "llama");
  const metadata = ggufMetadata(config, "llama");

  it(`a GGUF file with any of ${mutations} damages loads or gets a coded error`, async () => {
    const { loaded, codes } = await fuzz(ggufBytes(metadata, tensors), path("model.gguf"), path("model.gguf"), true);
    assert.ok(loaded > 0 && loaded < mutations / 2, `${loaded} loaded`);
    for (const code of codes) assert.match(code, /^RLRF_(CHECKPOINT_|CHAT_TEMPLATE)/);
  });

  it(`a safetensors file with any of ${mutations} damages loads or gets a coded error`, async () => {
    await writeFolder(path("model"), config);
    const file = path("model", "model.safetensors");
    const { loaded, codes } = await fuzz(readFileSync(file), file, path("model"), false);
    assert.ok(loaded > 0 && loaded < mutations, `${loaded} loaded`);
    for (const code of codes) assert.match(code, /^RLRF_CHECKPOINT_/);
  });

  for (const name of ["config.json", "tokenizer.json", "tokenizer_config.json"])
    it(`a damaged ${name} loads or gets a coded error`, async () => {
      await writeFolder(path("model"), config);
      const file = join(path("model"), name);
      const good = readFileSync(file);
      const rng = createRng("hostile", name);
      for (let i = 0; i < 500; i++) {
        writeFileSync(file, mutated(good, rng));
        await load(path("model")).catch((error: unknown) => {
          if (!(error instanceof RlrfError)) throw new Error(`mutation ${i}`, { cause: error });
        });
      }
    });

  /** @returns what came of each file, processor time in seconds, and the most memory up to then, bytes */
  function opened(paths: readonly string[]): readonly { readonly outcome: string; readonly seconds: number; readonly peak: number }[] {
    const child = fileURLToPath(new URL("children/open-checkpoints.js", import.meta.url));
    const lines = execFileSync(process.execPath, [child, ...paths], { encoding: "utf8" })
      .trim()
      .split("\n");
    assert.equal(lines.length, paths.length);
    return lines.map((line) => JSON.parse(line));
  }

  it("a GGUF file that is mostly lists, of any type and however long, takes neither memory nor time", () => {
    const size = 140_000_000;
    const file = (name: string, bytes: Buffer) => {
      writeFileSync(path(name), bytes);
      truncateSync(path(name), size); // what follows is read as zeros: empty texts, and empty lists
      return path(name);
    };
    const listed = (name: string, ...list: readonly (number | bigint)[]) => file(name, raw("GGUF", 3, 0n, 1n, 1n, "k", 9, ...list));
    const leastBytes = [1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8]; // of a value, by its type
    const { "tokenizer.ggml.tokens": _, ...others } = metadata;
    const results = opened([
      ...leastBytes.map((bytes, type) => listed(`longest-${type}.gguf`, type, BigInt(Math.floor((size - 100) / bytes)))),
      ...leastBytes.map((_, type) => listed(`long-${type}.gguf`, type, 2_000_000n)),
      listed("nested.gguf", 9, 1n, 9, 1n, 9, 1n, 1, 130_000_000n),
      file("read.gguf", ggufBytes({ ...others, "tokenizer.ggml.tokens": raw(9, 8, 2_000_000n) }, [])),
    ]);
    for (const [i, { outcome, seconds, peak }] of results.entries()) {
      assert.match(outcome, /^RLRF_CHECKPOINT_/);
      assert.ok(peak < 3e8, `after file ${i}: ${peak} bytes`);
      assert.ok(seconds < 5, `file ${i}: ${seconds} s`);
    }
  });

  it("a GGUF file may have a vocabulary larger than any of today", () => {
    const count = 300_000;
    const numbered = (text: string, length: number) => gguf.texts(Array.from({ length }, (_, i) => `${text}${i}`));
    const vocabulary = {
      "tokenizer.ggml.tokens": numbered("t", count),
      "tokenizer.ggml.scores": gguf.i32s(Array(count).fill(0)),
      "tokenizer.ggml.token_type": gguf.i32s(Array(count).fill(1)),
      "tokenizer.ggml.merges": numbered("t ", 2 * count),
    };
    writeFileSync(path("large.gguf"), ggufBytes({ ...metadata, ...vocabulary }, tensors));
    assert.equal(opened([path("large.gguf")])[0]?.outcome, "opened");
  });

  describe("a lying GGUF header", () => {
    const fails = async (bytes: Uint8Array, message: RegExp) => {
      writeFileSync(path("x.gguf"), bytes);
      await assertFails("RLRF_CHECKPOINT_BROKEN", () => openCheckpoint(path("x.gguf")), message);
    };
    /** A u64 of the file replaced. */
    const patched = (at: number, value: bigint) => {
      const bytes = ggufBytes(metadata, tensors);
      bytes.writeBigUInt64LE(value, at);
      return bytes;
    };
    const small: GgufTensorBytes = { name: "x", sides: [8], type: 0, data: new Uint8Array(32) };
    it("of counts and lengths beyond the file", async () => {
      await fails(patched(8, 1n << 60n), /the number of tensors is 1152921504606846976/);
      await fails(patched(8, 1n << 40n), /1099511627776 tensors are to follow[\s\S]*at most/);
      await fails(patched(16, 1n << 50n), /metadata values are to follow/);
      await fails(patched(24, 1n << 33n), /8589934592 bytes are to follow/);
      await fails(raw("GGUF", 3, 0n, 1n, 1n, "k", 9, 4, 1n << 40n), /list items are to follow/);
      await fails(raw("GGUF", 3, 0n, 1n), /at most 0/);
      await fails(ggufBytes(metadata, tensors).subarray(0, 3000), /to follow, of a file of 3000|within its header/);
      await fails(Buffer.alloc(0), /to follow/);
    });

    it("of metadata that is deep, twice there or of no type", async () => {
      const nested = (depth: number) => raw(...Array.from({ length: depth }, () => [9, 1n]).flat(), 0, 1n, "x", 0n, 0n, 0n);
      await fails(Buffer.concat([raw("GGUF", 3, 0n, 1n, 1n, "k", 9), nested(10_000)]), /more than 4 deep/);
      await fails(raw("GGUF", 3, 0n, 2n, 1n, "k", 4, 1, 1n, "k", 4, 1, "padding of some bytes"), /"k" twice/);
      await fails(raw("GGUF", 3, 0n, 1n, 1n, "k", 99, 1, 1), /99 is no type/);
      await fails(raw("GUFF", 3, 0n, 0n), /does not begin as GGUF/);
    });

    it("of tensors that overlap, leave the file or are of impossible shapes", async () => {
      const one = (shape: readonly bigint[], type: number, offset: bigint, data = 64) =>
        Buffer.concat([raw("GGUF", 3, 1n, 0n, 1n, "x", shape.length, ...shape, type, offset), Buffer.alloc(32 + data)]);
      await fails(one([1n << 40n], 0, 0n), /needs more bytes than the file has/);
      await fails(one([1n << 32n, 1n << 32n, 1n << 32n], 0, 0n), /needs more bytes/);
      await fails(one([1n << 60n], 0, 0n), /a side of tensor "x" is/);
      await fails(one([8n], 0, 1n << 50n), /ends at byte/);
      await fails(one([8n], 0, 8n), /a multiple of 32/);
      await fails(one([8n], 3, 0n), /no whole number of blocks of 32/);
      await fails(one([8n], 77, 0n), /unknown type 77/);
      await fails(one([1n, 1n, 1n, 1n, 1n], 0, 0n), /5 dimensions/);
      const two = ggufBytes({}, [small, { ...small, name: "y" }]);
      two.writeBigUInt64LE(0n, two.indexOf("y") + 1 + 4 + 8 + 4); // the second's offset
      await fails(two, /within the tensor before it/);
      await fails(ggufBytes({}, [small, small]), /is there twice/);
      await fails(ggufBytes({ "general.alignment": gguf.u32(12) }, [small]), /general.alignment is 12/);
    });

    it("of sizes that are none of its tensors'", async () => {
      const changed = (changes: Readonly<Record<string, Buffer>>) => ggufBytes({ ...metadata, ...changes }, tensors);
      await fails(changed({ "llama.block_count": gguf.u32(4_000_000) }), /4000000 layers/);
      await fails(changed({ "llama.block_count": gguf.u32(2) }), /there is no tensor model.layers.1/);
      await fails(changed({ "llama.embedding_length": gguf.u32(2 ** 31) }), /has shape/);
      await fails(changed({ "llama.attention.head_count_kv": gguf.u32(0) }), /kvHeads is 0/);
      await fails(changed({ "llama.attention.head_count_kv": gguf.u32(3) }), /unevenly/);
      await fails(changed({ "llama.rope.freq_base": gguf.f32(Number.NaN) }), /RoPE's base is NaN/);
      await fails(changed({ "tokenizer.ggml.token_type": gguf.i32s([1]) }), /token_type/);
      await fails(
        changed({ "tokenizer.ggml.tokens": gguf.texts(["a", "a"]), "tokenizer.ggml.token_type": gguf.i32s([1, 1]) }),
        /token 0 once more/,
      );
    });
  });
});
