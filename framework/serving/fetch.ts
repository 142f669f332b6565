/** A model from MLflow's model registry: found by version or alias, fetched once, and never believed to be what it says. */
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import fs from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Logger } from "../contracts/plugin.js";
import { RlrfError } from "../errors.js";
import { home } from "../setup/paths.js";
import { makeFolder } from "../store/files.js";
import { hashFile } from "../store/hash.js";
import type { MlflowClient } from "../track/mlflow.js";
import type { ModelVersion } from "../track/model-registry.js";
import { broken, descriptionName, type Model, modelLimits, openModel, parseDescription, readBounded } from "./model.js";
import { digestTag } from "./register.js";

export interface FetchedModel {
  readonly model: Model;
  readonly version: string;
}

/** Whether a name is of MLflow's registry, and not a folder. */
export function isRegistered(name: string): boolean {
  return name.startsWith("models:");
}

/** @param uri models:/NAME/VERSION, models:/NAME/ALIAS or models:/NAME@ALIAS @throws RLRF_MODEL_…, RLRF_TRACK_… */
export async function fetchModel(uri: string, client: MlflowClient, logger: Logger): Promise<FetchedModel> {
  const version = await findVersion(uri, client);
  const digest = version.tags?.find(({ key }) => key === digestTag)?.value ?? "";
  if (!/^[0-9a-f]{64}$/.test(digest)) throw broken(uri, `it has no tag ${digestTag}`, "a version that `rlrf promote` made");
  const folder = join(home(), "models", digest);
  if (!existsSync(folder)) {
    logger.info(`fetching version ${version.version} of ${version.name}`);
    await download(version, digest, folder, client);
  }
  const model = await openModel(folder).catch(async (error: unknown) => {
    // Damaged since: another try fetches it anew.
    if (error instanceof RlrfError) await fs.rm(folder, { recursive: true, force: true });
    throw error;
  });
  return { model, version: version.version };
}

async function findVersion(uri: string, client: MlflowClient): Promise<ModelVersion> {
  const [, name, wanted] = /^models:\/([^/@]+)[/@]([^/@]+)$/.exec(uri) ?? [];
  const expected = "models:/NAME/VERSION or models:/NAME/ALIAS";
  if (name === undefined || wanted === undefined) throw unknown(uri, "this names no version of a model", expected);
  const found = /^\d+$/.test(wanted) ? await client.models.version(name, wanted) : await client.models.aliased(name, wanted);
  if (found !== null) return found;
  const versions = (await client.models.versions(name)).map(({ version }) => version);
  const there =
    versions.length === 0 ? `no model is named ${JSON.stringify(name)}` : `it has no version or alias ${JSON.stringify(wanted)}`;
  throw unknown(
    uri,
    there,
    versions.length === 0 ? expected : `one of its versions: ${versions.slice(0, 20).join(", ")}; or an alias of one`,
  );
}

/** Whole or absent; two processes may fetch it at once. */
async function download(version: ModelVersion, digest: string, folder: string, client: MlflowClient): Promise<void> {
  const temporary = `${folder}.${randomUUID()}.tmp`;
  try {
    await makeFolder(temporary);
    const path = join(temporary, descriptionName);
    await client.models.fetch(version, descriptionName, path, modelLimits.description);
    if ((await hashFile(path)) !== digest) throw broken(path, "it is not what was promoted", `sha256 ${digest}`);
    const { files } = await parseDescription(await readBounded(path, modelLimits.description), path);
    for (const [name, { bytes }] of Object.entries(files)) {
      await makeFolder(dirname(join(temporary, name)));
      await client.models.fetch(version, name, join(temporary, name), bytes);
    }
    await openModel(temporary);
    await fs.rename(temporary, folder).catch((error: NodeJS.ErrnoException) => {
      if (!["ENOTEMPTY", "EEXIST"].includes(error.code ?? "")) throw error; // another process was faster
    });
  } finally {
    await fs.rm(temporary, { recursive: true, force: true });
  }
}

function unknown(where: string, message: string, expected: string): RlrfError {
  return new RlrfError("RLRF_MODEL_UNKNOWN", { message, where, expected, hint: "`rlrf promote RUN NAME --to URI` makes one" });
}
