/** An append-only key-value log on disk that survives kill -9: what was put before the kill is there after it. */
import { createHash } from "node:crypto";
import fs from "node:fs"; // the default export, so that tests can make one call fail
import { dirname } from "node:path";
import type { Logger } from "../contracts/plugin.js";
import { RlrfError } from "../errors.js";
import { fileError, linesOf } from "./files.js";

/**
 * One record a line: 16 hex digits of the sha256 of the JSON, a space, the JSON: [key, value].
 * A record begins with its newline instead of ending with it, so that a record torn by a kill or a full disk cannot spoil the next one,
 * whichever process appends it. A record [null, n] says that n bad lines were already reported.
 */
export class KeyedLog<Value> {
  private readonly values = new Map<string, Value>();
  private descriptor: number | undefined;
  /** Bytes of the file that were read, up to the end of a whole record. */
  private position = 0;

  private constructor(readonly path: string) {}

  /** Reads what is there; lines that are torn or altered are dropped, with one warning. */
  static async open<Value>(path: string, logger: Logger): Promise<KeyedLog<Value>> {
    const log = new KeyedLog<Value>(path);
    const exists = await fs.promises.stat(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return null;
      throw fileError(error, path, "read");
    });
    if (exists !== null) await log.load(logger);
    return log;
  }

  get size(): number {
    return this.values.size;
  }

  keys(): IterableIterator<string> {
    return this.values.keys();
  }

  get(key: string): Value | undefined {
    return this.values.get(key);
  }

  /** On return the record is with the operating system: it survives the process. @throws RLRF_DISK_FULL, RLRF_FILE_DENIED */
  put(key: string, value: Value): void {
    this.append([key, value]);
    this.values.set(key, value);
  }

  /** Syncs to the disk and closes the file; a later `put` opens it again. */
  async close(): Promise<void> {
    if (this.descriptor === undefined) return;
    const descriptor = this.descriptor;
    this.descriptor = undefined;
    try {
      fs.fsyncSync(descriptor);
    } catch (error) {
      throw fileError(error, this.path, "write");
    } finally {
      fs.closeSync(descriptor);
    }
  }

  /** Takes up what other processes have put since. */
  async refresh(): Promise<void> {
    const size = await fs.promises.stat(this.path).then(
      (stat) => stat.size,
      () => 0,
    );
    if (size > this.position) await this.read();
  }

  private async read(): Promise<{ bad: number; reported: number }> {
    let bad = 0;
    let reported = 0;
    for await (const { text, end } of linesOf(this.path, this.position)) {
      const record = text === "" ? undefined : parseRecord(text);
      if (record === null) bad++;
      else this.position = end; // a bad last line may only be half written by now
      if (!record) continue;
      if (record[0] === null) reported = Number(record[1]);
      else this.values.set(record[0], record[1] as Value);
    }
    return { bad, reported };
  }

  private async load(logger: Logger): Promise<void> {
    const { bad, reported } = await this.read();
    if (bad <= reported) return;
    logger.warn("RLRF_STORE_CORRUPT", `${this.path}: ${bad - reported} torn or altered line(s) dropped; what they held is made again`);
    try {
      this.append([null, bad]);
    } catch {
      // A full disk or a folder that is only read: what is here can be used all the same.
    }
  }

  private append(record: readonly [string | null, unknown]): void {
    const json = JSON.stringify(record);
    if (record[1] === undefined) throw new RlrfError("RLRF_INTERNAL", { message: `nothing to put under "${record[0]}"`, where: this.path });
    const bytes = Buffer.from(`\n${checksum(json)} ${json}`, "utf8");
    try {
      if (this.descriptor === undefined) {
        fs.mkdirSync(dirname(this.path), { recursive: true });
        this.descriptor = fs.openSync(this.path, "a");
      }
      for (let done = 0; done < bytes.length; ) done += fs.writeSync(this.descriptor, bytes, done);
    } catch (error) {
      throw fileError(error, this.path, "write");
    }
  }
}

function parseRecord(line: string): [string | null, unknown] | null {
  const json = line.slice(17);
  if (line[16] !== " " || line.slice(0, 16) !== checksum(json)) return null;
  const record: unknown = JSON.parse(json); // cannot throw: the checksum says that we wrote it
  return record as [string | null, unknown];
}

function checksum(json: string): string {
  return createHash("sha256").update(json).digest("hex").slice(0, 16);
}
