/** Where a run came from, and what its journal tells: tags, times, and the figures of every tuning step. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { RlrfError } from "../errors.js";
import type { Result } from "../method/result.js";
import { parseRunLock, runLockName } from "../sharing/run-lock.js";
import { hashFile } from "../store/hash.js";
import { readJson } from "../store/files.js";
import { readRunFile, writtenAnew } from "../store/run-file.js";
import type { JournalEvent } from "../track/events.js";
import { journalName, readJournal } from "../track/journal.js";
import type { CurveView } from "./page/data.js";

export interface Told {
  readonly tags: Readonly<Record<string, string>>;
  readonly begun: number | null;
  readonly ended: number | null;
  readonly status: string;
  readonly resumed: number;
  readonly curves: readonly CurveView[];
  /** Policies in the order in which they were written. */
  readonly policies: readonly string[];
}

/** More steps than this are thinned out evenly: a curve is not wider on any screen. */
const shownSteps = 1_000;
const lockLimit = 4 * 2 ** 20;

/** A run without a journal tells nothing. */
export async function readTold(folder: string): Promise<Told> {
  const path = join(folder, journalName);
  const events = existsSync(path) ? await readJournal(path) : [];
  const [root] = events;
  const own = events.filter(({ key }) => key === root?.key);
  const policies = events.flatMap((event) =>
    event.event === "artifact" ? (/^texts\/(.+)\.jsonl$/.exec(String(event.path))?.slice(1) ?? []) : [],
  );
  return {
    tags: Object.fromEntries(own.flatMap((event) => (event.event === "tags" ? Object.entries(event.tags) : []))),
    begun: root?.time ?? null,
    ended: events.at(-1)?.time ?? null,
    status: statusOf(own),
    resumed: own.filter(({ event }) => event === "resume").length,
    curves: curvesOf(events),
    policies: [...new Set(policies)],
  };
}

/** A run that has a result has come to its end, though its journal may not say so yet. */
function statusOf(events: readonly JournalEvent[]): string {
  const last = events.filter(({ event }) => event === "finish" || event === "resume").at(-1);
  return last?.event === "finish" ? String(last.status).toLowerCase() : "finished";
}

type Steps = Map<string, Map<number, number>>;

/** Of the runs below that are tunings; step 0 holds what an iteration came to. */
function curvesOf(events: readonly JournalEvent[]): CurveView[] {
  const names = new Map<string, string>();
  const told = new Map<string, Steps>();
  for (const event of events) {
    if (event.event === "run" && event.parent !== null && event.kind === "iteration") names.set(event.key, String(event.name));
    if (event.event !== "metrics" || !names.has(event.key) || event.step < 1) continue;
    const figures: Steps = told.get(event.key) ?? new Map();
    told.set(event.key, figures);
    for (const [figure, value] of Object.entries(event.metrics)) {
      if (typeof value !== "number") continue;
      figures.set(figure, (figures.get(figure) ?? new Map()).set(event.step, value)); // told again after a kill: the later one holds
    }
  }
  return [...told].map(([key, figures]) => ({
    name: names.get(key) as string,
    figures: Object.fromEntries([...figures].map(([figure, steps]) => [figure, everyNth([...steps].sort(([a], [b]) => a - b))])),
  }));
}

function everyNth<Row>(rows: readonly Row[]): readonly Row[] {
  const nth = Math.ceil(rows.length / shownSteps);
  return rows.filter((_, i) => i % nth === 0 || i === rows.length - 1);
}

/** [what, value]: what names the run, and what it ran on. */
export async function factsOf(folder: string, result: Result, { tags, begun, ended, status, resumed }: Told): Promise<[string, string][]> {
  const engine = result.engine as unknown as Readonly<Record<string, unknown>>;
  const time = (at: number | null) => (at === null ? "" : new Date(at).toISOString().replace(/\.\d+Z$/, "Z"));
  const rows: [string, string][] = [
    ["folder", folder],
    ["status", status + (resumed === 0 ? "" : `, resumed ${resumed} times`)],
    ["begun", time(begun)],
    ["ended", time(ended)],
    ["spec hash", result.specHash],
    ["seeds", result.seeds.join(", ")],
    ["engine", [engine.name, engine.version].filter((part) => typeof part === "string").join(" ")],
    ["engine because", String(tags.engineReason ?? "")],
    ["lists digest", await listsDigest(folder, tags)],
    ...(await lockFacts(folder)),
    ...Object.entries(tags).filter(([name]) => !told.has(name)),
  ];
  return rows.filter(([, value]) => value !== "");
}

/** Tags that other facts have said already. */
const told = new Set(["specHash", "engine", "engineVersion", "engineReason", "listsDigest"]);

async function listsDigest(folder: string, tags: Told["tags"]): Promise<string> {
  const path = join(folder, "lists.json");
  const digest = existsSync(path) ? (await readJson<{ digest?: unknown } | null>(path))?.digest : tags.listsDigest;
  return typeof digest === "string" ? digest : "";
}

/** What the run's record of its lock says: the framework's version, packages of plugins, and a digest that names it all. */
async function lockFacts(folder: string): Promise<[string, string][]> {
  const path = join(folder, runLockName);
  if (!existsSync(path)) return [];
  const wrong = (message: string) => new RlrfError("RLRF_PACKAGE_LOCK", { message, where: path, hint: writtenAnew });
  const { framework, packages } = parseRunLock(await readRunFile(path, lockLimit, wrong), path);
  const names = Object.entries(packages).map(([name, { version, integrity }]) => `${name} ${version} (${integrity})`);
  return [
    ["framework", `rlrf4rec ${framework}`],
    ["packages", names.length === 0 ? "none besides the framework" : names.join(", ")],
    ["lock", `sha256 ${await hashFile(path)}`],
  ];
}
