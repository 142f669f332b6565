import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import fc from "fast-check";
import type { OptionsSchema } from "../../../framework/contracts/plugin.js";
import { RlrfError } from "../../../framework/errors.js";
import type { Registry } from "../../../framework/kernel/registry.js";
import { envelope } from "../../../framework/spec/envelope.js";
import { SpecFaults } from "../../../framework/spec/faults.js";
import { type Json, parseJson } from "../../../framework/spec/json.js";
import { distance, nearest } from "../../../framework/spec/nearest.js";
import { annotated, strictSchema } from "../../../framework/spec/options.js";
import { isObject, originText } from "../../../framework/spec/origins.js";
import { applyOverride } from "../../../framework/spec/override.js";
import { maxBytes, readSpec, specFromValue } from "../../../framework/spec/read.js";
import { type ResolvedSpec, resolveReference, resolveSpec } from "../../../framework/spec/resolve.js";
import { validate } from "../../../framework/spec/validate.js";
import { baseSpec, fixtureRegistry, temporaryFolder, tunedSpec } from "../../support/fixtures.js";

const coded = (code: string, pattern = /./) => ({ code, message: new RegExp(`^${code}: [\\s\\S]*${pattern.source}`) });

let registry: Registry;
before(async () => {
  registry = await fixtureRegistry();
});

/** What is wrong with a spec, as "CODE pointer". */
function faultsOf(value: Json): string[] {
  try {
    resolveSpec(specFromValue(value), registry);
    return [];
  } catch (error) {
    assert.ok(error instanceof SpecFaults, String(error));
    return error.faults.map((fault) => `${fault.code} ${fault.pointer}`);
  }
}

function messageOf(value: Json): string {
  try {
    resolveSpec(specFromValue(value), registry);
    return "";
  } catch (error) {
    return (error as Error).message;
  }
}

describe("JSON", () => {
  it("reads what JSON.parse reads, to the same values", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 8 }), fc.boolean(), (text, pretty) => {
        const written = pretty ? JSON.stringify(JSON.parse(text), null, 2) : text;
        fc.pre(!/"(__proto__|constructor|prototype|toString|valueOf)":/.test(written));
        assert.deepEqual(parseJson(written, "x").value, JSON.parse(written));
      }),
    );
  });

  it("refuses what JSON.parse refuses", () => {
    const snippets = fc.array(
      fc.constantFrom(
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        '"',
        '"a"',
        "1",
        "01",
        "1.",
        "-",
        ".5",
        "1e5",
        "true",
        "nul",
        "\\",
        "\n",
        " ",
        "\t",
        "'",
        "\u0001",
      ),
    );
    fc.assert(
      fc.property(snippets, (parts) => {
        const text = parts.join("");
        let expected: unknown;
        try {
          expected = JSON.parse(text);
        } catch {
          assert.throws(() => parseJson(text, "x"), coded("RLRF_JSON"));
          return;
        }
        try {
          assert.deepEqual(parseJson(text, "x").value, expected);
        } catch (error) {
          assert.match((error as Error).message, /stands twice|is too large/); // JSON.parse lets the last one win, and reads Infinity
        }
      }),
      { numRuns: 3000 },
    );
  });

  for (const [text, place, message] of [
    ['{"a": 1,\n  "b": tru}', "x:2:8", /no JSON value here: "tru"/],
    ['{"a": 1\n  "b": 2}', "x:2:3", /no "," or "}" after a value/],
    ['{"a": 1,}', "x:1:9", /no key here/],
    ["[1, 2", "x:1:6", /no "," or "\]" after a value \(the text ends\)/],
    ["", "x:1:1", /the text ends/],
    ["[1] 2", "x:1:5", /text after the end/],
    ['{"a": "line\nbreak"}', "x:1:7", /does not end on its line/],
    ['{"a": 1, "a": 2}', "x:1:10", /stands twice/],
    ['{"__proto__": {"a": 1}}', "x:1:2", /"__proto__" is not allowed/],
    ['{"a": [{"toString": 1}, {}]}', "x:1:9", /"toString" is not allowed/],
    ['{"a": {"constructor": 1}}', "x:1:8", /"constructor" is not allowed/],
    ["[1e999]", "x:1:2", /1e999 is too large/],
    ['{"a": 1, // one\n}', "x:1:10", /a comment stands here/],
    ['{"a": /* one */ 1}', "x:1:7", /a comment stands here/],
    ["[".repeat(100), "x:1:66", /deeper than 64/],
  ] as const)
    it(`${JSON.stringify(text).slice(0, 40)}: ${place}`, () => {
      assert.throws(() => parseJson(text, "x"), coded("RLRF_JSON", new RegExp(`${message.source}[\\s\\S]*${place}`)));
    });

  it("knows where each value starts", () => {
    const { positions } = parseJson('{\n  "a": [1,\n    {"b/c": 2}]\n}', "x");
    assert.deepEqual(Object.fromEntries(positions), {
      "": { line: 1, column: 1 },
      "/a": { line: 2, column: 8 },
      "/a/0": { line: 2, column: 9 },
      "/a/1": { line: 3, column: 5 },
      "/a/1/b~1c": { line: 3, column: 13 },
    });
  });
});

