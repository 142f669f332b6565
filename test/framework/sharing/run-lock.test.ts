/** `run --frozen`, and what a run records. */
import assert from "node:assert/strict";
import { appendFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { Registry } from "../../../framework/kernel/registry.js";
import { packageRoot } from "../../../framework/setup/paths.js";
import { addPackage } from "../../../framework/sharing/install.js";
import { projectAt } from "../../../framework/sharing/project.js";
import { isFrozenByDefault, mustBeLocked, parseRunLock, type RunLock, recordLock } from "../../../framework/sharing/run-lock.js";
import { specFromValue } from "../../../framework/spec/read.js";
import { resolveSpec } from "../../../framework/spec/resolve.js";
import type { Spec } from "../../../framework/spec/types.js";
import { RunFolder } from "../../../framework/store/run-folder.js";
import { useEnvironment } from "../../support/environment.js";
import { assertFails } from "../../support/faults.js";
import { fixtureManifest } from "../../support/fixtures.js";
import { useFolder } from "../../support/folder.js";
import { lossPackage, tarballOf, writeFiles } from "../../support/packages.js";

describe("the lock of a run", () => {
  const folder = useFolder();
  useEnvironment(() => ({ RLRF_HOME: folder("home"), RLRF_PLUGINS: "" }));
  const project = () => projectAt(folder("project"));

  async function resolved(textEncoder: string): Promise<[Spec, Registry]> {
    const registry = await Registry.ofProject(project());
    const spec = {
      name: "locked",
      dataset: { plugin: "synthetic" },
      protocol: {},
      encoder: { plugin: "none" },
      adaptor: { plugin: "hea" },
      reranker: { plugin: "prm" },
      textEncoder: { plugin: textEncoder },
      prompt: { aspects: ["Genre"] },
      arms: ["id-only"],
    };
    return [resolveSpec(specFromValue(spec), registry).spec, registry];
  }
  beforeEach(async () => {
    await mkdir(folder("project"));
    await writeFile(folder("a.tgz"), tarballOf(lossPackage({ encoder: true })));
    await addPackage(project(), folder("a.tgz"), { trust: true });
  });

  it("takes the framework's plugins and those of locked packages", async () => {
    await mustBeLocked(...(await resolved("hashing")));
    await mustBeLocked(...(await resolved("@team-a/losses/lengths")));
  });

  it("refuses plugins of RLRF_PLUGINS, a manifest's or a package folder's, and says where they come from", async () => {
    process.env.RLRF_PLUGINS = await fixtureManifest();
    const [spec, registry] = await resolved("@fixture/lengths");
    await assertFails(
      "RLRF_PACKAGE_UNLOCKED",
      () => mustBeLocked(spec, registry),
      /\/textEncoder: text-encoder\/@fixture\/lengths comes from/,
    );
    process.env.RLRF_PLUGINS = await writeFiles(folder("dev"), lossPackage({ name: "@team-d/dev", encoder: true }));
    const [dev, withDev] = await resolved("@team-d/dev/lengths");
    await assertFails("RLRF_PACKAGE_UNLOCKED", () => mustBeLocked(dev, withDev), /comes from .*dev\/plugins\.json/);
  });

  it("refuses a package that is not what was locked", async () => {
    const [spec, registry] = await resolved("@team-a/losses/lengths");
    await appendFile(registry.find("text-encoder", "@team-a/losses/lengths").module, "//");
    await assertFails("RLRF_PACKAGE_INTEGRITY", () => mustBeLocked(spec, registry));
  });

  it("is asked for where CI is set", () => {
    const before = process.env.CI;
    for (const [value, frozen] of [
      ["true", true],
      ["1", true],
      ["", false],
      ["false", false],
      ["0", false],
    ] as const) {
      process.env.CI = value;
      assert.equal(isFrozenByDefault(), frozen, value);
    }
    if (before === undefined) delete process.env.CI;
    else process.env.CI = before;
  });

  it("records the package, every plugin, and the tarball", async () => {
    const [spec, registry] = await resolved("@team-a/losses/lengths");
    const run = await RunFolder.open(folder("runs"), "one");
    const [path = "", tarball = ""] = await recordLock(run, spec, registry);
    await run.close();
    const lock: RunLock = parseRunLock(await readFile(path, "utf8"), path);
    const schema = JSON.parse(await readFile(join(packageRoot, "registry", "lock.schema.json"), "utf8")) as object;
    const valid = new Ajv2020({ allErrors: true }).compile(schema);
    assert.ok(valid(lock), JSON.stringify(valid.errors));
    const { version } = JSON.parse(await readFile(join(packageRoot, "package.json"), "utf8")) as { version: string };
    assert.equal(lock.framework, version);
    assert.deepEqual(Object.keys(lock.packages), ["@team-a/losses"]);
    for (const id of ["dataset/synthetic", "encoder/none", "adaptor/hea", "reranker/prm"])
      assert.equal(lock.plugins[id]?.from, "rlrf4rec", id);
    assert.deepEqual(
      lock.plugins["text-encoder/@team-a/losses/lengths"]?.source,
      lock.packages["@team-a/losses"]?.plugins["text-encoder/@team-a/losses/lengths"]?.source,
    );
    assert.deepEqual(await readFile(tarball), await readFile(folder("a.tgz")));
  });
});
