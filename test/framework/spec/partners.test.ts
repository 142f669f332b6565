/** `worksWith`: of plugins at any depth, against plugins at any depth. */
import assert from "node:assert/strict";
import type { PluginKind } from "../../../framework/contracts/kinds.js";
import type { PluginIdentity } from "../../../framework/contracts/plugin.js";
import { plugin } from "../../../framework/kernel/plugin.js";
import { Registry } from "../../../framework/kernel/registry.js";
import { namedPlugins } from "../../../framework/spec/named-plugins.js";
import { partnerFaults } from "../../../framework/spec/partners.js";
import type { PluginReference, Spec } from "../../../framework/spec/types.js";

function made(kind: PluginKind, name: string, more: Partial<PluginIdentity> = {}) {
  const made = class {};
  plugin({ kind, name, version: "1.0.0", summary: "", source: "", ...more })(made);
  return made;
}
const around = (kind: PluginKind) => ({
  options: { type: "object", properties: { parts: { type: "array", items: { pluginKind: kind } } } } as const,
});
const margins = { wide: { reward: { bounded: {} } } };

const registry = Registry.of([
  made("tuner", "choosy", { worksWith: { loss: { sum: {}, plain: { size: { const: 1 } } } } }),
  made("loss", "sum", around("loss")),
  made("loss", "plain"),
  made("loss", "other"),
  made("loss", "scaled", { options: { type: "object", properties: { margin: { worksWith: margins } } } }),
  made("reward", "bounded"),
  made("reward", "unbounded"),
  made("reward", "asked", around("llm")),
  made("llm", "writer"),
  made("encoder", "picky", { worksWith: { llm: { writer: {} } } }),
  made("llm", "stranger"),
]);
const named = (name: string, options: object = {}): PluginReference => ({ plugin: name, version: "1.0.0", options: { ...options } });
const sum = (...parts: readonly PluginReference[]) => named("sum", { parts });
const faultsOf = (spec: Partial<Spec>) =>
  partnerFaults(namedPlugins(spec as Spec, registry)).map(({ pointer, message }) => `${pointer}: ${message}`);

describe("what a plugin works with", () => {
  it("holds for the plugins within the one that is named", () => {
    const tuner = named("choosy");
    assert.deepEqual(faultsOf({ tuner, loss: sum(named("plain", { size: 1 }), sum(named("plain", { size: 1 }))) }), []);
    assert.deepEqual(faultsOf({ tuner, loss: sum(named("plain", { size: 1 }), sum(named("other"), named("plain", { size: 2 }))) }), [
      '/loss/options/parts/1/options/parts/0/plugin: the tuner "choosy" does not work with the loss "other"',
      '/loss/options/parts/1/options/parts/1/options/size: the tuner "choosy" works with the loss "plain" only with another size',
    ]);
  });

  it("holds for a plugin within another", () => {
    const loss = sum(named("plain"), sum(named("scaled", { margin: "wide" })));
    assert.deepEqual(faultsOf({ loss, reward: named("bounded") }), []);
    assert.deepEqual(faultsOf({ loss, reward: named("unbounded") }), [
      '/reward/plugin: the loss "scaled" with margin = "wide" does not work with the reward "unbounded"',
    ]);
  });

  it("is said of the section, not of a plugin of its kind that another one uses for itself", () => {
    const spec = { encoder: named("picky"), reward: named("asked", { parts: [named("stranger")] }) };
    assert.deepEqual(faultsOf({ ...spec, llm: { ...named("writer"), seed: 1 } }), []);
    assert.deepEqual(faultsOf({ ...spec, llm: { ...named("stranger"), seed: 1 } }).length, 1);
  });
});
