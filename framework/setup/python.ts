import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { RlrfError } from "../errors.js";
import { runCommand } from "./command.js";
import { withLock } from "../store/with-lock.js";
import { elsewhere, home } from "./paths.js";

const hint = "install Python 3.11 with pip and venv (Debian: python3 python3-pip python3-venv), or set RLRF_PYTHON to another interpreter";

/** The Python interpreter that set-up steps use: RLRF_PYTHON, or the first that answers. @throws RLRF_COMMAND_FAILED */
export async function findPython(): Promise<string> {
  const wanted = process.env.RLRF_PYTHON;
  const candidates = wanted ? [wanted] : ["python3", "python3.11", "python"];
  let failure: unknown;
  for (const candidate of candidates) {
    try {
      await runCommand(candidate, ["-c", "import sys; assert sys.version_info >= (3, 9)"], {
        limit: 20_000,
        purpose: "fetch packages from the Python package index",
        hint,
      });
      return candidate;
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure;
}

export interface PipDownload {
  /** "name==version" */
  readonly requirement: string;
  readonly limit: number;
  /** More pip arguments, such as the platform of the wheel. */
  readonly args?: readonly string[];
}

/**
 * Downloads one wheel from whatever index this machine's pip is set up for.
 * @param parent an existing folder; the wheel goes to a new folder in it, which is removed after `use`
 * @throws RLRF_COMMAND_FAILED
 */
export async function withWheel<T>(
  parent: string,
  { requirement, limit, args = [] }: PipDownload,
  use: (wheel: string) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(parent, ".wheel-"));
  try {
    await runCommand(
      await findPython(),
      // No cache: the wheel is unpacked and kept in our own form, a second copy would only fill the disk.
      ["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input", "--disable-pip-version-check"].concat([
        "--quiet",
        "--retries",
        "1",
        "--timeout",
        "20",
        "--dest",
        folder,
        ...args,
        requirement,
      ]),
      { limit, purpose: `fetch ${requirement}`, hint },
    );
    const wheel = (await readdir(folder)).find((name) => name.endsWith(".whl"));
    if (wheel === undefined)
      throw new RlrfError("RLRF_COMMAND_FAILED", { message: `pip downloaded no wheel for ${requirement}`, where: folder });
    return await use(join(folder, wheel));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * A virtual environment with exactly these packages, made once and kept in home()/python.
 * @param name what it is for, as part of the folder's name: "mlflow"
 * @param requirements pinned: "mlflow==3.17.0"
 * @returns the path of its interpreter
 * @throws RLRF_COMMAND_FAILED when Python or the package index fails, or it takes longer than `limit` milliseconds
 */
export async function pythonEnvironment(name: string, requirements: readonly string[], limit = 15 * 60_000): Promise<string> {
  const { python, folder, interpreter, whole } = await environmentPlace(name, requirements);
  if (existsSync(whole)) return interpreter;
  const make = async () => {
    if (existsSync(whole)) return;
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    const purpose = `make the Python environment "${name}" (${requirements.join(", ")})`;
    await runCommand(python, ["-m", "venv", folder], { limit: 120_000, purpose, hint });
    await runCommand(interpreter, ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", ...requirements], {
      limit,
      purpose,
      hint: "is the package index reachable from this machine?",
    });
    await writeFile(whole, `${requirements.join("\n")}\n`);
  };
  await withLock(`${folder}.lock`, make, { elsewhere });
  return interpreter;
}

interface EnvironmentPlace {
  /** The interpreter that makes it. */
  readonly python: string;
  readonly folder: string;
  readonly interpreter: string;
  /** An environment's scripts hold its path, so it is made in place; this file, written last, says that it is whole. */
  readonly whole: string;
}

/** Where an environment is, or would be made. @throws RLRF_COMMAND_FAILED when there is no Python */
export async function environmentPlace(name: string, requirements: readonly string[]): Promise<EnvironmentPlace> {
  const python = await findPython();
  const version = await runCommand(python, ["-c", "import sys; print(sys.executable, sys.version)"], {
    limit: 20_000,
    purpose: `make "${name}"`,
  });
  const key = createHash("sha256")
    .update([version, ...requirements].join("\n"))
    .digest("hex")
    .slice(0, 12);
  const folder = join(home(), "python", `${name}-${key}`);
  return { python, folder, interpreter: join(folder, "bin", "python"), whole: join(folder, "requirements.txt") };
}
