import "reflect-metadata";
import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { inject, singleton } from "tsyringe";
import type { PluginClass } from "../../../framework/contracts/plugin.js";
import { assemble, type Services } from "../../../framework/kernel/assemble.js";
import { RunContainer } from "../../../framework/kernel/container.js";
import { loadPlugin } from "../../../framework/kernel/load.js";
import { options, plugin, rng } from "../../../framework/kernel/plugin.js";
import { type Manifest, Registry, splitId } from "../../../framework/kernel/registry.js";
import { satisfies } from "../../../framework/kernel/version.js";
import { createRng } from "../../../framework/rng.js";
import { packageRoot } from "../../../framework/setup/paths.js";
import type { Json } from "../../../framework/spec/json.js";
import { specFromValue } from "../../../framework/spec/read.js";
import { resolveSpec } from "../../../framework/spec/resolve.js";
import type { Spec } from "../../../framework/spec/types.js";
import { baseSpec, fixtureManifest, fixtureRegistry, silent, temporaryFolder, tunedSpec } from "../../support/fixtures.js";

const coded = (code: string, pattern = /./) => ({ code, message: new RegExp(`^${code}: [\\s\\S]*${pattern.source}`) });

describe("versions", () => {
  for (const [version, range, expected] of [
    ["1.2.3", "1.2.3", true],
    ["1.2.3", "^1.2", true],
    ["1.2.3", "^1.3", false],
    ["2.0.0", "^1.2", false],
    ["0.2.9", "^0.2.1", true],
    ["0.3.0", "^0.2.1", false],
    ["0.0.3", "^0.0.3", true],
    ["0.0.4", "^0.0.3", false],
    ["1.2.9", "~1.2.3", true],
    ["1.3.0", "~1.2.3", false],
    ["1.9.0", "1.x", true],
    ["1.9.0", "1", true],
    ["1.9.0", "*", true],
    ["2.1.0", ">=1 <3", true],
    ["3.0.0", ">=1 <3", false],
    ["0.2.0", "^0.1.0 || ^0.2.0", true],
    ["0.3.0", "^0.1.0 || ^0.2.0", false],
    ["1.2.3", ">1.2.3", false],
    ["1.2.4", ">1.2.3", true],
    ["1.2.9", ">1.2", false],
    ["1.3.0", ">1.2", true],
    ["1.2.3", "<=1.2.3", true],
    ["1.2.4", "<=1.2.3", false],
    ["1.2.9", "<=1.2", true],
    ["1.2.3", "=1.2.3", true],
    ["1.2.3", "^1 ||", undefined],
    ["1.2.3", "one", undefined],
    ["1.2.3", "", undefined],
    ["1.2.3", "^1..2", undefined],
  ] as const)
    it(`${version} in "${range}": ${expected}`, () => assert.equal(satisfies(version, range), expected));
});

describe("registry", () => {
  const changed = async (change: (manifest: { plugins: Record<string, unknown>[] }) => void): Promise<string> => {
    const path = await fixtureManifest();
    const manifest = JSON.parse(await readFile(path, "utf8"));
    change(manifest);
    await writeFile(path, JSON.stringify(manifest));
    return path;
  };

  it("finds by kind and name, and lists by kind", async () => {
    const registry = await fixtureRegistry();
    assert.equal(registry.find("loss", "@fixture/margin", "^1").version, "1.2.3");
    assert.deepEqual(
      registry.list("reward").map((entry) => entry.name),
      ["@fixture/doubled", "@fixture/first"],
    );
    assert.equal(registry.list()[0]?.kind, "dataset");
  });

  it("says which name was meant, and when it is of another kind", async () => {
    const registry = await fixtureRegistry();
    assert.throws(() => registry.find("loss", "@fixture/margn"), coded("RLRF_PLUGIN_UNKNOWN", /did you mean "@fixture\/margin"\?/));
    assert.throws(() => registry.find("loss", "@fixture/echo"), coded("RLRF_PLUGIN_UNKNOWN", /is a plugin of kind llm/));
    assert.throws(() => registry.find("loss", "__proto__"), coded("RLRF_PLUGIN_UNKNOWN"));
  });

  it("refuses versions out of range, and malformed ranges", async () => {
    const registry = await fixtureRegistry();
    assert.throws(() => registry.find("loss", "@fixture/margin", "^2"), coded("RLRF_PLUGIN_VERSION", /version 1\.2\.3, not \^2/));
    assert.throws(() => registry.find("loss", "@fixture/margin", "new"), coded("RLRF_PLUGIN_VERSION", /is not a range/));
  });

  it("refuses a plugin that two manifests register, naming both", async () => {
    const [one, two] = [await fixtureManifest(), await fixtureManifest()];
    await assert.rejects(Registry.read([one, two]), (error: Error) => {
      assert.match(error.message, /^RLRF_PLUGIN_DUPLICATE/);
      assert.ok(error.message.includes(one) && error.message.includes(two));
      return true;
    });
  });

  it("refuses manifests that are not in their form", async () => {
    await assert.rejects(Registry.read(["/nowhere/plugins.json"]), coded("RLRF_REGISTRY_FILE", /ENOENT/));
    await assert.rejects(
      Registry.read([await changed((manifest) => delete manifest.plugins[0]?.version)]),
      coded("RLRF_REGISTRY_FILE", /no "version"/),
    );
    for (const [key, value, message] of [
      ["kind", "los", /no kind "los"/],
      ["name", "My Loss", /is no name/],
      ["version", "1", /no semantic version/],
    ] as const)
      await assert.rejects(
        Registry.read([await changed((manifest) => Object.assign(manifest.plugins[0] ?? {}, { [key]: value }))]),
        coded("RLRF_REGISTRY_FILE", message),
      );
  });

  it("splits ids at the first slash", () => {
    assert.deepEqual(splitId("loss/@team/losses/my-dpo"), ["loss", "@team/losses/my-dpo"]);
    assert.throws(() => splitId("loss"), coded("RLRF_USAGE"));
    assert.throws(() => splitId("loses/dpo"), coded("RLRF_PLUGIN_KIND", /did you mean "loss"\?/));
  });
});

