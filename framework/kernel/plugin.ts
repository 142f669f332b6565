/** The decorators that a plugin is written with. They only record; container.ts turns the records into injections. */
import "reflect-metadata";
import type { Injectable, PluginClass, PluginIdentity } from "../contracts/plugin.js";

const identityKey = Symbol.for("rlrf4rec:plugin");
const injectionsKey = Symbol.for("rlrf4rec:injections");

/** Declares a class to be a plugin: its whole identity, in one place. */
export function plugin(identity: PluginIdentity) {
  return (target: PluginClass): void => Reflect.defineMetadata(identityKey, identity, target);
}

export function identityOf(target: object): PluginIdentity | undefined {
  return Reflect.getMetadata(identityKey, target) as PluginIdentity | undefined;
}

/** What each constructor parameter of a plugin asks for, by position. */
export function injectionsOf(target: object): readonly (Injectable | undefined)[] {
  return (Reflect.getOwnMetadata(injectionsKey, target) as (Injectable | undefined)[] | undefined) ?? [];
}

function inject(what: Injectable) {
  return (): ParameterDecorator => (target, _method, index) => {
    const injections = [...injectionsOf(target)];
    injections[index] = what;
    Reflect.defineMetadata(injectionsKey, injections, target);
  };
}

/** The plugin's own options, validated, defaults filled in, frozen; nested plugins are built instances. */
export const options = inject("options");
export const logger = inject("logger");
/** A stream of random numbers seeded for this plugin. */
export const rng = inject("rng");
export const assets = inject("assets");
export const progress = inject("progress");
/** The store of what is computed already (store/store.ts). */
export const store = inject("store");
/** Which tensor engine runs, and why (EngineInfo). */
export const engine = inject("engine");
