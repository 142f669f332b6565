/** One living owner of a folder, across processes; a dead owner's lock is taken over. */
import fs from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { makeFolder, writeAtomic } from "./files.js";
import { processIn, processToken, stateOf } from "./process.js";

export interface Holder {
  readonly process: string;
  readonly machine: string;
  readonly since: string;
  readonly released: boolean;
}

const heartbeatMilliseconds = 10_000;
/** Of a holder on another machine only its heartbeat is known. */
const silenceMilliseconds = 180_000;
/** A lock without content is being written, or its writer was killed just then. */
const writingMilliseconds = 10_000;

/**
 * The lock is the file with the highest number in its folder. Whoever finds that one's owner dead makes the next number, exclusively,
 * and only then deletes the lower ones: of two who find the same owner dead one must fail, and none can delete a living lock.
 */
export class Lock {
  private readonly heartbeat: NodeJS.Timeout;
  /** Whether another process has taken it over: it thought this one dead. */
  taken = false;

  private constructor(
    private readonly folder: string,
    private readonly generation: number,
    private readonly content: Holder,
  ) {
    this.heartbeat = setInterval(() => void this.beat(), heartbeatMilliseconds).unref();
  }

  /** @returns the lock, or who holds it */
  static async take(folder: string): Promise<Lock | Holder> {
    await makeFolder(folder);
    for (;;) {
      const highest = Math.max(0, ...(await generations(folder)));
      const holder = highest === 0 ? null : await livingHolder(join(folder, String(highest)));
      if (holder !== null) return holder;
      const own = highest + 1;
      const content: Holder = { process: processToken, machine: hostname(), since: new Date().toISOString(), released: false };
      if (!(await createExclusive(join(folder, String(own)), JSON.stringify(content)))) continue;
      const found = await generations(folder);
      if (Math.max(...found) > own) {
        // The listing was old: someone went past this number meanwhile.
        await fs.rm(join(folder, String(own)), { force: true });
        continue;
      }
      for (const lower of found) if (lower < own) await fs.rm(join(folder, String(lower)), { force: true });
      return new Lock(folder, own, content);
    }
  }

  /** The file stays, so that numbers only ever rise. */
  async release(): Promise<void> {
    clearInterval(this.heartbeat);
    if (!this.taken) await writeAtomic(join(this.folder, String(this.generation)), JSON.stringify({ ...this.content, released: true }));
  }

  private async beat(): Promise<void> {
    const now = new Date();
    await fs.utimes(join(this.folder, String(this.generation)), now, now).catch(() => undefined);
    this.taken ||= Math.max(0, ...(await generations(this.folder).catch(() => []))) > this.generation;
  }
}

async function generations(folder: string): Promise<number[]> {
  return (await fs.readdir(folder)).filter((name) => /^\d+$/.test(name)).map(Number);
}

async function livingHolder(path: string): Promise<Holder | null> {
  try {
    const age = Date.now() - (await fs.stat(path)).mtimeMs;
    const holder = parseHolder(await fs.readFile(path, "utf8"));
    if (holder === null) return age < writingMilliseconds ? { process: "", machine: "unknown", since: "now", released: false } : null;
    const owner = processIn(holder.process);
    if (holder.released || owner === null) return null;
    const state = stateOf(owner);
    return state === "alive" || (state === "elsewhere" && age < silenceMilliseconds) ? holder : null;
  } catch (error) {
    // A lower number, deleted by the owner of a higher one since it was listed: the caller will fail to make the next, and look again.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

function parseHolder(text: string): Holder | null {
  try {
    const holder = JSON.parse(text) as Holder | null;
    return typeof holder?.process === "string" ? holder : null;
  } catch {
    return null;
  }
}

async function createExclusive(path: string, content: string): Promise<boolean> {
  try {
    await fs.writeFile(path, content, { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}
