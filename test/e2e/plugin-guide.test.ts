/** docs/plugin-guide.md as a reader follows it: every file of the page is made, every `$` command run, every output compared. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs/promises";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { packageRoot } from "../../framework/setup/paths.js";
import { temporaryFolder } from "../support/fixtures.js";
import { installLinked } from "../support/linked-package.js";

interface Block {
  readonly language: string;
  /** Path of the file that the block is, where it is one. */
  readonly file: string | undefined;
  readonly body: string;
}

interface Command {
  readonly line: string;
  /** What the page shows below it. */
  readonly output: string;
}

function blocksOf(page: string): Block[] {
  return [...page.matchAll(/^```(\w+)(?: (\S+))?\n([\s\S]*?)^```$/gm)].map(([, language = "", file, body = ""]) => ({
    language,
    file,
    body,
  }));
}

function commandsOf(body: string): Command[] {
  return body
    .split(/^\$ /m)
    .slice(1)
    .map((part) => {
      const end = part.indexOf("\n");
      return { line: part.slice(0, end), output: part.slice(end + 1) };
    });
}

const mark = "----- next command -----";

/** In one shell, so that variables last. @returns what each command printed, up to the first that failed */
async function run(commands: readonly Command[], folder: string) {
  const script = ["set -e -o pipefail", ...commands.flatMap(({ line }) => [`echo '${mark}'`, line])].join("\n");
  // npm tells its children where it runs; theirs is another package.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("npm_") && name !== "RLRF_PLUGINS"));
  const child = spawn("bash", ["-c", script], { cwd: folder, env: { ...env, NO_COLOR: "1" }, stdio: ["ignore", "pipe", "pipe"] });
  const status = new Promise<number | null>((resolve) => child.on("close", resolve));
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { status: await status, outputs: out.split(`${mark}\n`).slice(1), out, err };
}

describe("docs/plugin-guide.md", function () {
  this.timeout(180_000);

  it("builds, passes its contracts, and prints what it says", async () => {
    const page = await fs.readFile(join(packageRoot, "docs", "plugin-guide.md"), "utf8");
    const blocks = blocksOf(page);
    const folder = await temporaryFolder();
    const files = blocks.flatMap(({ file, body }) => (file === undefined ? [] : [{ file, body }]));
    assert.ok(files.some(({ file }) => file.startsWith("plugins/losses/")) && files.some(({ file }) => file.startsWith("test/")));
    for (const { file, body } of files) {
      await fs.mkdir(dirname(join(folder, file)), { recursive: true });
      await fs.writeFile(join(folder, file), body);
    }
    await installLinked(folder);

    const commands = blocks.filter(({ language }) => language === "console").flatMap(({ body }) => commandsOf(body));
    assert.ok(commands.some(({ line, output }) => line.includes("rlrf try") && output !== ""));
    const { status, outputs, out, err } = await run(commands, folder);
    assert.equal(status, 0, `${commands[outputs.length - 1]?.line}\n${out}\n${err}`);
    for (const [i, { line, output }] of commands.entries()) if (output !== "") assert.equal(outputs[i], output, line);
    const tests = outputs[commands.findIndex(({ line }) => line === "npm test")];
    assert.match(
      tests ?? "",
      /loss\/squared-hinge keeps the contract of its kind[\s\S]*sampling\/random-pair keeps the contract of its kind/,
    );
    await fs.rm(folder, { recursive: true });
  });

  it("names files that are there", async () => {
    const page = await fs.readFile(join(packageRoot, "docs", "plugin-guide.md"), "utf8");
    const named = [...page.matchAll(/`((?:plugins|framework|test|registry)\/[\w./-]+)`/g)].map(([, path = ""]) => path);
    assert.ok(named.length > 8);
    for (const path of named) await fs.access(join(packageRoot, path));
  });
});
