import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { RlrfError } from "../errors.js";
import { readJson } from "../store/files.js";
import { isSweep, readSweep } from "../sweep/read-report.js";
import { journalName } from "./journal.js";
import { trackingUri } from "./tracking.js";

/**
 * The folders of runs that have a journal, or one of the files that are wanted of them.
 * @param names of runs in `root`, SWEEP/TRIAL, or folders; none = every run in `root`
 * @throws RLRF_RUN_UNKNOWN, RLRF_SWEEP_FILE
 */
export async function findRuns(root: string, names: readonly string[], ...wanted: readonly string[]): Promise<string[]> {
  const files = wanted.length === 0 ? [journalName] : wanted;
  const hasJournal = (folder: string) => files.some((file) => existsSync(join(folder, file)));
  const all = (await readdir(root).catch(() => [])).filter((name) => hasJournal(join(root, name))).sort();
  if (names.length === 0 && all.length > 0) return all.map((name) => join(root, name));
  if (names.length === 0)
    throw new RlrfError("RLRF_RUN_UNKNOWN", { message: "there are no runs", where: root, hint: "name a run's folder, or give --runs" });
  const folders: string[] = [];
  for (const name of names) {
    const found = [join(root, name), name, await trialFolder(root, name)].find(hasJournal);
    if (found !== undefined) folders.push(found);
    else throw unknown(name);
  }
  return folders;

  function unknown(name: string): RlrfError {
    return new RlrfError("RLRF_RUN_UNKNOWN", {
      message: `there is no run "${name}"`,
      where: root,
      expected: all.length === 0 ? `a folder with ${files.join(" or ")} in it` : `one of ${all.join(", ")}`,
    });
  }
}

/** Of a trial that is named SWEEP/TRIAL, as `rlrf runs` shows it. */
async function trialFolder(root: string, name: string): Promise<string> {
  const [, sweep, id] = /^(.+)\/([^/]+)$/.exec(name) ?? [];
  const folder = [join(root, sweep ?? ""), sweep ?? ""].find((path) => sweep !== undefined && isSweep(path));
  if (folder === undefined) return name;
  const trial = (await readSweep(folder)).trials.find((row) => row.id === id);
  return trial === undefined ? name : join(folder, trial.run);
}

/** @throws RLRF_TRACK_URI when nothing names a server */
export async function trackingUriOf(folder: string, wanted: string | undefined): Promise<string> {
  const specPath = join(folder, "spec.json");
  const spec = existsSync(specPath) ? await readJson<{ tracking?: { uri?: string | null } } | null>(specPath) : null;
  const uri = trackingUri(wanted, spec?.tracking?.uri);
  if (uri !== null) return uri;
  throw new RlrfError("RLRF_TRACK_URI", {
    message: "no MLflow server is named",
    expected: "--to URI, tracking.uri in the spec, or MLFLOW_TRACKING_URI",
    hint: "`npm run mlflow` starts a local one and prints its URI",
  });
}
