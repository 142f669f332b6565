/** What `rlrf new plugin` begins with keeps the contract of its kind, before and after it was given a name. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type PluginKind, pluginKinds } from "../../framework/contracts/kinds.js";
import type { PluginClass } from "../../framework/contracts/plugin.js";
import { runCommand } from "../../framework/setup/command.js";
import { packageRoot } from "../../framework/setup/paths.js";
import { packFolder } from "../../framework/sharing/pack.js";
import { createPlugin } from "../../framework/sharing/scaffold.js";
import * as testing from "../../framework/testing/index.js";
import { assertFails } from "../support/faults.js";
import { useFolder } from "../support/folder.js";
import { installLinked } from "../support/linked-package.js";

const kinds = Object.keys(pluginKinds) as PluginKind[];

await testing.startEngine();
for (const kind of kinds) {
  const file = join(packageRoot, "dist", "framework", "templates", `${kind}.js`);
  const { Template } = (await import(pathToFileURL(file).href)) as { Template: PluginClass<never> };
  const name = `${kind.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())}Contract`;
  const contract = (testing as unknown as Record<string, (subject: testing.Subject<never>) => void>)[name];
  assert.ok(contract, `rlrf4rec/testing has ${name}`);
  contract({ plugin: Template });
}

describe("rlrf new plugin", function () {
  this.timeout(180_000);
  const folder = useFolder();

  it("writes a package with a plugin of every kind that builds, passes its tests and is packed", async () => {
    for (const kind of kinds) await createPlugin(kind, `@team/all/${kind}`, folder());
    const made = folder("all");
    await installLinked(made);
    const env = { NO_COLOR: "1" };
    await runCommand("npm", ["run", "build"], { cwd: made, env, limit: 120_000, purpose: "build" });
    // The contracts have run above, on the same files but for their names: here one stands for all.
    const tests = await runCommand("npx", ["mocha", "dist/test/losses/loss.test.js", "dist/test/sampling/*.js"], {
      cwd: made,
      env,
      limit: 120_000,
      purpose: "test",
    });
    assert.match(tests, /loss\/@team\/all\/loss keeps the contract of its kind[\s\S]*sampling\/@team\/all\/sampling keeps/);
    const packed = await packFolder(made, { out: folder("out") });
    assert.equal(packed.version, "1.0.0");
    const { plugins } = JSON.parse(await readFile(join(made, "plugins.json"), "utf8")) as { plugins: { name: string }[] };
    assert.equal(plugins.length, kinds.length);
  });

  it("takes a bare name, and names that clash with the template's own", async () => {
    const bare = await createPlugin("loss", "my-dpo", folder());
    assert.deepEqual([bare.package, bare.plugin, bare.existing], ["rlrf-my-dpo", "rlrf-my-dpo/my-dpo", false]);
    await createPlugin("adaptor", "parts/adaptor", folder());
    assert.match(await readFile(folder("parts", "plugins", "adaptors", "adaptor.ts"), "utf8"), /class AdaptorPlugin implements Adaptor /);
    const digits = await createPlugin("reward", "parts/2nd", folder());
    assert.deepEqual([digits.existing, digits.files], [true, ["plugins/rewards/2nd.ts", "test/rewards/2nd.test.ts"]]);
    assert.match(await readFile(folder("parts", "plugins", "rewards", "2nd.ts"), "utf8"), /class Plugin2nd /);
  });

  it("overwrites nothing, and refuses names that are none", async () => {
    await createPlugin("loss", "@team/losses/x", folder());
    const before = await readFile(folder("losses", "plugins", "losses", "x.ts"), "utf8");
    await assertFails("RLRF_USAGE", () => createPlugin("loss", "@team/losses/x", folder()), /is there already/);
    await assertFails("RLRF_PACKAGE_NAME", () => createPlugin("loss", "@other/losses/x", folder()), /is another package: @team\/losses/);
    assert.equal(await readFile(folder("losses", "plugins", "losses", "x.ts"), "utf8"), before);
    for (const name of ["My Loss", "../x", "@team/losses", "", "x/"])
      await assertFails("RLRF_USAGE", () => createPlugin("loss", name, folder("none")));
  });
});
