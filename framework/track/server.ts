/** A local MLflow server: installed by pip on first use, on SQLite, on a free loopback port. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, open, readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { RlrfError } from "../errors.js";
import { endGroup } from "../setup/command.js";
import { pythonEnvironment } from "../setup/python.js";
import { request } from "../http/request.js";

/** Pinned: the REST answers that the tests check are this version's. */
export const mlflowRequirement = "mlflow==3.17.2";

export interface LocalServer {
  readonly uri: string;
  readonly pid: number;
  /** Resolves when the server has ended, whoever ended it. */
  readonly ended: Promise<void>;
  /** Ends the server and the processes it started. */
  stop(): Promise<void>;
}

const startMilliseconds = 180_000;
const stopMilliseconds = 10_000;

/** @returns the interpreter of an environment that has MLflow, made on the first call */
export function mlflowPython(): Promise<string> {
  return pythonEnvironment("mlflow", [mlflowRequirement]);
}

/**
 * @param folder keeps the database, the artifacts and the server's log; a later server on the same folder has it all
 * @throws RLRF_COMMAND_FAILED with the end of the log
 */
export async function startServer(folder: string, wantedPort?: number): Promise<LocalServer> {
  const python = await mlflowPython();
  await mkdir(folder, { recursive: true });
  const port = wantedPort ?? (await freePort());
  const uri = `http://127.0.0.1:${port}`;
  const log = await open(logPath(folder), "w");
  const child = spawn(python, serverArguments(folder, port), {
    cwd: folder,
    env: { ...process.env, MLFLOW_DISABLE_TELEMETRY: "true", DO_NOT_TRACK: "true", MLFLOW_SERVER_ENABLE_JOB_EXECUTION: "false" },
    stdio: ["ignore", log.fd, log.fd],
    detached: true, // a process group: the server starts workers, and all end together
  });
  const ended = new Promise<void>((resolve) => void child.once("error", () => resolve()).once("exit", () => resolve()));
  await log.close();
  const killAtExit = () => endGroup(child.pid, "SIGKILL");
  process.once("exit", killAtExit);
  void ended.then(() => process.off("exit", killAtExit));
  if (!(await answers(uri, ended))) {
    endGroup(child.pid, "SIGKILL");
    const where = logPath(folder);
    const tail = (await readFile(where, "utf8")).trim().split("\n").slice(-12).join("\n");
    throw new RlrfError("RLRF_COMMAND_FAILED", { message: `the MLflow server did not start; its log ends with:\n${tail}`, where });
  }
  return { uri, pid: child.pid as number, ended, stop: () => stop(child, ended) }; // it answers, so it has a pid
}

export function logPath(folder: string): string {
  return join(folder, "server.log");
}

function serverArguments(folder: string, port: number): string[] {
  return [
    ...["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", String(port), "--workers", "1"],
    ...["--backend-store-uri", `sqlite:///${join(folder, "mlflow.db")}`, "--artifacts-destination", join(folder, "artifacts")],
  ];
}

async function answers(uri: string, ended: Promise<void>): Promise<boolean> {
  let gone = false;
  void ended.then(() => (gone = true));
  for (const deadline = Date.now() + startMilliseconds; !gone && Date.now() < deadline; await sleep(200)) {
    const response = await request(new URL(`${uri}/health`), { method: "GET", timeout: 5_000 }).catch(() => null);
    if (response?.status === 200) return true;
  }
  return false;
}

async function stop(child: ChildProcess, ended: Promise<void>): Promise<void> {
  endGroup(child.pid, "SIGTERM");
  await Promise.race([ended, sleep(stopMilliseconds, undefined, { ref: false })]);
  endGroup(child.pid, "SIGKILL"); // whatever is left of the group
  await ended;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => (typeof address === "object" && address !== null ? resolve(address.port) : reject(new Error("no port"))));
    });
  });
}
