/** The content-addressed cache of steps: a result is found whole and verified, or it is made (again). */
import fs from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";
import type { Logger } from "../contracts/plugin.js";
import { RlrfError } from "../errors.js";
import { fileError, makeFolder, readJson, syncFolder, writeJson } from "./files.js";
import { hashFile, hashOf } from "./hash.js";
import { KeyedLog } from "./log.js";
import { processIn, processToken, stateOf } from "./process.js";
import { withLock } from "./with-lock.js";

export { hashOf } from "./hash.js";

export interface StepIdentity {
  readonly step: string;
  /** Raised when the step's own code changes what it makes. */
  readonly version: number;
  /** Everything the result depends on, as JSON or typed arrays: options, seeds, keys of earlier steps. */
  readonly inputs: unknown;
}
export interface StepResult {
  readonly folder: string;
  readonly key: string;
  /** Whether it was there already. */
  readonly cached: boolean;
}

interface Manifest {
  readonly step: string;
  readonly version: number;
  readonly key: string;
  readonly files: Readonly<Record<string, { readonly bytes: number; readonly sha256: string }>>;
  /** Of all above: a manifest is not believed either. */
  readonly sha256: string;
}

const manifestName = "manifest.json";
const dayMilliseconds = 86_400_000;
let temporaries = 0;

/** Names a step's result. */
export function stepKey({ step, version, inputs }: StepIdentity): string {
  return hashOf({ step, version, inputs });
}

/** Where a result lies within the store. */
export function stepPath(step: string, key: string): string {
  return join("steps", checkName(step), checkName(key));
}

export const stderrLogger: Logger = {
  info: (message) => void process.stderr.write(`${message}\n`),
  warn: (code, message) => void process.stderr.write(`warning ${code}: ${message}\n`),
};

export class Store {
  private readonly making = new Map<string, Promise<StepResult>>();
  private readonly logs = new Map<string, Promise<KeyedLog<unknown>>>();
  private swept: Promise<void> | undefined;

  constructor(
    readonly root: string,
    private readonly logger: Logger = stderrLogger,
    /** Ends waits for other processes. */
    private readonly signal?: AbortSignal,
  ) {}

  /** Fails before anything is computed where nothing could be kept. @throws RLRF_STORE_UNWRITABLE, RLRF_DISK_FULL */
  async mustBeWritable(): Promise<void> {
    const probe = this.temporary();
    try {
      await makeFolder(probe);
      await fs.rmdir(probe);
    } catch (cause) {
      const { code, fault } = fileError(cause, this.root, "write");
      if (code === "RLRF_DISK_FULL") throw new RlrfError(code, fault, { cause });
      const hint = "make it writable for this user, or choose another folder with --cache FOLDER";
      throw new RlrfError("RLRF_STORE_UNWRITABLE", { ...fault, where: resolve(this.root), hint }, { cause });
    }
  }

  /**
   * The verified folder of a step's result. When it is missing, or any of its files does not match its checksum, `make` fills a
   * temporary folder, which is then synced and renamed: a kill at any moment leaves all of a result or nothing.
   * Who else needs the same result meanwhile, in this process or another, waits for it.
   * @throws RLRF_DISK_FULL, RLRF_FILE_DENIED, and what `make` throws
   */
  step(identity: StepIdentity, make: (folder: string) => Promise<void>): Promise<StepResult> {
    const key = stepKey(identity);
    const running = this.making.get(key);
    if (running !== undefined) return running;
    const result = this.findOrMake(identity, key, make).finally(() => this.making.delete(key));
    this.making.set(key, result);
    return result;
  }

  /** The verified folder of a result that is there; null where it is not (any more). */
  async find(step: string, key: string): Promise<string | null> {
    const folder = join(this.root, stepPath(step, key));
    return (await this.verifiedOrDiscarded(folder, key)) ? folder : null;
  }

  /**
   * Runs `work` while nobody else who shares this store, on whichever machine, runs what has the same name: a lease, renewed by a heartbeat and taken
   * over when its owner is gone. An owner that only seemed gone may still be at work, and two may be let in at the moment in which a third one ends:
   * `work` looks first for what others have kept, and what it keeps itself is whole and the same whoever made it.
   * @throws RLRF_FILE_DENIED, RLRF_DISK_FULL where no lease can be had; the reason of the store's signal; what `work` throws
   */
  exclusively<T>(what: string, key: string, work: () => Promise<T>): Promise<T> {
    const onWait = (pid: string, machine: string) =>
      this.logger.info(`${what}: process ${pid || "?"} on ${machine} is computing it; waiting for it`);
    const folder = join(this.root, "leases", `${checkName(what)}-${checkName(key)}`);
    return withLock(
      folder,
      async (lease) => {
        const result = await work();
        await lease.dissolve();
        return result;
      },
      { patience: Number.POSITIVE_INFINITY, onWait, signal: this.signal },
    );
  }

  /** An append-only, checksummed key-value log: one object a name, shared by all who ask for it. */
  async log<Value>(name: string): Promise<KeyedLog<Value>> {
    const open = this.logs.get(name) ?? KeyedLog.open<unknown>(join(this.root, "logs", `${checkName(name)}.log`), this.logger);
    this.logs.set(name, open);
    open.catch(() => this.logs.delete(name));
    return (await open) as KeyedLog<Value>;
  }

