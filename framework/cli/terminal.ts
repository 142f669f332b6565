/** What a command prints with. Results go to stdout; progress, warnings and errors to stderr. */
import pc from "picocolors";
import type { Logger } from "../contracts/plugin.js";

/** Colours of what a terminal shows; none in files and pipes, whatever CI says of its log. */
export const onOutput = colours(process.stdout);
const onErrors = colours(process.stderr);

function colours(stream: NodeJS.WriteStream) {
  return pc.createColors(pc.isColorSupported && stream.isTTY === true);
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}

export function createLogger({ quiet = false }: { readonly quiet?: boolean } = {}): Logger {
  const line = process.stderr.isTTY ? "\r\u001b[K" : ""; // over a progress bar, which is drawn anew
  return {
    info: (message) => {
      if (!quiet) process.stderr.write(`${line}${message}\n`);
    },
    warn: (code, message) => void process.stderr.write(`${line}${onErrors.yellow(`warning ${code}`)}: ${message}\n`),
  };
}

/** Columns as wide as their widest cell; numbers are given as text. */
export function table(rows: readonly (readonly string[])[], alignRight: readonly number[] = []): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  const pad = (cell: string, i: number) => (alignRight.includes(i) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0));
  return rows.map((row) => row.map(pad).join("  ").trimEnd()).join("\n");
}

/** What stands in files of others may not steer a terminal. */
export function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, "?");
}
