/**
 * Data sets and models: found in home()/assets, fetched when they are not there, checked each time a process first asks for them. Python
 * environments beside them: found in home()/python, made when they are not there.
 */
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import fs from "node:fs/promises"; // the default export, so that tests can make one call fail
import { join } from "node:path";
import type { Assets, Logger, Progress } from "../contracts/plugin.js";
import { RlrfError } from "../errors.js";
import { didYouMean } from "../spec/nearest.js";
import { hashOf } from "../store/hash.js";
import { type AssetEntry, type Catalogue, type EnvironmentEntry, readCatalogue } from "./asset-catalogue.js";
import { type Fetched, VariantFetch } from "./asset-fetch.js";
import { disk, sha256Of } from "./download.js";
import { withLock } from "../store/with-lock.js";
import { elsewhere, home } from "./paths.js";
import { environmentPlace, pythonEnvironment } from "./python.js";

export interface AssetInfo {
  readonly id: string;
  readonly summary: string;
  readonly licence: string;
  readonly home: string;
  /** On disk, of the first variant. */
  readonly bytes: number;
  readonly kind: "files" | "environment";
}
export interface AssetStatus {
  readonly id: string;
  readonly state: "present" | "absent" | "damaged";
  readonly folder: string;
  /** Which variant lies there. */
  readonly variant: string | null;
  /** Files that are missing or differ from what was fetched. */
  readonly damaged: readonly string[];
}

export interface AssetsContext {
  readonly progress?: Progress;
  readonly logger?: Logger;
  /** For tests: another catalogue and folder, and shorter waits. */
  readonly catalogue?: Catalogue;
  readonly root?: string;
  readonly patience?: number;
  readonly pipLimit?: number;
}

/** Beside an asset's files: which variant they are, and their hashes. Written last, so that it says that all are there. */
interface Manifest {
  readonly variant: string;
  readonly files: Fetched;
}
const manifestName = "asset.json";
const silent: Progress = { start: () => ({ advance() {}, end() {} }) };

export function createAssets(context: AssetsContext = {}): AssetStore {
  return new AssetStore(context);
}

export class AssetStore implements Assets {
  private readonly verified = new Map<string, Promise<string>>();
  private catalogue: Promise<Catalogue> | undefined;

  constructor(private readonly context: AssetsContext) {}

  async list(): Promise<readonly AssetInfo[]> {
    const { assets, environments } = await this.read();
    const fetched = Object.entries(assets).map(([id, { summary, licence, home: page, variants }]): AssetInfo => {
      const bytes = variants[0]?.files.reduce((sum, file) => sum + file.bytes, 0) ?? 0;
      return { id, kind: "files", summary, licence, home: page, bytes };
    });
    const made = Object.entries(environments).map(([id, { summary, licence, home: page, bytes }]): AssetInfo => {
      return { id, kind: "environment", summary, licence, home: page, bytes };
    });
    return [...fetched, ...made];
  }

  /** The folder that holds the asset's verified files; fetches what is missing or damaged. */
  folder(id: string): Promise<string> {
    const known = this.verified.get(id) ?? this.find(id);
    this.verified.set(id, known);
    known.catch(() => this.verified.delete(id));
    return known;
  }

  async requirements(id: string): Promise<readonly string[]> {
    return (await this.environment(id))?.requirements ?? [];
  }

  /** Looks, and reads every byte of an asset's files; changes nothing. @throws RLRF_ASSET_UNKNOWN */
  async status(id: string): Promise<AssetStatus> {
    const environment = await this.environment(id);
    if (environment !== undefined) return environmentStatus(id, environment);
    const { variants } = await this.entry(id);
    const folder = this.folderOf(id);
    const manifest = await readManifest(folder);
    const variant = variants.find(({ name }) => name === manifest?.variant);
    if (manifest === null || variant === undefined) return { id, state: "absent", folder, variant: null, damaged: [] };
    const damaged: string[] = [];
    for (const file of variant.files) {
      const expected = file.sha256 ?? manifest.files[file.path];
      const found = await sha256Of(join(folder, file.path)).catch(() => null);
      if (found === null || found !== expected) damaged.push(file.path);
    }
    return { id, state: damaged.length === 0 ? "present" : "damaged", folder, variant: variant.name, damaged };
  }

  private async find(id: string): Promise<string> {
    const environment = await this.environment(id);
    if (environment !== undefined) return this.make(id, environment);
    const { state, folder } = await this.status(id);
    if (state === "present") return folder;
    const onWait = (pid: string) => this.context.logger?.info(`process ${pid} is fetching ${id}; waiting for it`);
    await withLock(join(this.root(), `.${id}.lock`), () => this.fetch(id), { onWait, elsewhere });
    return folder;
  }

