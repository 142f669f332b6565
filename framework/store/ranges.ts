import fs from "node:fs/promises"; // the default export, so that tests can make one call fail
import { fileError } from "./files.js";

/** What the operating system reads at once. */
const readLimit = 1 << 30;

/** A regular file that is read piece by piece: what it holds is known before anything is allocated. */
export class RangeFile {
  private constructor(
    private readonly handle: fs.FileHandle,
    readonly path: string,
    readonly size: number,
  ) {}

  /** @param irregular makes the error for what is no regular file @throws RLRF_FILE_… and what `irregular` makes */
  static async open(path: string, irregular: () => Error): Promise<RangeFile> {
    try {
      // Without waiting: opening a pipe that nobody writes to would never end.
      const handle = await fs.open(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
      try {
        const stat = await handle.stat();
        if (!stat.isFile()) throw irregular();
        return new RangeFile(handle, path, stat.size);
      } catch (error) {
        await handle.close();
        throw error;
      }
    } catch (error) {
      throw fileError(error, path, "read");
    }
  }

  /**
   * @param position and bytes lie within `size`; the file may have been cut since: then `cut` makes the error
   * @returns a buffer of its own, so that a view on it is aligned and nothing else is kept alive by it
   */
  async read(position: number, bytes: number, cut: (end: number) => Error): Promise<ArrayBuffer> {
    const buffer = new ArrayBuffer(bytes);
    await this.readInto(new Uint8Array(buffer), position, cut);
    return buffer;
  }

  /** Fills `target` from `position` on. */
  async readInto(target: Uint8Array, position: number, cut: (end: number) => Error): Promise<void> {
    for (let done = 0; done < target.length; ) {
      const view = target.subarray(done, done + readLimit);
      const { bytesRead } = await this.handle.read(view, 0, view.length, position + done).catch((error) => {
        throw fileError(error, this.path, "read");
      });
      if (bytesRead === 0) throw cut(position + done);
      done += bytesRead;
    }
  }

  close(): Promise<void> {
    return this.handle.close();
  }
}
