/** What `npm run registry` writes is what stands there, and says what it should. */
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { errorCodes } from "../../../framework/errors.js";
import { generate, readProofs } from "../../../framework/kernel/generate.js";
import { Registry } from "../../../framework/kernel/registry.js";
import { expandSweep } from "../../../framework/sweep/expand.js";
import { packageRoot } from "../../../framework/setup/paths.js";
import { editorSchema } from "../../../framework/spec/editor-schema.js";
import { readSpec } from "../../../framework/spec/read.js";
import { resolveSpec } from "../../../framework/spec/resolve.js";
import { baseSpec, fixtureRegistry, tunedSpec } from "../../support/fixtures.js";

describe("generated files", () => {
  it("are not stale", async () => {
    for (const [path, text] of await generate())
      assert.equal(await readFile(join(packageRoot, path), "utf8"), text, `${path} is stale: npm run registry`);
  });

  it("docs/errors.md lists exactly the codes of the table", async () => {
    const text = await readFile(join(packageRoot, "docs", "errors.md"), "utf8");
    assert.deepEqual(
      [...text.matchAll(/^\| `(RLRF_\w+)` \|/gm)].map((match) => match[1]),
      Object.keys(errorCodes),
    );
  });

  it("every code is thrown or reported somewhere", async () => {
    const files = (await Promise.all(["framework", "plugins"].map((folder) => sources(join(packageRoot, folder))))).flat();
    const text = (
      await Promise.all(files.filter((file) => !file.endsWith("/framework/errors.ts")).map((file) => readFile(file, "utf8")))
    ).join("\n");
    assert.deepEqual(
      Object.keys(errorCodes).filter((code) => !text.includes(code)),
      [],
    );
  });

  it("every plugin file is registered, under the name of its file and the kind of its folder", async () => {
    const registry = await Registry.read([join(packageRoot, "registry", "plugins.json")]);
    const { pluginKinds } = await import("../../../framework/contracts/kinds.js");
    const registered = new Set(registry.list().map(({ file }) => file));
    for (const [_kind, { folder }] of Object.entries(pluginKinds))
      for (const file of await sources(join(packageRoot, "plugins", folder))) {
        if (!(await readFile(file, "utf8")).includes("@plugin(")) continue; // shared by the plugins beside it
        assert.ok(registered.has(file), `${file} is not registered`);
      }
    for (const { kind, name, file } of registry.list())
      assert.ok(file.endsWith(`plugins/${pluginKinds[kind].folder}/${name}.ts`), `${kind}/${name} stands in ${file}`);
  });

  it("every plugin says in a docstring what it computes", async () => {
    for (const { file } of (await Registry.read([join(packageRoot, "registry", "plugins.json")])).list()) {
      const text = (await readFile(file, "utf8")).replace(/^(export )?interface [^}]*}/gm, ""); // whose fields' docstrings say what they hold
      assert.match(text, /\/\*\*/, `${file} has no docstring`);
    }
  });

  it("every plugin is proven against something, by a test that is there and knows of it", async () => {
    const registry = await Registry.read([join(packageRoot, "registry", "plugins.json")]);
    const ids = new Set(registry.list().map(({ kind, name }) => `${kind}/${name}`));
    const proofs = await readProofs();
    const proven = new Set(proofs.flatMap(({ of }) => of));
    assert.deepEqual([...proven].filter((id) => !ids.has(id)), [], "no such plugins"); // biome-ignore format: one line
    assert.deepEqual([...ids].filter((id) => !proven.has(id)), [], "say in registry/oracles.json what these are proven against"); // biome-ignore format: one line
    const goldens = await readdir(join(packageRoot, "test", "golden"));
    for (const { test, of } of proofs) {
      const text = await readFile(join(packageRoot, test), "utf8");
      const read = goldens.filter((name) => name.endsWith(".json") && text.includes(`${name}"`));
      const values = await Promise.all(read.map((name) => readFile(join(packageRoot, "test", "golden", name), "utf8")));
      const known = [text, ...values].join("\n");
      for (const id of of) {
        const name = id.slice(id.indexOf("/") + 1);
        const written = [name, name.replaceAll("-", "")].some((form) => new RegExp(`\\b${form}\\b`, "i").test(known));
        assert.ok(written || test === "test/contract/plugins.test.ts", `${test} does not mention ${name}`);
      }
    }
  });

  it("every shipped spec is valid", async () => {
    const registry = await Registry.read([join(packageRoot, "registry", "plugins.json")]);
    const specs = (await readdir(join(packageRoot, "experiments"), { recursive: true })).filter((name) => name.endsWith(".json"));
    assert.ok(specs.length > 0);
    for (const name of specs) {
      const source = await readSpec(join(packageRoot, "experiments", name));
      if (expandSweep(source, registry) === null) resolveSpec(source, registry);
    }
  });
});

async function sources(folder: string): Promise<string[]> {
  return (await readdir(folder, { recursive: true })).filter((name) => name.endsWith(".ts")).map((name) => join(folder, name));
}

describe("the editors' schema", () => {
  const plugins = async () => (await fixtureRegistry()).list().filter(({ name }) => name !== "@fixture/bad-schema");
  const validator = async () => new Ajv2020({ strict: false, allErrors: true }).compile(editorSchema(await plugins()));

  it("is a valid schema that accepts what the framework accepts", async () => {
    const validate = await validator();
    for (const spec of [
      baseSpec(),
      tunedSpec(),
      { ...baseSpec(), $schema: "x", llm: null },
      { extends: "base.json", loss: null, seeds: [2] },
    ])
      assert.ok(validate(spec), JSON.stringify(validate.errors));
  });

  it("refuses unknown plugins, keys and options, and gives each plugin its own", async () => {
    const validate = await validator();
    for (const [change, place] of [
      [{ encoder: { plugin: "@fixture/nothin" } }, "/encoder/plugin"],
      [{ loss: { plugin: "@fixture/margin", options: { betta: 1 } } }, "/loss/options"],
      [{ loss: { plugin: "@fixture/margin", options: { beta: "x" } } }, "/loss/options/beta"],
      [{ dataset: { plugin: "@fixture/rows", options: { beta: 1 } } }, "/dataset/options"],
      [
        { reward: { plugin: "@fixture/doubled", options: { of: { plugin: "@fixture/first", options: { at: 0 } } } } },
        "/reward/options/of/options/at",
      ],
      [{ protocl: {} }, ""],
      [{ name: undefined }, ""],
    ] as const) {
      assert.equal(validate(JSON.parse(JSON.stringify({ ...tunedSpec(), ...change }))), false, place);
      assert.ok(
        validate.errors?.some(({ instancePath }) => instancePath === place),
        `${place}: ${JSON.stringify(validate.errors)}`,
      );
    }
  });

  it("shows units and defaults", async () => {
    const schema = JSON.stringify(editorSchema(await plugins()));
    assert.match(schema, /Scale of the log-ratio\. \[1\/nats\]/);
    assert.match(schema, /"default":0\.1/);
  });
});
