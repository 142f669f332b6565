/** A real MLflow server for tests, and what its own Python client reads back from it. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { packageRoot } from "../../framework/setup/paths.js";
import { type LocalServer, mlflowPython, startServer } from "../../framework/track/server.js";

export interface ReadRun {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly start: number;
  readonly end: number | null;
  readonly tags: Readonly<Record<string, string>>;
  readonly params: Readonly<Record<string, string>>;
  /** [step, timestamp, Python's repr of the value] */
  readonly metrics: Readonly<Record<string, readonly (readonly [number, number, string])[]>>;
  /** sha256 of the downloaded file, by path. */
  readonly artifacts: Readonly<Record<string, string>>;
}

export interface TestServer {
  readonly uri: string;
  /** Every run of an experiment, ordered by its key. */
  read(experiment: string): Promise<ReadRun[]>;
  stop(): Promise<void>;
  /** On the same port and data. */
  restart(): Promise<void>;
}

/** One server for all tests of the enclosing `describe`; it is installed on first use, which takes a minute or two. */
export function useMlflow(): TestServer {
  let folder = "";
  let server: LocalServer | undefined;
  let reader: Reader | undefined;
  before(async function () {
    this.timeout(20 * 60_000);
    folder = await mkdtemp(join(tmpdir(), "rlrf4rec-mlflow-"));
    server = await startServer(folder);
  });
  after(async function () {
    this.timeout(60_000);
    reader?.end();
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });
  const running = (): LocalServer => {
    if (server === undefined) throw new Error("the server runs inside tests only");
    return server;
  };
  return {
    get uri() {
      return running().uri;
    },
    async read(experiment) {
      reader ??= new Reader(await mlflowPython(), running().uri);
      return await reader.read(experiment);
    },
    async stop() {
      await running().stop();
    },
    async restart() {
      server = await startServer(folder, Number(new URL(running().uri).port));
    },
  };
}

/** One Python process for all reads: importing MLflow takes seconds. */
class Reader {
  private readonly process: ChildProcessByStdio<Writable, Readable, null>;
  private readonly lines: AsyncIterator<string>;

  constructor(python: string, uri: string) {
    const script = join(packageRoot, "test", "support", "mlflow_read.py");
    this.process = spawn(python, [script, uri], { stdio: ["pipe", "pipe", "inherit"] });
    this.lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator](); // Python escapes all that is not ASCII
  }

  async read(experiment: string): Promise<ReadRun[]> {
    this.process.stdin.write(`${JSON.stringify(experiment)}\n`);
    const { value, done } = await this.lines.next();
    if (done) throw new Error("the reader ended; its message is above");
    return JSON.parse(value) as ReadRun[];
  }

  end(): void {
    this.process.stdin.end();
  }
}
