/** A model into MLflow's model registry: its files beside those of its run, and a version that points there and says what it is. */
import { join } from "node:path";
import type { Logger } from "../contracts/plugin.js";
import { RlrfError } from "../errors.js";
import type { MlflowClient, MlflowRun } from "../track/mlflow.js";
import type { MlflowTag, ModelVersion } from "../track/model-registry.js";
import { mlflowKey, tagValue } from "../track/names.js";
import { Sync } from "../track/sync.js";
import { descriptionName, type Model, type ModelDescription } from "./model.js";

export interface Registered {
  readonly name: string;
  readonly version: string;
  /** The same model was registered before: that version. */
  readonly found: boolean;
}

export const digestTag = "rlrf.digest";

/** @param run the run's folder: what MLflow lacks of the run is sent first @throws RLRF_TRACK_… */
export async function registerModel(
  run: string,
  model: Model,
  alias: string | undefined,
  client: MlflowClient,
  logger: Logger,
): Promise<Registered> {
  const { name } = model.description;
  await client.models.ensure(name);
  const there = await versionOf(client, model);
  const { version } = there ?? (await create(await trackedRun(run, client, logger), model, client));
  if (alias !== undefined) await client.models.alias(name, alias, version);
  return { name, version, found: there !== null };
}

async function versionOf(client: MlflowClient, { digest, description: { name } }: Model): Promise<ModelVersion | null> {
  const versions = await client.models.versions(name);
  return versions.find(({ tags }) => tags?.some(({ key, value }) => key === digestTag && value === digest)) ?? null;
}

async function trackedRun(folder: string, client: MlflowClient, logger: Logger): Promise<MlflowRun> {
  const sync = await Sync.open(folder, client, logger);
  try {
    const { runId } = await sync.pass();
    const run = runId === null ? null : await client.getRun(runId);
    if (run !== null) return run;
    throw new RlrfError("RLRF_TRACK_REFUSED", { message: "the run is not in MLflow, and could not be sent there", where: folder });
  } finally {
    await sync.close();
  }
}

async function create(run: MlflowRun, model: Model, client: MlflowClient): Promise<ModelVersion> {
  const { description, digest, folder } = model;
  const inner = `models/${digest.slice(0, 16)}`;
  for (const [name, { bytes }] of Object.entries(description.files))
    await client.putArtifact(run, `${inner}/${name}`, bytes === 0 ? Buffer.alloc(0) : { file: join(folder, name), bytes });
  await client.putArtifact(run, `${inner}/MLmodel`, mlmodel(run, inner, model));
  // Last: whoever finds it finds all the others.
  await client.putArtifact(run, `${inner}/${descriptionName}`, Buffer.from(model.text, "utf8"));
  const version = {
    name: description.name,
    source: `${run.info.artifact_uri}/${inner}`,
    run_id: run.info.run_id,
    description: `${description.arm} of ${description.run}`,
    tags: tagsOf(description, digest),
  };
  try {
    return await client.models.create(version);
  } catch (error) {
    const made = await versionOf(client, model); // by a request whose answer was lost
    if (made === null) throw error;
    return made;
  }
}

/** What a version's page in MLflow shows: the figures of every arm beside each other, and what they are of. */
export function tagsOf(
  { arm, seeds, users, specHash, listsDigest, framework, engine, run, figures }: ModelDescription,
  digest: string,
): MlflowTag[] {
  const arms = Object.entries(figures.arms).flatMap(([name, metrics]) =>
    Object.entries(metrics).map(([metric, { mean }]) => [`arm.${name}.${metric}`, String(mean)] as const),
  );
  const own = Object.entries(figures.model ?? {}).map(([metric, value]) => [`model.${metric}`, String(value)] as const);
  const facts = { arm, seeds: seeds.join(","), users: String(users), specHash, listsDigest, framework, engine, run };
  const named = Object.entries(facts).map(([name, value]) => [`rlrf.${name}`, value] as const);
  return [[digestTag, digest] as const, ...named, ...own, ...arms].map(([key, value]) => ({ key: mlflowKey(key), value: tagValue(value) }));
}

/** MLflow's own description of a model, so that its pages and `mlflow models` know it for one. JSON is YAML. */
function mlmodel({ info: { run_id } }: MlflowRun, inner: string, { digest, description }: Model): Buffer {
  const { framework, arm } = description;
  const content = {
    artifact_path: inner,
    run_id,
    model_uuid: digest.slice(0, 32),
    utc_time_created: new Date().toISOString().replace("T", " ").replace("Z", ""),
    flavors: { rlrf4rec: { model: descriptionName, version: framework, arm } },
  };
  return Buffer.from(`${JSON.stringify(content, null, 2)}\n`, "utf8");
}
