import { constants } from "node:os";
import { Worker } from "node:worker_threads";
import type { Logger } from "../contracts/plugin.js";
import { whenDetached } from "../executor/attached.js";

/** Ctrl-C and termination: the first asks for a clean end, the second ends at once. */
const controller = new AbortController();
const names = ["SIGINT", "SIGTERM"] as const;
let listening = false;

/** What the thread is given that hears signals where this one is computing. */
export interface InterruptWatch {
  /** 1 when the first signal was answered. */
  readonly told: Int32Array;
  readonly signals: readonly { readonly number: number; readonly message: string }[];
}
const told = new Int32Array(new SharedArrayBuffer(4));

/** Aborted by the first SIGINT or SIGTERM. What takes long checks it between steps and throws `signal.reason`. */
export function interruption(): AbortSignal {
  if (!listening) {
    listening = true;
    for (const name of names) process.on(name, () => onSignal(name));
    whenDetached(() => controller.signal.aborted || onSignal("the end of the process that started this one"));
    watch();
  }
  return controller.signal;
}

/** As `interruption`, for a run that somebody else can end, too. */
export function cancellation(): { readonly signal: AbortSignal; readonly cancel: (reason: Error) => void } {
  const cancelled = new AbortController();
  return { signal: AbortSignal.any([interruption(), cancelled.signal]), cancel: (reason) => cancelled.abort(reason) };
}

/** What a run throws that ended early: why it was ended, where somebody did that, and not what broke off because of it. */
export function endedEarly(error: unknown, signal: AbortSignal, logger: Logger): unknown {
  if (!signal.aborted) return error;
  logger.info("ended before it was done; the same command goes on from here");
  return signal.reason;
}

function onSignal(name: string): void {
  if (controller.signal.aborted) process.exit(130);
  if (Atomics.exchange(told, 0, 1) === 0) process.stderr.write(endingCleanly(name));
  controller.abort(new DOMException(`ended by ${name}`, "AbortError"));
}

function endingCleanly(name: string): string {
  return `${name}: ending cleanly; again to end at once\n`;
}

function watch(): void {
  const workerData: InterruptWatch = {
    told,
    signals: names.map((name) => ({ number: constants.signals[name], message: endingCleanly(name) })),
  };
  new Worker(new URL("./interrupt-watch.js", import.meta.url), { workerData }).on("error", () => undefined).unref();
}

export function wasInterrupted(): boolean {
  return controller.signal.aborted;
}
