/** Lines of a dataset's text file, plain or gzipped, decoded as its format says. */
import { createReadStream } from "node:fs";
import fs from "node:fs/promises";
import { type Readable, pipeline } from "node:stream";
import { createGunzip } from "node:zlib";
import { RlrfError } from "../errors.js";

export type Encoding = "utf-8" | "latin-1";
export interface TextFile {
  /** Gzipped if its name ends in .gz. */
  readonly path: string;
  readonly encoding: Encoding;
}
export interface TextLine {
  /** From 1. */
  readonly number: number;
  /** Without its line end, and without a byte order mark. */
  readonly text: string;
}

/** Longer than any record of the formats that are read; a file without line ends is not one of them. */
const longestLine = 64 * 2 ** 20;

/** @throws RLRF_DATA_FILE when the file is not there, not whole, or not in its encoding */
export async function* textLines(file: TextFile): AsyncGenerator<TextLine> {
  await assertFile(file.path);
  let rest = "";
  let number = 0;
  try {
    for await (const piece of pieces(file)) {
      const lines = (rest + piece).split("\n");
      rest = lines.pop() as string; // split gives one at least
      if (rest.length > longestLine) throw new Error(`line ${number + lines.length + 1} has more than ${longestLine} characters`);
      for (const line of lines) yield { number: ++number, text: line.endsWith("\r") ? line.slice(0, -1) : line };
    }
  } catch (cause) {
    throw unreadable(file, cause);
  }
  if (rest !== "") yield { number: ++number, text: rest };
}

/** The first line; "" of an empty file. @throws RLRF_DATA_FILE */
export async function firstLine(file: TextFile): Promise<string> {
  for await (const { text } of textLines(file)) return text;
  return "";
}

/** Decoded text. Node's "latin1" is byte = code point, as these files mean it; TextDecoder's would be windows-1252. */
async function* pieces({ path, encoding }: TextFile): AsyncGenerator<string> {
  const decoder = encoding === "utf-8" ? new TextDecoder("utf-8", { fatal: true }) : undefined;
  for await (const chunk of bytesOf(path))
    yield decoder === undefined ? (chunk as Buffer).toString("latin1") : decoder.decode(chunk as Buffer, { stream: true });
  if (decoder !== undefined) yield decoder.decode();
}

function bytesOf(path: string): Readable {
  const bytes = createReadStream(path, { highWaterMark: 2 ** 20 });
  return path.endsWith(".gz") ? pipeline(bytes, createGunzip(), () => undefined) : bytes; // the reader hears of failures
}

function unreadable({ path, encoding }: TextFile, cause: unknown): RlrfError {
  if (cause instanceof RlrfError) return cause;
  const { code, message } = cause as NodeJS.ErrnoException;
  const said =
    code === "ERR_ENCODING_INVALID_ENCODED_DATA"
      ? "the file is not UTF-8"
      : code === "Z_BUF_ERROR" || code === "Z_DATA_ERROR"
        ? `the gzip file is damaged or not whole (${message})`
        : message;
  const expected = `${encoding === "utf-8" ? "UTF-8" : encoding} text, a row a line`;
  return new RlrfError("RLRF_DATA_FILE", { message: said, where: path, expected }, { cause });
}

/** @throws RLRF_DATA_FILE */
export async function assertFile(path: string): Promise<void> {
  const found = await fs.stat(path).catch(() => null);
  if (found?.isFile() !== true)
    throw new RlrfError("RLRF_DATA_FILE", {
      message: found === null ? "there is no such file" : found.isDirectory() ? "it is a folder" : "it is no regular file",
      where: path,
      hint: "check the paths in the dataset's options: they are taken from the folder in which the command is given",
    });
}
