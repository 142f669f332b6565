/** What a contract suite tests: one plugin with certain options, built anew for every check as a run would build it. */
import assert from "node:assert/strict";
import type { PluginClass, PluginIdentity } from "../contracts/plugin.js";
import { Assembler, type Services } from "../kernel/assemble.js";
import { identityOf } from "../kernel/plugin.js";
import { Registry } from "../kernel/registry.js";
import { resolveReference } from "../spec/resolve.js";

export interface Subject<Product extends object> {
  readonly plugin: PluginClass<Product>;
  readonly options?: Readonly<Record<string, unknown>>;
  /** Plugins that the options name. */
  readonly plugins?: readonly PluginClass[];
  /** Assets, logger, …: silent and empty ones when left out. */
  readonly services?: Partial<Services>;
}

/** The test runner's own functions: mocha's, jest's, vitest's and node:test's fit. */
export interface Runner {
  describe(name: string, body: () => void): unknown;
  it(name: string, body: () => Promise<void>): unknown;
}

const silent: Services = {
  logger: { info: () => {}, warn: () => {} },
  progress: { start: () => ({ advance: () => {}, end: () => {} }) },
  assets: {
    folder: (id) => Promise.reject(new Error(`the suite has no asset "${id}": give one in services`)),
    requirements: (id) => Promise.reject(new Error(`the suite has no environment "${id}": give one in services`)),
  },
};

export function identityOfSubject<Product extends object>({ plugin }: Subject<Product>): PluginIdentity {
  const identity = identityOf(plugin);
  assert.ok(identity, `${plugin.name} has no @plugin decorator`);
  return identity;
}

/** Builds the plugin, hands it to `body`, and disposes of it. @throws coded errors of options and construction */
export async function withPlugin<Product extends object, Result>(
  subject: Subject<Product>,
  body: (product: Product) => Result | Promise<Result>,
): Promise<Result> {
  const { kind, name } = identityOfSubject(subject);
  const registry = Registry.of([...new Set([subject.plugin, ...(subject.plugins ?? [])])]);
  const reference = resolveReference(registry, kind, { plugin: name, options: subject.options ?? {} });
  const assembler = new Assembler(registry, { ...silent, ...subject.services });
  try {
    const { product } = await assembler.build<Product>(kind, reference, 1, `/${kind}`);
    return await body(product);
  } finally {
    await assembler.dispose();
  }
}

/** Slow enough for a model to load. */
const limit = 120_000; // ms

/** `describe` with the checks of every plugin, then those of its kind. */
export function suite<Product extends object>(
  subject: Subject<Product>,
  runner: Runner | undefined,
  checks: Readonly<Record<string, () => Promise<void>>>,
  common: Readonly<Record<string, () => Promise<void>>>,
): void {
  const { describe, it } = runner ?? (globalThis as unknown as Runner);
  const { kind, name } = identityOfSubject(subject);
  const options = subject.options === undefined ? "" : ` ${JSON.stringify(subject.options)}`;
  describe(`${kind}/${name}${options} keeps the contract of its kind`, () => {
    for (const [title, check] of Object.entries({ ...common, ...checks })) {
      const test = it(title, check) as { timeout?: (milliseconds: number) => void } | undefined;
      test?.timeout?.(limit);
    }
  });
}
