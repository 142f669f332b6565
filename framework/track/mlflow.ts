/** The part of MLflow 3's REST API that a run needs (https://mlflow.org/docs/latest/api_reference/rest-api.html), typed. */
import { RlrfError } from "../errors.js";
import { type ClientOptions, Connection } from "./connection.js";
import type { JournalNumber, RunStatus } from "./events.js";
import { artifactPath } from "./artifact-path.js";
import type { HttpRequest } from "../http/request.js";
import { type MlflowTag, ModelRegistry } from "./model-registry.js";

export interface MlflowParam {
  readonly key: string;
  readonly value: string;
}
export interface MlflowMetric {
  readonly key: string;
  readonly value: JournalNumber;
  readonly timestamp: number;
  readonly step: number;
}
export interface MlflowRun {
  readonly info: {
    readonly run_id: string;
    readonly experiment_id: string;
    readonly status: string;
    readonly lifecycle_stage: string;
    readonly artifact_uri: string;
    readonly start_time?: number;
  };
  readonly data: {
    readonly params?: readonly MlflowParam[];
    readonly tags?: readonly MlflowTag[];
    readonly metrics?: readonly MlflowMetric[];
  };
}
export interface MlflowFile {
  readonly path: string;
  readonly is_dir: boolean;
  readonly file_size?: number | string;
}
export interface Batch {
  readonly metrics: readonly MlflowMetric[];
  readonly params: readonly MlflowParam[];
  readonly tags: readonly MlflowTag[];
}
/** What a log-batch may hold at most, by the API's documentation. */
export const batchLimits = { metrics: 1000, params: 100, tags: 100, total: 1000, bytes: 1_000_000 } as const;

/** Of one artifact that is saved, at most. */
const savedBytes = 4 * 2 ** 30;

export class MlflowClient {
  private readonly connection: Connection;

  /** @throws RLRF_TRACK_URI */
  constructor(uri: string, options: ClientOptions = {}) {
    this.connection = new Connection(uri, options);
  }

  get uri(): string {
    return this.connection.uri;
  }

  /** The model registry of the same server. */
  get models(): ModelRegistry {
    return new ModelRegistry(this.connection);
  }

  close(): void {
    this.connection.close();
  }

  /** @returns the id of the experiment of that name, created when it is missing */
  async experiment(name: string): Promise<string> {
    const found = await this.findExperiment(name);
    if (found !== null) return found;
    try {
      return (await this.post<{ experiment_id: string }>("experiments/create", { name })).experiment_id;
    } catch (error) {
      // Someone else, or our own first try whose answer was lost, created it meanwhile.
      const again = await this.findExperiment(name);
      if (again !== null) return again;
      throw error;
    }
  }

  private async findExperiment(name: string): Promise<string | null> {
    const found = await this.connection.json<{ experiment: { experiment_id: string; lifecycle_stage: string } }>(
      "GET",
      `mlflow/experiments/get-by-name?experiment_name=${encodeURIComponent(name)}`,
      { missing: true },
    );
    if (found === null) return null;
    const { experiment } = found;
    if (experiment.lifecycle_stage !== "deleted") return experiment.experiment_id;
    throw new RlrfError("RLRF_TRACK_EXPERIMENT", {
      message: `experiment "${name}" was deleted in MLflow`,
      where: this.uri,
      hint: `restore it (mlflow experiments restore -x ${experiment.experiment_id}) or give tracking.experiment another name`,
    });
  }

  /** All active experiments. */
  async experiments(): Promise<{ readonly experiment_id: string; readonly name: string }[]> {
    const found: { experiment_id: string; name: string }[] = [];
    let token: string | undefined;
    do {
      const page: { experiments?: { experiment_id: string; name: string }[]; next_page_token?: string } = await this.post(
        "experiments/search",
        {
          view_type: "ACTIVE_ONLY",
          max_results: 1000,
          ...(token === undefined ? {} : { page_token: token }),
        },
      );
      found.push(...(page.experiments ?? []));
      token = page.next_page_token;
    } while (token !== undefined && token !== "");
    return found;
  }

