/** What `rlrf promote` does: makes the model in a temporary folder, tries it, and only then puts it where it was asked for. */
import { randomUUID } from "node:crypto";
import fs from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { Logger } from "../contracts/plugin.js";
import { RlrfError } from "../errors.js";
import { Registry } from "../kernel/registry.js";
import type { ModelDescription } from "../serving/model.js";
import { promote, type Promoted } from "../serving/promote.js";
import { type Registered, registerModel } from "../serving/register.js";
import { type EndedRun, readEndedRun, type Wish } from "../serving/run.js";
import type { Workshop } from "../serving/study.js";
import { createAssets } from "../setup/assets.js";
import { makeFolder, syncFolder } from "../store/files.js";
import { storeRoot } from "../store/root.js";
import { Store } from "../store/store.js";
import { startEngine } from "../tensor/engine.js";
import { MlflowClient } from "../track/mlflow.js";
import { findRuns } from "../track/runs.js";
import { trackingUri } from "../track/tracking.js";
import { interruption } from "./interrupt.js";
import { createProgress } from "./progress.js";
import { number } from "./result-text.js";
import { createLogger, print, printJson } from "./terminal.js";

export interface PromoteOptions extends Wish {
  readonly to?: string;
  readonly out?: string;
  readonly alias?: string;
  readonly runs: string;
  readonly cache?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

export async function promoteRun(run: string, name: string, options: PromoteOptions): Promise<void> {
  const { quiet = false, json = false, out } = options;
  const [folder] = (await findRuns(options.runs, [run], "spec.json")) as [string];
  mustBeName(name);
  if (out !== undefined) await mustBeNew(out);
  const logger = createLogger({ quiet });
  const registry = await Registry.read();
  const ended = await readEndedRun(folder, registry);
  const client = clientOf(options, ended, logger);
  const target = resolve(out ?? join(storeRoot(ended.spec, options.cache), "models", randomUUID()));
  const made = join(dirname(target), `.${basename(target)}.${randomUUID()}.tmp`);
  try {
    await client?.models.versions(name); // a server that cannot be had is told before anything is computed
    await makeFolder(made);
    const promoted = await promote(ended, name, options, made, await workshopOf(ended, options, registry, logger));
    const registered = client && (await registerModel(folder, promoted.model, options.alias, client, logger));
    if (out !== undefined) {
      await fs.rename(made, target);
      await syncFolder(dirname(target));
    }
    const { digest, description } = promoted.model;
    const where = { folder: out === undefined ? null : target, registered, digest, agreement: promoted.agreement };
    if (json) printJson({ ...where, ...shown(description) });
    else if (!quiet) print(text(promoted, out ?? null, client && registered && { ...registered, uri: client.uri }));
  } finally {
    client?.close();
    await fs.rm(made, { recursive: true, force: true });
  }
}

/** @throws RLRF_PROMOTE_TARGET when neither a server nor a folder is named */
function clientOf({ to, out, alias }: PromoteOptions, { spec }: EndedRun, logger: Logger): MlflowClient | null {
  const uri = out === undefined ? trackingUri(to, spec.tracking.uri) : (to ?? null);
  if (uri !== null) return new MlflowClient(uri, { logger });
  const missing = (message: string, expected: string) => new RlrfError("RLRF_PROMOTE_TARGET", { message, expected });
  if (out === undefined) throw missing("nothing says where the model is to go", "--out FOLDER, or --to URI of an MLflow server");
  if (alias !== undefined) throw missing("a folder has no alias", "--to URI besides, the MLflow server that keeps it");
  return null;
}

async function workshopOf(
  { spec }: EndedRun,
  { cache, quiet = false }: PromoteOptions,
  registry: Registry,
  logger: Logger,
): Promise<Workshop> {
  const engine = await startEngine(spec.engine);
  const signal = interruption();
  const store = new Store(storeRoot(spec, cache), logger, signal);
  await store.mustBeWritable();
  const progress = createProgress({ quiet });
  return { registry, services: { logger, progress, assets: createAssets({ logger, progress }), engine, store }, signal };
}

function shown({ files: _, ...description }: ModelDescription): object {
  return description;
}

function text(
  { model: { description, digest }, agreement }: Promoted,
  out: string | null,
  registered: (Registered & { readonly uri: string }) | null,
): string {
  const { name, run, arm, seeds, users, figures } = description;
  const whom = { split: "that the run evaluated", refit: "fitted again, on everybody that the run evaluated" };
  const own = Object.entries(figures.model ?? {}).map(([metric, value]) => `${metric} ${number(value)}`);
  const ofArm = Object.entries(figures.arms[arm] ?? {}).map(([metric, { mean }]) => `${metric} ${number(mean)}`);
  return [
    `${name}: arm ${arm} of ${run}, the recommender of seed ${seeds.join(", ")} ${typeof users === "number" ? `of fold ${users}` : whom[users]}`,
    own.length > 0
      ? `  its test users    ${own.join(", ")}`
      : `  the run's figures ${ofArm.join(", ")} (no list is new to a recommender that has learnt from all)`,
    ...(agreement ? [`  as in the run     ${agreement.lists} lists, scores apart by ${agreement.largest.toExponential(1)} at most`] : []),
    `  sha256            ${digest}`,
    ...(registered
      ? [`  in MLflow         ${registered.name} version ${registered.version}${registered.found ? ", which was there" : ""}`]
      : []),
    ...(out === null ? [] : [`  serve it          rlrf serve ${out}`]),
    ...(registered ? [`  serve it          rlrf serve models:/${registered.name}/${registered.version} --from ${registered.uri}`] : []),
  ].join("\n");
}

function mustBeName(name: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(name)) return;
  throw new RlrfError("RLRF_PROMOTE_TARGET", { message: `${JSON.stringify(name)} cannot name a model`, expected: "at most 128 letters, digits, . _ - and a letter or digit first" }); // biome-ignore format: one fault
}

/** A folder is made whole or not at all, so nothing may be there. */
async function mustBeNew(folder: string): Promise<void> {
  const entries = await fs.readdir(folder).catch((error: NodeJS.ErrnoException) => (error.code === "ENOENT" ? null : [""]));
  if (entries === null || entries.length === 0) return;
  throw new RlrfError("RLRF_PROMOTE_TARGET", { message: "there is something already", where: resolve(folder), expected: "a folder that is not there yet", hint: "choose another with --out, or delete it" }); // biome-ignore format: one fault
}