describe("nearest name", () => {
  it("counts insertions, deletions, substitutions and swaps", () => {
    for (const [a, b, edits] of [
      ["dpo", "dpo", 0],
      ["dpo", "ipo", 1],
      ["dop", "dpo", 1],
      ["", "abc", 3],
      ["kitten", "sitting", 3],
    ] as const)
      assert.equal(distance(a, b), edits);
  });
  it("is a metric: symmetric, 0 only for equal strings", () => {
    fc.assert(fc.property(fc.string(), fc.string(), (a, b) => distance(a, b) === distance(b, a) && (distance(a, b) === 0) === (a === b)));
  });
  it("suggests what is near, and nothing else", () => {
    assert.equal(nearest("best-wrost", ["best-worst", "margin"]), "best-worst");
    assert.equal(nearest("dpoo", ["ipo", "dpo"]), "dpo");
    assert.equal(nearest("something", ["dpo", "ipo"]), undefined);
    assert.equal(nearest("on", ["gate", "reward", "off"]), undefined);
    assert.equal(nearest("mine", ["hinge"]), undefined);
  });
});

describe("reading", () => {
  const folderWith = async (files: Readonly<Record<string, unknown>>): Promise<string> => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, "sub"));
    for (const [name, content] of Object.entries(files))
      await writeFile(join(folder, name), typeof content === "string" ? content : JSON.stringify(content));
    return folder;
  };

  it("refuses files that are not there, are folders, too large or not text", async () => {
    const folder = await folderWith({ "big.json": `"${"x".repeat(maxBytes)}"` });
    await writeFile(join(folder, "binary.json"), Buffer.from([0x22, 0xff, 0xfe, 0x22]));
    await assert.rejects(readSpec(join(folder, "none.json")), coded("RLRF_SPEC_FILE", /no such file/));
    await assert.rejects(readSpec(folder), coded("RLRF_SPEC_FILE", /folder/));
    await assert.rejects(readSpec(join(folder, "big.json")), coded("RLRF_SPEC_FILE", /bytes/));
    await assert.rejects(readSpec(join(folder, "binary.json")), coded("RLRF_SPEC_FILE"));
  });

  it("extends a base, relative to the file, keeping where each value came from", async () => {
    const folder = await folderWith({
      "base.json": { name: "base", seeds: [1, 2, 3], loss: { plugin: "a", options: { x: 1, y: 2 } }, llm: { plugin: "m" } },
      "sub/middle.json": { extends: "../base.json", loss: { options: { x: 5 } }, seeds: [9] },
      "top.json": { extends: "sub/middle.json", name: "top", llm: null },
    });
    const { value, origins } = await readSpec(join(folder, "top.json"));
    assert.deepEqual(value, { name: "top", seeds: [9], loss: { plugin: "a", options: { x: 5, y: 2 } }, llm: null });
    const fileOf = (pointer: string) => {
      const origin = origins.get(pointer);
      return origin?.kind === "file" ? relative(folder, resolve(origin.file)) : origin?.kind;
    };
    assert.deepEqual(["/name", "/seeds/0", "/seeds/1", "/loss/options/x", "/loss/options/y", "/loss/plugin"].map(fileOf), [
      "top.json",
      "sub/middle.json",
      undefined,
      "sub/middle.json",
      "base.json",
      "base.json",
    ]);
  });

  it("drops a base's options with its plugin", async () => {
    const folder = await folderWith({
      "base.json": { loss: { plugin: "a", version: "^1", options: { x: 1 } } },
      "top.json": { extends: "base.json", loss: { plugin: "b" } },
    });
    const { value, origins } = await readSpec(join(folder, "top.json"));
    assert.deepEqual(value, { loss: { plugin: "b" } });
    assert.equal(origins.has("/loss/options/x"), false);
  });

  it("refuses circles and what is no path", async () => {
    const folder = await folderWith({
      "a.json": { extends: "b.json" },
      "b.json": { extends: "a.json" },
      "c.json": { extends: 3 },
      "d.json": { extends: "gone.json" },
    });
    await assert.rejects(readSpec(join(folder, "a.json")), coded("RLRF_SPEC_EXTENDS", /a\.json -> .*b\.json -> .*a\.json/));
    await assert.rejects(readSpec(join(folder, "c.json")), coded("RLRF_SPEC_EXTENDS", /no path[\s\S]*c\.json:1:12/));
    await assert.rejects(readSpec(join(folder, "d.json")), coded("RLRF_SPEC_FILE", /extended by .*d\.json/));
  });
});

