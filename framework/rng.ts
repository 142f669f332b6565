import type { Rng } from "./contracts/plugin.js";

/** FNV-1a over the labels' UTF-16 units, finalised by murmur3's mixer: 32 bits. */
function hash(seed: number, text: string): number {
  let h = (0x811c9dc5 ^ seed) >>> 0;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** sfc32 (PractRand's small fast counter generator), seeded by name: the same seed gives the same stream everywhere. */
class Sfc32 implements Rng {
  private a: number;
  private b: number;
  private c: number;
  private counter = 1;
  private spare: number | undefined;

  constructor(private readonly name: string) {
    this.a = hash(1, name);
    this.b = hash(2, name);
    this.c = hash(3, name);
    for (let i = 0; i < 12; i++) this.next();
  }

  private next(): number {
    const t = (this.a + this.b + this.counter++) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = ((this.c << 21) | (this.c >>> 11)) + t;
    return t >>> 0;
  }

  uniform(): number {
    return ((this.next() >>> 5) * 2 ** 26 + (this.next() >>> 6)) / 2 ** 53;
  }

  below(bound: number): number {
    return Math.floor(this.uniform() * bound);
  }

  normal(): number {
    if (this.spare !== undefined) {
      const value = this.spare;
      this.spare = undefined;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  shuffle<T extends { length: number; [index: number]: unknown }>(items: T): T {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [items[i], items[j]] = [items[j], items[i]];
    }
    return items;
  }

  derive(...labels: readonly (string | number)[]): Rng {
    return new Sfc32(`${this.name}/${labels.join("/")}`);
  }

  seed(): number {
    return this.next() >>> 1;
  }
}

/** @param labels whatever names the stream: a seed, a purpose, a user */
export function createRng(...labels: readonly (string | number)[]): Rng {
  return new Sfc32(labels.join("/"));
}
