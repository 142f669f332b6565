/** The parts of a report that are unpacked when they are first looked at. */
import { promisify } from "node:util";
import { gzip } from "node:zlib";

const compress = promisify(gzip);

export class Chunks {
  /** base64 of gzip of JSON */
  readonly packed: string[] = [];
  bytes = 0;

  /** @returns the number by which the page finds it */
  async add(value: unknown): Promise<number> {
    const text = (await compress(JSON.stringify(value), { level: 6 })).toString("base64");
    this.bytes += text.length;
    return this.packed.push(text) - 1;
  }
}

/** @returns base64 of the little-endian values */
export function float32Text(values: Float32Array): string {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString("base64");
}