describe("--set", () => {
  const set = (value: Json, ...overrides: string[]) => overrides.reduce(applyOverride, specFromValue(value)).value;

  it("sets values of every type, in objects and lists", () => {
    assert.deepEqual(set({}, "a.b=0.1", "a.c=[1, 2]", "a.c.1=7", "a.c.2=8", "d=true", 'e={"f": null}', "g=two words", "h=7b", 'i="3"'), {
      a: { b: 0.1, c: [1, 7, 8] },
      d: true,
      e: { f: null },
      g: "two words",
      h: "7b",
      i: "3",
    });
  });

  it("forgets the options of a plugin that is replaced", () => {
    assert.deepEqual(set({ loss: { plugin: "a", options: { x: 1 } } }, "loss.plugin=b", "loss.options.y=2"), {
      loss: { plugin: "b", options: { y: 2 } },
    });
    assert.deepEqual(set({ loss: { plugin: "a", options: { x: 1 } } }, "loss.plugin=a"), { loss: { plugin: "a", options: { x: 1 } } });
  });

  it("says what does not fit", () => {
    for (const [argument, code, message] of [
      ["=1", "RLRF_SPEC_SET", /its path is empty/],
      ["a", "RLRF_SPEC_SET", /its path is empty/],
      ["a..b=1", "RLRF_SPEC_SET", /its path is empty, or a part of it/],
      ["seeds.0=7", "RLRF_SPEC_SET", /no list to have a place 0[\s\S]*the whole list/],
      ["/loss/options/beta=0.1", "RLRF_SPEC_SET", /with dots[\s\S]*expected {2}loss\.options\.beta=…/],
      ["__proto__.x=1", "RLRF_SPEC_SET", /not allowed/],
      ["list.5=1", "RLRF_SPEC_SET", /from 0 to 2/],
      ["list.x=1", "RLRF_SPEC_SET", /no place/],
      ["text.x=1", "RLRF_SPEC_SET", /"x" would be inside a string/],
      ["a={broken", "RLRF_JSON", /--set a:1:2/],
      ['a={"constructor": 1}', "RLRF_JSON", /not allowed/],
    ] as const)
      assert.throws(() => set({ list: [1, 2], text: "word" }, argument), coded(code, message));
    assert.equal(({} as Record<string, unknown>).x, undefined);
  });

  it("leaves the spec that it was given alone", () => {
    const source = specFromValue({ a: [1] });
    applyOverride(source, "a.0=2");
    assert.deepEqual(source.value, { a: [1] });
  });
});

