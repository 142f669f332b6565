import { createHash } from "node:crypto";
import fs from "node:fs/promises"; // the default export, so that tests can make one call fail
import { dirname, join } from "node:path";
import type { Progress } from "../contracts/plugin.js";
import { RlrfError } from "../errors.js";
import type { AssetFile, AssetSource, AssetVariant, WheelSource, ZipSource } from "./asset-catalogue.js";
import { reasonOf } from "./command.js";
import { disk, download, SourceError, sha256Of } from "./download.js";
import { withWheel } from "./python.js";
import { Zip } from "./zip.js";

export interface FetchOptions {
  /** Where unfinished downloads wait for the next attempt. */
  readonly downloads: string;
  readonly progress: Progress;
  /** Milliseconds without a byte until a server is given up. */
  readonly patience: number;
  /** Milliseconds that pip may take for one wheel. */
  readonly pipLimit: number;
}

/** The files of one variant, with the hashes of what was written. */
export type Fetched = Readonly<Record<string, string>>;

/**
 * Fetches the variants of one asset. Each file's sources are tried in order; an archive that serves several files is fetched once,
 * and what failed once is not tried again.
 */
export class VariantFetch {
  /** What was tried and why it failed, one line each. */
  readonly failures: string[] = [];
  private readonly archives = new Map<string, Promise<string>>();

  constructor(private readonly options: FetchOptions) {}

  /** @returns hashes by path, or null when a file could not be had (see `failures`) */
  async into(folder: string, variant: AssetVariant): Promise<Fetched | null> {
    const hashes: Record<string, string> = {};
    for (const file of variant.files) {
      const hash = await this.file(file, join(folder, file.path));
      if (hash === null) return null;
      hashes[file.path] = hash;
    }
    return hashes;
  }

  /** Once all is there. After a failure they stay, so that the next attempt has them. */
  async removeArchives(): Promise<void> {
    for (const archive of this.archives.values()) await archive.then((path) => fs.rm(path, { force: true })).catch(() => {});
  }

  private async file(file: AssetFile, target: string): Promise<string | null> {
    for (const source of file.sources) {
      try {
        const hash = await this.from(source, file, target);
        if (file.sha256 === undefined || hash === file.sha256) return hash;
        throw new SourceError(`${file.path} has sha256 ${hash}, expected ${file.sha256}`);
      } catch (error) {
        if (error instanceof RlrfError && !["RLRF_COMMAND_FAILED", "RLRF_ARCHIVE_BAD"].includes(error.code)) throw error;
        await fs.rm(target, { force: true });
        const line = `${nameOf(source)}: ${reasonOf(error)}`;
        if (!this.failures.includes(line)) this.failures.push(line);
      }
    }
    return null;
  }

  private async from(source: AssetSource, file: AssetFile, target: string): Promise<string> {
    const limit = 2 * file.bytes; // the hash decides; this only bounds what a hostile archive can write
    if (!("member" in source)) {
      await this.download(source.url, file.sha256 ?? "", limit, file.bytes, target);
      return sha256Of(target);
    }
    const zip = await Zip.open(await this.archive(source));
    try {
      return await disk(target, () => zip.extract(source.member, target, limit));
    } finally {
      await zip.close();
    }
  }

  private archive(source: ZipSource | WheelSource): Promise<string> {
    const key = nameOf(source);
    const known = this.archives.get(key) ?? this.fetchArchive(source);
    this.archives.set(key, known);
    return known;
  }

  private async fetchArchive(source: ZipSource | WheelSource): Promise<string> {
    const { downloads } = this.options;
    const target = join(downloads, `${source.sha256.slice(0, 16)}.zip`);
    await disk(target, () => fs.mkdir(downloads, { recursive: true }));
    const kept = await sha256Of(target).catch(() => null);
    if (kept === source.sha256) return target;
    if ("pip" in source) await this.wheel(source, target);
    else await this.download(source.url, source.sha256, source.bytes, source.bytes, target);
    return target;
  }

  private async wheel({ pip, sha256, bytes }: WheelSource, target: string): Promise<void> {
    const { downloads, pipLimit, progress } = this.options;
    const task = progress.start(`fetching ${pip}`, bytes / 1e6, "MB");
    try {
      await withWheel(downloads, { requirement: pip, limit: pipLimit }, async (wheel) => {
        const hash = await sha256Of(wheel);
        if (hash !== sha256) throw new SourceError(`the wheel has sha256 ${hash}, expected ${sha256}`);
        await disk(target, () => fs.rename(wheel, target));
      });
      task.advance(bytes / 1e6);
    } finally {
      task.end();
    }
  }

  private async download(url: string, sha256: string, limit: number, bytes: number, target: string): Promise<void> {
    const { downloads, patience, progress } = this.options;
    // Unfinished bytes are named by what they will be, so that another source, or a later run, goes on with them.
    const waiting = join(downloads, createHash("sha256").update(`${url} ${sha256}`).digest("hex").slice(0, 16));
    const task = progress.start(`fetching ${new URL(url).pathname.split("/").at(-1)}`, bytes / 1e6, "MB");
    try {
      await download(url, waiting, { sha256, limit, patience, onBytes: (count) => task.advance(count / 1e6) });
    } finally {
      task.end();
    }
    await disk(target, async () => {
      await fs.mkdir(dirname(target), { recursive: true });
      await fs.rename(waiting, target);
    });
  }
}

export function nameOf(source: AssetSource): string {
  return "pip" in source ? `pip ${source.pip}` : source.url;
}
