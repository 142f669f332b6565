/**
 * The run's container, and the only file that knows tsyringe. What tsyringe leaves open is closed here: tokens are explicit,
 * a token is registered once, a plugin's class is constructed anew for each use whatever the global container holds, and
 * products are disposed of by a stack of our own, in reverse order of creation.
 */
import "reflect-metadata";
import { type DependencyContainer, inject, injectable, container as root } from "tsyringe";
import type { Injectable, PluginClass } from "../contracts/plugin.js";
import { RlrfError } from "../errors.js";
import { injectionsOf } from "./plugin.js";

const tokens: ReadonlyMap<Injectable, symbol> = new Map(
  (["options", "logger", "rng", "assets", "store", "progress", "engine"] as const).map((name) => [name, Symbol(`rlrf4rec:${name}`)]),
);

export type Values = Readonly<Partial<Record<Injectable, unknown>>>;

export class RunContainer {
  private readonly container: DependencyContainer = root.createChildContainer();
  private readonly stack: { readonly name: string; dispose(): unknown }[] = [];

  /** @param shared what every plugin of the run may ask for */
  constructor(shared: Values) {
    register(this.container, shared);
  }

  /**
   * Constructs a plugin and puts it on the disposal stack.
   * @param own what belongs to this one use of the plugin: its options, its random numbers
   * @throws RLRF_PLUGIN_INJECTION, RLRF_PLUGIN_CONSTRUCTOR; RlrfErrors of the constructor pass through
   */
  create<Product extends object>(name: string, plugin: PluginClass<Product>, own: Values): Product {
    const scope = this.container.createChildContainer();
    register(scope, own);
    declareInjections(name, plugin, scope);
    const token = Symbol(name);
    scope.register(token, { useClass: plugin as new (...injected: unknown[]) => Product }); // tsyringe types parameters loosely
    let product: Product;
    try {
      product = scope.resolve<Product>(token);
    } catch (cause) {
      if (cause instanceof RlrfError) throw cause;
      const message = `${name}: its constructor threw: ${cause instanceof Error ? cause.message : String(cause)}`;
      throw new RlrfError("RLRF_PLUGIN_CONSTRUCTOR", { message }, { cause });
    }
    const { dispose } = product as { dispose?: unknown };
    if (typeof dispose === "function") this.stack.push({ name, dispose: () => dispose.call(product) });
    return product;
  }

  /** Frees everything, last created first; goes on after a failure, and tells of all of them. @throws RLRF_PLUGIN_DISPOSE */
  async dispose(): Promise<void> {
    const failures: unknown[] = [];
    const names: string[] = [];
    for (let product = this.stack.pop(); product !== undefined; product = this.stack.pop()) {
      try {
        await product.dispose();
      } catch (error) {
        failures.push(error);
        names.push(`${product.name} (${error instanceof Error ? error.message : String(error)})`);
      }
    }
    if (failures.length > 0)
      throw new RlrfError(
        "RLRF_PLUGIN_DISPOSE",
        { message: `not disposed of: ${names.join("; ")}` },
        { cause: new AggregateError(failures) },
      );
  }
}

function register(container: DependencyContainer, values: Values): void {
  for (const [name, value] of Object.entries(values) as [Injectable, unknown][]) {
    if (value === undefined) continue;
    const token = tokens.get(name);
    if (token === undefined || container.isRegistered(token, true))
      throw new RlrfError("RLRF_INTERNAL", { message: `"${name}" ${token === undefined ? "is no injectable" : "is registered twice"}` });
    container.register(token, { useValue: value });
  }
}

/** Turns what the decorators of plugin.ts recorded into tsyringe's own metadata. */
function declareInjections(name: string, plugin: PluginClass, scope: DependencyContainer): void {
  const injections = injectionsOf(plugin);
  const count = Math.max(plugin.length, injections.length);
  for (let i = 0; i < count; i++) {
    const wanted = injections[i];
    const token = wanted === undefined ? undefined : tokens.get(wanted);
    if (token === undefined || !scope.isRegistered(token, true))
      throw new RlrfError("RLRF_PLUGIN_INJECTION", {
        message: `${name}: parameter ${i + 1} of its constructor ${wanted === undefined ? "has no decorator" : `asks for "${wanted}", which is not there`}`,
        expected: `a decorator for each parameter: ${[...tokens.keys()].map((key) => `@${key}()`).join(", ")}`,
      });
    inject(token)(plugin, undefined, i);
  }
  injectable()(plugin);
}
