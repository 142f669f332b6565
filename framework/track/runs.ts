import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { RlrfError } from "../errors.js";
import { readJson } from "../store/files.js";
import { isSweep, readSweep } from "../sweep/read-report.js";
import { journalName } from "./journal.js";
import { journalState, runState } from "./state.js";
import { trackingUri } from "./tracking.js";
import { unknownRun } from "./unknown-run.js";

/**
 * The folders of runs that have a journal, or one of the files that are wanted of them.
 * @param names of runs in `root`, SWEEP/TRIAL, or folders; none = every run in `root`
 * @throws RLRF_RUN_UNKNOWN, RLRF_RUN_UNENDED, RLRF_SWEEP_FILE
 */
export async function findRuns(root: string, names: readonly string[], ...wanted: readonly string[]): Promise<string[]> {
  const files = wanted.length === 0 ? [journalName] : wanted;
  const hasOne = (folder: string) => files.some((file) => existsSync(join(folder, file)));
  const all = (await readdir(root).catch(() => [])).filter((name) => hasOne(join(root, name))).sort();
  if (names.length === 0 && all.length > 0) return all.map((name) => join(root, name));
  if (names.length === 0)
    throw new RlrfError("RLRF_RUN_UNKNOWN", { message: "there are no runs", where: root, hint: "name a run's folder, or give --runs" });
  const folders: string[] = [];
  for (const name of names) {
    const candidates = [join(root, name), name, await trialFolder(root, name)];
    const found = candidates.find(hasOne);
    const begun = candidates.find((folder) => existsSync(join(folder, journalName)));
    if (found !== undefined) folders.push(found);
    else throw begun === undefined ? unknownRun(name, root, all) : await unendedRun(begun, files[0] as string);
  }
  return folders;
}

/** @param lacks the file that it is to have at its end */
export async function unendedRun(folder: string, lacks: string): Promise<RlrfError> {
  const journal = await journalState(folder);
  const state = journal === null ? "stopped" : await runState(folder, journal);
  return new RlrfError("RLRF_RUN_UNENDED", {
    message:
      state === "done" ? `the run has no ${lacks}` : `the run has not ended: it ${state === "failed" ? "has failed" : `is ${state}`}`,
    where: folder,
    expected: `a run that has ended, with ${lacks} in its folder`,
    hint: state === "running" ? "wait for its end" : "give its `rlrf run` again: what is done is found",
  });
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