describe("resolving", () => {
  it("fills in every default, and knows where each value came from", () => {
    const source = applyOverride(specFromValue(tunedSpec(), "my.json"), "protocol.window=9");
    const { spec, origins } = resolveSpec(source, registry);
    assert.equal(spec.protocol.window, 9);
    assert.deepEqual(spec.protocol.split, [0.8, 0.1, 0.1]);
    assert.equal(spec.alignment?.lora.rank, 8);
    assert.equal(spec.alignment?.warmup, null);
    assert.deepEqual(spec.loss, { plugin: "@fixture/margin", version: "1.2.3", options: { beta: 0.5, link: "hinge" } });
    assert.equal(spec.llm?.seed, 1);
    const text = (pointer: string) => originText(origins.get(pointer) ?? { kind: "registry" });
    assert.equal(text("/protocol/window"), "--set protocol.window=…");
    assert.equal(text("/protocol/history"), "default of the spec");
    assert.equal(text("/loss/options/link"), "default of loss/@fixture/margin");
    assert.match(text("/loss/options/beta"), /^my\.json:1:\d+$/);
    assert.equal(text("/loss/version"), "registry");
    assert.match(text("/prompt/aspects/0/from"), /^my\.json/);
    const everyPointer = (value: unknown, at: string): string[] =>
      typeof value === "object" && value !== null
        ? [at, ...Object.entries(value).flatMap(([key, item]) => everyPointer(item, `${at}/${key}`))]
        : [at];
    for (const pointer of everyPointer(spec, "")) assert.ok(origins.has(pointer), pointer);
  });

  it("expands aspects", () => {
    const { spec } = resolveSpec(
      specFromValue({ ...baseSpec(), prompt: { aspects: ["Avoids", { name: "Mood", from: "mood" }] } }),
      registry,
    );
    assert.deepEqual(spec.prompt.aspects, [
      { name: "Avoids", from: "genres", of: "disliked", top: 2 },
      { name: "Mood", from: "mood", of: "liked", top: 3 },
    ]);
    assert.match(messageOf({ ...baseSpec(), prompt: { aspects: ["Gendre"] } }), /did you mean "Genre"/);
  });

  it("freezes deeply, and hashes what results depend on", () => {
    const hash = (change: { [key: string]: Json }): ResolvedSpec => resolveSpec(specFromValue({ ...tunedSpec(), ...change }), registry);
    const base = hash({});
    const frozen = (value: unknown): boolean =>
      typeof value !== "object" || value === null || (Object.isFrozen(value) && Object.values(value).every(frozen));
    assert.ok(frozen(base.spec));
    assert.equal(hash({ seeds: [1] }).hash, base.hash, "a default that is written out changes nothing");
    assert.equal(hash({ tracking: { experiment: "x" } }).hash, base.hash);
    assert.equal(hash({ executor: { plugin: "@fixture/elsewhere" } }).hash, base.hash, "nor does where the work is done");
    assert.equal(hash({ $schema: "x" }).hash, base.hash);
    assert.notEqual(hash({ seeds: [2] }).hash, base.hash);
    assert.equal(hash({ loss: { plugin: "@fixture/margin", version: "^1", options: { beta: 0.5 } } }).hash, base.hash);
  });

  it("drops sections that are null", () => {
    const { spec } = resolveSpec(
      specFromValue({
        ...tunedSpec(),
        llm: null,
        alignment: null,
        loss: null,
        tuner: null,
        sampling: null,
        reward: null,
        arms: ["id-only"],
      }),
      registry,
    );
    assert.equal("llm" in spec, false);
  });

  it("reports every fault at once, with place, allowed values and nearest name", () => {
    const spec = {
      ...tunedSpec(),
      protocl: {},
      protocol: { window: 0, ties: "expectd", folds: "5", metrics: ["ndcg5"] },
      loss: { plugin: "@fixture/margin", options: { betta: 1, link: "hinges" } },
      encoder: { plugin: "@fixture/nothin" },
      reward: { plugin: "@fixture/doubled", options: { of: { plugin: "@fixture/first", options: { at: 0 } } } },
      sampling: { plugin: "@fixture/ends", version: "^2" },
    };
    assert.deepEqual(faultsOf(spec).sort(), [
      "RLRF_PLUGIN_UNKNOWN /encoder/plugin",
      "RLRF_PLUGIN_VERSION /sampling/version",
      "RLRF_SPEC_TYPE /protocol/folds",
      "RLRF_SPEC_UNKNOWN_KEY /loss/options/betta",
      "RLRF_SPEC_UNKNOWN_KEY /protocl",
      "RLRF_SPEC_VALUE /loss/options/link",
      "RLRF_SPEC_VALUE /protocol/metrics/0",
      "RLRF_SPEC_VALUE /protocol/ties",
      "RLRF_SPEC_VALUE /protocol/window",
      "RLRF_SPEC_VALUE /reward/options/of/options/at",
    ]);
    const message = messageOf(spec);
    for (const part of [
      /^RLRF_SPEC_FAULTS: 10 faults/,
      /did you mean "protocol"/,
      /did you mean "beta"/,
      /did you mean "hinge"/,
      /did you mean "expected"/,
      /one of: beta, link/,
      /spec:1:\d+ \/loss\/options\/betta/,
    ])
      assert.match(message, part);
  });

  it("what sections ask of each other is told beside faults of others, and not of those at fault", () => {
    const spec = {
      ...tunedSpec(),
      seeds: ["one"],
      protocol: { split: [0.6, 0.1, 0.31], positives: 12 },
      reward: { plugin: "@fixture/frist" },
      loss: { plugin: "@fixture/margin", options: { betta: 1 } },
      tuner: null,
      prompt: { aspects: ["Gendre", "Genre", "Genre"] },
      alignment: { heldOut: 0 },
    };
    assert.deepEqual(faultsOf(spec).sort(), [
      "RLRF_PLUGIN_UNKNOWN /reward/plugin",
      "RLRF_SPEC_CONFLICT /alignment",
      "RLRF_SPEC_CONFLICT /protocol/positives",
      "RLRF_SPEC_CONFLICT /protocol/split",
      "RLRF_SPEC_TYPE /seeds/0",
      "RLRF_SPEC_UNKNOWN_KEY /loss/options/betta",
      "RLRF_SPEC_VALUE /alignment/heldOut",
      "RLRF_SPEC_VALUE /prompt/aspects/0",
    ]);
  });

  it("expects what a user can act on", () => {
    const told = (change: { [key: string]: Json }) => {
      try {
        resolveSpec(specFromValue({ ...tunedSpec(), ...change }), registry);
      } catch (error) {
        const { expected, hint } = (error as SpecFaults).fault;
        return [expected?.replace(/ \([A-Z][^()]*\)$/, ""), hint];
      }
      return [];
    };
    for (const [change, takes, hint] of [
      [{ protocol: { metrics: ["recall@5"] } }, "ndcg@K or map@K, such as ndcg@5"],
      [{ protocol: { split: [0.5, 0.5] } }, "array of (number, >= 0, <= 1), exactly 3 entries [share of users]"],
      [{ protocol: { folds: 1 } }, "integer, >= 0, <= 100, not 1 [folds]"],
      [{ alignment: { heldOut: 1 } }, "number, > 0, < 1 [share of align users]"],
      [{ alignment: { structure: "on" } }, "one of: gate, reward, off"],
      [{ encoder: "none" }, 'object such as {"plugin": "NAME"}', 'did you mean {"plugin": "none"}?'],
    ] as const)
      assert.deepEqual(told(change as unknown as { [key: string]: Json }), [takes, hint]);
  });

  it("a plugin of a package is meant by the last part of its name", () => {
    assert.match(messageOf({ ...tunedSpec(), loss: { plugin: "margin" } }), /did you mean "@fixture\/margin"/);
  });

  it("a single fault has its own code", () => {
    assert.match(messageOf({ ...baseSpec(), seeds: [] }), /^RLRF_SPEC_VALUE: seeds is \[\]/);
    const { name: _, ...nameless } = baseSpec();
    assert.match(messageOf(nameless), /^RLRF_SPEC_MISSING: "name" is missing/);
    assert.match(messageOf([1]), /^RLRF_SPEC_TYPE: the spec is \[1\]/);
  });

  it("an iteration is judged by somebody", () => {
    assert.deepEqual(faultsOf({ ...tunedSpec(), alignment: { heldOut: 0 } }), ["RLRF_SPEC_VALUE /alignment/heldOut"]);
    assert.deepEqual(faultsOf({ ...tunedSpec(), alignment: { heldOut: 1 } }), ["RLRF_SPEC_VALUE /alignment/heldOut"]);
  });

  it("pairs that teach the structure stand beside others", () => {
    assert.deepEqual(faultsOf({ ...tunedSpec(), alignment: { structureShare: 1 } }), ["RLRF_SPEC_VALUE /alignment/structureShare"]);
  });

  it("no schema means no options", () => {
    assert.deepEqual(faultsOf({ ...baseSpec(), dataset: { plugin: "@fixture/rows", options: { size: 1 } } }), [
      "RLRF_SPEC_UNKNOWN_KEY /dataset/options/size",
    ]);
  });

  it("never shows a secret", () => {
    const withKey = (key: Json) => ({ ...tunedSpec(), llm: { plugin: "@fixture/echo", options: { key } } });
    for (const key of ["hush-123", { env: "hush-123" }, ["hush-123"]] as Json[]) {
      assert.match(messageOf(withKey(key)), /^RLRF_SPEC_SECRET: [\s\S]*\{"env": "NAME"\}/);
      assert.doesNotMatch(messageOf(withKey(key)), /hush/);
    }
    assert.deepEqual(faultsOf(withKey({ env: "MY_KEY" })), []);
    assert.throws(
      () => resolveSpec(applyOverride(specFromValue(tunedSpec()), "llm.options.key=hush-123"), registry),
      (error: Error) => /--set llm\.options\.key=…/.test(error.message) && !error.message.includes("hush"),
    );
  });

  it("codes a plugin's own bad schema", () => {
    assert.throws(
      () => resolveReference(registry, "loss", { plugin: "@fixture/bad-schema" }),
      coded("RLRF_PLUGIN_SCHEMA", /loss\/@fixture\/bad-schema/),
    );
  });
});

