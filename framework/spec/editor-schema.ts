/** The JSON Schema that editors complete specs with: the envelope, and for every plugin name the options that go with it. */
import { type PluginKind, pluginKinds } from "../contracts/kinds.js";
import type { PluginIdentity } from "../contracts/plugin.js";
import { envelope, knownAspects } from "./envelope.js";
import { strictSchema } from "./options.js";
import { isObject } from "./origins.js";
import { relationsText, withoutRelations } from "./relations.js";

type Schema = Record<string, unknown>;
type Described = Pick<PluginIdentity, "kind" | "name" | "version" | "summary" | "options">;

export function editorSchema(plugins: readonly Described[]): Schema {
  const schema = forEditors(envelope, undefined) as Schema & { properties: Schema; required: string[] };
  const { properties, required } = schema;
  for (const [kind, { section, required: always }] of Object.entries(pluginKinds)) {
    const own = plugins.filter((plugin) => plugin.kind === kind);
    const completed = withPlugins(properties[section] as Schema, own);
    properties[section] = always ? completed : { ...completed, type: ["object", "null"] };
  }
  const llm = (properties.llm as Schema).properties as Schema;
  const llms = plugins.filter(({ kind }) => kind === "llm");
  llm.sampler = withPlugins(llm.sampler as Schema, llms);
  allowShortAspects(properties.prompt);
  properties.extends = { type: "string", description: "Path of another spec, relative to this file, that this one changes." };
  const { required: _, ...rest } = schema;
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "rlrf4rec experiment",
    ...rest,
    anyOf: [{ required: ["extends"] }, { required }], // what it extends may have the sections
    $defs: definitions(plugins),
  };
}

/** A nested plugin reference is checked by kind, through a definition of its own. */
function definitions(plugins: readonly Described[]): Schema {
  return Object.fromEntries(
    Object.keys(pluginKinds).map((kind) => {
      const reference = {
        type: "object",
        properties: { plugin: { type: "string" }, version: { type: "string" }, options: { type: "object" } },
        required: ["plugin"],
        additionalProperties: false,
      };
      return [
        kind,
        withPlugins(
          reference,
          plugins.filter((plugin) => plugin.kind === kind),
        ),
      ];
    }),
  );
}

function withPlugins(reference: Schema, plugins: readonly Described[]): Schema {
  const properties = reference.properties as Schema;
  const name = {
    ...(properties.plugin as Schema),
    enum: plugins.map((plugin) => plugin.name),
    markdownEnumDescriptions: plugins.map((plugin) => plugin.summary),
  };
  return {
    ...reference,
    properties: { ...properties, plugin: name },
    allOf: plugins.map((plugin) => ({
      if: { properties: { plugin: { const: plugin.name } }, required: ["plugin"] },
      // biome-ignore lint/suspicious/noThenProperty: a JSON Schema keyword
      then: { properties: { options: { ...optionsOf(plugin), description: `${plugin.summary} (${plugin.version})` } } },
    })),
  };
}

/** The plugin's schema, with units and relations in the descriptions, since editors show and check nothing else. */
function optionsOf(plugin: Described): Schema {
  return forEditors(strictSchema(plugin), plugin.options) as Schema;
}

function forEditors(strict: unknown, written: unknown): unknown {
  if (!isObject(strict)) return strict;
  const kind = isObject(written) ? (written.pluginKind as PluginKind | undefined) : undefined;
  const { unit, assets: _assets, secret: _secret, file: _file, fromEnvironment: _variable, form, ...rest } = strict as Schema;
  const schema = withoutRelations(rest);
  const told = [...(unit === undefined ? [] : [`[${unit}]`]), ...relationsText(rest).map((text) => `(${text})`)];
  const described: Schema = {
    ...schema,
    ...(told.length > 0 && { description: [schema.description ?? [], told].flat().join(" ") }),
    ...(form !== undefined && { patternErrorMessage: form }),
  };
  if (kind !== undefined)
    return { $ref: `#/$defs/${kind}`, ...(described.description === undefined ? {} : { description: described.description }) };
  const inner = isObject(written) && isObject(written.properties) ? written.properties : {};
  if (isObject(described.properties))
    described.properties = Object.fromEntries(
      Object.entries(described.properties).map(([key, property]) => [key, forEditors(property, inner[key])]),
    );
  if (isObject(described.items)) described.items = forEditors(described.items, isObject(written) ? written.items : undefined);
  return described;
}

function allowShortAspects(prompt: unknown): void {
  const aspects = ((prompt as Schema).properties as Schema).aspects as Schema;
  aspects.items = { anyOf: [{ enum: Object.keys(knownAspects) }, aspects.items] };
}
