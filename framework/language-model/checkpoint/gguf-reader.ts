import { brokenCheckpoint } from "./faults.js";

/** What was read of the file ends before what is asked for does. */
export class TooShort extends Error {
  constructor(readonly at: number) {
    super("too short");
  }
}

const utf8 = new TextDecoder();

/**
 * Reads the head of a GGUF file, one thing after the other and never beyond what there is. A file is never believed: every count and length is
 * held against the file's size before anything is allocated for it.
 * @throws RLRF_CHECKPOINT_BROKEN beyond the file, TooShort beyond the head
 */
export class GgufReader {
  private readonly view: DataView;

  /** @param head the first bytes of a file of `size` bytes @param at the byte that comes next */
  constructor(
    readonly path: string,
    private readonly head: Uint8Array,
    readonly size: number,
    public at = 0,
  ) {
    this.view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  }

  /** Another reader of the same head. */
  from(at: number): GgufReader {
    return new GgufReader(this.path, this.head, this.size, at);
  }

  broken(message: string, expected?: string) {
    return brokenCheckpoint(`${this.path} at byte ${this.at}`, message, expected);
  }

  /** Past `length` bytes that are there. @returns where they begin */
  skip(length: number): number {
    if (length > this.size - this.at) throw this.broken(`${length} bytes are to follow, of a file of ${this.size}`);
    if (this.at + length > this.head.length) throw new TooShort(this.at);
    this.at += length;
    return this.at - length;
  }

  bytes(length: number): Uint8Array {
    const from = this.skip(length);
    return this.head.subarray(from, from + length);
  }

  /** @param get what the view holds at a place, in so many bytes */
  number<Kind extends number | bigint>(bytes: number, get: (view: DataView, at: number) => Kind): Kind {
    return get(this.view, this.skip(bytes));
  }

  u32(): number {
    return this.number(4, (view, at) => view.getUint32(at, true));
  }

  /** @param what is counted or measured: for the error when it is beyond what a number can be */
  u64(what: string): number {
    const value = this.number(8, (view, at) => view.getBigUint64(at, true));
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.broken(`${what} is ${value}`);
    return Number(value);
  }

  /** A count of things that take `least` bytes each: no more than the rest of the file can hold, and no more than `most`. */
  count(what: string, least: number, most: number): number {
    const count = this.u64(`the number of ${what}`);
    const held = Math.floor((this.size - this.at) / least);
    if (count > held) throw this.broken(`${count} ${what} are to follow`, `at most ${held}: the file has ${this.size} bytes`);
    if (count > most) throw this.broken(`${count} ${what} are to follow`, `at most ${most}`);
    return count;
  }

  skipText(): void {
    this.skip(this.u64("the length of a text"));
  }

  text(): string {
    return utf8.decode(this.bytes(this.u64("the length of a text")));
  }
}
