import assert from "node:assert/strict";
import { decodeHalf, encodeHalf, halfTable } from "../../../framework/store/half.js";

const bitsOf = (value: number) => {
  const [low = 0, high = 0] = encodeHalf(Float32Array.of(value));
  return low | (high << 8);
};

describe("numbers of sixteen bits", () => {
  it("are encoded to the pattern that stands for them, each of all", () => {
    const table = halfTable();
    const encoded = new Uint16Array(encodeHalf(table).buffer);
    for (const [bits, value] of table.entries())
      if (Number.isNaN(value)) assert.ok(Number.isNaN(table[encoded[bits] as number]));
      else assert.equal(encoded[bits], bits, `${value}`);
  });

  it("are the nearest, ties even, and infinite beyond the largest", () => {
    assert.deepEqual([1 + 2 ** -11, 1 + 3 * 2 ** -11, 1 + 2 ** -11 + 2 ** -20].map(bitsOf), [0x3c00, 0x3c02, 0x3c01]);
    assert.deepEqual([2 ** -25, 2 ** -25 * 1.01, 2 ** -14 - 2 ** -25].map(bitsOf), [0, 1, 0x0400]);
    assert.deepEqual([65_504, 65_519, 65_520, -1e9].map(bitsOf), [0x7bff, 0x7bff, 0x7c00, 0xfc00]);
    const back = new Float32Array(2);
    decodeHalf(encodeHalf(Float32Array.of(-0.1, 1 / 3)), back);
    assert.ok(Math.abs((back[0] as number) + 0.1) < 1e-4 && Math.abs((back[1] as number) - 1 / 3) < 2e-4);
  });
});
