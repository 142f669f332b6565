/**
 * The number formats of checkpoints, and how each becomes float32. Quantised formats hold blocks of values that share a scale
 * (ggml-quants.h of https://github.com/ggml-org/llama.cpp): a value is scale * integer, or scale * integer plus a minimum.
 */

import { decodeBrain, decodeHalf, halfTable } from "../../store/half.js";

export interface NumberFormat {
  readonly name: string;
  /** Values a block. */
  readonly block: number;
  /** Bytes a block. */
  readonly bytes: number;
  /** Whole blocks of `from` become the values of `to`. */
  decode(from: Uint8Array, to: Float32Array): void;
}

/** Decodes the block at byte `at` of `from` to `to` from index `out` on. */
type DecodeBlock = (from: Uint8Array, at: number, to: Float32Array, out: number) => void;

const blocks = (name: string, block: number, bytes: number, decodeBlock: DecodeBlock): NumberFormat => ({
  name,
  block,
  bytes,
  decode(from, to) {
    for (let at = 0, out = 0; at < from.length; at += bytes, out += block) decodeBlock(from, at, to, out);
  },
});

const word = (from: Uint8Array, at: number): number => (from[at] as number) | ((from[at + 1] as number) << 8);
/** Half precision number at byte `at`. */
const half = (from: Uint8Array, at: number): number => halfTable()[word(from, at)] as number;
const signed = (byte: number): number => (byte << 24) >> 24;

/** 16 bytes of two values each: the low halves are the block's first 16 values. `fifth` holds a fifth bit a value. */
const nibbles =
  (scaleBytes: number, value: (integer: number, scale: number, minimum: number) => number, fifth: boolean): DecodeBlock =>
  (from, at, to, out) => {
    const scale = half(from, at);
    const minimum = scaleBytes === 4 ? half(from, at + 2) : 0;
    const bits = fifth ? word(from, at + scaleBytes) | (word(from, at + scaleBytes + 2) << 16) : 0;
    const first = at + scaleBytes + (fifth ? 4 : 0);
    for (let i = 0; i < 16; i++) {
      const byte = from[first + i] as number;
      to[out + i] = value((byte & 15) | (((bits >>> i) & 1) << 4), scale, minimum);
      to[out + 16 + i] = value((byte >> 4) | (((bits >>> (16 + i)) & 1) << 4), scale, minimum);
    }
  };

/** Scale and minimum of each of eight groups of 32 values, six bits each, packed into twelve bytes. */
function groupScale(from: Uint8Array, at: number, group: number): { readonly scale: number; readonly minimum: number } {
  const byte = (i: number) => from[at + i] as number;
  if (group < 4) return { scale: byte(group) & 63, minimum: byte(group + 4) & 63 };
  return {
    scale: (byte(group + 4) & 15) | ((byte(group - 4) >> 6) << 4),
    minimum: (byte(group + 4) >> 4) | ((byte(group) >> 6) << 4),
  };
}

/** Eight groups of 32 values; `fifth`: 32 bytes with a fifth bit of every value stand between the scales and the nibbles. */
const groups =
  (fifth: boolean): DecodeBlock =>
  (from, at, to, out) => {
    const [scaleOf, minimumOf] = [half(from, at), half(from, at + 2)];
    const high = at + 16;
    const low = high + (fifth ? 32 : 0);
    for (let group = 0; group < 8; group++) {
      const { scale, minimum } = groupScale(from, at + 4, group);
      const [factor, base] = [Math.fround(scaleOf * scale), Math.fround(minimumOf * minimum)];
      const first = low + (group >> 1) * 32;
      const shift = (group & 1) * 4;
      for (let i = 0; i < 32; i++) {
        const bit = fifth ? (((from[high + i] as number) >> group) & 1) << 4 : 0;
        to[out + group * 32 + i] = factor * ((((from[first + i] as number) >> shift) & 15) | bit) - base;
      }
    }
  };

/** Sixteen groups of 16 values of six bits: four low bits in `ql`, two high bits in `qh`, a signed byte of scale a group. */
const sixBits: DecodeBlock = (from, at, to, out) => {
  const scaleOf = half(from, at + 208);
  for (let part = 0; part < 2; part++) {
    const [low, high, scales] = [at + part * 64, at + 128 + part * 32, at + 192 + part * 8];
    for (let i = 0; i < 32; i++) {
      const bits = from[high + i] as number;
      for (let quarter = 0; quarter < 4; quarter++) {
        const byte = from[low + (quarter & 1) * 32 + i] as number;
        const integer = ((byte >> ((quarter >> 1) * 4)) & 15) | (((bits >> (2 * quarter)) & 3) << 4);
        const scale = signed(from[scales + 2 * quarter + (i >> 4)] as number);
        to[out + part * 128 + quarter * 32 + i] = Math.fround(scaleOf * scale) * (integer - 32);
      }
    }
  }
};

const f32: NumberFormat = {
  name: "F32",
  block: 1,
  bytes: 4,
  decode: (from, to) => new Uint8Array(to.buffer, to.byteOffset, to.byteLength).set(from),
};
const f16: NumberFormat = { name: "F16", block: 1, bytes: 2, decode: decodeHalf };
const bf16: NumberFormat = { name: "BF16", block: 1, bytes: 2, decode: decodeBrain };

const scaled = (zero: number) => (integer: number, scale: number) => scale * (integer - zero);
const fromMinimum = (integer: number, scale: number, minimum: number) => Math.fround(scale * integer) + minimum;

/** By the numbers that GGUF gives them. */
export const ggufFormats: Readonly<Record<number, NumberFormat>> = {
  0: f32,
  1: f16,
  2: blocks("Q4_0", 32, 18, nibbles(2, scaled(8), false)),
  3: blocks("Q4_1", 32, 20, nibbles(4, fromMinimum, false)),
  6: blocks("Q5_0", 32, 22, nibbles(2, scaled(16), true)),
  7: blocks("Q5_1", 32, 24, nibbles(4, fromMinimum, true)),
  8: blocks("Q8_0", 32, 34, (from, at, to, out) => {
    const scale = half(from, at);
    for (let i = 0; i < 32; i++) to[out + i] = scale * signed(from[at + 2 + i] as number);
  }),
  12: blocks("Q4_K", 256, 144, groups(false)),
  13: blocks("Q5_K", 256, 176, groups(true)),
  14: blocks("Q6_K", 256, 210, sixBits),
  30: bf16,
};

/** Formats that files hold and that are not computed here, so that they can be named. */
export const otherGgufFormats: Readonly<Record<number, string>> = {
  ...{ 9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL" },
  ...{ 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M" },
  ...{ 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4", 40: "NVFP4" },
};
