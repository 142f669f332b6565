import { mkdtemp, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { RlrfError } from "../errors.js";
import { runCommand } from "./command.js";

const hint = "install Python 3.11 with pip (Debian: python3 python3-pip python3-venv), or set RLRF_PYTHON to another interpreter";

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
