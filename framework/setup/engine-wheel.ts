/**
 * TensorFlow's Python wheel holds the C API that the binding of @tensorflow/tfjs-node-gpu is written against:
 * its two libraries and a few headers are unpacked, and the binding's two C++ files compiled against them (7 s).
 */
import { createHash, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { copyFile, mkdir, readFile, rename, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { runCommand } from "./command.js";
import { home, packageRoot } from "./paths.js";
import { findPython, withWheel } from "./python.js";
import { Zip } from "./zip.js";

const version = "2.21.0";
const libraries = ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"] as const;
/** What the binding includes, directly and indirectly (`g++ -M`). */
const headers = ["tensorflow/c/", "tensorflow/core/platform/ctstring", "tsl/platform/ctstring", "xla/tsl/c/"];
/** The wheel's libraries do not depend on Python: any machine may take those built for one version of it. */
const wheelOf = ["--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"];

export interface WheelBinding {
  /** Folder of the npm package whose C++ sources are compiled. */
  readonly tfjs: string;
  /** Where its binding goes. */
  readonly binding: string;
  /** Where the addon of quiet.cc goes. */
  readonly quiet: string;
  /** Take the CUDA build: the same wheel by another name. Written as TensorFlow documents it, untested on a GPU. */
  readonly cuda: boolean;
  readonly say: (line: string) => void;
}

/** Puts a working binding in place. Libraries and the compiled binding are kept in home()/engine for all checkouts. */
export async function bindFromWheel({ tfjs, binding, quiet, cuda, say }: WheelBinding): Promise<void> {
  const folder = join(home(), "engine", `tensorflow-${version}${cuda ? "-cuda" : ""}`);
  if (!existsSync(folder)) await unpack(cuda, folder, say);
  const lib = join(folder, "tensorflow");
  const sources = join(tfjs, "binding");
  const link = [`-L${lib}`, ...libraries.map((library) => `-l:${library}`), `-Wl,-rpath,${lib}`];
  say("compiling the binding");
  await mkdir(dirname(binding), { recursive: true });
  await compile(folder, binding, [join(sources, "tfjs_backend.cc"), join(sources, "tfjs_binding.cc")], link);
  await compile(folder, quiet, [join(packageRoot, "framework", "setup", "quiet.cc")], []);
}

async function unpack(cuda: boolean, folder: string, say: (line: string) => void): Promise<void> {
  const parent = dirname(folder);
  const requirement = `${cuda ? "tensorflow" : "tensorflow-cpu"}==${version}`;
  await mkdir(parent, { recursive: true });
  say(`fetching ${requirement} (${cuda ? "3 GB with CUDA" : "274 MB"})`);
  await withWheel(parent, { requirement, limit: 20 * 60_000, args: wheelOf }, (wheel) =>
    replace(folder, async (temporary) => {
      say("unpacking TensorFlow's libraries");
      const metadata = await unpackWheel(wheel, temporary);
      if (cuda) await addCuda(temporary, metadata, say);
      await strip(temporary);
    }),
  );
}

/** @returns the wheel's METADATA */
async function unpackWheel(wheel: string, folder: string): Promise<string> {
  const zip = await Zip.open(wheel);
  try {
    const limit = 4 * 2 ** 30;
    for (const library of libraries) await zip.extract(`tensorflow/${library}`, join(folder, "tensorflow", library), limit);
    const prefix = "tensorflow/include/";
    for (const { name } of zip.entries.values())
      if (name.endsWith(".h") && !name.includes("..") && headers.some((header) => name.startsWith(prefix + header)))
        await zip.extract(name, join(folder, "include", name.slice(prefix.length)), 2 ** 22);
    const metadata = [...zip.entries.keys()].find((name) => name.endsWith(".dist-info/METADATA")) ?? "METADATA";
    await zip.extract(metadata, join(folder, "METADATA"), 2 ** 22);
    return await readFile(join(folder, "METADATA"), "utf8");
  } finally {
    await zip.close();
  }
}

/** The wheel's extra "and-cuda" names NVIDIA's libraries; TensorFlow looks for them in ../nvidia beside its own folder. */
async function addCuda(folder: string, metadata: string, say: (line: string) => void): Promise<void> {
  const requirements = [...metadata.matchAll(/^Requires-Dist: ([^;]+); extra == "and-cuda"$/gm)].map((match) => match[1] ?? "");
  say(`fetching ${requirements.length} CUDA libraries`);
  await runCommand(
    await findPython(),
    ["-m", "pip", "install", "--no-deps", "--no-cache-dir", "--no-input", "--quiet", "--target", folder, ...requirements],
    { limit: 30 * 60_000, purpose: "fetch the CUDA libraries" },
  );
}

/** Symbols for debuggers are a quarter of the libraries: 200 MB. */
async function strip(folder: string): Promise<void> {
  const paths = libraries.map((library) => join(folder, "tensorflow", library));
  await runCommand("strip", ["--strip-unneeded", ...paths], { limit: 120_000, purpose: "shrink TensorFlow" }).catch(() => {});
}

/** Compiles an addon, or takes the one that an earlier set-up made from the same sources. */
async function compile(folder: string, target: string, sources: readonly string[], link: readonly string[]): Promise<void> {
  const { include_dir } = createRequire(join(packageRoot, "package.json"))("node-api-headers") as { include_dir: string };
  const flags = ["-std=c++17", "-O2", "-fPIC", "-shared", "-DNAPI_VERSION=8", `-I${include_dir}`, `-I${join(folder, "include")}`];
  const kept = join(folder, `${await hashOfFiles(sources)}.node`);
  if (!existsSync(kept))
    await replace(kept, async (temporary) => {
      await runCommand(process.env.CXX ?? "g++", [...flags, ...sources, "-o", temporary, ...link], {
        limit: 5 * 60_000,
        purpose: "compile the binding",
        hint: "install g++ (Debian: g++), or set CXX to another C++17 compiler",
      });
    });
  await replace(target, (temporary) => copyFile(kept, temporary));
}

async function hashOfFiles(paths: readonly string[]): Promise<string> {
  const hash = createHash("sha256").update(process.arch);
  for (const path of paths) hash.update(await readFile(path));
  return hash.digest("hex").slice(0, 16);
}

/** Makes a file or folder under a temporary name and moves it into place whole, or leaves nothing. */
async function replace(target: string, make: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = `${target}.${randomUUID()}.tmp`;
  try {
    await make(temporary);
    await rm(target, { recursive: true, force: true });
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
}
