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

/** The nearest binary16, of two equally near the even one; beyond 65,504 infinity. @returns two bytes a value */
export function encodeHalf(values: Float32Array): Uint8Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const encoded = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const sign = ((bits[i] as number) >>> 16) & 0x8000;
    const size = Math.abs(values[i] as number);
    encoded[i] = sign | halfOf(size);
  }
  return new Uint8Array(encoded.buffer);
}

function halfOf(size: number): number {
  if (!(size < 65_520)) return Number.isNaN(size) ? 0x7e00 : 0x7c00;
  const exponent = Math.max(-14, Math.floor(Math.log2(size || 2 ** -24)));
  const units = even(size / 2 ** (exponent - 10)); // 1024 and more where the number is normal
  // What rounding carries over runs into the exponent, as it should.
  return units < 1024 ? units : ((exponent + 15) << 10) + (units - 1024);
}

function even(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}

/** bfloat16: the upper half of a float32's bits. */
export function decodeBrain(from: Uint8Array, to: Float32Array): void {
  const bits = new Uint32Array(to.buffer, to.byteOffset, to.length);
  for (let i = 0; i < bits.length; i++) bits[i] = word(from, 2 * i) << 16;
}
