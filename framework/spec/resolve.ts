/**
 * From a spec as written to the spec that a run follows: the envelope is validated first, then the options of every plugin by
 * its own schema, then what the sections without a fault ask of each other. All faults come at once.
 */
import type { PluginKind } from "../contracts/kinds.js";
import { RlrfError } from "../errors.js";
import type { PluginEntry, Registry } from "../kernel/registry.js";
import { conflicts } from "./conflicts.js";
import { envelope, knownAspects } from "./envelope.js";
import { misfits } from "./fit.js";
import { type SpecFault, SpecFaults } from "./faults.js";
import { specHash } from "./hash.js";
import { child } from "./json.js";
import { limitFaults } from "./limits.js";
import { type NamedPlugin, namedPlugins } from "./named-plugins.js";
import { didYouMean } from "./nearest.js";
import { annotated, referenceSchema, strictSchema } from "./options.js";
import { partnerFaults } from "./partners.js";
import { misplaced } from "./places.js";
import { isObject, type Origin, originOf, originText, type SpecSource } from "./origins.js";
import { referencesIn } from "./references.js";
import { soundSections } from "./sound.js";
import type { PluginReference, Spec } from "./types.js";
import { type PlainFault, validate } from "./validate.js";

export interface ResolvedSpec {
  /** Deeply frozen. */
  readonly spec: Spec;
  readonly hash: string;
  /** Where each value came from, by JSON pointer; every value of `spec` has one. */
  readonly origins: ReadonlyMap<string, Origin>;
}

type Draft = Record<string, unknown>;

/** Finds what is wrong with the plugins of the sections that have no fault of their own. */
export type SpecRule = (plugins: readonly NamedPlugin[]) => readonly PlainFault[];

/**
 * Of one run: a spec with a sweep is taken apart by framework/sweep/expand.ts.
 * @param besides rules that hold for this caller
 * @throws SpecFaults, RLRF_SWEEP_HERE
 */
export function resolveSpec(source: SpecSource, registry: Registry, besides: readonly SpecRule[] = []): ResolvedSpec {
  if (hasSweep(source))
    throw new RlrfError("RLRF_SWEEP_HERE", {
      message: "the spec has a sweep, that is many trials, where one experiment is asked for",
      where: source.name,
      expected: "a spec of one experiment",
      hint: "leave the sweep out with --set sweep=null, or take the spec of a trial: runs/SWEEP/specs/TRIAL.json",
    });
  const origins = new Map(source.origins);
  const draft = structuredClone(source.value) as unknown;
  const resolver = new Resolver(registry, origins);
  if (isObject(draft)) prepare(draft, resolver, origins);
  resolver.add(validate(envelope, draft, "the spec"));
  if (isObject(draft)) {
    markDefaults(draft, "", "the spec", origins);
    for (const { kind, reference, pointer } of referencesIn<unknown>(draft)) resolver.reference(kind, reference, pointer);
    const sections = soundSections(draft, resolver.faults);
    resolver.add(conflicts(draft as unknown as Spec, sections));
    const plugins = namedPlugins(sections.spec, registry);
    resolver.add(misfits(sections, registry, plugins));
    resolver.add(partnerFaults(plugins));
    resolver.add(misplaced(plugins));
    resolver.add(limitFaults(sections.spec, plugins));
    for (const rule of besides) resolver.add(rule(plugins));
  }
  if (resolver.faults.length > 0) throw new SpecFaults(source.name, resolver.faults);
  const spec = freeze(draft) as Spec;
  return { spec, hash: specHash(spec), origins };
}

export function hasSweep({ value }: SpecSource): boolean {
  return isObject(value) && (value.sweep ?? null) !== null;
}

/** The options of one plugin alone, as `rlrf try` and tests have them. @throws SpecFaults */
export function resolveReference(
  registry: Registry,
  kind: PluginKind,
  reference: unknown,
  name = `${kind} reference`,
  origins = new Map<string, Origin>(),
): PluginReference {
  const resolver = new Resolver(registry, origins);
  const draft = structuredClone(reference);
  resolver.add(validate(referenceSchema, draft, name));
  resolver.reference(kind, draft, "");
  if (resolver.faults.length > 0) throw new SpecFaults(name, resolver.faults);
  return freeze(draft) as PluginReference;
}

