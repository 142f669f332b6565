/** One living owner of a folder, across processes; a dead owner's lock is taken over. */
import fs from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { makeFolder } from "./files.js";
import { processIn, processToken, stateOf } from "./process.js";

export interface Holder {
  readonly process: string;
  readonly machine: string;
  readonly since: string;
  readonly released: boolean;
}

const heartbeatMilliseconds = 10_000;
/** Of a holder on another machine only its heartbeat is known; NFS may show it a minute late. */
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
  private dissolved = false;

  private constructor(
    private readonly folder: string,
    private readonly generation: number,
    private readonly content: Holder,
  ) {
    this.heartbeat = setInterval(() => void this.beat(), heartbeatMilliseconds).unref();
  }

  /** @returns the lock, or who holds it */
  static async take(folder: string): Promise<Lock | Holder> {
    for (let attempt = 0; ; attempt++) {
      try {
        await makeFolder(folder);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT" || attempt >= 100) throw error;
        continue; // it was there, and somebody dissolved it before mkdir had looked at it
      }
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

  /** The file stays, so that numbers only ever rise. Written over in place, at the same length: that works on a full disk, too. */
  async release(): Promise<void> {
    clearInterval(this.heartbeat);
    if (!this.taken && !this.dissolved) await this.overwrite(`${JSON.stringify({ ...this.content, released: true })} `);
  }

  /**
   * Deletes the lock with its folder, for work that is never done again. Somebody who had listed the folder just then may come to hold another
   * lock beside one who makes the folder anew: only for work whose result is seen by whoever holds a lock.
   */
  async dissolve(): Promise<void> {
    clearInterval(this.heartbeat);
    this.dissolved = true;
    await fs.rm(join(this.folder, String(this.generation)), { force: true });
    await fs.rmdir(this.folder).catch(() => undefined); // somebody waits, or has it already
  }

  private async beat(): Promise<void> {
    await this.overwrite("{"); // its first byte once more, so that the file system's clock stamps it and not this machine's
    this.taken ||= Math.max(0, ...(await generations(this.folder).catch(() => []))) > this.generation;
  }

  /** What cannot be written stays held until this process ends, or falls silent. */
  private async overwrite(text: string): Promise<void> {
    const handle = await fs.open(join(this.folder, String(this.generation)), "r+").catch(() => null);
    await handle?.write(text, 0).catch(() => undefined);
    await handle?.close().catch(() => undefined);
  }
}

/** Who holds the lock of a folder now, without taking it; null where nobody does. */
export async function holderOf(folder: string): Promise<Holder | null> {
  const highest = Math.max(0, ...(await generations(folder)));
  return highest === 0 ? null : livingHolder(join(folder, String(highest)));
}

async function generations(folder: string): Promise<number[]> {
  return (await fs.readdir(folder).catch(noneIfGone)).filter((name) => /^\d+$/.test(name)).map(Number);
}

function noneIfGone(error: NodeJS.ErrnoException): string[] {
  if (error.code === "ENOENT") return []; // dissolved
  throw error;
}

/**
 * Milliseconds since a file was written, by the clock of the file system: those of two machines may differ by minutes. Whoever may only read there
 * has no other clock than this machine's.
 */
async function ageOf(path: string): Promise<number> {
  const { mtimeMs } = await fs.stat(path);
  const now = await timeIn(dirname(path)).catch((error: NodeJS.ErrnoException) => {
    if (["EACCES", "EPERM", "EROFS"].includes(error.code ?? "")) return Date.now();
    throw error;
  });
  return now - mtimeMs;
}

async function timeIn(folder: string): Promise<number> {
  const probe = join(folder, `clock-${processToken}`);
  await fs.writeFile(probe, "");
  const { mtimeMs } = await fs.stat(probe);
  await fs.rm(probe, { force: true });
  return mtimeMs;
}

async function livingHolder(path: string): Promise<Holder | null> {
  try {
    const holder = parseHolder(await fs.readFile(path, "utf8"));
    if (holder === null)
      return (await ageOf(path)) < writingMilliseconds ? { process: "", machine: "unknown", since: "now", released: false } : null;
    const owner = processIn(holder.process);
    if (holder.released || owner === null) return null;
    const state = stateOf(owner);
    return state === "alive" || (state === "elsewhere" && (await ageOf(path)) < silenceMilliseconds) ? holder : null;
  } catch (error) {
    // Dissolved; or a lower number, deleted by the owner of a higher one since it was listed: the caller will fail to make the next, and look again.
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
    if (["EEXIST", "ENOENT"].includes((error as NodeJS.ErrnoException).code ?? "")) return false; // another's, or its folder is dissolved
    throw error;
  }
}
