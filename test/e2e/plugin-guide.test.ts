/** docs/plugin-guide.md as a reader follows it: every file of the page is made, every `$` command run, every output compared. */
import assert from "node:assert/strict";
import fs from "node:fs/promises";
import { join } from "node:path";
import { packageRoot } from "../../framework/setup/paths.js";
import { temporaryFolder } from "../support/fixtures.js";
import { installLinked } from "../support/linked-package.js";
import { blocksOf, commandsOf, runCommands, writeBlocks } from "../support/walk.js";

describe("docs/plugin-guide.md", function () {
  this.timeout(180_000);

  it("builds, passes its contracts, and prints what it says", async () => {
    const page = await fs.readFile(join(packageRoot, "docs", "plugin-guide.md"), "utf8");
    const blocks = blocksOf(page);
    const folder = await temporaryFolder();
    const files = await writeBlocks(blocks, folder);
    assert.ok(files.some((file) => file.startsWith("plugins/losses/")) && files.some((file) => file.startsWith("test/")));
    await installLinked(folder);

    const commands = commandsOf(blocks);
    assert.ok(commands.some(({ line, output }) => line.includes("rlrf try") && output !== ""));
    const { status, outputs, out, err } = await runCommands(commands, folder);
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
