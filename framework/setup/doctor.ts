/** What this machine and this checkout have, for `rlrf doctor`. Nothing here throws: what cannot be found out is said so. */
import { readFile, statfs } from "node:fs/promises";
import { createRequire } from "node:module";
import { availableParallelism, cpus, freemem, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { RlrfError } from "../errors.js";
import type { EngineInfo } from "../tensor/engine.js";
import { runCommand } from "./command.js";
import { elsewhere, home, packageRoot } from "./paths.js";
import { findPython } from "./python.js";

export interface Finding {
  readonly name: string;
  readonly ok: boolean;
  readonly value: string;
  /** What to do when it is not ok. */
  readonly hint?: string;
}
export interface Diagnosis {
  readonly engine: EngineInfo | null;
  readonly packages: Readonly<Record<string, string>>;
  readonly findings: readonly Finding[];
}

/** @param trackingUri an MLflow server to look for, or null when none is set */
export async function diagnose(trackingUri: string | null): Promise<Diagnosis> {
  const { engine, finding } = await engineFinding();
  const findings = await Promise.all([
    nodeFinding(),
    finding,
    cpuFinding(),
    diskFinding(),
    programFinding("Python", "install Python 3.11 with pip; assets and MLflow come through it", async () => {
      const python = await findPython();
      return (
        await run(python, ["-c", "import sys, pip; print(f'{sys.version.split()[0]}, pip {pip.__version__}, {sys.executable}')"])
      ).trim();
    }),
    programFinding("C++ compiler", "install g++; it binds TensorFlow to Node", async () => {
      const printed = await run(process.env.CXX ?? "g++", ["--version"]);
      return printed.split("\n")[0]?.trim() ?? "";
    }),
    mlflowFinding(trackingUri),
  ]);
  return { engine, packages: await packageVersions(), findings };
}

async function engineFinding(): Promise<{ engine: EngineInfo | null; finding: Finding }> {
  try {
    const { startEngine } = await import("../tensor/engine.js");
    const engine = await startEngine();
    const { name, version, devices, threads, reason } = engine;
    const value = `${name} ${version} on ${devices.join(", ")}, ${threads} thread${threads === 1 ? "" : "s"}; ${reason}`;
    const finding = {
      name: "Tensor engine",
      ok: name === "tensorflow",
      value,
      hint: "npm run setup binds TensorFlow, or says what it lacks",
    };
    return { engine, finding };
  } catch (error) {
    const hint = (error instanceof RlrfError && error.fault.hint) || "npm run setup";
    return { engine: null, finding: { name: "Tensor engine", ok: false, value: messageOf(error), hint } };
  }
}

async function nodeFinding(): Promise<Finding> {
  const { engines } = JSON.parse(await readFile(join(packageRoot, "package.json"), "utf8")) as { engines: { node: string } };
  const value = `${process.version} ${process.platform} ${process.arch} (needs ${engines.node})`;
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  return { name: "Node", ok: major > 20 || (major === 20 && minor >= 19), value, hint: "install a newer Node" };
}

async function cpuFinding(): Promise<Finding> {
  const gigabytes = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  const value = `${availableParallelism()} cores (${cpus()[0]?.model.trim() ?? "unknown"}), ${gigabytes(freemem())} of ${gigabytes(totalmem())} memory free`;
  return { name: "Machine", ok: true, value };
}

async function diskFinding(): Promise<Finding> {
  const folder = home();
  try {
    const { bavail, bsize } = await statfs(await existing(folder));
    const free = bavail * bsize;
    const value = `${(free / 2 ** 30).toFixed(1)} GiB free for ${folder}`;
    return {
      name: "Disk",
      ok: free > 3 * 2 ** 30,
      value,
      hint: "3 GiB are needed for engine, assets and runs; RLRF_HOME names another place",
    };
  } catch (error) {
    return { name: "Disk", ok: false, value: messageOf(error), hint: elsewhere };
  }
}

/** The folder itself, or the nearest one above it that exists. */
async function existing(folder: string): Promise<string> {
  return statfs(folder).then(
    () => folder,
    () => (dirname(folder) === folder ? folder : existing(dirname(folder))),
  );
}

async function programFinding(name: string, hint: string, look: () => Promise<string>): Promise<Finding> {
  return look().then(
    (value) => ({ name, ok: true, value }),
    (error) => ({ name, ok: false, value: messageOf(error), hint }),
  );
}

async function mlflowFinding(uri: string | null): Promise<Finding> {
  if (uri === null)
    return { name: "MLflow", ok: true, value: "no server is set (MLFLOW_TRACKING_URI); runs keep a journal that `rlrf sync` replays" };
  try {
    const { MlflowClient } = await import("../track/mlflow.js");
    const client = new MlflowClient(uri, { attempts: 1, timeout: 5_000 });
    const { length } = await client.experiments().finally(() => client.close());
    return { name: "MLflow", ok: true, value: `${uri} has ${length} experiment${length === 1 ? "" : "s"}` };
  } catch (error) {
    const hint = (error instanceof RlrfError && error.fault.hint) || "is it an MLflow server?";
    return { name: "MLflow", ok: false, value: `${uri}: ${messageOf(error)}`, hint };
  }
}

async function packageVersions(): Promise<Record<string, string>> {
  const require = createRequire(join(packageRoot, "package.json"));
  const manifest = JSON.parse(await readFile(join(packageRoot, "package.json"), "utf8")) as {
    version: string;
    dependencies: Record<string, string>;
  };
  const versions: Record<string, string> = { rlrf4rec: manifest.version };
  for (const name of Object.keys(manifest.dependencies)) {
    // Read as a file: some packages do not export their package.json.
    const folders = require.resolve.paths(name) ?? [];
    for (const folder of folders) {
      const text = await readFile(join(folder, name, "package.json"), "utf8").catch(() => null);
      if (text !== null) {
        versions[name] = (JSON.parse(text) as { version: string }).version;
        break;
      }
    }
    versions[name] ??= "missing";
  }
  return versions;
}

function run(program: string, args: readonly string[]): Promise<string> {
  return runCommand(program, args, { limit: 20_000, purpose: "look at it" });
}

function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message || (error as NodeJS.ErrnoException).code || error.name : String(error);
  return text.split("\n")[0] ?? text;
}
