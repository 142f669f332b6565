/** From a resolved spec to the parts of a run: the plugins that it names, loaded, given what they ask for, and built inside out. */
import type { Dataset } from "../contracts/dataset.js";
import type { Executor } from "../contracts/executor.js";
import type { PreferenceLoss, Reward, SamplingStrategy } from "../contracts/feedback.js";
import type { PluginKind } from "../contracts/kinds.js";
import type { LlmBackend } from "../contracts/llm.js";
import type { Assets, Logger, Progress } from "../contracts/plugin.js";
import type { Tuner } from "../contracts/tuner.js";
import type { Adaptor, Reranker, SequenceEncoder, TextEncoder } from "../contracts/recommender.js";
import { RlrfError } from "../errors.js";
import { createRng } from "../rng.js";
import { hiddenMisfit, rejectedMisfit, rejectedTaken } from "../spec/fit.js";
import { annotated, substitute } from "../spec/options.js";
import { type Place, referencesIn } from "../spec/references.js";
import type { PluginReference, Spec } from "../spec/types.js";
import { hashOf } from "../store/hash.js";
import type { Store } from "../store/store.js";
import type { EngineInfo } from "../tensor/engine.js";
import { RunContainer } from "./container.js";
import { loadPlugin } from "./load.js";
import { injectionsOf } from "./plugin.js";
import type { Registry } from "./registry.js";

/** What the plugins of a run may ask for, besides their options and random numbers. */
export interface Services {
  readonly logger: Logger;
  readonly progress: Progress;
  readonly assets: Assets;
  readonly engine?: EngineInfo;
  readonly store?: Store;
}

export interface Assembly {
  readonly dataset: Dataset;
  readonly encoder: SequenceEncoder;
  readonly adaptor: Adaptor;
  readonly reranker: Reranker;
  readonly textEncoder: TextEncoder;
  readonly llm?: LlmBackend;
  /** Writes in the llm's place. */
  readonly sampler?: LlmBackend;
  readonly reward?: Reward;
  readonly sampling?: SamplingStrategy;
  readonly loss?: PreferenceLoss;
  readonly tuner?: Tuner;
  readonly executor: Executor;
  /** Section (or "sampler") -> hash of the plugin's name, version, options and source, and of those of the plugins within: part of cache keys. */
  readonly identities: Readonly<Record<string, string>>;
  /** Frees every part, last created first. */
  dispose(): Promise<void>;
}

export interface Built<Product> {
  readonly product: Product;
  readonly identity: string;
}

/** Builds plugins of one run, in one container. */
export class Assembler {
  private readonly container: RunContainer;

  constructor(
    private readonly registry: Registry,
    services: Services,
  ) {
    this.container = new RunContainer({ ...services });
  }

  /**
   * @param reference resolved: its options are complete and valid
   * @param pointer where the reference stands; names its stream of random numbers
   */
  async build<Product extends object>(
    kind: PluginKind,
    reference: PluginReference,
    seed: number,
    pointer: string,
  ): Promise<Built<Product>> {
    const entry = this.registry.find(kind, reference.plugin, reference.version, pointer);
    const plugin = await loadPlugin(entry);
    const inner: Built<object>[] = [];
    const replacements = new Map<string, unknown>();
    for (const { schema, pointer: at, value } of annotated(entry.options, reference.options, "pluginKind")) {
      if (schema.pluginKind === undefined) continue;
      const built = await this.build<object>(schema.pluginKind, value as PluginReference, seed, `${pointer}/options${at}`);
      inner.push(built);
      replacements.set(at, built.product);
    }
    for (const { pointer: at, value } of annotated(entry.options, reference.options, "secret"))
      replacements.set(at, secret(value as { readonly env: string }, `${pointer}/options${at}`));
    const product = this.container.create(`${kind}/${entry.name}`, plugin, {
      options: substitute(reference.options, replacements),
      rng: createRng("plugin", pointer, seed),
    }) as Product;
    const { name, version, sha256 } = entry;
    // What draws random numbers is another plugin under another seed.
    const drawn = injectionsOf(plugin).includes("rng") ? { seed, pointer } : null;
    const identity = hashOf({
      kind,
      name,
      version,
      sha256,
      options: reference.options,
      drawn,
      inner: inner.map((built) => built.identity),
    });
    return { product, identity };
  }