describe("loading", () => {
  const entryWith = async (change: object) => ({ ...(await fixtureRegistry()).find("loss", "@fixture/margin"), ...change });

  it("gives the class whose decorator the registry describes", async () => {
    assert.equal((await loadPlugin(await entryWith({}))).name, "Margin");
  });

  it("calls the registry stale when version, options, source or class differ", async () => {
    for (const [change, why] of [
      [{ version: "1.2.4" }, /"version" is not the registry's/],
      [{ options: { type: "object" } }, /"options" is not the registry's/],
      [{ hidden: true }, /"hidden" is not the registry's/],
      [{ takesAdapters: true }, /"takesAdapters" is not the registry's/],
      [{ sha256: "0".repeat(64) }, /its source has changed/],
      [{ name: "@fixture/gone" }, /exports no class/],
    ] as const)
      await assert.rejects(loadPlugin(await entryWith(change)), coded("RLRF_PLUGIN_STALE", why));
  });

  it("needs no source to be shipped", async () => {
    assert.equal((await loadPlugin(await entryWith({ file: "/nowhere.ts", sha256: "" }))).name, "Margin");
  });

  it("names plugin and file when the import fails", async () => {
    const module = join(await temporaryFolder(), "broken.mjs");
    await writeFile(module, 'throw new Error("half written");');
    await assert.rejects(
      loadPlugin(await entryWith({ module })),
      coded("RLRF_PLUGIN_IMPORT", /loss\/@fixture\/margin[\s\S]*half written[\s\S]*broken\.mjs/),
    );
    await assert.rejects(loadPlugin(await entryWith({ module: "/nowhere.js" })), coded("RLRF_PLUGIN_IMPORT", /npm run build/));
  });
});

describe("container", () => {
  const create = (container: RunContainer, type: PluginClass, own: object = { options: {} }) =>
    container.create(`test/${type.name}`, type, own);

  @plugin({ kind: "loss", name: "asks", version: "1.0.0", summary: "", source: "" })
  class Asks {
    constructor(
      @options() readonly options: object,
      @rng() readonly random: unknown,
    ) {}
  }

  it("injects what is asked for, by position", () => {
    const random = createRng(1);
    const product = create(new RunContainer({}), Asks, { options: { a: 1 }, rng: random }) as Asks;
    assert.deepEqual(product.options, { a: 1 });
    assert.equal(product.random, random);
  });

  it("refuses a parameter that asks for nothing, or for what is not there", async () => {
    const { Undecorated } = await import("../../fixtures/plugins/faulty.js");
    assert.throws(
      () => create(new RunContainer({ logger: silent.logger }), Undecorated as PluginClass),
      coded("RLRF_PLUGIN_INJECTION", /parameter 2 .*has no decorator/),
    );
    assert.throws(() => create(new RunContainer({}), Asks), coded("RLRF_PLUGIN_INJECTION", /asks for "rng", which is not there/));
  });

  it("refuses to register a service twice", () => {
    assert.throws(() => create(new RunContainer({ options: {} }), Asks), /registered twice/);
  });

  it("wraps what a constructor throws", async () => {
    const { Throws } = await import("../../fixtures/plugins/faulty.js");
    assert.throws(() => create(new RunContainer({}), Throws), coded("RLRF_PLUGIN_CONSTRUCTOR", /test\/Throws[\s\S]*no luck/));
  });

  it("shares nothing between two runs, not even what tsyringe calls a singleton", () => {
    @singleton()
    @plugin({ kind: "loss", name: "alone", version: "1.0.0", summary: "", source: "" })
    class Alone {
      constructor(@inject("x") @options() readonly options: object) {}
    }
    const [a, b] = [new RunContainer({}), new RunContainer({})];
    const first = create(a, Alone as PluginClass);
    assert.notEqual(first, create(b, Alone as PluginClass));
    assert.notEqual(first, create(a, Alone as PluginClass));
  });

  it("disposes in reverse order of creation, one after the other, and goes on after a failure", async () => {
    const { DatasetRecorder, EncoderRecorder, StubbornRecorder, events } = await import("../../fixtures/plugins/faulty.js");
    events.length = 0;
    const container = new RunContainer({});
    for (const type of [DatasetRecorder, StubbornRecorder, EncoderRecorder]) create(container, type);
    await assert.rejects(container.dispose(), coded("RLRF_PLUGIN_DISPOSE", /StubbornRecorder \(adaptor will not go\)/));
    assert.deepEqual(events, ["new dataset", "new adaptor", "new encoder", "dispose encoder", "dispose adaptor", "dispose dataset"]);
    await container.dispose(); // nothing is disposed of twice
    assert.equal(events.length, 6);
  });
});

describe("assembly", () => {
  const resolved = async (value: { [key: string]: Json }): Promise<[Spec, Registry]> => {
    const registry = await fixtureRegistry();
    return [resolveSpec(specFromValue(value), registry).spec, registry];
  };

  it("builds every section, and nothing that the spec does not name", async () => {
    const [spec, registry] = await resolved(tunedSpec());
    const assembly = await assemble(spec, registry, silent);
    assert.equal(assembly.loss?.beta, 0.5);
    assert.equal(assembly.sampling?.samples, 4);
    assert.deepEqual(Object.keys(assembly.identities).sort(), [
      "adaptor",
      "dataset",
      "encoder",
      "executor",
      "llm",
      "loss",
      "reranker",
      "reward",
      "sampling",
      "textEncoder",
      "tuner",
    ]);
    const [plain] = await resolved(baseSpec());
    assert.equal((await assemble(plain, registry, silent)).llm, undefined);
    await assembly.dispose();
  });

  it("builds plugins within plugins first, and freezes options", async () => {
    const [spec, registry] = await resolved({
      ...tunedSpec(),
      reward: { plugin: "@fixture/doubled", options: { of: { plugin: "@fixture/doubled" } } },
    });
    const { reward } = await assemble(spec, registry, silent);
    const lists = { text: Int32Array.of(0), length: 2, scores: Float32Array.of(1, 2), labels: Uint8Array.of(0, 1) };
    const batch = { texts: [{ user: 0, text: "", structureRate: 1 }], lists, ties: "expected" as const };
    assert.deepEqual([...((await reward?.reward(batch)) ?? [])], [4]);
    assert.ok(Object.isFrozen((reward as unknown as { options: object }).options));
  });

  it("seeds each plugin by its place and the spec's seed", async () => {
    const drawOf = async (seed: number, nested: boolean): Promise<number> => {
      const inner: { [key: string]: Json } = nested ? { of: { plugin: "@fixture/doubled" } } : {};
      const doubled = { plugin: "@fixture/doubled", options: inner };
      const [spec, registry] = await resolved({ ...tunedSpec(), protocol: { seed }, reward: doubled });
      const outer = (await assemble(spec, registry, silent)).reward as unknown as {
        rng: { uniform(): number };
        options: { of: { rng: { uniform(): number } } };
      };
      return (nested ? outer.options.of : outer).rng.uniform();
    };
    assert.equal(await drawOf(1, false), await drawOf(1, false));
    assert.notEqual(await drawOf(1, false), await drawOf(2, false));
    assert.notEqual(await drawOf(1, false), await drawOf(1, true));
  });

  it("identities change with options, seedless, and with what is nested", async () => {
    const identity = async (change: { [key: string]: Json }) => {
      const [spec, registry] = await resolved({ ...tunedSpec(), ...change });
      return (await assemble(spec, registry, silent)).identities;
    };
    const base = await identity({});
    assert.deepEqual(await identity({ protocol: { seed: 5 } }), base);
    const other = await identity({ loss: { plugin: "@fixture/margin", options: { beta: 0.4 } } });
    assert.notEqual(other.loss, base.loss);
    assert.equal(other.reward, base.reward);
    const nested = (at: number) =>
      identity({ reward: { plugin: "@fixture/doubled", options: { of: { plugin: "@fixture/first", options: { at } } } } });
    assert.notEqual((await nested(1)).reward, (await nested(2)).reward);
  });

  it("gives a secret from the environment, and only from there", async () => {
    const [spec, registry] = await resolved({
      ...tunedSpec(),
      llm: { plugin: "@fixture/echo", options: { key: { env: "RLRF_TEST_KEY" } } },
    });
    await assert.rejects(assemble(spec, registry, silent), coded("RLRF_SPEC_SECRET", /RLRF_TEST_KEY is not set/));
    process.env.RLRF_TEST_KEY = "hush";
    try {
      assert.equal(((await assemble(spec, registry, silent)).llm as unknown as { options: { key: string } }).options.key, "hush");
      assert.ok(!JSON.stringify(spec).includes("hush"));
    } finally {
      delete process.env.RLRF_TEST_KEY;
    }
  });

  it("frees what was built when a later constructor throws, last first, and keeps the first error", async () => {
    const { events } = await import("../../fixtures/plugins/faulty.js");
    events.length = 0;
    const warnings: string[] = [];
    const services: Services = { ...silent, logger: { info: () => {}, warn: (code, message) => void warnings.push(`${code} ${message}`) } };
    const [spec, registry] = await resolved({
      ...baseSpec(),
      dataset: { plugin: "@fixture/dataset-recorder" },
      encoder: { plugin: "@fixture/encoder-recorder" },
      adaptor: { plugin: "@fixture/stubborn-recorder" },
      reranker: { plugin: "@fixture/throws" },
    });
    await assert.rejects(
      assemble(spec, registry, services),
      coded("RLRF_PLUGIN_CONSTRUCTOR", /reranker\/@fixture\/throws[\s\S]*no weights/),
    );
    assert.deepEqual(events, ["new dataset", "new encoder", "new adaptor", "dispose adaptor", "dispose encoder", "dispose dataset"]);
    assert.match(warnings[0] ?? "", /^RLRF_PLUGIN_DISPOSE .*adaptor will not go/);
  });

  it("refuses sections that only the plugins know not to fit", async () => {
    const [many, registry] = await resolved({ ...tunedSpec(), sampling: { plugin: "@fixture/ends", options: { many: true } } });
    await assert.rejects(assemble(many, registry, silent), coded("RLRF_SPEC_CONFLICT", /several rejected texts, but the loss takes pairs/));
  });
});

describe("a registry of 1,000 plugins", () => {
  it("costs an assembled run less than 50 ms besides the imports", async () => {
    const folder = await temporaryFolder();
    const path = join(folder, "plugins.json");
    const manifest = JSON.parse(await readFile(await fixtureManifest(), "utf8")) as Manifest;
    const absolute = (await fixtureRegistry()).list();
    const template = absolute.find((entry) => entry.name === "@fixture/margin");
    const more = Array.from({ length: 1000 }, (_, i) => ({
      ...template,
      name: `loss-${i}`,
      module: `/nowhere/loss-${i}.js`,
      file: `/nowhere/loss-${i}.ts`,
    }));
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, JSON.stringify({ plugins: [...absolute, ...more] }));
    assert.ok(manifest.plugins.length > 9);
    await import(pathToFileURL(join(packageRoot, "dist/test/fixtures/plugins/parts.js")).href);

    const times: number[] = [];
    for (let repeat = 0; repeat < 5; repeat++) {
      const begun = process.cpuUsage(); // not the clock: other processes may be at work
      const registry = await Registry.read([path]);
      const { spec } = resolveSpec(specFromValue(tunedSpec()), registry);
      const assembly = await assemble(spec, registry, silent);
      const { user, system } = process.cpuUsage(begun);
      times.push((user + system) / 1000);
      await assembly.dispose();
    }
    const median = times.sort((a, b) => a - b)[2] ?? Number.NaN;
    console.log(`      registry + resolve + assemble: ${median.toFixed(1)} ms (first ${Math.max(...times).toFixed(1)})`);
    assert.ok(median < 50, `${median} ms`);
  });
});
