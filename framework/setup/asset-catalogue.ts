import { join } from "node:path";
import { RlrfError } from "../errors.js";
import { faultLine, validate } from "../spec/validate.js";
import { readJson } from "../store/files.js";
import { packageRoot } from "./paths.js";

/** The form of registry/assets.json; registry/assets.schema.json says the same to editors, with descriptions. */
export interface Catalogue {
  readonly assets: Readonly<Record<string, AssetEntry>>;
  readonly environments: Readonly<Record<string, EnvironmentEntry>>;
}
/** A Python environment that plugins run programs in. */
export interface EnvironmentEntry {
  readonly summary: string;
  readonly licence: string;
  readonly home: string;
  /** On disk, about. */
  readonly bytes: number;
  /** "name==version" */
  readonly requirements: readonly string[];
}
export interface AssetEntry {
  readonly summary: string;
  readonly licence: string;
  readonly home: string;
  /** Of a data set: users, items, interactions. */
  readonly counts?: Readonly<Record<string, number>>;
  readonly variants: readonly AssetVariant[];
}
export interface AssetVariant {
  readonly name: string;
  readonly files: readonly AssetFile[];
}
export interface AssetFile {
  readonly path: string;
  readonly bytes: number;
  readonly sha256?: string;
  readonly sources: readonly AssetSource[];
}
export type AssetSource = UrlSource | ZipSource | WheelSource;
export interface UrlSource {
  readonly url: string;
}
interface Archive {
  readonly sha256: string;
  readonly bytes: number;
  readonly member: string;
}
export interface ZipSource extends Archive {
  readonly url: string;
}
export interface WheelSource extends Archive {
  /** "name==version", downloaded by pip from whatever index the machine has. */
  readonly pip: string;
}

/** @throws RLRF_ASSET_CATALOGUE */
export async function readCatalogue(folder = join(packageRoot, "registry")): Promise<Catalogue> {
  const path = join(folder, "assets.json");
  const catalogue = await readJson<Catalogue>(path);
  const faults = validate(await readJson<object>(join(folder, "assets.schema.json")), catalogue, "the catalogue");
  const messages = faults.map((fault) => `${faultLine(fault)}${fault.expected === undefined ? "" : ` (${fault.expected})`}`);
  if (messages.length === 0) messages.push(...unverifiable(catalogue), ...twice(catalogue));
  if (messages.length > 0) throw new RlrfError("RLRF_ASSET_CATALOGUE", { message: messages.join("; "), where: path });
  return catalogue;
}

/** A file is checked by its own hash, or by that of the archive it comes from: one of the two must be there. */
function unverifiable(catalogue: Catalogue): string[] {
  return Object.entries(catalogue.assets).flatMap(([id, { variants }]) =>
    variants.flatMap(({ files }) =>
      files
        .filter(({ sha256, sources }) => sha256 === undefined && sources.some((source) => !("member" in source)))
        .map(({ path }) => `asset ${id}: ${path} needs a sha256, for not all of its sources have one`),
    ),
  );
}

function twice({ assets, environments }: Catalogue): string[] {
  return Object.keys(environments).flatMap((id) => (Object.hasOwn(assets, id) ? [`${id} is an asset and an environment`] : []));
}