  dispose(): Promise<void> {
    return this.container.dispose();
  }
}

/** @throws coded errors of loading, injection and construction, and RLRF_SPEC_CONFLICT; what was built by then is freed */
export async function assemble(spec: Spec, registry: Registry, services: Services): Promise<Assembly> {
  const places = referencesIn<PluginReference>(spec).map(({ place }) => place);
  const assembly = (await assembleSome(spec, registry, services, places)) as Assembly; // the envelope requires all but those that it may lack
  try {
    mustFit(spec, assembly);
    return assembly;
  } catch (error) {
    await assembly.dispose().catch((failure: RlrfError) => services.logger.warn(failure.code, failure.fault.message));
    throw error;
  }
}

/** Some of the parts alone, the same as in the whole run. @throws as `assemble`, but for RLRF_SPEC_CONFLICT */
export async function assembleSome<Part extends Place>(
  spec: Spec,
  registry: Registry,
  services: Services,
  wanted: readonly Part[],
): Promise<Pick<Assembly, Part | "identities" | "dispose">> {
  const assembler = new Assembler(registry, services);
  const products: Record<string, object> = {};
  const identities: Record<string, string> = {};
  try {
    for (const { kind, place, reference, pointer } of referencesIn<PluginReference>(spec)) {
      if (!wanted.some((part) => part === place)) continue;
      const seed = kind === "llm" ? (spec.llm?.seed ?? 0) : spec.protocol.seed;
      const built = await assembler.build<object>(kind, reference, seed, pointer);
      products[place] = built.product;
      identities[place] = built.identity;
    }
    return { ...products, identities, dispose: () => assembler.dispose() } as unknown as Pick<Assembly, Part | "identities" | "dispose">;
  } catch (error) {
    await assembler.dispose().catch((failure: RlrfError) => services.logger.warn(failure.code, failure.fault.message));
    throw error;
  }
}

/** What only the plugins themselves can tell of whether they go together. */
function mustFit({ alignment }: Spec, { llm, sampler, loss, sampling, textEncoder }: Assembly): void {
  if (alignment !== undefined && llm !== undefined && !("policy" in llm))
    throw conflict("/llm", "this LLM writes texts but cannot be tuned", 'one with a policy, or no "alignment"');
  if (alignment !== undefined && sampler !== undefined && sampler.useAdapter === undefined)
    throw conflict("/llm/sampler", "this sampler cannot write with tuned adapters", 'one that takes adapters, or no "alignment"');
  if (llm?.useModel !== undefined) throw conflict("/llm", "this LLM has no weights of its own", "a model in its options");
  if (sampler?.useModel !== undefined && llm !== undefined && !("policy" in llm))
    throw conflict("/llm/sampler", "this sampler takes the weights of the LLM, which has none here", "a model in the sampler's options");
  const unheard =
    textEncoder.useLlm === undefined ? null : hiddenMisfit("the text encoder", llm && { name: "the llm", hidden: "hidden" in llm });
  if (unheard !== null) throw conflict(unheard.pointer, unheard.message, unheard.expected);
  if (loss === undefined || sampling === undefined) return;
  const misfit = rejectedMisfit(rejectedTaken(loss), sampling.rejected);
  if (misfit !== null) throw conflict(misfit.pointer, misfit.message, misfit.expected);
}

function conflict(where: string, message: string, expected: string): RlrfError {
  return new RlrfError("RLRF_SPEC_CONFLICT", { message, where, expected });
}

function secret({ env }: { readonly env: string }, where: string): string {
  const value = process.env[env];
  if (value === undefined || value === "")
    throw new RlrfError("RLRF_SPEC_SECRET", {
      message: `the environment variable ${env} is not set`,
      where,
      expected: `the secret in ${env}`,
    });
  return value;
}
