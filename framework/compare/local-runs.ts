/** Runs in a folder of runs. */
import { existsSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { readResult } from "../method/read-result.js";
import { specHash } from "../spec/hash.js";
import { type Json, parseJson } from "../spec/json.js";
import { isObject } from "../spec/origins.js";
import type { Spec } from "../spec/types.js";
import { readAtMost } from "../store/files.js";
import { isInside } from "../store/inside.js";
import { isSweep, readSweep } from "../sweep/read-report.js";
import { sweepName } from "../sweep/report.js";
import { journalName } from "../track/journal.js";
import { type JournalState, journalState, runState } from "../track/state.js";
import type { ListedRun, RunFigures, RunSource } from "./listed-run.js";
import { readSpec } from "./read-run.js";

const limitBytes = 4 * 2 ** 20;
/** What a folder of a run, or of what is left of one, has at least one of. */
const wanted = [journalName, sweepName, "scores"];
const none: RunFigures = { arms: {}, valid: {}, llm: {} };

export class LocalRuns implements RunSource {
  constructor(readonly place: string) {}

  async list(names: readonly string[] = []): Promise<ListedRun[]> {
    const inside = (await readdir(this.place).catch(() => [])).map((name) => join(this.place, name));
    const named = names.flatMap((name) => [join(this.place, name), name]);
    const folders = new Map([...inside, ...named].map((folder) => [resolve(folder), folder]));
    const asked = new Set(named.map((folder) => resolve(folder)));
    const groups: ListedRun[][] = [];
    const seen = new Set<string>();
    for (const [path, folder] of folders) {
      if (seen.has(path) || !wanted.some((file) => existsSync(join(path, file)))) continue;
      const group = await this.group(folder, asked.has(path));
      for (const { at } of group) seen.add(at);
      groups.push(group);
    }
    return groups.sort(([a], [b]) => (b?.begun ?? "").localeCompare(a?.begun ?? "")).flat();
  }

  /** A run; or a sweep, and its trials. @param asked somebody asks for this one: it is told what is wrong with its table */
  private async group(folder: string, asked: boolean): Promise<ListedRun[]> {
    const id = isInside(this.place, folder) ? relative(this.place, folder) : folder;
    if (!isSweep(folder)) return listed(await readOne(folder, id, "experiment"));
    const report = await readSweep(folder).catch((error: unknown) => {
      if (asked) throw error;
      return null;
    });
    const own = await readOne(folder, id, "sweep", report?.ended);
    if (report === null) return listed(own && { ...own, specHash: null, state: "broken" });
    const { trials, specHash: hash, name } = report;
    const runs: ListedRun[] = [];
    for (const trial of trials) runs.push(...listed(await readOne(join(folder, trial.run), `${id}/${trial.id}`, "trial")));
    return [...listed(own && { ...own, name, specHash: hash }), ...runs];
  }

  async folder({ at }: ListedRun): Promise<string> {
    return at;
  }

  async spec({ at }: ListedRun): Promise<Spec> {
    return (await readSpec(at)) as unknown as Spec;
  }

  sweep({ at }: ListedRun) {
    return readSweep(at);
  }

  async close(): Promise<void> {}
}

function listed(run: ListedRun | null): ListedRun[] {
  return run === null ? [] : [run];
}

/** @param ended a sweep that came to its end @returns null where nothing was begun */
async function readOne(folder: string, id: string, kind: ListedRun["kind"], ended = false): Promise<ListedRun | null> {
  const journal = (await journalState(folder)) ?? (await untold(folder, id));
  if (journal === null) return null;
  const spec = await readObject(join(folder, "spec.json"));
  const lists = await readObject(join(folder, "lists.json"));
  // A result that is damaged is as good as none in a list; `rlrf compare` and `rlrf report` say what is wrong with it.
  const result = kind === "sweep" ? null : await readResult(folder).catch(() => null);
  const protocol = isObject(spec?.protocol) ? spec.protocol : {};
  return {
    id,
    kind,
    state: await runState(folder, journal, ended || result !== null),
    begun: new Date(journal.begun).toISOString(),
    name: typeof spec?.name === "string" ? spec.name : journal.name,
    specHash: result?.specHash ?? (spec === null ? null : specHash(spec as unknown as Spec)),
    listsDigest: typeof lists?.digest === "string" ? lists.digest : null,
    metrics: Array.isArray(protocol.metrics) ? protocol.metrics.filter((metric) => typeof metric === "string") : [],
    figures: result ?? none,
    at: resolve(folder),
  };
}

/** A folder that only holds what a run ended with. */
async function untold(folder: string, name: string): Promise<JournalState | null> {
  const begun = await stat(join(folder, "scores")).then(
    ({ mtimeMs }) => mtimeMs,
    () => null,
  );
  return begun === null ? null : { key: "", name, kind: "experiment", status: "FINISHED", begun, told: begun };
}

async function readObject(path: string): Promise<{ readonly [key: string]: Json } | null> {
  try {
    const bytes = await readAtMost(path, limitBytes);
    const value = bytes === null ? null : parseJson(bytes.toString("utf8"), path).value;
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}
