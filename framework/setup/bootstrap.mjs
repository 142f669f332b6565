/**
 * Brings a fresh clone to where it can run: packages, compiled TypeScript, the native tensor engine. Plain JavaScript,
 * because nothing is compiled yet when it begins. Each step looks whether it is needed, and takes milliseconds when not.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";

export const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
/** The second is the report's page, which runs in a browser and knows its DOM. */
const projects = ["tsconfig.json", "framework/report/page/tsconfig.json"];
const sourceFolders = ["framework", "plugins", "test"];

/** @returns nothing; ends the process with status 1 and a message when a step fails */
export async function bootstrap() {
  try {
    requireNode();
    await oneAtATime(async () => {
      await installPackages();
      await compile();
    });
    await setUpEngine();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  }
}

function say(line) {
  console.error(`[setup] ${line}`);
}

function requireNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  throw new Error(`rlrf4rec needs Node 20.19 or newer; this is ${process.version} (${process.execPath})`);
}

/** `npm start` and `npm test` begun together must not both write node_modules. */
async function oneAtATime(work) {
  const lock = join(root, ".rlrf", "bootstrap.lock");
  mkdirSync(dirname(lock), { recursive: true });
  for (let waited = false; !take(lock); waited = true) {
    if (!waited) say("another process is setting up this checkout; waiting for it");
    await sleep(200);
  }
  try {
    await work();
  } finally {
    rmSync(lock, { force: true });
  }
}

function take(lock) {
  try {
    writeFileSync(lock, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
  }
  try {
    process.kill(Number(readFileSync(lock, "utf8")), 0);
  } catch (error) {
    if (error.code === "ESRCH") rmSync(lock, { force: true }); // its process was killed
  }
  return false;
}

async function installPackages() {
  if (packagesAreInstalled()) return;
  say("installing packages (npm ci)");
  await run(
    process.env.npm_execpath ?? "npm",
    ["ci", "--include=dev", "--no-progress"],
    "npm could not install the packages of package-lock.json",
  );
}

/** Compares the lockfile with the list that npm keeps of what it installed. */
export function packagesAreInstalled() {
  const listed = join(root, "node_modules", ".package-lock.json");
  if (!existsSync(listed)) return false;
  const wanted = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
  const installed = JSON.parse(readFileSync(listed, "utf8")).packages;
  return Object.entries(wanted).every(
    ([path, { version, optional, peer }]) =>
      path === "" || installed[path]?.version === version || ((optional === true || peer === true) && installed[path] === undefined),
  );
}

async function compile() {
  const stamp = join(root, "dist", ".built");
  const state = stateOfSources();
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === state) return;
  say("compiling TypeScript");
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  for (const project of projects) await run(process.execPath, [tsc, "-p", project], "TypeScript found errors");
  removeOrphans();
  writeFileSync(stamp, state);
}

/** Names, sizes and times of everything that compiling depends on. */
function stateOfSources() {
  const files = sourceFolders.flatMap((folder) => filesIn(join(root, folder), ".ts"));
  files.push(...projects.map((project) => join(root, project)), join(root, "package-lock.json"));
  const hash = createHash("sha256");
  for (const file of files.sort()) {
    const { size, mtimeMs } = statSync(file);
    hash.update(`${relative(root, file)} ${size} ${mtimeMs}\n`);
  }
  return hash.digest("hex");
}

/** What was compiled from a file that is gone would still be imported, and its tests run. */
function removeOrphans() {
  const dist = join(root, "dist");
  for (const file of filesIn(dist, ".js")) {
    const source = join(root, relative(dist, file).replace(/\.js$/, ".ts"));
    if (!existsSync(source)) for (const ending of [".js", ".js.map", ".d.ts"]) rmSync(file.replace(/\.js$/, ending), { force: true });
  }
}

function filesIn(folder, ending) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => join(entry.parentPath, entry.name));
}

async function setUpEngine() {
  const { setUpEngine: setUp } = await import(pathToFileURL(join(root, "dist", "framework", "setup", "engine.js")).href);
  try {
    const { how, tensorflow, gpu } = await setUp(say);
    if (how !== "present") say(`TensorFlow ${tensorflow} is the tensor engine${gpu ? ", on the GPU" : ""}`);
  } catch (error) {
    if (process.env.RLRF_ENGINE === "tensorflow") throw error;
    say(error.message);
    say("going on with the slower WebAssembly engine");
  }
}

/** Runs a program and shows its output only when it fails. */
function run(program, args, failure) {
  // npm_execpath names a script, which is run by this Node.
  const [command, parameters] =
    program.endsWith(".js") || program.endsWith(".cjs") ? [process.execPath, [program, ...args]] : [program, args];
  return new Promise((resolve, reject) => {
    const child = spawn(command, parameters, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
    child.on("error", (error) => reject(new Error(`${failure}: ${error.message}`)));
    child.on("close", (code) => (code === 0 ? resolve() : reject(new Error(`${failure}:\n${firstLines(output.trim(), 40)}`))));
  });
}

function firstLines(text, count) {
  const lines = text.split("\n");
  return lines.length <= count ? text : [...lines.slice(0, count), `… ${lines.length - count} more lines`].join("\n");
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await bootstrap();
  say("everything is set up");
}
