import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { RlrfError } from "../errors.js";
import { attached } from "../executor/attached.js";

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds until the program and its children are killed. */
  readonly limit: number;
  /** What the program is needed for; completes "… is needed to". */
  readonly purpose: string;
  readonly hint?: string;
  /** Hears of every line of its standard output as it comes. */
  readonly onLine?: (line: string) => void;
  /** The program ends with this process, also where that is killed: it reads its standard input, and ends where that does (executor/attached.ts). */
  readonly attached?: boolean;
  /** The program is asked to end (SIGTERM), and killed when it does not within a minute. */
  readonly signal?: AbortSignal;
}

const patience = 60_000; // ms

/** Everything it printed is kept up to this many characters from the end: the error is there. */
const kept = 8_000;

/**
 * Runs a program to its end, without a shell and without input. A program that is not `attached` outlives this process where that is killed.
 * @returns its standard output
 * @throws RLRF_COMMAND_FAILED with the last lines of its output; the signal's reason when it was aborted
 */
export function runCommand(program: string, args: readonly string[], options: CommandOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    options.signal?.throwIfAborted();
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env, ...(options.attached && attached) },
      stdio: [options.attached ? "pipe" : "ignore", "pipe", "pipe"],
      detached: true, // a process group of its own, so that its children end with it
    }) as ChildProcessByStdio<Writable | null, Readable, Readable>;
    let output = "";
    let all = "";
    let timedOut = false;
    if (options.onLine !== undefined) createInterface({ input: child.stdout }).on("line", options.onLine);
    child.stdout.on("data", (chunk) => {
      output += chunk;
      all = (all + chunk).slice(-kept);
    });
    child.stderr.on("data", (chunk) => (all = (all + chunk).slice(-kept)));
    const kill = () => endGroup(child.pid, "SIGKILL");
    const timers = [
      setTimeout(
        () => {
          timedOut = true;
          kill();
        },
        Math.min(options.limit, longestTimer),
      ),
    ];
    const abort = () => {
      endGroup(child.pid, "SIGTERM");
      timers.push(setTimeout(kill, patience));
    };
    options.signal?.addEventListener("abort", abort, { once: true });
    process.once("exit", kill);
    const settle = (failure?: string) => {
      timers.forEach(clearTimeout);
      options.signal?.removeEventListener("abort", abort);
      process.off("exit", kill);
      if (options.signal?.aborted) reject(options.signal.reason);
      else if (failure === undefined) resolve(output);
      else reject(commandError(program, args, failure, all, options));
    };
    child.on("error", (error: NodeJS.ErrnoException) => settle(error.code === "ENOENT" ? "is not installed" : error.message));
    child.on("close", (code, signal) => {
      if (timedOut) settle(`did not end within ${options.limit / 1000} s`);
      else settle(code === 0 ? undefined : `ended with ${signal ?? `exit code ${code}`}`);
    });
  });
}

/** Node's own: it takes a longer wait for none at all. */
const longestTimer = 2 ** 31 - 1; // ms

/** Ends a process and what it has started, where it leads a group of its own. */
export function endGroup(pid: number | undefined, signal: "SIGTERM" | "SIGKILL"): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended already.
  }
}

/** The last lines of a program's output, as the end of a sentence; nothing where it printed nothing. */
export function printedLast(output: string): string {
  const tail = output.trim().split("\n").slice(-12).join("\n").trim();
  return tail === "" ? "" : `; it printed last:\n${tail.replace(/^/gm, "    ")}`;
}

function commandError(program: string, args: readonly string[], failure: string, output: string, options: CommandOptions): RlrfError {
  return new RlrfError("RLRF_COMMAND_FAILED", {
    message: `${program} ${failure}${printedLast(output)}`,
    where: [program, ...args].join(" "),
    expected: `${program} is needed to ${options.purpose}`,
    ...(options.hint === undefined ? {} : { hint: options.hint }),
  });
}

/** What failed, without the where and what-to-do of a coded error: for lists of what was tried. */
export function reasonOf(error: unknown): string {
  if (error instanceof RlrfError) return error.fault.message;
  return error instanceof Error ? error.message : String(error);
}