  /** All active runs that match, oldest first. */
  async searchRuns(experiment: string, filter: string): Promise<MlflowRun[]> {
    const runs: MlflowRun[] = [];
    let token: string | undefined;
    do {
      const page: { runs?: MlflowRun[]; next_page_token?: string } = await this.post("runs/search", {
        experiment_ids: [experiment],
        filter,
        run_view_type: "ACTIVE_ONLY",
        max_results: 1000,
        order_by: ["attributes.start_time ASC"],
        ...(token === undefined ? {} : { page_token: token }),
      });
      runs.push(...(page.runs ?? []));
      token = page.next_page_token;
    } while (token !== undefined && token !== "");
    return runs;
  }

  async getRun(id: string): Promise<MlflowRun | null> {
    const found = await this.connection.json<{ run: MlflowRun }>("GET", `mlflow/runs/get?run_id=${encodeURIComponent(id)}`, {
      missing: true,
    });
    return found?.run ?? null;
  }

  /** Sent once: when the answer is lost, whether the run exists is for the caller to find out. */
  async createRun(run: { experiment_id: string; run_name: string; start_time: number; tags: readonly MlflowTag[] }): Promise<MlflowRun> {
    return (await this.post<{ run: MlflowRun }>("runs/create", run, 1)).run;
  }

  async updateRun(run: { run_id: string; status: RunStatus | "RUNNING"; end_time?: number }): Promise<void> {
    await this.post("runs/update", run);
  }

  async deleteRun(id: string): Promise<void> {
    await this.post("runs/delete", { run_id: id });
  }

  /** @throws RLRF_TRACK_REFUSED when the server says no to what is in it */
  async logBatch(runId: string, batch: Batch): Promise<void> {
    await this.post("runs/log-batch", { run_id: runId, ...batch });
  }

  async metricHistory(runId: string, name: string): Promise<MlflowMetric[]> {
    const points: MlflowMetric[] = [];
    for (let token = ""; ; ) {
      const query = new URLSearchParams({
        run_id: runId,
        metric_key: name,
        max_results: "10000",
        ...(token === "" ? {} : { page_token: token }),
      });
      const page = await this.connection.json<{ metrics?: MlflowMetric[]; next_page_token?: string }>(
        "GET",
        `mlflow/metrics/get-history?${query}`,
      );
      points.push(...(page?.metrics ?? []));
      token = page?.next_page_token ?? "";
      if (token === "" || page?.metrics === undefined) return points;
    }
  }

  async listArtifacts(runId: string, path: string): Promise<MlflowFile[]> {
    const files: MlflowFile[] = [];
    let token = "";
    do {
      const query = new URLSearchParams({
        run_id: runId,
        ...(path === "" ? {} : { path }),
        ...(token === "" ? {} : { page_token: token }),
      });
      const page = await this.connection.json<{ files?: MlflowFile[]; next_page_token?: string }>("GET", `mlflow/artifacts/list?${query}`, {
        missing: true,
      });
      if (page === null) return files;
      files.push(...(page.files ?? []));
      token = page.next_page_token ?? "";
    } while (token !== "");
    return files;
  }

  /** @returns null when there is no such artifact */
  async getArtifact(run: MlflowRun, path: string): Promise<Buffer | null> {
    return (await this.connection.send("GET", runArtifactPath(run, path), { missing: true }))?.body ?? null;
  }

  /** Writes an artifact to a file. @returns false when there is no such artifact */
  async saveArtifact(run: MlflowRun, path: string, file: string): Promise<boolean> {
    return (await this.connection.send("GET", runArtifactPath(run, path), { missing: true, into: file, limit: savedBytes })) !== null;
  }

  /** Replaces what is there under that path. */
  async putArtifact(run: MlflowRun, path: string, body: NonNullable<HttpRequest["body"]>): Promise<void> {
    await this.connection.send("PUT", runArtifactPath(run, path), { body, type: "application/octet-stream" });
  }

  private async post<Answer>(method: string, body: unknown, attempts?: number): Promise<Answer> {
    const bytes = Buffer.from(JSON.stringify(body), "utf8");
    const call = { body: bytes, type: "application/json", ...(attempts === undefined ? {} : { attempts }) };
    return (await this.connection.json<Answer>("POST", `mlflow/${method}`, call)) as Answer; // null only where a 404 is an answer
  }
}

function runArtifactPath({ info: { artifact_uri: uri, run_id: id } }: MlflowRun, path: string): string {
  return artifactPath(uri, path, `run ${id}`);
}