describe("conflicts between sections", () => {
  const without = (...sections: string[]) => Object.fromEntries(Object.entries(tunedSpec()).filter(([key]) => !sections.includes(key)));
  for (const [what, spec, expected] of [
    ["split", { ...baseSpec(), protocol: { split: [0.8, 0.1, 0.2] } }, ["/protocol/split"]],
    ["empty part", { ...baseSpec(), protocol: { split: [0.9, 0, 0.1] } }, ["/protocol/split"]],
    ["folds leave nobody to tune on", { ...tunedSpec(), protocol: { folds: 5 } }, ["/protocol/align"]],
    ["align without folds", { ...tunedSpec(), protocol: { align: 0.3 } }, ["/protocol/align"]],
    ["no negatives", { ...baseSpec(), protocol: { positives: 10, metrics: ["ndcg@5"] } }, ["/protocol/positives"]],
    ["interactions that are never learnt", { ...baseSpec(), protocol: { history: 10, stride: 11 } }, ["/protocol/stride"]],
    ["metric beyond the list", { ...baseSpec(), protocol: { listLength: 6, metrics: ["ndcg@5", "map@7"] } }, ["/protocol/metrics/1"]],
    ["arms without their LLM", { ...baseSpec(), arms: ["llm"] }, ["/arms/0", "/arms/0"]],
    ["alignment without a loss", without("loss"), ["/alignment"]],
    ["alignment without a tuner", without("tuner"), ["/alignment"]],
    ["best-of-N, a loss and a tuner without alignment", without("alignment"), ["/arms/2", "/loss", "/tuner"]],
    [
      "sampling and reward without an LLM",
      { ...without("llm", "alignment", "loss", "tuner"), arms: ["id-only"] },
      ["/sampling", "/reward"],
    ],
    ["an aspect twice", { ...baseSpec(), prompt: { aspects: ["Genre", { name: "genre", from: "x" }] } }, ["/prompt/aspects/1/name"]],
    [
      "an aspect that an answer cannot tell from another",
      { ...baseSpec(), prompt: { aspects: ["Sub Genre", "Subgenre", "Sub genre_"].map((name) => ({ name, from: "x" })) } },
      ["/prompt/aspects/1/name", "/prompt/aspects/2/name"],
    ],
  ] as [string, Json, string[]][])
    it(what, () =>
      assert.deepEqual(
        faultsOf(spec),
        expected.map((pointer) => `RLRF_SPEC_CONFLICT ${pointer}`),
      ),
    );

  it("valid combinations are none", () => {
    for (const spec of [baseSpec(), tunedSpec(), { ...tunedSpec(), protocol: { folds: 5, align: 0.3 } }])
      assert.deepEqual(faultsOf(spec), []);
  });
});

