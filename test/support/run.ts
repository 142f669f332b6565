/** `rlrf run` as a process of its own, as a shell would start it. */
import { type ChildProcess, spawn } from "node:child_process";
import fs from "node:fs/promises";
import { join } from "node:path";
import { packageRoot } from "../../framework/setup/paths.js";

export interface Finished {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export const command = join(packageRoot, "framework", "cli", "rlrf.mjs");

/** @param folder where its runs and its store are kept */
export function startRun(
  spec: string,
  folder: string,
  ...options: readonly string[]
): { readonly process: ChildProcess; readonly finished: Promise<Finished> } {
  return start([process.execPath, command, "run", spec, "--runs", join(folder, "runs"), "--cache", join(folder, "store"), ...options]);
}

/** Any command line, with its output kept. */
export function start(
  [program, ...args]: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): { readonly process: ChildProcess; readonly finished: Promise<Finished> } {
  const env = { ...process.env, ...environment };
  const child = spawn(program as string, args, { cwd: packageRoot, env, stdio: ["ignore", "pipe", "pipe"] });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
  const finished = new Promise<Finished>((resolve) => {
    child.on("close", (status) => resolve({ status, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }));
  });
  return { process: child, finished };
}

/** The one run folder below `folder`. */
export async function runFolderIn(folder: string): Promise<string> {
  const [name] = await fs.readdir(join(folder, "runs"));
  return join(folder, "runs", name as string);
}

/** Everything that a run leaves for others, as texts by path, without what differs between any two runs: times. */
export async function numbersOf(folder: string): Promise<Record<string, string>> {
  const run = await runFolderIn(folder);
  const files: Record<string, string> = {};
  for (const part of ["scores", "texts", "pairs", "samples"]) {
    for (const name of (await fs.readdir(join(run, part)).catch(() => [])).sort()) // a run without an LLM makes no pairs
      files[`${part}/${name}`] = await fs.readFile(join(run, part, name), "utf8");
  }
  const { seconds: _, ...result } = JSON.parse(await fs.readFile(join(run, "result.json"), "utf8")) as Record<string, unknown>;
  files["result.json"] = JSON.stringify(result);
  return files;
}
