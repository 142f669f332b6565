/** What every plugin keeps, whatever its kind: a complete identity, and options that refuse what they do not know. */
import assert from "node:assert/strict";
import { Ajv2020 } from "ajv/dist/2020.js";
import type { OptionSchema, PluginIdentity } from "../contracts/plugin.js";
import { RlrfError } from "../errors.js";
import { injectionsOf } from "../kernel/plugin.js";
import { Registry } from "../kernel/registry.js";
import { isVersion } from "../kernel/version.js";
import { strictSchema } from "../spec/options.js";
import { isObject } from "../spec/origins.js";
import { resolveReference } from "../spec/resolve.js";
import { identityOfSubject, type Subject } from "./subject.js";

export function identityChecks<Product extends object>(subject: Subject<Product>): Record<string, () => Promise<void>> {
  return {
    "says who it is": async () => {
      const { name, version, summary, source } = identityOfSubject(subject);
      assert.match(name, /^(?:@[a-z0-9._-]+\/)?(?:[a-z0-9-]+\/)*[a-z0-9]+(?:-[a-z0-9]+)*$/, "the name is kebab-case");
      assert.ok(isVersion(version), `"${version}" is a semantic version`);
      assert.ok(summary.length > 0 && !summary.includes("\n"), "the summary is one line");
      assert.ok(source.length > 0, "the source names a paper or a public definition");
    },
    "has a valid schema of its options, and says what each is": async () => {
      const ajv = new Ajv2020({ strict: false });
      assert.ok(ajv.validateSchema(strictSchema(identityOfSubject(subject))), ajv.errorsText());
      for (const [path, schema] of optionsOf(identityOfSubject(subject).options)) {
        const said = schema.description !== undefined || schema.unit !== undefined;
        assert.ok(said, `option ${path} has neither a description nor a unit`);
      }
    },
    "asks for something with every parameter of its constructor": async () => {
      const wanted = injectionsOf(subject.plugin);
      for (let i = 0; i < Math.max(subject.plugin.length, wanted.length); i++) assert.ok(wanted[i], `parameter ${i + 1} has no decorator`);
    },
    "refuses unknown options, and values of the wrong type": async () => {
      const identity = identityOfSubject(subject);
      refuses(subject, identity, { "no-such-option": 1 }, "RLRF_SPEC_UNKNOWN_KEY");
      for (const [key, schema] of Object.entries(identity.options?.properties ?? {})) {
        const wrong = schema.type === "string" || Array.isArray(schema.type) ? {} : "never this";
        const open =
          schema.type === undefined && schema.enum === undefined && schema.pluginKind === undefined && schema.secret === undefined;
        if (!open) refuses(subject, identity, { [key]: wrong }, "RLRF_SPEC");
      }
    },
  };
}

function refuses<Product extends object>(subject: Subject<Product>, { kind, name }: PluginIdentity, change: object, code: string): void {
  const registry = Registry.of([subject.plugin, ...(subject.plugins ?? []).filter((plugin) => plugin !== subject.plugin)]);
  const options = { ...subject.options, ...change };
  assert.throws(
    () => resolveReference(registry, kind, { plugin: name, options }),
    (error) => error instanceof RlrfError && error.code.startsWith(code) && error.exit === 2,
    `options ${JSON.stringify(change)} should be refused`,
  );
}

/** Every option, those of nested objects and lists included. */
function optionsOf(schema: unknown, path = ""): [path: string, schema: OptionSchema][] {
  if (!isObject(schema) || !isObject(schema.properties)) return [];
  return Object.entries(schema.properties).flatMap(([key, property]) => [
    [`${path}${key}`, property as OptionSchema] as [string, OptionSchema],
    ...optionsOf(property, `${path}${key}.`),
    ...(isObject(property) ? optionsOf(property.items, `${path}${key}[].`) : []),
  ]);
}
