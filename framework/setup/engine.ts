/**
 * Gives @tensorflow/tfjs-node-gpu its native part: `npm ci` runs no install scripts here, and the package's own download
 * (TensorFlow 2.9, CUDA 11) does not reach every machine. Three ways, in order: what is there already, the package's
 * own installer, and TensorFlow's current wheel with the package's binding compiled against it (engine-wheel.ts).
 */
import { existsSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { RlrfError } from "../errors.js";
import { reasonOf, runCommand } from "./command.js";
import { bindFromWheel } from "./engine-wheel.js";
import { type LockOptions, withLock } from "../store/with-lock.js";
import { elsewhere, home, packageRoot } from "./paths.js";
import { fingerprint } from "./stamp.js";

export interface EngineSetup {
  readonly how: "present" | "installer" | "wheel";
  /** Version of the TensorFlow library behind the binding. */
  readonly tensorflow: string;
  readonly gpu: boolean;
  /** Ways that were passed over, and why. */
  readonly notes: readonly string[];
}

/** What a binding that works says of itself, and the files it depends on, so that the next start need not load it to know. */
interface Bound {
  readonly tensorflow: string;
  readonly gpu: boolean;
  readonly files: Readonly<Record<string, string>>;
}

const require = createRequire(join(packageRoot, "package.json"));

/** Folder of the npm package whose native part is missing. */
export function tfjsFolder(): string {
  return dirname(require.resolve("@tensorflow/tfjs-node-gpu/package.json"));
}

/** Where the package looks for its binding: its `binary.module_path` for the N-API version 8, which every supported Node has. */
export function bindingPath(): string {
  return join(tfjsFolder(), "lib", "napi-v8", "tfjs_binding.node");
}

/** The addon of quiet.cc; absent where the package's own installer did the work (its TensorFlow heeds TF_CPP_MIN_LOG_LEVEL). */
export function quietPath(): string {
  return join(dirname(bindingPath()), "rlrf4rec_quiet.node");
}

/**
 * Makes the native engine ready; does nothing (in a millisecond) when it is.
 * @throws RLRF_ENGINE_SETUP with every way tried and why it failed
 */
export async function setUpEngine(say: (line: string) => void = () => {}): Promise<EngineSetup> {
  const known = await readBound();
  if (known !== null) return { how: "present", tensorflow: known.tensorflow, gpu: known.gpu, notes: [] };
  const onWait: LockOptions["onWait"] = (pid) => say(`process ${pid} is setting up the engine; waiting for it`);
  // The first lock guards this checkout's node_modules, the second the library that all checkouts share.
  const bindShared = () => withLock(join(home(), "engine", "lock"), () => bind(say), { onWait, elsewhere });
  return withLock(join(tfjsFolder(), ".rlrf4rec.lock"), bindShared, { onWait });
}

async function bind(say: (line: string) => void): Promise<EngineSetup> {
  const notes: string[] = [];
  const nvidia = await hasNvidiaDriver();
  const ways = [
    ...(existsSync(bindingPath()) ? [{ how: "present", make: async () => {} } as const] : []),
    { how: "installer", make: () => runOwnInstaller(nvidia, say) },
    { how: "wheel", make: () => bindFromWheel({ tfjs: tfjsFolder(), binding: bindingPath(), quiet: quietPath(), cuda: nvidia, say }) },
  ] as const;
  for (const { how, make } of ways) {
    try {
      await make();
      const bound = await probe();
      if (how === "installer" && !bound.gpu && nvidia) throw new Error("its TensorFlow does not see this machine's GPU");
      await writeBound(bound);
      return { how, tensorflow: bound.tensorflow, gpu: bound.gpu, notes };
    } catch (error) {
      notes.push(`${how}: ${reasonOf(error)}`);
    }
  }
  throw new RlrfError("RLRF_ENGINE_SETUP", {
    message: `TensorFlow could not be bound to Node ${process.version}; tried:\n${notes.map((note) => `    - ${note}`).join("\n")}`,
    where: tfjsFolder(),
    expected: "Python 3 with pip and a reachable package index, g++, and 1.2 GB of disk; or access to the package's own download",
    hint: "mend what is named above and run `npm run setup`; until then the slower wasm engine is used",
  });
}

/** Loads the binding in a process of its own: one built for another machine may crash its process. */
async function probe(): Promise<Omit<Bound, "files">> {
  const script = `
    const util = require("util");
    util.isNullOrUndefined ??= (value) => value == null;
    util.isArray ??= Array.isArray;
    try {
      const tf = require("@tensorflow/tfjs-node-gpu"), { binding, isUsingGpuDevice } = tf.backend();
      if (tf.matMul(tf.ones([2, 3]), tf.ones([3, 2])).dataSync()[0] !== 3) throw new Error("its matMul is wrong");
      console.log("\\n" + JSON.stringify({ tensorflow: binding.TF_Version, gpu: isUsingGpuDevice }));
    } catch (error) {
      console.log("\\n" + JSON.stringify({ failed: error.message.split("\\n")[0].trim() }));
    }`;
  const printed = await runCommand(process.execPath, ["-e", script], {
    cwd: packageRoot,
    env: { TF_CPP_MIN_LOG_LEVEL: "2" },
    limit: 120_000,
    purpose: "load the binding",
  });
  const answer = JSON.parse(printed.trim().split("\n").at(-1) ?? "") as Omit<Bound, "files"> | { readonly failed: string };
  if ("failed" in answer) throw new Error(answer.failed);
  return answer;
}

async function runOwnInstaller(nvidia: boolean, say: (line: string) => void): Promise<void> {
  const host = process.env.TFJS_NODE_CDN_STORAGE ?? "https://storage.googleapis.com/";
  // Reaching the host is tried first: the installer itself neither times out nor reports a refused connection as its own failure.
  await fetch(host, { method: "HEAD", signal: AbortSignal.timeout(4_000) }).catch((error: Error) => {
    throw new Error(`${host} is not reachable (${(error.cause as Error | undefined)?.message ?? error.message})`);
  });
  say("fetching TensorFlow by the package's own installer");
  const folder = tfjsFolder();
  const manifest = join(folder, "package.json");
  const before = await readFile(manifest, "utf8");
  try {
    await runCommand(process.execPath, ["scripts/install.js", nvidia ? "gpu" : "cpu", "download"], {
      cwd: folder,
      env: { PATH: `${join(packageRoot, "node_modules", ".bin")}:${process.env.PATH ?? ""}` },
      limit: 10 * 60_000,
      purpose: "install TensorFlow",
    });
    await probe();
  } catch (error) {
    await rm(join(folder, "deps"), { recursive: true, force: true });
    await rm(bindingPath(), { force: true });
    throw error;
  } finally {
    await writeFile(manifest, before); // the installer edits it, and leaves it so when it is interrupted
  }
}

/** Whether the CUDA build would find something to run on. */
async function hasNvidiaDriver(): Promise<boolean> {
  return readFile("/proc/driver/nvidia/version").then(
    () => true,
    () => false,
  );
}

function boundPath(): string {
  return `${bindingPath()}.json`;
}

async function readBound(): Promise<Bound | null> {
  try {
    const bound = JSON.parse(await readFile(boundPath(), "utf8")) as Bound;
    for (const [path, expected] of Object.entries(bound.files)) if ((await fingerprint(path)) !== expected) return null;
    return bound;
  } catch {
    return null;
  }
}

async function writeBound(bound: Omit<Bound, "files">): Promise<void> {
  const libraries = await runCommand("ldd", [bindingPath()], { limit: 20_000, purpose: "list the libraries of the binding" });
  const paths = [bindingPath(), ...[...libraries.matchAll(/libtensorflow\S* => (\/\S+)/g)].map((match) => match[1] ?? "")];
  const files = Object.fromEntries(await Promise.all(paths.map(async (path) => [path, await fingerprint(path)])));
  await writeFile(boundPath(), JSON.stringify({ ...bound, files } satisfies Bound));
}
