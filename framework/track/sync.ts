/**
 * Replays a journal to an MLflow server, as often as one likes: runs are found by the tag `rlrf.key`, params are logged once, points of metrics that
 * the server has are left out, and each carries the journal's own time, so that MLflow's primary key (run, key, time, step, value) rules a
 * second copy out even where an answer was lost.
 */
import { userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "../contracts/plugin.js";
import { RlrfError } from "../errors.js";
import { hashOf } from "../store/hash.js";
import { Lock } from "../store/lock.js";
import { type ArtifactCounts, ArtifactUploads } from "./artifacts.js";
import { batchesOf, type Entry, logEntries, type Refusal, RunGone, unlessGone } from "./batches.js";
import type { JournalEvent, RunEvent, RunStatus } from "./events.js";
import { MetricHistory } from "./history.js";
import { JournalReader, journalName } from "./journal.js";
import type { MlflowClient, MlflowRun } from "./mlflow.js";
import type { MlflowTag } from "./model-registry.js";
import { mlflowKey, paramValue, tagValue } from "./names.js";

export interface SyncReport {
  /** Id of the journal's own run on the server; null when the journal is empty. */
  runId: string | null;
  runs: { created: number; found: number };
  /** Entries that the server did not have. */
  sent: { metrics: number; params: number; tags: number };
  artifacts: ArtifactCounts;
  refused: Refusal[];
}

/** Events that are read and sent at a time: bounds memory, and what a kill makes us send again. */
const windowEvents = 5_000;
const createTries = 4;
const parentTag = "mlflow.parentRunId";

interface KnownRun {
  readonly run: MlflowRun;
  /** Null for a run that this object created: the server has nothing that was not sent by it. */
  readonly history: MetricHistory | null;
  /** Whether its parent on the server is known to be right. */
  adopted: boolean;
  /** Whether the report has it among the runs that were found. */
  counted: boolean;
  /** As the server has them. */
  params: ReadonlyMap<string, string>;
  status: string;
}
interface RunPlan {
  readonly key: string;
  readonly firstTime: number;
  start?: RunEvent;
  readonly entries: Entry[];
  readonly artifacts: Set<string>;
  status?: { readonly status: RunStatus | "RUNNING"; readonly time: number };
}

export class Sync {
  private reader: JournalReader;
  private uploads: ArtifactUploads;
  private readonly runs = new Map<string, KnownRun>();
  /** `own` is the journal's run; `key` begins the keys of all runs that belong together, those of a sweep's trials among them. */
  private root: { readonly own: string; readonly key: string; readonly experiment: string } | null = null;
  private looked = false;

  private constructor(
    private readonly folder: string,
    private readonly client: MlflowClient,
    private readonly logger: Logger,
    private readonly lock: Lock,
  ) {
    this.reader = new JournalReader(join(folder, journalName), logger);
    this.uploads = new ArtifactUploads(folder, client, logger);
  }

  /** Two processes that send the same run to the same server could both create it: one at a time. @throws RLRF_RUN_BUSY */
  static async open(folder: string, client: MlflowClient, logger: Logger): Promise<Sync> {
    const lock = await Lock.take(join(folder, "lock", `sync-${hashOf(client.uri).slice(0, 8)}`));
    if (lock instanceof Lock) return new Sync(folder, client, logger, lock);
    throw new RlrfError("RLRF_RUN_BUSY", {
      message: `process ${lock.process.split("-")[0]} on ${lock.machine} is sending this run to ${client.uri} already`,
      where: folder,
      hint: "a run that is followed live needs no sync before it ends",
    });
  }

  async close(): Promise<void> {
    await this.lock.release();
  }

  /** Sends everything up to the journal's present end; the next pass goes on from there. @throws RLRF_TRACK_… (then nothing is skipped by the next pass) */
  async pass(): Promise<SyncReport> {
    try {
      return await this.sendAll();
    } catch (error) {
      // What of the last window has arrived is for the server to tell: the next pass looks first.
      this.runs.clear();
      this.looked = false;
      const gone = error instanceof RunGone || (error instanceof RlrfError && error.code === "RLRF_TRACK_REFUSED");
      if (!gone) throw error;
      this.root = null;
      this.reader = new JournalReader(this.reader.path, this.logger);
      this.uploads = new ArtifactUploads(this.folder, this.client, this.logger);
      return await this.sendAll();
    }
  }

  private async sendAll(): Promise<SyncReport> {
    const report: SyncReport = {
      runId: null,
      runs: { created: 0, found: 0 },
      sent: { metrics: 0, params: 0, tags: 0 },
      artifacts: { uploaded: 0, unchanged: 0, missing: 0 },
      refused: [],
    };
    for (let more = true; more; ) {
      const window = await this.reader.next(windowEvents);
      for (const plan of planOf(window.events)) await this.sendPlan(plan, report);
      window.commit();
      more = window.more;
    }
    report.runId = (this.root && this.runs.get(this.root.own)?.run.info.run_id) ?? null;
    return report;
  }

  private async sendPlan(plan: RunPlan, report: SyncReport): Promise<void> {
    const known = this.runs.get(plan.key) ?? (await this.findOrCreate(plan, report));
    const id = known.run.info.run_id;
    if (!known.adopted) await this.lookForParent(plan.key);
    const adoption = known.adopted ? [] : this.adopt(plan.key, known, report);
    const { entries, params } = settleParams([...adoption, ...plan.entries], known.params);
    for (const batch of batchesOf((await known.history?.without(entries)) ?? entries)) {
      report.refused.push(...(await logEntries(this.client, { id, key: plan.key }, batch)));
      for (const { kind } of batch) report.sent[kind]++;
    }
    known.params = params;
    const artifacts = await this.uploads.upload(known.run, plan.key, plan.artifacts, report.refused);
    for (const count of ["uploaded", "unchanged", "missing"] as const) report.artifacts[count] += artifacts[count];
    if (plan.status === undefined || plan.status.status === known.status) return;
    const { status, time } = plan.status;
    await unlessGone(this.client, id, () =>
      this.client.updateRun({ run_id: id, status, ...(status === "RUNNING" ? {} : { end_time: time }) }),
    );
    known.status = status;
  }

  private async findOrCreate(plan: RunPlan, report: SyncReport): Promise<KnownRun> {
    const start = plan.start ?? startOf(plan);
    if (this.root === null) {
      const key = plan.key.split("/")[0] as string; // split gives at least one part
      this.root = { own: plan.key, key, experiment: await this.client.experiment(start.experiment ?? "rlrf4rec") };
    }
    if (!this.looked) await this.findRuns();
    for (let attempt = 1; ; attempt++) {
      const found = this.runs.get(plan.key);
      if (found !== undefined) return found;
      try {
        const run = await this.client.createRun({
          experiment_id: this.root.experiment,
          run_name: start.name,
          start_time: start.time,
          tags: this.tagsOf(start),
        });
        report.runs.created++;
        return this.remember(plan.key, run, null);
      } catch (error) {
        if (!(error instanceof RlrfError) || error.code !== "RLRF_TRACK_UNREACHABLE" || attempt === createTries) throw error;
        // The server may have created it and failed to say so: look before trying again.
        await sleep(250 * 2 ** attempt);
        await this.findRuns();
      }
    }
  }

  private async findRuns(): Promise<void> {
    if (this.root === null) return;
    const found = await this.client.searchRuns(this.root.experiment, `tags."rlrf.root" = '${this.root.key}'`);
    for (const run of found) {
      const key = run.data.tags?.find((tag) => tag.key === "rlrf.key")?.value;
      if (key === undefined) continue;
      const other = this.runs.get(key);
      if (other === undefined) this.remember(key, run, new MetricHistory(this.client, run));
      // A create whose answer was lost and that took effect after we had looked: nothing was ever logged to it.
      else if (other.run.info.run_id !== run.info.run_id && isEmpty(run)) await this.client.deleteRun(run.info.run_id);
    }
    this.looked = true;
  }

  private remember(key: string, run: MlflowRun, history: MetricHistory | null): KnownRun {
    const params = new Map((run.data.params ?? []).map((param) => [param.key, param.value]));
    const orphan = run.data.tags?.every((tag) => tag.key !== parentTag) === true && parentOf(key) !== null;
    const known = { run, history, adopted: history === null && !orphan, counted: history === null, params, status: run.info.status };
    this.runs.set(key, known);
    return known;
  }

  /** A trial may be told of before its sweep is, which another process sends. */
  private async lookForParent(key: string): Promise<void> {
    const parent = parentOf(key);
    if (parent !== null && !this.runs.has(parent)) await this.findRuns();
  }

  /** A run that was there before this process, or before its parent was: MLflow keeps the children of a deleted run, and they need the new one's id. */
  private adopt(key: string, known: KnownRun, report: SyncReport): Entry[] {
    const above = parentOf(key);
    const parent = this.runs.get(above ?? "")?.run.info.run_id;
    known.adopted = above === null || parent !== undefined;
    if (known.history !== null && !known.counted) report.runs.found++;
    known.counted = true;
    const told = known.run.data.tags?.find((tag) => tag.key === parentTag)?.value;
    return parent === undefined || parent === told ? [] : [{ kind: "tags", value: { key: parentTag, value: parent } }];
  }

  private tagsOf(start: RunEvent): MlflowTag[] {
    const parent = start.parent === null ? undefined : this.runs.get(start.parent)?.run.info.run_id;
    const tags = {
      "rlrf.key": start.key,
      "rlrf.root": start.key.split("/")[0] as string, // split gives at least one part
      "rlrf.kind": start.kind,
      "mlflow.source.name": "rlrf4rec",
      "mlflow.source.type": "LOCAL",
      "mlflow.user": userName(),
      ...(parent === undefined ? {} : { [parentTag]: parent }),
    };
    return Object.entries(tags).map(([key, value]) => ({ key, value: tagValue(value) }));
  }
}

/** Events of each run together, runs in the order in which they were first told of. */
function planOf(events: readonly JournalEvent[]): Iterable<RunPlan> {
  const plans = new Map<string, RunPlan>();
  for (const event of events) {
    const plan = plans.get(event.key) ?? { key: event.key, firstTime: event.time, entries: [], artifacts: new Set<string>() };
    plans.set(event.key, plan);
    if (event.event === "run") plan.start = event;
    else if (event.event === "artifact") plan.artifacts.add(event.path);
    else if (event.event === "resume") plan.status = { status: "RUNNING", time: event.time };
    else if (event.event === "finish") plan.status = { status: event.status, time: event.time };
    else plan.entries.push(...entriesOf(event));
  }
  return plans.values();
}

function entriesOf(event: Extract<JournalEvent, { event: "params" | "metrics" | "tags" }>): Entry[] {
  switch (event.event) {
    case "params":
      return Object.entries(event.params).map(([name, value]) => ({
        kind: "params",
        value: { key: mlflowKey(name), value: paramValue(value) },
      }));
    case "tags":
      return Object.entries(event.tags).map(([name, value]) => ({ kind: "tags", value: { key: mlflowKey(name), value: tagValue(value) } }));
    case "metrics":
      return Object.entries(event.metrics).map(([name, value]) => ({
        kind: "metrics",
        value: { key: mlflowKey(name), value, timestamp: event.time, step: event.step },
      }));
  }
}

/** MLflow's params cannot be changed: the first value stays, and a later one (a resumed run on another engine) becomes a tag. */
function settleParams(entries: readonly Entry[], known: ReadonlyMap<string, string>): { entries: Entry[]; params: Map<string, string> } {
  const params = new Map(known);
  const settled = entries.flatMap((entry): Entry[] => {
    if (entry.kind !== "params") return [entry];
    const { key, value } = entry.value;
    const first = params.get(key);
    if (first === value) return [];
    if (first !== undefined) return [{ kind: "tags", value: { key: mlflowKey(`rlrf.changed.${key}`), value: tagValue(value) } }];
    params.set(key, value);
    return [entry];
  });
  return { entries: settled, params };
}

/** A run whose first line was lost: its key still says where it belongs. */
function startOf({ key, firstTime }: RunPlan): RunEvent {
  const parent = parentOf(key);
  const name = parent === null ? key : key.slice(parent.length + 1);
  return { event: "run", key, time: firstTime, name, kind: parent === null ? "experiment" : "child", parent };
}

function parentOf(key: string): string | null {
  const end = key.lastIndexOf("/");
  return end < 0 ? null : key.slice(0, end);
}

function isEmpty({ data }: MlflowRun): boolean {
  return (data.metrics ?? []).length === 0 && (data.params ?? []).length === 0;
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return "unknown"; // no entry for this user, as in some containers
  }
}