  private async fetch(id: string): Promise<void> {
    const { state, folder, damaged } = await this.status(id);
    if (state === "present") return;
    if (state === "damaged")
      this.context.logger?.warn("RLRF_ASSET_DAMAGED", `${id}: ${damaged.join(", ")} is not what was fetched; fetching it again`);
    const { variants } = await this.entry(id);
    this.context.logger?.info(`fetching ${id}`);
    const { progress = silent, patience = 30_000, pipLimit = 15 * 60_000 } = this.context;
    const fetch = new VariantFetch({ downloads: join(this.root(), ".downloads"), progress, patience, pipLimit });
    for (const variant of variants) {
      const temporary = join(this.root(), `.${id}.${randomUUID()}.tmp`);
      try {
        await disk(temporary, () => fs.mkdir(temporary, { recursive: true }));
        const files = await fetch.into(temporary, variant);
        if (files === null) continue;
        const manifest: Manifest = { variant: variant.name, files };
        await disk(folder, () => fs.writeFile(join(temporary, manifestName), `${JSON.stringify(manifest, null, 2)}\n`));
        await disk(folder, () => replace(folder, temporary));
        return await fetch.removeArchives();
      } finally {
        await fs.rm(temporary, { recursive: true, force: true });
      }
    }
    throw unavailable(id, fetch.failures, folder);
  }

  private async make(id: string, { requirements }: EnvironmentEntry): Promise<string> {
    const { folder, whole } = await environmentPlace(id, requirements);
    if (!existsSync(whole)) this.context.logger?.info(`making the Python environment ${id}: ${requirements.join(", ")}`);
    await pythonEnvironment(id, requirements, this.context.pipLimit);
    return folder;
  }

  private async environment(id: string): Promise<EnvironmentEntry | undefined> {
    const { environments } = await this.read();
    return Object.hasOwn(environments, id) ? environments[id] : undefined;
  }

  /** Digest of the files' contents: which variant it is shows in results, so it belongs into cache keys. */
  async identity(id: string): Promise<string> {
    const manifest = await readManifest(await this.folder(id));
    return hashOf(manifest?.files ?? null);
  }

  private async entry(id: string): Promise<AssetEntry> {
    const { assets, environments } = await this.read();
    const entry = Object.hasOwn(assets, id) ? assets[id] : undefined;
    if (entry !== undefined) return entry;
    const known = [...Object.keys(assets), ...Object.keys(environments)];
    throw new RlrfError("RLRF_ASSET_UNKNOWN", {
      message: `there is no asset ${JSON.stringify(id)}`,
      where: "registry/assets.json",
      expected: `one of ${known.join(", ")}`,
      hint: didYouMean(id, known) ?? "`rlrf assets` lists them",
    });
  }

  private read(): Promise<Catalogue> {
    this.catalogue ??= this.context.catalogue === undefined ? readCatalogue() : Promise.resolve(this.context.catalogue);
    return this.catalogue;
  }

  private root(): string {
    return this.context.root ?? join(home(), "assets");
  }
  private folderOf(id: string): string {
    return join(this.root(), id);
  }
}

async function environmentStatus(id: string, { requirements }: EnvironmentEntry): Promise<AssetStatus> {
  const place = await environmentPlace(id, requirements).catch(() => null); // no Python
  const state = place !== null && existsSync(place.whole) ? "present" : "absent";
  return { id, state, folder: place?.folder ?? "", variant: null, damaged: [] };
}

async function replace(folder: string, temporary: string): Promise<void> {
  await fs.rm(folder, { recursive: true, force: true });
  await fs.rename(temporary, folder);
}

async function readManifest(folder: string): Promise<Manifest | null> {
  try {
    const manifest = JSON.parse(await fs.readFile(join(folder, manifestName), "utf8")) as Partial<Manifest> | null;
    return typeof manifest?.variant === "string" && typeof manifest.files === "object" ? (manifest as Manifest) : null;
  } catch {
    return null;
  }
}

function unavailable(id: string, failures: readonly string[], folder: string): RlrfError {
  return new RlrfError("RLRF_ASSET_UNAVAILABLE", {
    message: `${id} could not be had from any source:\n${failures.map((failure) => `    - ${failure.replace(/\n/g, "\n      ")}`).join("\n")}`,
    where: folder,
    expected: "at least one source that can be reached (through pip's own settings for the package index) and sends the right files",
    hint: "see to the network and give the same command again: what was downloaded is kept, and unfinished downloads are taken up",
  });
}
