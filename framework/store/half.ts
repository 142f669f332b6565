/** Sixteen-bit floats, little-endian, widened to 32 bits: each of their values is one of those too. */

let halves: Float32Array | undefined;

/** IEEE 754 binary16 (1 bit of sign, 5 of exponent, 10 of fraction) of each of the 65,536 patterns. */
export function halfTable(): Float32Array {
  if (halves !== undefined) return halves;
  halves = new Float32Array(65_536);
  for (let bits = 0; bits < halves.length; bits++) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    if (exponent === 31) halves[bits] = fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
    else halves[bits] = sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
  }
  return halves;
}

const word = (from: Uint8Array, at: number): number => (from[at] as number) | ((from[at + 1] as number) << 8);

export function decodeHalf(from: Uint8Array, to: Float32Array): void {
  const table = halfTable();
  for (let i = 0; i < to.length; i++) to[i] = table[word(from, 2 * i)] as number;
}

/** bfloat16: the upper half of a float32's bits. */
export function decodeBrain(from: Uint8Array, to: Float32Array): void {
  const bits = new Uint32Array(to.buffer, to.byteOffset, to.length);
  for (let i = 0; i < bits.length; i++) bits[i] = word(from, 2 * i) << 16;
}
