/** A page of the documentation as a reader follows it: the files that it shows, and the `$` commands of its consoles with what they print. */
import { spawn } from "node:child_process";
import fs from "node:fs/promises";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";

export interface Block {
  readonly language: string;
  /** Path of the file that the block is, where it is one. */
  readonly file: string | undefined;
  readonly body: string;
}

export interface Command {
  readonly line: string;
  /** What the page shows below it. */
  readonly output: string;
}

export function blocksOf(page: string): readonly Block[] {
  return [...page.matchAll(/^```(\w+)(?: (\S+))?\n([\s\S]*?)^```$/gm)].map(([, language = "", file, body = ""]) => ({
    language,
    file,
    body,
  }));
}

export function commandsOf(blocks: readonly Block[]): readonly Command[] {
  return blocks
    .filter(({ language }) => language === "console")
    .flatMap(({ body }) => body.split(/^\$ /m).slice(1))
    .map((part) => {
      const end = part.indexOf("\n");
      return { line: part.slice(0, end), output: part.slice(end + 1) };
    });
}

/** @returns paths of the files, relative to the folder */
export async function writeBlocks(blocks: readonly Block[], folder: string): Promise<readonly string[]> {
  const paths: string[] = [];
  for (const { file, body } of blocks) {
    if (file === undefined) continue;
    await fs.mkdir(dirname(join(folder, file)), { recursive: true });
    await fs.writeFile(join(folder, file), body);
    paths.push(file);
  }
  return paths;
}

const mark = "----- next command -----";

/** In one shell, so that variables last. @returns what each command printed, up to the first that failed */
export async function runCommands(commands: readonly Command[], folder: string, environment: Readonly<Record<string, string>> = {}) {
  const script = ["set -e -o pipefail", ...commands.flatMap(({ line }) => [`echo '${mark}'`, line])].join("\n");
  // npm tells its children where it runs; theirs is another package.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("npm_") && name !== "RLRF_PLUGINS"));
  const child = spawn("bash", ["-c", script], {
    cwd: folder,
    env: { ...env, NO_COLOR: "1", ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const status = new Promise<number | null>((resolve) => child.on("close", resolve));
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { status: await status, outputs: out.split(`${mark}\n`).slice(1), out, err };
}
