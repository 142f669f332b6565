/** The part of MLflow's model registry that promoting and serving need (https://mlflow.org/docs/latest/api_reference/rest-api.html). */
import { RlrfError } from "../errors.js";
import { artifactPath } from "./artifact-path.js";
import type { Connection } from "./connection.js";

export interface MlflowTag {
  readonly key: string;
  readonly value: string;
}
export interface ModelVersion {
  readonly name: string;
  readonly version: string;
  readonly source: string;
  readonly run_id?: string;
  readonly tags?: readonly MlflowTag[];
}
export interface NewVersion {
  readonly name: string;
  readonly source: string;
  readonly run_id: string;
  readonly description: string;
  readonly tags: readonly MlflowTag[];
}

export class ModelRegistry {
  constructor(private readonly connection: Connection) {}

  /** Makes the model that versions are of, where it is missing. */
  async ensure(name: string): Promise<void> {
    if ((await this.get(`registered-models/get?${new URLSearchParams({ name })}`)) !== null) return;
    try {
      await this.post("registered-models/create", { name });
    } catch (error) {
      // Someone else, or our own first try whose answer was lost, made it meanwhile.
      if ((await this.get(`registered-models/get?${new URLSearchParams({ name })}`)) === null) throw error;
    }
  }

  /** All versions of a model, the newest first; none of a model that is not there. */
  async versions(name: string): Promise<ModelVersion[]> {
    const versions: ModelVersion[] = [];
    for (let token = ""; ; ) {
      const filter = `name='${name.replaceAll("'", "''")}'`;
      const query = new URLSearchParams({ filter, max_results: "1000", ...(token === "" ? {} : { page_token: token }) });
      const page = await this.get<{ model_versions?: ModelVersion[]; next_page_token?: string }>(`model-versions/search?${query}`);
      versions.push(...(page?.model_versions ?? []));
      token = page?.next_page_token ?? "";
      if (token === "") return versions.sort((a, b) => Number(b.version) - Number(a.version));
    }
  }

  /** @returns null when there is none */
  async version(name: string, version: string): Promise<ModelVersion | null> {
    const found = await this.get<{ model_version: ModelVersion }>(`model-versions/get?${new URLSearchParams({ name, version })}`);
    return found?.model_version ?? null;
  }

  /** @returns null when nothing has that alias */
  async aliased(name: string, alias: string): Promise<ModelVersion | null> {
    const query = new URLSearchParams({ name, alias });
    try {
      return (await this.get<{ model_version: ModelVersion }>(`registered-models/alias?${query}`))?.model_version ?? null;
    } catch (error) {
      // MLflow calls an unknown alias, or one that cannot be one, an invalid parameter.
      if (error instanceof RlrfError && error.code === "RLRF_TRACK_REFUSED") return null;
      throw error;
    }
  }

  /** Sent once: when the answer is lost, whether the version exists is for the caller to find out. */
  async create(version: NewVersion): Promise<ModelVersion> {
    return (await this.post<{ model_version: ModelVersion }>("model-versions/create", version, 1)).model_version;
  }

  async alias(name: string, alias: string, version: string): Promise<void> {
    await this.post("registered-models/alias", { name, alias, version });
  }

  /** A file of a version, into a file here. @param limit bytes @throws RLRF_TRACK_… */
  async fetch({ name, version, source }: ModelVersion, path: string, into: string, limit: number): Promise<void> {
    await this.connection.send("GET", artifactPath(source, path, `version ${version} of ${name}`), { into, limit });
  }

  private get<Answer>(path: string): Promise<Answer | null> {
    return this.connection.json<Answer>("GET", `mlflow/${path}`, { missing: true });
  }

  private async post<Answer>(path: string, body: unknown, attempts?: number): Promise<Answer> {
    const call = {
      body: Buffer.from(JSON.stringify(body), "utf8"),
      type: "application/json",
      ...(attempts === undefined ? {} : { attempts }),
    };
    return (await this.connection.json<Answer>("POST", `mlflow/${path}`, call)) as Answer; // null only where a 404 is an answer
  }
}
