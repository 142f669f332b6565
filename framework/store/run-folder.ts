import { existsSync } from "node:fs";
import fs from "node:fs/promises";
import { join, resolve } from "node:path";
import { RlrfError } from "../errors.js";
import { fileError, isTemporary } from "./files.js";
import { isInside } from "./inside.js";
import { Lock } from "./lock.js";
import { type LockOptions, waitForLock } from "./with-lock.js";

const lockName = "lock";

/** runs/ID: everything a run shows, written by one process at a time. */
export class RunFolder {
  private constructor(
    readonly id: string,
    readonly folder: string,
    private readonly lock: Lock,
  ) {}

  /**
   * @param wait for a living process that has it
   * @throws RLRF_RUN_NAME, RLRF_RUN_BUSY (a living process has it), RLRF_RUN_UNWRITABLE, RLRF_DISK_FULL, RLRF_LOCK_TIMEOUT
   */
  static async open(root: string, id: string, wait?: LockOptions): Promise<RunFolder> {
    const folder = resolve(root, checkRunId(id));
    const path = join(folder, lockName);
    const lock = await (wait === undefined ? Lock.take(path) : waitForLock(path, wait)).catch((cause: unknown) => {
      wait?.signal?.throwIfAborted();
      const { code, fault } = fileError(cause, folder, "write");
      if (code === "RLRF_DISK_FULL" || code === "RLRF_LOCK_TIMEOUT") throw new RlrfError(code, fault, { cause });
      throw new RlrfError(
        "RLRF_RUN_UNWRITABLE",
        { ...fault, where: folder, hint: "make it writable for this user, or choose another folder for runs with --runs FOLDER" },
        { cause },
      );
    });
    if (lock instanceof Lock) {
      await sweepTemporaries(folder);
      return new RunFolder(id, folder, lock);
    }
    throw new RlrfError("RLRF_RUN_BUSY", {
      message: `run ${id} is being written by process ${lock.process.split("-")[0] || "unknown"} on ${lock.machine} since ${lock.since}`,
      where: folder,
      hint: `wait for it or stop it; if it is surely gone, delete ${path}`,
    });
  }

  /** A path inside the folder. @throws RLRF_RUN_TAKEN when another process has taken the run over, RLRF_RUN_GONE when it was deleted */
  path(...parts: readonly string[]): string {
    // Writing would make the folder anew, with what is left of the run in it.
    if (!existsSync(join(this.folder, lockName)))
      throw new RlrfError("RLRF_RUN_GONE", {
        message: `the folder of run ${this.id}, or the lock in it, was deleted while the run was at work`,
        where: this.folder,
        hint: "give the same command again: what is computed is in the store, and the folder is written anew",
      });
    if (this.lock.taken)
      throw new RlrfError("RLRF_RUN_TAKEN", {
        message: `another process has taken over run ${this.id}: this one seemed dead for minutes`,
        where: this.folder,
        hint: "let the other one finish; nothing more is written here",
      });
    return insideOf(this.folder, join(...parts));
  }

  /** Lets the next process have it. A killed process need not: its lock counts for nothing. */
  async close(): Promise<void> {
    await this.lock.release();
  }
}

/** Deletes half-written files of a killed process: whoever holds the lock is the only writer. */
async function sweepTemporaries(folder: string): Promise<void> {
  for (const name of await fs.readdir(folder, { recursive: true }).catch(() => []))
    if (isTemporary(name)) await fs.rm(join(folder, name), { force: true }).catch(() => undefined);
}

/** @throws RLRF_INTERNAL when the path leaves the folder */
export function insideOf(folder: string, path: string): string {
  const full = resolve(folder, path);
  if (full === resolve(folder) || isInside(folder, full)) return full;
  throw new RlrfError("RLRF_INTERNAL", { message: `${path} lies outside the run folder`, where: folder });
}

function checkRunId(id: string): string {
  if (/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}$/.test(id)) return id;
  throw new RlrfError("RLRF_RUN_NAME", {
    message: `"${id}" cannot name a run`,
    expected: "at most 128 letters, digits, . _ - and a letter or digit first",
  });
}
