/** `rlrf reproduce`: from what a run left to a project that can run it again, and the list of what of it cannot be had. */
import fs from "node:fs/promises";
import { join } from "node:path";
import { RlrfError } from "../errors.js";
import { Registry } from "../kernel/registry.js";
import { specHash } from "../spec/hash.js";
import { specFromValue } from "../spec/read.js";
import { hasSweep, resolveSpec } from "../spec/resolve.js";
import { type Json, parseJson } from "../spec/json.js";
import type { Spec } from "../spec/types.js";
import { namedPlugins } from "../spec/named-plugins.js";
import { needsOf } from "../spec/needs.js";
import { makeFolder, writeAtomic } from "../store/files.js";
import { keepTarball } from "./fetch.js";
import { restorePackage } from "./install.js";
import { writeLock } from "./lock.js";
import { frameworkVersion } from "../setup/version.js";
import { type Project, projectAt } from "./project.js";
import { type RunLock, parseRunLock, runLockName, runSpecName, tarballName } from "./run-lock.js";
import { integrityOf } from "./tree.js";

/** Reads a file of a run, wherever that is kept; null when the run has none of that name. */
export type ReadArtifact = (path: string) => Promise<Buffer | null>;

export interface ReproduceOptions {
  readonly name: string;
  /** Where the run is, as messages say it. */
  readonly place: string;
  readonly read: ReadArtifact;
  /** Whose trust counts: never the run's own. */
  readonly project: Project;
  /** A new folder, or that of an earlier attempt. */
  readonly out: string;
  /** Makes sure that an asset is here. @throws what says why it cannot be had */
  readonly asset: (id: string) => Promise<unknown>;
}

export interface Part {
  readonly what: "spec" | "framework" | "plugin" | "package" | "asset" | "file";
  readonly name: string;
  readonly state: "here" | "differs" | "missing";
  /** Why it is not as it was. */
  readonly why?: string;
}

export interface Reproduced {
  readonly folder: string;
  readonly spec: string;
  readonly parts: readonly Part[];
}

/** @throws RLRF_RUN_UNKNOWN when the run has no spec; RLRF_PACKAGE_LOCK, RLRF_JSON when its files are broken */
export async function reproduce(options: ReproduceOptions): Promise<Reproduced> {
  const { name, place, read, out } = options;
  const specText = (await read(runSpecName))?.toString("utf8");
  if (specText === undefined)
    throw new RlrfError("RLRF_RUN_UNKNOWN", {
      message: `the run ${name} has no ${runSpecName}`,
      where: place,
      expected: "a run that `rlrf run` began",
    });
  const recorded = parseJson(specText, `${place}/${runSpecName}`).value;
  if (hasSweep(specFromValue(recorded, runSpecName)))
    throw new RlrfError("RLRF_RUN_UNKNOWN", {
      message: `${name} is a sweep, that is many runs`,
      expected: "a run that `rlrf run` began",
      hint: "name one of its trials, SWEEP/TRIAL: see `rlrf runs --trials`",
    });
  const lockText = (await read(runLockName))?.toString("utf8");
  const lock = lockText === undefined ? null : parseRunLock(lockText, `${place}/${runLockName}`);
  const project = projectAt(out);
  await makeFolder(out);
  await copyTrust(options.project, project);
  const packages = lock === null ? [] : await packageParts(lock, project, read);
  const spec = join(out, "spec.json");
  await writeAtomic(spec, specText);
  const rest = await specParts(recorded, lock, project, options);
  return { folder: out, spec, parts: [frameworkPart(lock), ...packages, ...rest] };
}

async function copyTrust(from: Project, to: Project): Promise<void> {
  const rules = await fs.readFile(from.trust).catch(() => null);
  if (rules !== null && from.trust !== to.trust) await writeAtomic(to.trust, rules);
}

function frameworkPart(lock: RunLock | null): Part {
  const own = frameworkVersion();
  if (lock === null)
    return {
      what: "framework",
      name: "rlrf4rec",
      state: "missing",
      why: `the run has no ${runLockName}: which plugins it used is not known`,
    };
  if (lock.framework === own) return { what: "framework", name: `rlrf4rec ${own}`, state: "here" };
  return { what: "framework", name: `rlrf4rec ${lock.framework}`, state: "differs", why: `this is ${own}` };
}

/** The run's own copy first, then this machine's, then where it came from. */
async function packageParts(lock: RunLock, project: Project, read: ReadArtifact): Promise<Part[]> {
  await writeLock(project.lock, lock);
  const parts: Part[] = [];
  for (const [name, locked] of Object.entries(lock.packages)) {
    const part = { what: "package", name: `${name} ${locked.version}` } as const;
    const tarball = await read(`packages/${tarballName(name, locked.version)}`);
    if (tarball !== null && integrityOf(tarball) === locked.integrity) await keepTarball(tarball);
    parts.push(await attempted(part, () => restorePackage(project, name, locked)));
  }
  return parts;
}

async function specParts(recorded: Json, lock: RunLock | null, project: Project, { asset }: ReproduceOptions): Promise<Part[]> {
  const registry = await Registry.ofProject(project);
  const plugins = Object.entries(lock?.plugins ?? {}).map(([id, was]): Part => {
    const slash = id.indexOf("/");
    const part = { what: "plugin", name: `${id} ${was.version}` } as const;
    const entry = registry.list().find(({ kind, name }) => kind === id.slice(0, slash) && name === id.slice(slash + 1));
    if (entry === undefined) return { ...part, state: "missing", why: `it came from ${was.from}` };
    if (entry.version !== was.version) return { ...part, state: "differs", why: `this one is ${entry.version}` };
    return entry.sha256 === was.source ? { ...part, state: "here" } : { ...part, state: "differs", why: "its source is another" };
  });
  let spec: Spec;
  try {
    spec = resolveSpec(specFromValue(recorded, runSpecName), registry).spec;
  } catch (error) {
    if (!(error instanceof RlrfError)) throw error;
    return [...plugins, { what: "spec", name: runSpecName, state: "missing", why: `it cannot be resolved here: ${error.fault.message}` }];
  }
  const same = specHash(spec) === specHash(recorded as unknown as Spec);
  const parts: Part[] = [
    ...plugins,
    { what: "spec", name: spec.name, ...(same ? { state: "here" } : { state: "differs", why: "defaults have changed" }) },
  ];
  const { assets, files } = needsOf(namedPlugins(spec, registry));
  for (const id of new Set(assets.map(({ id: own }) => own))) parts.push(await attempted({ what: "asset", name: id }, () => asset(id)));
  for (const { path, exists } of files)
    parts.push({
      what: "file",
      name: path,
      ...(exists ? { state: "here" } : { state: "missing", why: "a path of the machine that ran it" }),
    });
  return parts;
}

async function attempted(part: Pick<Part, "what" | "name">, make: () => Promise<unknown>): Promise<Part> {
  try {
    await make();
    return { ...part, state: "here" };
  } catch (error) {
    if (!(error instanceof RlrfError)) throw error;
    return { ...part, state: "missing", why: `${error.code}: ${error.fault.message.split("\n")[0]}` };
  }
}
