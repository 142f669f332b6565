/** docs/data.md as a reader follows it: every file of the page is made, every `$` command run, every output compared. */
import assert from "node:assert/strict";
import fs from "node:fs/promises";
import { join } from "node:path";
import { packageRoot } from "../../framework/setup/paths.js";
import { temporaryFolder } from "../support/fixtures.js";
import { blocksOf, commandsOf, runCommands, writeBlocks } from "../support/walk.js";

describe("docs/data.md", function () {
  this.timeout(180_000);

  it("leads from files to a run, and prints what it says", async () => {
    const blocks = blocksOf(await fs.readFile(join(packageRoot, "docs", "data.md"), "utf8"));
    const folder = await temporaryFolder();
    assert.deepEqual(await writeBlocks(blocks, folder), ["make-data.mjs", "shop.json"]);
    const bin = join(folder, "bin");
    await fs.mkdir(bin);
    await fs.symlink(join(packageRoot, "framework", "cli", "rlrf.mjs"), join(bin, "rlrf"));
    const commands = commandsOf(blocks);
    assert.ok(commands.length > 5);
    const { status, outputs, out, err } = await runCommands(commands, folder, { PATH: `${bin}:${process.env.PATH}`, CI: "" });
    assert.equal(status, 0, `${commands[outputs.length - 1]?.line}\n${out}\n${err}`);
    const shown = (text: string) => text.replaceAll(`${folder}/`, "");
    for (const [i, { line, output }] of commands.entries()) if (output !== "") assert.equal(shown(outputs[i] ?? ""), output, line);
    assert.match(await fs.readFile(join(folder, "result.txt"), "utf8"), /^metadata +0\.\d{4} /m);
    await fs.rm(folder, { recursive: true });
  });
});
