/**
 * A process that is attached to the one that started it ends with it, whatever ends that: it holds the process' standard input open, and a
 * pipe that ends says that its other end is gone. So end units of a local executor, and programs that take long (setup/command.ts).
 */
const name = "RLRF_ATTACHED";

/** For the environment of such a process. */
export const attached: Readonly<Record<string, string>> = { [name]: "1" };

/** Calls `onEnd` when whoever started this process is gone; does nothing in a process that was not started so. */
export function whenDetached(onEnd: () => void): void {
  if (process.env[name] !== "1") return;
  process.stdin.on("end", onEnd).on("error", onEnd).resume();
  process.stdin.unref(); // it must not keep a process alive that is done
}
