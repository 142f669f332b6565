/** Runs on an MLflow server. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { RlrfError } from "../errors.js";
import { metricPattern } from "../metrics/ranking.js";
import type { Spec } from "../spec/types.js";
import { makeFolder } from "../store/files.js";
import { parseSweep } from "../sweep/read-report.js";
import { sweepName } from "../sweep/report.js";
import type { MlflowClient, MlflowRun } from "../track/mlflow.js";
import type { RunState } from "../track/state.js";
import type { ListedRun, RunFigures, RunSource } from "./listed-run.js";
import { parseSpec } from "./read-run.js";

const kinds = ["experiment", "sweep", "trial"] as const;
const states: Readonly<Record<string, RunState>> = {
  RUNNING: "running",
  SCHEDULED: "running",
  FINISHED: "done",
  FAILED: "failed",
  KILLED: "interrupted",
};

export class MlflowRuns implements RunSource {
  private readonly byId = new Map<string, MlflowRun>();
  private readonly folders: string[] = [];

  /** @param experiment its name; left out: every one */
  constructor(
    private readonly client: MlflowClient,
    private readonly experiment?: string,
  ) {}

  get place(): string {
    return this.client.uri;
  }

  async list(): Promise<ListedRun[]> {
    const experiments = (await this.client.experiments()).filter(({ name }) => this.experiment === undefined || name === this.experiment);
    if (this.experiment !== undefined && experiments.length === 0)
      throw new RlrfError("RLRF_TRACK_EXPERIMENT", { message: `there is no experiment "${this.experiment}"`, where: this.place });
    const found: ListedRun[] = [];
    for (const { experiment_id: id } of experiments)
      for (const kind of kinds)
        for (const run of await this.client.searchRuns(id, `tags."rlrf.kind" = '${kind}'`)) found.push(this.listed(run, kind));
    return ordered(found, this.byId);
  }

  private listed(run: MlflowRun, kind: ListedRun["kind"]): ListedRun {
    const { run_id: at, status, start_time: begun = 0 } = run.info;
    this.byId.set(at, run);
    const tags = new Map(run.data.tags?.map(({ key, value }) => [key, value]));
    const params = new Map(run.data.params?.map(({ key, value }) => [key, value]));
    const specHash = tags.get("specHash") ?? null;
    const name = params.get("name") ?? tags.get("mlflow.runName") ?? at;
    const id = kind === "trial" ? (tags.get("mlflow.runName") ?? at) : `${name}-${(specHash ?? at).slice(0, 8)}`;
    return {
      id,
      kind,
      state: states[status] ?? "stopped",
      begun: new Date(Number(begun)).toISOString(),
      name,
      specHash,
      listsDigest: tags.get("listsDigest") ?? null,
      metrics: namesIn(params.get("protocol.metrics")),
      figures: figuresOf(run),
      at,
    };
  }

  async folder({ at, id }: ListedRun): Promise<string> {
    const run = this.runOf(at);
    const folder = await mkdtemp(join(tmpdir(), "rlrf-mlflow-"));
    this.folders.push(folder);
    const own = join(folder, id.replaceAll("/", "-"));
    await makeFolder(join(own, "scores"));
    const scores = (await this.client.listArtifacts(at, "scores"))
      .map(({ path }) => basename(path))
      .filter((name) => /^[A-Za-z0-9][A-Za-z0-9._-]*\.jsonl$/.test(name))
      .map((name) => `scores/${name}`);
    if (scores.length === 0) throw this.lacks(id, "scores/");
    for (const path of ["spec.json", ...scores])
      if (!(await this.client.saveArtifact(run, path, join(own, path)))) throw this.lacks(id, path);
    return own;
  }

  async spec(run: ListedRun): Promise<Spec> {
    return parseSpec(...(await this.textOf(run, "spec.json"))) as unknown as Spec;
  }

  async sweep(run: ListedRun) {
    return parseSweep(...(await this.textOf(run, sweepName)));
  }

  private async textOf({ at, id }: ListedRun, path: string): Promise<[text: string, where: string]> {
    const bytes = await this.client.getArtifact(this.runOf(at), path);
    if (bytes === null) throw this.lacks(id, path);
    return [bytes.toString("utf8"), `${path} of ${id} at ${this.place}`];
  }

  async close(): Promise<void> {
    this.client.close();
    for (const folder of this.folders) await rm(folder, { recursive: true, force: true });
  }

  private runOf(id: string): MlflowRun {
    const run = this.byId.get(id);
    if (run === undefined) throw new RlrfError("RLRF_INTERNAL", { message: `run ${id} was not listed` });
    return run;
  }

  private lacks(id: string, path: string): RlrfError {
    return new RlrfError("RLRF_RUN_UNKNOWN", {
      message: `run ${id} has no artifact ${path}`,
      where: this.place,
      hint: "it has not ended, or not everything was sent: `rlrf sync RUN --to URI` sends the rest",
    });
  }
}

/** Sweeps and runs, the newest first, each sweep with its trials behind it. */
function ordered(found: readonly ListedRun[], byId: ReadonlyMap<string, MlflowRun>): ListedRun[] {
  const parentOf = ({ at }: ListedRun) => byId.get(at)?.data.tags?.find(({ key }) => key === "mlflow.parentRunId")?.value;
  const trials = new Map<string | undefined, ListedRun[]>();
  for (const run of found) if (run.kind === "trial") trials.set(parentOf(run), [...(trials.get(parentOf(run)) ?? []), run]);
  const tops = found.filter(({ kind }) => kind !== "trial").sort((a, b) => b.begun.localeCompare(a.begun));
  const behind = (top: ListedRun) =>
    (trials.get(top.at) ?? [])
      .map((trial) => ({ ...trial, id: `${top.id}/${trial.id}` }))
      .sort((a, b) => a.id.localeCompare(b.id, "en", { numeric: true }));
  return tops.flatMap((top) => [top, ...behind(top)]);
}

const figure = new RegExp(`^(valid/)?([A-Za-z0-9-]+)/(${metricPattern.replace("@", "_at_")}|reward)$`);

/** "valid/metadata/ndcg_at_5" -> valid.metadata["ndcg@5"]; a name of MLflow says no more. */
function figuresOf({ data }: MlflowRun): RunFigures {
  const arms: Record<string, Record<string, { mean: number }>> = {};
  const valid: Record<string, Record<string, { mean: number }>> = {};
  const llm: Record<string, { reward: number }> = {};
  for (const { key, value } of data.metrics ?? []) {
    const [, of, arm, metric] = figure.exec(key) ?? [];
    const mean = Number(value);
    if (arm === undefined || metric === undefined || !Number.isFinite(mean)) continue;
    const figures = of === undefined ? arms : valid;
    if (metric !== "reward") figures[arm] = { ...figures[arm], [metric.replace("_at_", "@")]: { mean } };
    else if (of === undefined) llm[arm] = { reward: mean };
  }
  return { arms, valid, llm };
}

function namesIn(text = "[]"): string[] {
  try {
    const names = JSON.parse(text) as unknown;
    return Array.isArray(names) ? names.filter((name) => typeof name === "string") : [];
  } catch {
    return [];
  }
}
