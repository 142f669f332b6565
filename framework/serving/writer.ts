/**
 * Texts on demand, by the model's LLM in a process of its own: what it computes holds up no ranking, and what ends it does not end the server.
 * The process is started again when it died or took too long over a text.
 */
import { type ChildProcess, fork } from "node:child_process";
import os from "node:os";
import { fileURLToPath } from "node:url";
import type { ChatMessage } from "../contracts/llm.js";
import type { Logger } from "../contracts/plugin.js";
import { type ErrorCode, type Fault, RlrfError } from "../errors.js";

export interface WriterLimits {
  /** Texts asked for at once; what comes on top is refused. */
  readonly queue: number;
  /** Milliseconds in which the process has to end a text while it writes; what waits for its turn takes none of them. */
  readonly timeout: number;
}
export interface TextOrder {
  readonly user: string;
  readonly messages: readonly ChatMessage[];
}

/** To the process. */
export interface Order extends TextOrder {
  readonly id: number;
}
/** From the process; `writing` when it takes orders up, `idle` when all of them are answered. */
export type Report =
  | { readonly event: "ready" }
  | { readonly event: "writing" }
  | { readonly event: "idle" }
  | { readonly event: "text"; readonly id: number; readonly text: string }
  | { readonly event: "failed"; readonly id: number | null; readonly code: ErrorCode; readonly fault: Fault };

interface Waiting {
  readonly resolve: (text: string) => void;
  readonly reject: (error: RlrfError) => void;
}

/** Politer than the server, which answers people. */
const priority = 10;
const restartAfter = 1_000; // milliseconds

const writerProgram = new URL("./writer-process.js", import.meta.url);

export class Writer {
  private child: ChildProcess | null = null;
  /** Whether the LLM is loaded: until then nothing is handed over. */
  private ready = false;
  /** Runs while the process writes, anew from every text that it has ended. */
  private watch: NodeJS.Timeout | undefined;
  private readonly orders = new Map<number, Waiting>();
  private readonly byKey = new Map<string, Promise<string>>();
  private next = 0;
  private closed = false;

  private constructor(
    private readonly folder: string,
    private readonly limits: WriterLimits,
    private readonly logger: Logger,
    private readonly program: URL,
  ) {}

  /** Resolves when the LLM is loaded. @param folder of the model @throws what loading it throws */
  static async start(folder: string, limits: WriterLimits, logger: Logger, program = writerProgram): Promise<Writer> {
    const writer = new Writer(folder, limits, logger, program);
    try {
      await writer.launch();
      return writer;
    } catch (error) {
      writer.close();
      throw error;
    }
  }

  get waiting(): number {
    return this.orders.size;
  }

  /**
   * @param key two orders of one key are one
   * @returns null where too many wait already, or the LLM is being loaded again; a promise that is rejected when it fails
   */
  write(key: string, order: TextOrder): Promise<string> | null {
    const same = this.byKey.get(key);
    if (same !== undefined) return same;
    if (!this.ready || this.orders.size >= this.limits.queue) return null;
    const text = this.order({ ...order, id: this.next++ }).finally(() => this.byKey.delete(key));
    this.byKey.set(key, text);
    return text;
  }

  close(): void {
    this.closed = true;
    this.child?.kill("SIGKILL"); // it keeps nothing
    this.abandon("the server is ending");
  }

  private order(order: Order): Promise<string> {
    return new Promise((resolve, reject) => {
      this.orders.set(order.id, { resolve, reject });
      this.child?.send(order);
    });
  }

  private async launch(): Promise<void> {
    const child = this.forked();
    this.child = child;
    return new Promise((resolve, reject) => {
      child.on("spawn", () => humble(child.pid as number)); // it was spawned, so it has one
      child.on("error", ({ message }) => {
        reject(ended(message));
        if (this.child === child) this.died(message); // what was never spawned does not exit
      });
      child.on("exit", (code, signal) => {
        reject(ended(`it ended with ${signal ?? `status ${code}`}`));
        if (this.child === child) this.died(signal ?? `status ${code}`);
      });
      child.on("message", (report: Report) => {
        if (this.child !== child) return; // it was ended
        if (report.event === "failed" && report.id === null) return reject(new RlrfError(report.code, report.fault)); // and ends
        if (report.event === "ready") resolve();
        this.heard(report);
      });
    });
  }

  /** A process for which there is no memory fails at once: it has died, too. */
  private forked(): ChildProcess {
    const { TF_NUM_INTRAOP_THREADS: _, ...env } = process.env; // the server's own
    try {
      return fork(fileURLToPath(this.program), [this.folder], { env, stdio: ["ignore", "ignore", "inherit", "ipc"] });
    } catch (cause) {
      const { message } = cause as Error;
      this.died(message);
      throw ended(message);
    }
  }

  private heard(report: Report): void {
    this.ready = true;
    clearTimeout(this.watch);
    if (report.event === "text") this.settle(report.id, ({ resolve }) => resolve(report.text));
    if (report.event === "failed" && report.id !== null)
      this.settle(report.id, ({ reject }) => reject(new RlrfError(report.code, report.fault)));
    if (report.event === "ready" || report.event === "idle") return;
    this.watch = setTimeout(() => this.child?.kill("SIGKILL"), this.limits.timeout); // and then it is started again
  }

  private settle(id: number, act: (waiting: Waiting) => void): void {
    const waiting = this.orders.get(id);
    if (waiting === undefined) return;
    this.orders.delete(id);
    act(waiting);
  }

  private died(how: string): void {
    this.abandon(`the LLM's process ended (${how})`);
    if (this.closed) return;
    this.logger.warn("RLRF_SERVE_LLM", `the LLM's process ended (${how}) and is started again`);
    setTimeout(() => {
      if (!this.closed) this.launch().catch((error: RlrfError) => this.logger.warn(error.code, error.fault.message));
    }, restartAfter).unref();
  }

  private abandon(why: string): void {
    this.child = null;
    this.ready = false;
    clearTimeout(this.watch);
    for (const id of [...this.orders.keys()]) this.settle(id, ({ reject }) => reject(ended(why)));
  }
}

function ended(message: string): RlrfError {
  return new RlrfError("RLRF_SERVE_LLM", { message });
}

function humble(pid: number): void {
  try {
    os.setPriority(pid, priority);
  } catch {
    // It is gone already, or the system does not let us: then they share.
  }
}
