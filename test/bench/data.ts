/** What it takes to prepare 1 to 25 million synthetic interactions, each size in a process of its own: seconds, memory, and how they grow. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Figure } from "./figures.js";

const millions = [1, 2.5, 5, 10, 25];
/** Of the largest size: 160,000 users and 60,000 items. */
const [mostSeconds, mostBytes] = [180, 2e9];
/** Seconds a million, against those of the first size. */
const steepest = 1.2;

interface Prepared {
  readonly seconds: number;
  /** Of the processors, all cores together. */
  readonly processor: number;
  /** Resident, at its highest. */
  readonly bytes: number;
  readonly counts: Readonly<Record<string, number>>;
}

export async function benchData(): Promise<Figure[]> {
  const figures: Figure[] = [];
  let first = 0;
  for (const size of millions) {
    const { seconds, processor, bytes, counts } = await prepared(size);
    first ||= seconds / size;
    const ratio = (first * size) / seconds;
    const largest = size === millions.at(-1);
    const small = !largest || (seconds < mostSeconds && bytes < mostBytes);
    figures.push({
      ...{ name: `preparing ${size} million interactions`, unit: "s", ours: seconds, rival: first * size, ratio, ratios: [ratio] },
      mark: `< ${steepest} x linear${largest ? `, < ${mostSeconds} s, < ${mostBytes / 1e9} GB` : ""}`,
      met: ratio > 1 / steepest && small,
      note: `${(bytes / 1e9).toFixed(2)} GB, ${processor.toFixed(0)} s of the processors, ${counts.users} users, ${counts.lists} lists; the rival is linear growth`,
    });
  }
  return figures;
}

async function prepared(size: number): Promise<Prepared> {
  const child = fileURLToPath(new URL("./data-child.js", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [child, `${size}`]);
  return JSON.parse(stdout) as Prepared;
}
