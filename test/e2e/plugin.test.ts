/** `rlrf plugin`, `new` and `registry` as a shell sees them. */
import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { packageRoot } from "../../framework/setup/paths.js";
import { lossPackage, tarballOf } from "../support/packages.js";
import { temporaryFolder } from "../support/fixtures.js";
import { command, type Finished, start } from "../support/run.js";

describe("rlrf plugin", function () {
  this.timeout(120_000);
  let folder: string;
  before(async () => {
    folder = await temporaryFolder();
    await mkdir(join(folder, "project"));
    await writeFile(join(folder, "losses.tgz"), tarballOf(lossPackage()));
  });
  const environment = () => ({ RLRF_HOME: join(folder, "home"), RLRF_PLUGINS: "", RLRF_DEBUG: "", NO_COLOR: "1" });
  const node = (args: readonly string[], more: Readonly<Record<string, string>> = {}): Promise<Finished> =>
    start(["bash", "-c", 'cd "$0" && exec "$@"', join(folder, "project"), process.execPath, ...args], { ...environment(), ...more })
      .finished;
  const rlrf = (...args: readonly string[]) => node([command, ...args]);
  const json = async (...args: readonly string[]): Promise<unknown> => {
    const { status, stdout, stderr } = await rlrf(...args, "--json");
    assert.equal(status, 0, stderr);
    return JSON.parse(stdout);
  };

  it("tells programs what it did", async () => {
    const added = (await json("plugin", "add", "../losses.tgz", "--trust")) as { name: string; before: null; locked: { version: string } };
    assert.deepEqual([added.name, added.before, added.locked.version], ["@team-a/losses", null, "1.0.0"]);
    assert.deepEqual(await json("plugin", "verify"), [{ name: "@team-a/losses", version: "1.0.0", ok: true }]);
    const [listed] = (await json("plugin", "list")) as { name: string; from: string }[];
    assert.deepEqual([listed?.name, listed?.from], ["@team-a/losses", "file:../losses.tgz"]);
    assert.deepEqual(await json("plugin", "install"), []);
    assert.match((await rlrf("describe", "loss/@team-a/losses/likelihood")).stdout, /^package {2}@team-a\/losses 1\.0\.0$/m);
  });

  it("list and check know its plugins, and load neither them nor anything heavy", async () => {
    const trace = join(folder, "trace");
    const hook = pathToFileURL(join(packageRoot, "dist", "test", "support", "import-trace.js")).href;
    const { stdout, stderr } = await node(["--import", hook, command, "list", "loss"], { RLRF_TRACE: trace });
    assert.match(stdout, /@team-a\/losses\/likelihood/, stderr);
    const modules = (await readFile(trace, "utf8")).split("\n");
    for (const heavy of [/@tensorflow/, /duckdb/, /ajv/, /\.rlrf\/plugins/, /tsyringe/])
      assert.deepEqual(
        modules.filter((url) => heavy.test(url)),
        [],
      );
  });

  it("says of a changed package what is wrong, in verify and as an error object", async () => {
    const [entry] = (await json("list", "loss")) as { name: string }[];
    assert.ok(entry);
    const { module } = (await json("describe", "loss/@team-a/losses/likelihood")) as { module: string };
    await writeFile(module, `${await readFile(module, "utf8")}//`);
    const { status, stdout, stderr } = await rlrf("plugin", "verify", "--json");
    assert.equal(status, 2);
    assert.match(stderr, /^RLRF_PACKAGE_INTEGRITY: /);
    assert.deepEqual(JSON.parse(stdout), [{ name: "@team-a/losses", version: "1.0.0", ok: false, code: "RLRF_PACKAGE_INTEGRITY" }]);
    const refused = await rlrf("plugin", "add", "../none.tgz", "--json");
    assert.deepEqual([refused.status, (JSON.parse(refused.stdout) as { error: { code: string } }).error.code], [2, "RLRF_FILE_MISSING"]);
    assert.match((await rlrf("plugin", "remove", "@team-a/losses")).stdout, /removed/);
    assert.match((await rlrf("plugin", "list")).stdout, /uses no packages/);
  });

  it("new and registry tell what they made, and refuse what they do not know", async () => {
    const made = (await json("new", "plugin", "reward", "@team/rewards/mine")) as { plugin: string; files: string[] };
    assert.deepEqual([made.plugin, made.files.at(-1)], ["@team/rewards/mine", "test/rewards/mine.test.ts"]);
    const index = (await json("registry", "build", "shelf", "../losses.tgz")) as { packages: object };
    assert.deepEqual(Object.keys(index.packages), ["@team-a/losses"]);
    for (const [args, said] of [
      [["new", "plugin", "los", "x"], /^RLRF_PLUGIN_KIND[\s\S]*did you mean "loss"/],
      [["new", "plugin"], /^RLRF_USAGE: missing .*\n {2}to do {5}rlrf new plugin --help/],
      [["registry", "build"], /^RLRF_USAGE: missing .*\n {2}to do {5}rlrf registry build --help/],
      [["plugin", "ad"], /^RLRF_USAGE: unknown command 'ad'[\s\S]*\n {2}to do {5}rlrf plugin --help/],
      [["plugin", "trust", "*"], /^RLRF_USAGE/],
    ] as const) {
      const { status, stderr } = await rlrf(...args);
      assert.equal(status, 2, stderr);
      assert.match(stderr, said);
    }
  });
});