  private async findOrMake(identity: StepIdentity, key: string, make: (folder: string) => Promise<void>): Promise<StepResult> {
    const folder = join(this.root, stepPath(identity.step, key));
    this.swept ??= this.sweep();
    await this.swept;
    const found = { folder, key, cached: true };
    if (await this.verifiedOrDiscarded(folder, key)) return found;
    return this.exclusively(identity.step, key, async () => {
      if (await this.verifiedOrDiscarded(folder, key)) return found; // made by the one that was waited for
      return this.make(identity, key, folder, make);
    }).catch((error: unknown) => {
      throw isSystemError(error) ? fileError(error, folder, "write") : error;
    });
  }

  private async make(identity: StepIdentity, key: string, folder: string, make: (folder: string) => Promise<void>): Promise<StepResult> {
    const temporary = this.temporary();
    try {
      await makeFolder(temporary);
      await make(temporary);
      await seal(temporary, identity, key);
      await makeFolder(dirname(folder));
      await this.publish(temporary, folder, key);
      return { folder, key, cached: false };
    } catch (error) {
      await fs.rm(temporary, { recursive: true, force: true }).catch(() => undefined);
      throw error;
    }
  }

  private async publish(temporary: string, folder: string, key: string): Promise<void> {
    try {
      await fs.rename(temporary, folder);
      await syncFolder(dirname(folder));
    } catch (error) {
      if (!["ENOTEMPTY", "EEXIST"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
      // Another process thought this one dead, and was faster: its result is as good as ours, if it is whole.
      if (await this.verifiedOrDiscarded(folder, key)) await fs.rm(temporary, { recursive: true, force: true });
      else await this.publish(temporary, folder, key);
    }
  }

  private async verifiedOrDiscarded(folder: string, key: string): Promise<boolean> {
    const fault = await faultOf(folder, key);
    if (fault === "missing") return false;
    if (fault === null) return true;
    this.logger.warn("RLRF_STORE_CORRUPT", `${folder}: ${fault}; the result is discarded and made again`);
    // Renamed before it is deleted: half a result must never be seen.
    const discarded = this.temporary();
    await makeFolder(dirname(discarded));
    await fs.rename(folder, discarded).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw fileError(error, folder, "write");
    });
    await fs.rm(discarded, { recursive: true, force: true });
    return false;
  }

  private temporary(): string {
    return join(this.root, "tmp", `${processToken}.${temporaries++}`);
  }

  /** Deletes what killed processes left behind. */
  private async sweep(): Promise<void> {
    const folder = join(this.root, "tmp");
    for (const name of await fs.readdir(folder).catch(() => [])) {
      const owner = processIn(name);
      const state = owner === null ? "dead" : stateOf(owner);
      const path = join(folder, name);
      const old = async () => Date.now() - (await fs.stat(path).catch(() => ({ mtimeMs: Date.now() }))).mtimeMs > 7 * dayMilliseconds;
      if (state === "dead" || (state === "elsewhere" && (await old())))
        await fs.rm(path, { recursive: true, force: true }).catch(() => undefined);
    }
  }
}

/** Syncs every file and writes the manifest. */
async function seal(folder: string, { step, version }: StepIdentity, key: string): Promise<void> {
  const files: Record<string, { bytes: number; sha256: string }> = {};
  const names = await filesIn(folder);
  if (names.includes(manifestName)) throw new RlrfError("RLRF_INTERNAL", { message: `a step may not write ${manifestName}`, where: step });
  for (const name of names) {
    const path = join(folder, name);
    const handle = await fs.open(path, "r");
    try {
      await handle.sync();
      files[name] = { bytes: (await handle.stat()).size, sha256: await hashFile(path) };
    } finally {
      await handle.close();
    }
  }
  for (const subfolder of new Set(names.map((name) => dirname(join(folder, name))))) await syncFolder(subfolder);
  const content = { step, version, key, files };
  await writeJson(join(folder, manifestName), { ...content, sha256: hashOf(content) } satisfies Manifest);
}

/** @returns null when the folder is whole, "missing", or what is wrong with it */
async function faultOf(folder: string, key: string): Promise<string | null> {
  const found = await fs.stat(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw fileError(error, folder, "read");
  });
  if (found === null) return "missing";
  try {
    const { sha256, ...content } = await readJson<Manifest>(join(folder, manifestName));
    if (content.key !== key || sha256 !== hashOf(content)) return `${manifestName} does not match`;
    const names = (await filesIn(folder)).filter((name) => name !== manifestName);
    if (names.join("\n") !== Object.keys(content.files).sort().join("\n")) return "files were added or deleted";
    for (const [name, expected] of Object.entries(content.files)) {
      const { size } = await fs.stat(join(folder, name));
      if (size !== expected.bytes) return `${name} has ${size} bytes instead of ${expected.bytes}`;
      if ((await hashFile(join(folder, name))) !== expected.sha256) return `${name} does not match its checksum`;
    }
    return null;
  } catch (error) {
    return (error as Error).message.split("\n")[0] ?? "unreadable";
  }
}

/** Paths of all files below a folder, with "/" on every system, sorted. */
export async function filesIn(folder: string): Promise<string[]> {
  const entries = await fs.readdir(folder, { recursive: true, withFileTypes: true });
  const names = entries.flatMap((entry) => {
    if (entry.isDirectory()) return [];
    if (!entry.isFile())
      throw new RlrfError("RLRF_INTERNAL", { message: "a result holds files and folders only", where: join(entry.parentPath, entry.name) });
    return [relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/")];
  });
  return names.sort();
}

function checkName(name: string): string {
  if (/^[a-zA-Z0-9][a-zA-Z0-9._-]*$/.test(name)) return name;
  throw new RlrfError("RLRF_INTERNAL", { message: `"${name}" cannot name a folder`, expected: "letters, digits, . _ -" });
}

function isSystemError(error: unknown): boolean {
  return error instanceof Error && "errno" in error && "syscall" in error;
}
