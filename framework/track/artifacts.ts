/** Uploads files of a run folder, each once: what the server has already, whole and unchanged, is left alone. */
import fs from "node:fs/promises";
import { join, posix, relative, sep } from "node:path";
import type { Logger } from "../contracts/plugin.js";
import { RlrfError } from "../errors.js";
import { hashFile } from "../store/hash.js";
import { insideOf } from "../store/run-folder.js";
import type { Refusal } from "./batches.js";
import type { MlflowClient, MlflowRun } from "./mlflow.js";

/** Among the artifacts, what was uploaded: MLflow keeps sizes but no checksums. */
export const manifestName = "rlrf-artifacts.json";

type Manifest = Record<string, { readonly bytes: number; readonly sha256: string }>;

export interface ArtifactCounts {
  uploaded: number;
  unchanged: number;
  missing: number;
}

export class ArtifactUploads {
  private readonly manifests = new Map<string, Manifest>();
  private readonly sizes = new Map<string, Map<string, number>>();
  private unserved = false;

  constructor(
    private readonly folder: string,
    private readonly client: MlflowClient,
    private readonly logger: Logger,
  ) {}

  /** @param key of the run in the journal, to name in `refused` the files that the server does not take */
  async upload(run: MlflowRun, key: string, paths: Iterable<string>, refused: Refusal[]): Promise<ArtifactCounts> {
    const counts = { uploaded: 0, unchanged: 0, missing: 0 };
    try {
      for (const path of paths)
        await this.uploadPath(run, path, counts, (name, message) => refused.push({ run: key, kind: "artifacts", name, message }));
      if (counts.uploaded > 0)
        await this.client.putArtifact(run, manifestName, Buffer.from(JSON.stringify(await this.manifest(run), null, 2)));
    } catch (error) {
      if (!(error instanceof RlrfError) || error.code !== "RLRF_TRACK_ARTIFACTS") throw error;
      if (!this.unserved) this.logger.warn(error.code, error.details);
      this.unserved = true;
    }
    return counts;
  }

  private async uploadPath(
    run: MlflowRun,
    path: string,
    counts: ArtifactCounts,
    refuse: (name: string, message: string) => void,
  ): Promise<void> {
    const files = await filesOf(this.folder, path);
    if (files.length === 0) {
      counts.missing++;
      this.logger.warn("RLRF_FILE_MISSING", `artifact ${path} is not in ${this.folder} any more`);
    }
    const manifest = await this.manifest(run);
    for (const file of files) {
      const local = join(this.folder, file);
      const entry = { bytes: (await fs.stat(local)).size, sha256: await hashFile(local) };
      if (manifest[file]?.sha256 === entry.sha256 && (await this.sizeOnServer(run, file)) === entry.bytes) {
        counts.unchanged++;
        continue;
      }
      try {
        await this.client.putArtifact(run, file, entry.bytes === 0 ? Buffer.alloc(0) : { file: local, bytes: entry.bytes });
      } catch (error) {
        // A name or a size that the server does not allow: one file's matter, not the run's.
        if (!(error instanceof RlrfError) || error.code !== "RLRF_TRACK_REFUSED") throw error;
        refuse(file, error.fault.message);
        continue;
      }
      manifest[file] = entry;
      this.sizes.get(listKey(run, file))?.set(file, entry.bytes);
      counts.uploaded++;
    }
  }

  private async manifest(run: MlflowRun): Promise<Manifest> {
    const known = this.manifests.get(run.info.run_id);
    if (known !== undefined) return known;
    const text = (await this.client.getArtifact(run, manifestName))?.toString("utf8");
    const manifest = Object.assign(Object.create(null) as Manifest, text === undefined ? {} : parseManifest(text));
    this.manifests.set(run.info.run_id, manifest);
    return manifest;
  }

  private async sizeOnServer(run: MlflowRun, file: string): Promise<number | undefined> {
    const key = listKey(run, file);
    let sizes = this.sizes.get(key);
    if (sizes === undefined) {
      const folder = posix.dirname(file);
      const listed = await this.client.listArtifacts(run.info.run_id, folder === "." ? "" : folder);
      sizes = new Map(listed.filter((entry) => !entry.is_dir).map((entry) => [entry.path, Number(entry.file_size ?? 0)]));
      this.sizes.set(key, sizes);
    }
    return sizes.get(file);
  }
}

const listKey = (run: MlflowRun, file: string): string => `${run.info.run_id} ${posix.dirname(file)}`;

function parseManifest(text: string): Manifest {
  try {
    return JSON.parse(text) as Manifest;
  } catch {
    return {}; // damaged: everything is uploaded again
  }
}

/** The files that a path stands for, relative to the folder, with "/"; none when it is missing. */
async function filesOf(folder: string, path: string): Promise<string[]> {
  const full = insideOf(folder, path);
  const stat = await fs.stat(full).catch(() => null);
  if (stat === null) return [];
  if (stat.isFile()) return [path];
  const entries = await fs.readdir(full, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return files.map((file) => relative(folder, file).split(sep).join("/")).sort();
}
