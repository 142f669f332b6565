/** Which assets and files a spec will need, as its plugins' schemas tell. */
import { existsSync } from "node:fs";
import { isFile } from "../kernel/imports.js";
import { type NamedPlugin, optionsWith } from "./named-plugins.js";
import { isObject } from "./origins.js";

export interface Needs {
  /** Entries of registry/assets.json. */
  readonly assets: readonly { readonly id: string; readonly pointer: string }[];
  readonly files: readonly { readonly path: string; readonly pointer: string; readonly exists: boolean }[];
}

/** @param plugins those that the spec names */
export function needsOf(plugins: readonly NamedPlugin[]): Needs {
  const parts = plugins.map(needsOfPlugin);
  return { assets: parts.flatMap(({ assets }) => assets), files: parts.flatMap(({ files }) => files) };
}

function needsOfPlugin(plugin: NamedPlugin): Needs {
  const found = (keyword: "assets" | "file") => optionsWith(plugin, keyword).filter(({ value }) => value !== null);
  const named = found("file");
  const ids = found("assets").flatMap(({ schema, value, pointer: at }) =>
    (isObject(schema.assets) ? ((schema.assets[String(value)] as readonly string[] | undefined) ?? []) : [String(value)]).map((id) => ({
      id,
      pointer: at,
    })),
  );
  // Where an option takes an asset's id or a path, a slash tells them apart.
  const paths = ids.filter(({ id }) => /[\\/]/.test(id)).map(({ id, pointer: at }) => ({ value: id, pointer: at, there: existsSync }));
  const assets = named.some(({ schema }) => schema.file === "instead") ? [] : ids.filter(({ id }) => !/[\\/]/.test(id));
  const own = named.map(({ schema, value, pointer: at }) => ({ value, pointer: at, there: schema.file === true ? isFile : existsSync }));
  const files = [...own, ...paths].map(({ value, pointer: at, there }) => ({
    path: String(value),
    pointer: at,
    exists: there(String(value)),
  }));
  return { assets, files };
}
