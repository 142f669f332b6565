/** docs/sharing.md as two teams follow it: every file of the page is made, every `$` command run as it stands, every output compared. */
import assert from "node:assert/strict";
import fs from "node:fs/promises";
import { join } from "node:path";
import { packageRoot } from "../../framework/setup/paths.js";
import { readTrust } from "../../framework/sharing/trust.js";
import { temporaryFolder } from "../support/fixtures.js";
import { useVerdaccio } from "../support/verdaccio.js";
import { blocksOf, commandsOf, runCommands, writeBlocks } from "../support/walk.js";

describe("docs/sharing.md", function () {
  this.timeout(300_000);
  const registry = useVerdaccio();

  it("leads from one team to the other, and prints what it says", async () => {
    const page = await fs.readFile(join(packageRoot, "docs", "sharing.md"), "utf8");
    const blocks = blocksOf(page);
    const folder = await temporaryFolder();
    const walk = join(folder, "walk");
    await fs.mkdir(walk);
    // What `npm link` makes.
    const bin = join(folder, "bin");
    await fs.mkdir(bin);
    await fs.symlink(join(packageRoot, "framework", "cli", "rlrf.mjs"), join(bin, "rlrf"));

    const commands = commandsOf(blocks);
    assert.ok(commands.length > 30);
    // The page's files lie where the commands will have made folders for them.
    const [first, ...rest] = commands;
    assert.equal(first?.line, "mkdir team-a team-b");
    await runCommands([first], walk);
    assert.deepEqual(await writeBlocks(blocks, walk), ["team-b/pairs.json", "team-b/spec.json"]);
    const environment = {
      ...{
        PATH: `${bin}:${process.env.PATH}`,
        REGISTRY: registry.url,
        NPM_CONFIG_USERCONFIG: registry.userconfig,
        NPM_CONFIG_PREFER_OFFLINE: "true",
      },
      ...{ CI: "" },
    };
    const { status, outputs, out, err } = await runCommands(rest, walk, environment);
    assert.equal(status, 0, `${rest[outputs.length - 1]?.line}\n${out}\n${err}`);
    for (const [i, { line, output }] of rest.entries()) if (output !== "") assert.equal(outputs[i], output, line);
    const printed = (start: string) => outputs[rest.findIndex(({ line }) => line.startsWith(start))] ?? "";
    assert.match(
      printed("npm test"),
      /loss\/@team-a\/plugins\/my-dpo keeps the contract[\s\S]*text-encoder\/@team-a\/plugins\/words keeps/,
    );
    assert.match(printed("rlrf plugin verify"), /^ok {2}@team-a\/plugins 1\.0\.0/);
    assert.match(printed("rlrf reproduce"), /everything is as it was: cd again && rlrf run spec\.json --frozen\n$/);
    const [run = ""] = await fs.readdir(join(walk, "team-b", "runs"));
    assert.deepEqual(await fs.readdir(join(walk, "team-b", "again", "runs")), [run], "the same spec under the same hash");
    const result = async (at: string) => {
      const { seconds: _, ...rest } = JSON.parse(await fs.readFile(join(walk, at, "runs", run, "result.json"), "utf8")) as Record<
        string,
        unknown
      >;
      return rest;
    };
    assert.deepEqual(await result("team-b/again"), await result("team-b"), "the same figures");
    await fs.rm(folder, { recursive: true });
  });

  it("docs/security.md shows a trust file that is one", async () => {
    const page = await fs.readFile(join(packageRoot, "docs", "security.md"), "utf8");
    const folder = await temporaryFolder();
    const path = join(folder, "trust.json");
    await fs.writeFile(path, blocksOf(page).find(({ language }) => language === "json")?.body ?? "");
    assert.deepEqual(Object.keys((await readTrust(path)).packages), ["@team-a/*", "my-plugins"]);
  });
});