describe("the envelope", () => {
  const properties: [string, { [key: string]: unknown }][] = [];
  const collect = (schema: unknown, at: string): void => {
    if (!isObject(schema)) return;
    if (isObject(schema.properties))
      for (const [key, property] of Object.entries(schema.properties)) {
        properties.push([`${at}/${key}`, property as { [key: string]: unknown }]);
        collect(property, `${at}/${key}`);
      }
    collect(schema.items, `${at}/[]`);
  };
  collect(envelope, "");

  it("describes every property, gives every number its unit, and refuses unknown keys everywhere", () => {
    assert.ok(properties.length > 70);
    for (const [path, schema] of properties) {
      assert.equal(typeof schema.description, "string", path);
      const numeric = ["number", "integer"].includes(String(schema.type)) || (isObject(schema.items) && schema.items.type === "integer");
      assert.ok(!numeric || typeof schema.unit === "string", `${path} has no unit`);
      if (isObject(schema.properties)) assert.equal(schema.additionalProperties, false, path);
    }
  });
});

describe("options schemas", () => {
  it("finds our keywords at every depth, lists included", () => {
    const schema = {
      type: "object",
      properties: {
        losses: { type: "array", items: { type: "object", properties: { loss: { pluginKind: "loss" }, weight: { type: "number" } } } },
      },
    } as const;
    const value = { losses: [{ loss: { plugin: "a" }, weight: 1 }, { loss: { plugin: "b" } }] };
    assert.deepEqual(
      annotated(schema, value, "pluginKind").map((found) => found.pointer),
      ["/losses/0/loss", "/losses/1/loss"],
    );
    const strict = strictSchema({ options: schema }) as { properties: { losses: { items: { additionalProperties: boolean } } } };
    assert.equal(strict.properties.losses.items.additionalProperties, false);
  });

  it("hold a list to an order", () => {
    const sizes = { type: "array", items: { type: "integer" }, ascending: true, default: [3, 4], description: "Sizes" } as const;
    const schema = strictSchema({ options: { type: "object", properties: { sizes } } });
    const faults = (options: object) => validate(schema, options, "text-encoder/x", "/textEncoder/options");
    for (const options of [{}, { sizes: [] }, { sizes: [0, 0] }, { sizes: [1, 2, 2] }]) assert.deepEqual(faults(options), []);
    const fault = {
      code: "RLRF_SPEC_VALUE",
      pointer: "/textEncoder/options/sizes",
      message: "textEncoder.options.sizes is [5,3]",
      expected: "array of (integer), ascending (Sizes)",
    };
    assert.deepEqual(faults({ sizes: [5, 3] }), [fault]);
    assert.equal(faults({ sizes: [5, "3"] }).length, 1);
  });

  it("hold a number to one that it has to divide", () => {
    const schema = strictSchema({
      options: {
        type: "object",
        properties: {
          heads: { type: "integer", minimum: 1, default: 1, divides: "hidden", description: "Heads" },
          hidden: { type: "integer", minimum: 1, default: 64, description: "Width" },
        },
      },
    });
    const faults = (options: object) => validate(schema, options, "encoder/x", "/encoder/options");
    for (const options of [{}, { heads: 64 }, { heads: 3, hidden: 9 }]) assert.deepEqual(faults(options), []);
    const fault = {
      code: "RLRF_SPEC_VALUE",
      pointer: "/encoder/options/heads",
      message: "encoder.options.heads is 3",
      expected: "integer, >= 1, a divisor of `hidden` (Heads)",
    };
    for (const options of [{ heads: 3 }, { heads: 3, hidden: 64 }, { hidden: 50, heads: 3 }]) assert.deepEqual(faults(options), [fault]);
    for (const options of [{ heads: 0 }, { heads: 2, hidden: "wide" }, { heads: 1.5 }])
      assert.equal(faults(options).length, 1, JSON.stringify(options));
  });
});

