/** Which assets and files a spec will need, as its plugins' schemas tell. */
import { existsSync } from "node:fs";
import { type PluginKind, pluginKinds } from "../contracts/kinds.js";
import type { Registry } from "../kernel/registry.js";
import { annotated } from "./options.js";
import { isObject } from "./origins.js";
import type { PluginReference, Spec } from "./types.js";

export interface Needs {
  /** Entries of registry/assets.json. */
  readonly assets: readonly { readonly id: string; readonly pointer: string }[];
  readonly files: readonly { readonly path: string; readonly pointer: string; readonly exists: boolean }[];
}

export function needsOf(spec: Spec, registry: Registry): Needs {
  const parts = (Object.entries(pluginKinds) as [PluginKind, { section: keyof Spec }][]).flatMap(([kind, { section }]) => {
    const reference = spec[section] as PluginReference | undefined;
    return reference === undefined ? [] : [needsOfReference(kind, reference, registry, `/${section}`)];
  });
  return { assets: parts.flatMap(({ assets }) => assets), files: parts.flatMap(({ files }) => files) };
}

function needsOfReference(kind: PluginKind, reference: PluginReference, registry: Registry, pointer: string): Needs {
  const { options } = registry.find(kind, reference.plugin);
  const found = (keyword: "assets" | "file" | "pluginKind") =>
    annotated(options, reference.options, keyword).map((item) => ({ ...item, pointer: `${pointer}/options${item.pointer}` }));
  const named = found("file");
  const ids = found("assets").flatMap(({ schema, value, pointer: at }) =>
    (isObject(schema.assets) ? ((schema.assets[String(value)] as readonly string[] | undefined) ?? []) : [String(value)]).map((id) => ({
      id,
      pointer: at,
    })),
  );
  // Where an option takes an asset's id or a path, a slash tells them apart.
  const paths = ids.filter(({ id }) => /[\\/]/.test(id)).map(({ id, pointer: at }) => ({ value: id, pointer: at }));
  const assets = named.some(({ schema }) => schema.file === "instead") ? [] : ids.filter(({ id }) => !/[\\/]/.test(id));
  const files = [...named, ...paths].map(({ value, pointer: at }) => ({
    path: String(value),
    pointer: at,
    exists: existsSync(String(value)),
  }));
  const inner = found("pluginKind").map(({ schema, value, pointer: at }) =>
    needsOfReference(schema.pluginKind as PluginKind, value as PluginReference, registry, at),
  );
  return { assets: [...assets, ...inner.flatMap((needs) => needs.assets)], files: [...files, ...inner.flatMap((needs) => needs.files)] };
}
