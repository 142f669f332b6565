/** What `rlrf promote` does: makes the model in a temporary folder, tries it, and only then puts it where it was asked for. */
import { randomUUID } from "node:crypto";
import fs from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { RlrfError } from "../errors.js";
import { Registry } from "../kernel/registry.js";
import type { ModelDescription } from "../serving/model.js";
import { promote, type Promoted } from "../serving/promote.js";
import { readEndedRun, type Wish } from "../serving/run.js";
import { createAssets } from "../setup/assets.js";
import { makeFolder, syncFolder } from "../store/files.js";
import { Store } from "../store/store.js";
import { startEngine } from "../tensor/engine.js";
import { findRuns } from "../track/runs.js";
import { interruption } from "./interrupt.js";
import { createProgress } from "./progress.js";
import { number } from "./result-text.js";
import { createLogger, print, printJson } from "./terminal.js";

export interface PromoteOptions extends Wish {
  readonly to?: string;
  readonly out?: string;
  readonly alias?: string;
  readonly runs: string;
  readonly cache: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

export async function promoteRun(run: string, name: string, options: PromoteOptions): Promise<void> {
  const { quiet = false, json = false, out } = options;
  const [folder] = (await findRuns(options.runs, [run], "spec.json")) as [string];
  mustBeName(name);
  if (out !== undefined) await mustBeNew(out);
  const logger = createLogger({ quiet });
  const progress = createProgress({ quiet });
  const registry = await Registry.read();
  const ended = await readEndedRun(folder, registry);
  const engine = await startEngine(ended.spec.engine);
  const signal = interruption();
  const store = new Store(options.cache, logger, signal);
  await store.mustBeWritable();
  const services = { logger, progress, assets: createAssets({ logger, progress }), engine, store };
  const workshop = { registry, services, signal };
  const target = resolve(out ?? join(options.cache, "models", randomUUID()));
  const made = join(dirname(target), `.${basename(target)}.${randomUUID()}.tmp`);
  await makeFolder(made);
  try {
    const promoted = await promote(ended, name, options, made, workshop);
    if (out !== undefined) {
      await fs.rename(made, target);
      await syncFolder(dirname(target));
    }
    const where = { folder: out === undefined ? null : target };
    if (json) printJson({ ...where, digest: promoted.model.digest, agreement: promoted.agreement, ...shown(promoted.model.description) });
    else if (!quiet) print(text(promoted, out ?? null));
  } finally {
    await fs.rm(made, { recursive: true, force: true });
  }
}

function shown({ files: _, ...description }: ModelDescription): object {
  return description;
}

function text({ model: { description, digest }, agreement }: Promoted, out: string | null): string {
  const { name, run, arm, seeds, users, figures } = description;
  const whom = { split: "that the run evaluated", refit: "fitted again, on everybody that the run evaluated" };
  const own = Object.entries(figures.model ?? {}).map(([metric, value]) => `${metric} ${number(value)}`);
  const ofArm = Object.entries(figures.arms[arm] ?? {}).map(([metric, { mean }]) => `${metric} ${number(mean)}`);
  return [
    `${name}: arm ${arm} of ${run}, the recommender of seed ${seeds.join(", ")} ${typeof users === "number" ? `of fold ${users}` : whom[users]}`,
    own.length > 0
      ? `  its test users    ${own.join(", ")}`
      : `  cross-validated   ${ofArm.join(", ")} (of the run; no list is new to a recommender that learnt from all)`,
    ...(agreement ? [`  as in the run     ${agreement.lists} lists, scores apart by ${agreement.largest.toExponential(1)} at most`] : []),
    `  sha256            ${digest}`,
    ...(out === null ? [] : [`  serve it          rlrf serve ${out}`]),
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
