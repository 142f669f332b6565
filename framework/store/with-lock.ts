import { RlrfError } from "../errors.js";
import { pause } from "../http/retry.js";
import { fileError } from "./files.js";
import { type Holder, Lock } from "./lock.js";

export interface LockOptions {
  /** Milliseconds to wait for a living holder. */
  readonly patience?: number;
  readonly onWait?: (pid: string, machine: string) => void;
  /** How the folder that it lies in is chosen, for whom no lock can be made there. */
  readonly elsewhere?: string | undefined;
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined;
}

/** The first looks follow each other quickly, then more slowly: the folder may be on another machine. Milliseconds. */
const looks = { first: 50, last: 1_000 } as const;

/**
 * Runs `work` while holding the lock folder `path`, so that two processes do not make the same thing at once, on whichever machines
 * that share the folder. A living holder is waited for; the lock of a dead one is taken over.
 * @throws RLRF_LOCK_TIMEOUT, RLRF_FILE_…, and the reason of `signal`
 */
export async function withLock<T>(path: string, work: (lock: Lock) => Promise<T>, options: LockOptions = {}): Promise<T> {
  const lock = await waitForLock(path, options);
  try {
    return await work(lock);
  } finally {
    await lock.release();
  }
}

/** The lock itself, for a holder that gives it back later. @throws as `withLock` */
export async function waitForLock(path: string, { patience = 30 * 60_000, onWait, elsewhere, signal }: LockOptions = {}): Promise<Lock> {
  const deadline = Date.now() + patience;
  for (let look: number = looks.first, announced = false; ; look = Math.min(looks.last, 1.5 * look), announced = true) {
    const taken = await Lock.take(path).catch((error: unknown) => {
      throw fileError(error, path, "write", elsewhere);
    });
    if (taken instanceof Lock) return taken;
    if (!announced) onWait?.(pidOf(taken), taken.machine);
    if (Date.now() > deadline)
      throw new RlrfError("RLRF_LOCK_TIMEOUT", {
        message: `waited ${Math.round(patience / 1000)} s for process ${pidOf(taken)} on ${taken.machine}, which began at ${taken.since}`,
        where: path,
        hint: "wait for that process to end; if it hangs, end it and try again",
      });
    await pause(look, signal);
  }
}

function pidOf(holder: Holder): string {
  return holder.process.split("-")[0] ?? "";
}
