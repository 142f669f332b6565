/** Two teams and a real npm registry between them: published, added, pinned, run, upgraded, rolled back; and what is refused. */
import assert from "node:assert/strict";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { packageRoot } from "../../framework/setup/paths.js";
import type { LockFile } from "../../framework/sharing/lock.js";
import { command, type Finished, start } from "../support/run.js";
import { temporaryFolder } from "../support/fixtures.js";
import { lossPackage, type PackageOptions, tarballOf, writeFiles } from "../support/packages.js";
import { useVerdaccio } from "../support/verdaccio.js";

describe("packages by way of an npm registry", function () {
  this.timeout(180_000);
  const registry = useVerdaccio();
  let folder: string;
  let teamB: string;
  before(async () => {
    folder = await temporaryFolder();
    teamB = join(folder, "team-b");
    await mkdir(teamB);
    await writeFile(join(teamB, ".npmrc"), `registry=${registry.url}\n`);
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const environment = () => ({
    ...{ RLRF_HOME: join(folder, "home"), NPM_CONFIG_USERCONFIG: registry.userconfig, NPM_CONFIG_CACHE: join(folder, "npm-cache") },
    ...{ CI: "true", RLRF_DEBUG: "", NO_COLOR: "1", RLRF_PLUGINS: "" },
  });
  const rlrf = (cwd: string, ...args: readonly string[]): Promise<Finished> =>
    start(["bash", "-c", 'cd "$0" && exec "$@"', cwd, process.execPath, command, ...args], environment()).finished;
  const good = async (cwd: string, ...args: readonly string[]): Promise<string> => {
    const { status, stdout, stderr } = await rlrf(cwd, ...args);
    assert.equal(status, 0, `${args.join(" ")}\n${stderr}`);
    return stdout;
  };
  const refused = async (code: string, ...args: readonly string[]): Promise<void> => {
    const before = await readFile(join(teamB, "registry", "lock.json"), "utf8");
    const { status, stdout, stderr } = await rlrf(teamB, ...args);
    assert.equal(status, 2, stderr);
    assert.ok(stderr.startsWith(`${code}: `), stderr);
    assert.doesNotMatch(stdout + stderr, /\n\s+at .*:\d+/, "no stack trace");
    assert.equal(await readFile(join(teamB, "registry", "lock.json"), "utf8"), before, "the lock is as it was");
  };

  let published = 0;
  /** As a team that packs with other tools would: npm publishes what it is given. */
  async function publish(options: PackageOptions, ...more: readonly string[]): Promise<void> {
    const path = join(folder, `${published++}.tgz`);
    await writeFile(path, tarballOf(lossPackage(options)));
    await good(folder, "plugin", "publish", path, "--registry", registry.url, ...more);
  }
  const locked = async () => {
    const { packages } = JSON.parse(await readFile(join(teamB, "registry", "lock.json"), "utf8")) as LockFile;
    return packages["@team-a/losses"] ?? assert.fail("nothing is locked");
  };
  const lossOf = async () => {
    const input = join(folder, "pairs.json");
    await writeFile(input, JSON.stringify({ chosen: { logProbs: [-2] }, rejected: { logProbs: [[-3]] } }));
    return (JSON.parse(await good(teamB, "try", "loss/@team-a/losses/likelihood", "--input", input)) as { mean: number }).mean;
  };

  it("team A publishes from its folder, and a version is published once", async () => {
    const teamA = await writeFiles(join(folder, "team-a"), lossPackage({ encoder: true }));
    await mkdir(join(teamA, "node_modules"));
    const { symlink } = await import("node:fs/promises");
    await symlink(packageRoot, join(teamA, "node_modules", "rlrf4rec"));
    assert.match(await good(teamA, "plugin", "publish", "--registry", registry.url), /@team-a\/losses 1\.0\.0 published {2}sha512-/);
    const again = await rlrf(teamA, "plugin", "publish", "--registry", registry.url);
    assert.equal(again.status, 1);
    assert.match(again.stderr, /^RLRF_PACKAGE_FETCH: npm could not publish it/);
    assert.deepEqual(
      (await readdir(teamA)).filter((name) => name.startsWith(".")),
      [],
      "nothing is left behind",
    );
  });

  it("team B adds, pins and runs it, frozen", async () => {
    await good(teamB, "plugin", "trust", "@team-a/*");
    assert.match(
      await good(teamB, "plugin", "add", "@team-a/losses@^1.0"),
      /^@team-a\/losses 1\.0\.0 added\n {2}loss\/@team-a\/losses\/likelihood 1\.0\.0/,
    );
    const { version, from, resolved, framework } = await locked();
    assert.deepEqual([version, from, resolved, framework], ["1.0.0", "@team-a/losses@^1.0", "@team-a/losses@1.0.0", "^0.1.0"]);
    assert.equal(await lossOf(), 2);
    const spec = join(teamB, "spec.json");
    await writeFile(spec, JSON.stringify(small("^1.0")));
    const { folder: run } = JSON.parse(await good(teamB, "run", spec, "--json", "--quiet")) as { folder: string };
    const recorded = JSON.parse(await readFile(join(run, "lock.json"), "utf8")) as LockFile & { plugins: Record<string, { from: string }> };
    assert.deepEqual(recorded.packages["@team-a/losses"], await locked());
    assert.equal(recorded.plugins["text-encoder/@team-a/losses/lengths"]?.from, "@team-a/losses");
    assert.equal(recorded.plugins["reranker/pointwise"]?.from, "rlrf4rec");
    assert.ok((await readFile(join(run, "packages", "team-a-losses-1.0.0.tgz"))).length > 0);
  });

  it("upgrades within the range, and rolls back", async () => {
    await publish({ version: "1.1.0", factor: 3 });
    await publish({ version: "2.0.0", factor: 5 });
    assert.match(await good(teamB, "plugin", "update"), /@team-a\/losses 1\.0\.0 -> 1\.1\.0/);
    assert.equal(await lossOf(), 6);
    assert.match(await good(teamB, "plugin", "add", "@team-a/losses@1.0.0"), /1\.1\.0 -> 1\.0\.0/);
    assert.equal(await lossOf(), 2);
    assert.match(await good(teamB, "plugin", "verify"), /^ok {2}@team-a\/losses 1\.0\.0/);
  });

  it("takes a tarball by its address, and offline whatever npm has had", async () => {
    const address = new URL("@team-a/losses/-/losses-1.1.0.tgz", registry.url).href;
    assert.match(await good(teamB, "plugin", "add", address), /1\.0\.0 -> 1\.1\.0/);
    assert.deepEqual([(await locked()).from, (await locked()).resolved], [address, address]);
    assert.equal(await lossOf(), 6);
    const offline = (spec: string) => rlrf(teamB, "plugin", "add", spec, "--offline");
    await rm(join(folder, "home"), { recursive: true });
    assert.match((await offline("@team-a/losses@1.0.0")).stdout, /1\.1\.0 -> 1\.0\.0/);
    assert.match((await offline(address)).stdout, /1\.0\.0 -> 1\.1\.0/);
    await good(teamB, "plugin", "add", "@team-a/losses@1.0.0");
    await rm(join(folder, "npm-cache"), { recursive: true });
    const { status, stderr } = await offline("@team-a/losses@1.1.0");
    assert.equal(status, 1);
    assert.match(stderr, /^RLRF_PACKAGE_FETCH: npm could not fetch it: [\s\S]*offline|ENOTCACHED/);
  });

  it("another member of team B gets the same bytes from the lock", async () => {
    await rm(join(teamB, ".rlrf"), { recursive: true });
    await rm(join(folder, "home"), { recursive: true });
    const missing = await rlrf(teamB, "check", join(teamB, "spec.json"));
    assert.equal(missing.status, 2);
    assert.match(missing.stderr, /RLRF_PACKAGE_MISSING[\s\S]*rlrf plugin install/);
    assert.match(await good(teamB, "plugin", "install"), /@team-a\/losses@1\.0\.0 installed/);
    assert.equal(await lossOf(), 2);
  });

  it("refuses what nobody vouches for, other frameworks, other teams' names, and versions that do not exist", async () => {
    await publish({ name: "@team-c/losses" });
    await refused("RLRF_PACKAGE_UNTRUSTED", "plugin", "add", "@team-c/losses");
    await publish({ version: "1.2.0", framework: "^9.0.0" }, "--tag", "old");
    await refused("RLRF_PACKAGE_FRAMEWORK", "plugin", "add", "@team-a/losses@1.2.0");
    await good(teamB, "plugin", "trust", "@team-d/losses");
    const clash = lossPackage({ name: "@team-d/losses", entry: { name: "@team-a/losses/likelihood" } });
    await writeFile(join(folder, "clash.tgz"), tarballOf(clash));
    const { runCommand } = await import("../../framework/setup/command.js");
    await runCommand("npm", ["publish", join(folder, "clash.tgz"), "--registry", registry.url], {
      env: environment(),
      limit: 60_000,
      purpose: "test",
    });
    await refused("RLRF_PACKAGE_NAME", "plugin", "add", "@team-d/losses");
    await refused("RLRF_PACKAGE_UNKNOWN", "plugin", "add", "@team-a/losses@^7.0");
    await refused("RLRF_PACKAGE_UNKNOWN", "plugin", "add", "@team-a/nothing");
  });

  it("refuses a tarball that was tampered with, as npm tells it and as the lock does", async () => {
    const stored = join(registry.storage, "@team-a", "losses", "losses-1.0.0.tgz");
    const evil = tarballOf(lossPackage({ factor: 666 }));
    await writeFile(stored, evil);
    await rm(join(folder, "npm-cache"), { recursive: true });
    await refused("RLRF_PACKAGE_INTEGRITY", "plugin", "add", "@team-a/losses@1.0.0");
    // A registry that lies about the digest, too: only the lock knows better.
    const { integrityOf } = await import("../../framework/sharing/tree.js");
    const { createHash } = await import("node:crypto");
    const metadata = join(registry.storage, "@team-a", "losses", "package.json");
    const document = JSON.parse(await readFile(metadata, "utf8")) as {
      versions: Record<string, { dist: { integrity: string; shasum: string } }>;
    };
    const { dist } = document.versions["1.0.0"] ?? assert.fail("no such version");
    dist.integrity = integrityOf(evil);
    dist.shasum = createHash("sha1").update(evil).digest("hex");
    await writeFile(metadata, JSON.stringify(document));
    await rm(join(teamB, ".rlrf"), { recursive: true });
    await rm(join(folder, "home"), { recursive: true });
    await rm(join(folder, "npm-cache"), { recursive: true });
    await refused("RLRF_PACKAGE_INTEGRITY", "plugin", "install");
  });
});

/** A short run with the text encoder of team A. */
function small(version: string): object {
  return {
    name: "team-b",
    dataset: { plugin: "synthetic", options: { users: 30, items: 80 } },
    protocol: { split: [0.5, 0.2, 0.3], metrics: ["ndcg@5"] },
    encoder: { plugin: "none" },
    adaptor: { plugin: "none" },
    reranker: { plugin: "pointwise", options: { epochs: 1, mlp: [8] } },
    textEncoder: { plugin: "@team-a/losses/lengths", version },
    prompt: { aspects: ["Genre", "Avoids"] },
    arms: ["id-only", "metadata"],
  };
}