describe("relations of options", () => {
  const faults = (properties: OptionsSchema["properties"], options: object) =>
    validate(strictSchema({ options: { type: "object", properties } }), options, "loss/x").map(({ message, expected }) => [
      message,
      expected,
    ]);

  it("bound a number by one beside it, and leave a place in the spec to the spec", () => {
    const schema = { top: { type: "integer", atMost: "all" }, all: { type: "integer", default: 7 } };
    for (const options of [{}, { top: 7 }, { top: 9, all: 9 }]) assert.deepEqual(faults(schema, options), []);
    assert.deepEqual(faults(schema, { top: 8 }), [["top is 8", "integer, at most `all`"]]);
    assert.deepEqual(faults({ top: { type: "integer", atMost: "/protocol/listLength" } }, { top: 99 }), []);
    const list = { some: { type: "array", items: { type: "integer" }, atMost: "all" }, all: schema.all };
    for (const options of [{}, { some: [] }, { some: [7, 1] }, { some: [9], all: 9 }]) assert.deepEqual(faults(list, options), []);
    assert.deepEqual(faults(list, { some: [1, 8] }), [["some is [1,8]", "array of (integer), at most `all`"]]);
  });

  it("have a number split what a list goes from and to", () => {
    const ends = { type: "array", items: { type: "number" }, default: [1, 5] };
    const schema = { above: { type: "number", splits: "ends" }, ends } as const;
    for (const options of [{ above: 1 }, { above: 4.5 }, { above: 0, ends: [0, 1] }, { above: 9, ends: [] }])
      assert.deepEqual(faults(schema, options), []);
    for (const above of [0.5, 5, 9])
      assert.deepEqual(faults(schema, { above }), [[`above is ${above}`, "number, at least the lowest of `ends` and below the highest"]]);
    assert.equal(faults(schema, { above: 3, ends: [3, 3] }).length, 1);
  });

  it("hold a number to half of one beside it", () => {
    const schema = { heads: { type: "integer", default: 4, dividesHalf: "hidden" }, hidden: { type: "integer", default: 64 } };
    for (const options of [{}, { heads: 32 }, { hidden: 40 }, { heads: 3, hidden: 18 }]) assert.deepEqual(faults(schema, options), []);
    const expected = "integer, a divisor of half of `hidden`";
    assert.deepEqual(faults(schema, { hidden: 36 }), [["heads is 4", expected]]);
    assert.deepEqual(faults(schema, { heads: 64 }), [["heads is 64", expected]]);
  });

  it("ask for rising numbers, and for one weight that counts", () => {
    const range = { range: { type: "array", items: { type: "number" }, ascending: true } } as const;
    for (const options of [{ range: [] }, { range: [1] }, { range: [1, 1, 2] }]) assert.deepEqual(faults(range, options), []);
    assert.deepEqual(faults(range, { range: [1, 3, 2] }), [["range is [1,3,2]", "array of (number), ascending"]]);
    const weight = { type: "number", default: 1 };
    const parts = { parts: { type: "array", items: { type: "object", properties: { weight } }, notAllZero: "weight" } } as const;
    for (const options of [{ parts: [] }, { parts: [{}] }, { parts: [{ weight: 0 }, { weight: -1 }] }])
      assert.deepEqual(faults(parts, options), []);
    assert.deepEqual(faults(parts, { parts: [{ weight: 0 }, { weight: 0 }] }), [
      ['parts is [{"weight":0},{"weight":0}]', "array of (object), a `weight` that is not 0"],
    ]);
  });
});

