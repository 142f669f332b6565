import { setTimeout as sleep } from "node:timers/promises";
import { RlrfError } from "../errors.js";
import { type Holder, Lock } from "../store/lock.js";

export interface LockOptions {
  /** Milliseconds to wait for a living holder. */
  readonly patience?: number;
  readonly onWait?: (pid: string) => void;
}

/**
 * Runs `work` while holding the lock folder `path`, so that two processes do not make the same thing at once.
 * A living holder is waited for; the lock of a dead one is taken over.
 * @throws RLRF_LOCK_TIMEOUT
 */
export async function withLock<T>(path: string, work: () => Promise<T>, { patience = 30 * 60_000, onWait }: LockOptions = {}): Promise<T> {
  const lock = await wait(path, patience, onWait);
  try {
    return await work();
  } finally {
    await lock.release();
  }
}

async function wait(path: string, patience: number, onWait: LockOptions["onWait"]): Promise<Lock> {
  const deadline = Date.now() + patience;
  for (let announced = false; ; announced = true) {
    const taken = await Lock.take(path);
    if (taken instanceof Lock) return taken;
    if (!announced) onWait?.(pidOf(taken));
    if (Date.now() > deadline)
      throw new RlrfError("RLRF_LOCK_TIMEOUT", {
        message: `waited ${Math.round(patience / 1000)} s for process ${pidOf(taken)} on ${taken.machine}, which began at ${taken.since}`,
        where: path,
        hint: "wait for that process to end; if it hangs, end it and try again",
      });
    await sleep(100);
  }
}

function pidOf(holder: Holder): string {
  return holder.process.split("-")[0] ?? "";
}
