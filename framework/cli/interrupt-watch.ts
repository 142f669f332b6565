/**
 * The thread that `interruption` starts. It hears signals while the main thread computes and cannot: at the first it says what
 * will happen, at the second it ends the process.
 */
import { writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { workerData } from "node:worker_threads";
import type { InterruptWatch } from "./interrupt.js";

/** Milliseconds within which a main thread that does not compute has answered. */
const patience = 1000;

/** What Node's own `process.on("SIGINT")` is made of, and offers to the main thread alone, though any event loop may have it. */
interface SignalHandle {
  onsignal: () => void;
  start(number: number): number;
}
type Bindings = { binding(name: "signal_wrap"): { readonly Signal: new () => SignalHandle } };

const { told, signals } = workerData as InterruptWatch;
let seen = 0;

async function onSignal(message: string): Promise<void> {
  const second = ++seen > 1;
  await sleep(patience);
  if (second) process.kill(process.pid, "SIGKILL");
  else if (Atomics.exchange(told, 0, 1) === 0) writeSync(2, message);
}

function watch(): void {
  process.noDeprecation = true; // the binding is no public API
  const { Signal } = (process as unknown as Bindings).binding("signal_wrap");
  for (const { number, message } of signals) {
    const handle = new Signal();
    handle.onsignal = () => void onSignal(message);
    handle.start(number);
  }
}

try {
  watch();
} catch {} // a Node without the binding: what the main thread does by itself is left