describe("mutated specs", () => {
  it("are valid or refused with a code and status 2, whatever they hold", () => {
    const odd: fc.Arbitrary<Json> = fc.oneof(
      fc.constantFrom<Json>(
        null,
        true,
        0,
        -1,
        1e308,
        0.5,
        "",
        "x",
        "@fixture/margin",
        "id-only",
        [],
        {},
        [[]],
        { plugin: 1 },
        { plugin: "@fixture/first", options: null },
      ),
      fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<Json>,
    );
    const pointersOf = (value: Json, at: (string | number)[] = []): (string | number)[][] =>
      typeof value === "object" && value !== null
        ? [at, ...Object.entries(value).flatMap(([key, item]) => pointersOf(item, [...at, key]))]
        : [at];
    const places = pointersOf({
      ...tunedSpec(),
      protocol: { window: 3, split: [0.8, 0.1, 0.1], metrics: ["ndcg@5"] },
      tracking: { uri: null },
    });
    const mutation = fc.record({ place: fc.constantFrom(...places), key: fc.option(fc.string(), { nil: undefined }), value: odd });
    let valid = 0;
    fc.assert(
      fc.property(fc.array(mutation, { minLength: 1, maxLength: 4 }), (mutations) => {
        let spec: Json = { ...tunedSpec(), protocol: { window: 3, split: [0.8, 0.1, 0.1], metrics: ["ndcg@5"] }, tracking: { uri: null } };
        for (const { place, key, value } of mutations) spec = put(spec, key === undefined ? place : [...place, key], value);
        try {
          resolveSpec(specFromValue(spec), registry);
          valid++;
        } catch (error) {
          assert.ok(error instanceof RlrfError, (error as Error).stack);
          assert.equal(error.exit, 2, error.message);
        }
      }),
      { numRuns: 3000 },
    );
    assert.ok(valid > 0);
  });

  function put(value: Json, [key, ...rest]: readonly (string | number)[], item: Json): Json {
    if (key === undefined) return item;
    if (Array.isArray(value)) return value.map((old, i) => (String(i) === String(key) ? put(old, rest, item) : old));
    const object = isObject(value) ? value : {};
    return { ...object, [key]: put(object[key] ?? null, rest, item) };
  }
});
