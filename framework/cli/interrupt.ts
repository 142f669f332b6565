import { whenDetached } from "../executor/attached.js";

/** Ctrl-C and termination: the first asks for a clean end, the second ends at once. */
const controller = new AbortController();
let listening = false;

/** Aborted by the first SIGINT or SIGTERM. What takes long checks it between steps and throws `signal.reason`. */
export function interruption(): AbortSignal {
  if (!listening) {
    listening = true;
    for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => onSignal(name));
    whenDetached(() => controller.signal.aborted || onSignal("the end of the process that started this one"));
  }
  return controller.signal;
}

/** As `interruption`, for a run that somebody else can end, too. */
export function cancellation(): { readonly signal: AbortSignal; readonly cancel: (reason: Error) => void } {
  const cancelled = new AbortController();
  return { signal: AbortSignal.any([interruption(), cancelled.signal]), cancel: (reason) => cancelled.abort(reason) };
}

function onSignal(name: string): void {
  if (controller.signal.aborted) process.exit(130);
  process.stderr.write(`${name}: ending cleanly; again to end at once\n`);
  controller.abort(new DOMException(`ended by ${name}`, "AbortError"));
}

export function wasInterrupted(): boolean {
  return controller.signal.aborted;
}