/** A section that is null is left out (so that a spec can drop one of its base); short forms are written out. */
function prepare(draft: Draft, resolver: Resolver, origins: Map<string, Origin>): void {
  for (const key of Object.keys(draft)) if (draft[key] === null || key === "$schema") delete draft[key];
  const { prompt, llm } = draft;
  if (isObject(llm) && llm.sampler === null) delete llm.sampler;
  if (!isObject(prompt) || !Array.isArray(prompt.aspects)) return;
  for (const [i, aspect] of prompt.aspects.entries()) {
    if (typeof aspect !== "string") continue;
    const pointer = `/prompt/aspects/${i}`;
    const known = Object.hasOwn(knownAspects, aspect) ? knownAspects[aspect] : undefined;
    if (known === undefined) resolver.add([unknownAspect(aspect, pointer)]);
    prompt.aspects[i] = known === undefined ? { name: "Unknown", from: "unknown" } : { ...known };
    const origin = originOf(origins, pointer);
    if (origin !== undefined) for (const key of Object.keys(knownAspects.Genre ?? {})) origins.set(child(pointer, key), origin);
  }
}

function unknownAspect(aspect: string, pointer: string): PlainFault {
  const names = Object.keys(knownAspects);
  const meant = didYouMean(aspect, names);
  const message = `"${aspect}" is no known aspect`;
  const expected = `one of: ${names.join(", ")}; or an object {"name", "from"}`;
  return { code: "RLRF_SPEC_VALUE", pointer, message, expected, ...(meant === undefined ? {} : { hint: meant }) };
}

class Resolver {
  readonly faults: SpecFault[] = [];

  constructor(
    private readonly registry: Registry,
    private readonly origins: Map<string, Origin>,
  ) {}

  add(faults: readonly PlainFault[]): void {
    for (const fault of faults) this.faults.push({ ...fault, where: this.where(fault.pointer) });
  }

  /** Validates the options of `reference` and of the plugins within, fills in defaults and the version. */
  reference(kind: PluginKind, reference: unknown, pointer: string): void {
    if (!isObject(reference) || typeof reference.plugin !== "string" || reference.plugin === "") return; // a fault of the envelope
    const entry = this.entry(kind, reference, pointer);
    if (entry === undefined) return;
    if (reference.version === undefined || reference.version !== entry.version) {
      const origin: Origin = { kind: "registry" };
      this.origins.set(child(pointer, "version"), origin);
    }
    reference.version = entry.version;
    reference.options ??= {};
    if (!isObject(reference.options)) return;
    const at = child(pointer, "options");
    // What is missing in options that nobody wrote is missing where the plugin is named.
    const named = originOf(this.origins, child(pointer, "plugin"));
    if (named !== undefined && (this.origins.get(at)?.kind ?? "default") === "default") this.origins.set(at, named);
    const owner = `${kind}/${entry.name}`;
    this.add(validate(schemaOf(entry), reference.options, owner, at));
    markDefaults(reference.options, at, owner, this.origins);
    for (const nested of annotated(entry.options, reference.options, "pluginKind"))
      if (nested.schema.pluginKind !== undefined) this.reference(nested.schema.pluginKind, nested.value, at + nested.pointer);
  }

  private entry(kind: PluginKind, reference: Draft, pointer: string): PluginEntry | undefined {
    const range = typeof reference.version === "string" ? reference.version : undefined;
    try {
      return this.registry.find(kind, String(reference.plugin), range);
    } catch (error) {
      if (!(error instanceof RlrfError)) throw error;
      const key = error.code === "RLRF_PLUGIN_VERSION" ? "version" : "plugin";
      this.add([{ code: error.code, pointer: child(pointer, key), ...error.fault }]);
      return undefined;
    }
  }

  private where(pointer: string): string {
    const origin = originOf(this.origins, pointer);
    return [origin === undefined ? "" : originText(origin), pointer || "/"].join(" ").trim();
  }
}

const schemas = new WeakMap<PluginEntry, object>();
function schemaOf(entry: PluginEntry): object {
  const schema = schemas.get(entry) ?? strictSchema(entry);
  schemas.set(entry, schema);
  return schema;
}

/** What has no origin was not written by anyone. */
function markDefaults(value: unknown, pointer: string, owner: string, origins: Map<string, Origin>): void {
  if (!origins.has(pointer)) origins.set(pointer, { kind: "default", of: owner });
  if (typeof value !== "object" || value === null) return;
  for (const [key, item] of Object.entries(value)) markDefaults(item, child(pointer, key), owner, origins);
}

function freeze(value: unknown): unknown {
  if (typeof value === "object" && value !== null) {
    for (const item of Object.values(value)) freeze(item);
    Object.freeze(value);
  }
  return value;
}
