import assert from "node:assert/strict";
import { appendFile, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { ErrorCode } from "../../../framework/errors.js";
import { loadPlugin } from "../../../framework/kernel/load.js";
import { Registry } from "../../../framework/kernel/registry.js";
import { addPackage, installLocked, lockedPackages, removePackage, updatePackages } from "../../../framework/sharing/install.js";
import { installedPackages } from "../../../framework/sharing/installed.js";
import { readLock } from "../../../framework/sharing/lock.js";
import { type Project, projectAt } from "../../../framework/sharing/project.js";
import { createKey, readPrivateKey, signPackage, signatureFile } from "../../../framework/sharing/signature.js";
import { addTrust, readTrust } from "../../../framework/sharing/trust.js";
import { type Tree, treeOf } from "../../../framework/sharing/tree.js";
import { useEnvironment } from "../../support/environment.js";
import { assertFails } from "../../support/faults.js";
import { useFolder } from "../../support/folder.js";
import { type Files, lossPackage, type PackageOptions, tar, tarballOf, writeFiles } from "../../support/packages.js";

describe("packages of plugins, installed", () => {
  const folder = useFolder();
  useEnvironment(() => ({ RLRF_HOME: folder("home") }));

  let project: Project;
  beforeEach(async () => {
    project = projectAt(folder("project"));
    await mkdir(project.folder);
  });

  let tarballs = 0;
  async function packed(files: Files | Buffer): Promise<string> {
    const path = folder(`${tarballs++}.tgz`);
    await writeFile(path, Buffer.isBuffer(files) ? files : tarballOf(files as Files));
    return path;
  }
  const add = async (files: Files | Buffer) => addPackage(project, await packed(files), { trust: true });
  const entry = async () => (await installedPackages(project)).entries[0] ?? assert.fail("nothing is installed");
  const loaded = () => (globalThis as { loadedPackages?: readonly string[] }).loadedPackages ?? [];

  /** Everything of the project but the lock of the command itself. */
  async function state(): Promise<Tree> {
    const tree = await treeOf(project.folder);
    return new Map([...tree].filter(([path]) => !path.startsWith(".rlrf/plugins/.lock/")).sort());
  }

  describe("adding a package", () => {
    it("unpacks and locks it, and its plugin loads from there alone", async () => {
      const added = await add(lossPackage());
      assert.deepEqual([added.name, added.locked.version, added.before], ["@team-a/losses", "1.0.0", null]);
      assert.deepEqual((await readLock(project.lock)).packages["@team-a/losses"], added.locked);
      const plugin = await entry();
      assert.equal(plugin.name, "@team-a/losses/likelihood");
      assert.equal(plugin.sha256, added.locked.plugins["loss/@team-a/losses/likelihood"]?.source);
      assert.equal((await loadPlugin(plugin)).name, "Likelihood");
      assert.ok(loaded().includes("@team-a/losses@1.0.0"));
    });

    it("of a folder and of a git address, too, without running a script of theirs", async () => {
      const scripts = Object.fromEntries(["preinstall", "install", "prepare", "prepack"].map((name) => [name, "touch ../ran"]));
      const source = await writeFiles(folder("team"), lossPackage({ packageJson: { scripts } }));
      await addPackage(project, "../team", { trust: true });
      assert.equal((await entry()).package?.locked.from, "file:../team");
      const { runCommand } = await import("../../../framework/setup/command.js");
      for (const args of [
        ["init", "--quiet"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet", "-m", "1"],
      ])
        await runCommand("git", args, { cwd: source, limit: 20_000, purpose: "test" });
      const added = await addPackage(project, `git+file://${source}`);
      assert.match(added.locked.resolved, /^git\+file:.*#[0-9a-f]{40}$/);
      assert.deepEqual(await readdir(folder()).then((names) => names.filter((name) => name === "ran")), []);
    });

    it("needs a rule of trust, and leaves nothing behind without one", async () => {
      const error = await assertFails("RLRF_PACKAGE_UNTRUSTED", async () => addPackage(project, await packed(lossPackage())));
      assert.match(error.message, /rlrf plugin trust @team-a\/losses/);
      assert.equal((await state()).size, 0);
      await addTrust(project.trust, "@team-a/*");
      await addPackage(project, await packed(lossPackage()));
      assert.equal((await entry()).version, "1.0.0");
    });

    it("goes up, back and away again", async () => {
      const [one, two] = [await packed(lossPackage()), await packed(lossPackage({ version: "1.1.0", factor: 2 }))];
      await addPackage(project, one, { trust: true });
      assert.equal((await addPackage(project, two)).before, "1.0.0");
      assert.equal((await entry()).version, "1.1.0");
      await addPackage(project, one);
      assert.equal((await entry()).version, "1.0.0");
      await removePackage(project, "@team-a/losses");
      assert.deepEqual((await installedPackages(project)).entries, []);
      assert.deepEqual(
        (await readdir(project.packages)).filter((name) => name.includes("losses")),
        [],
      );
      await assertFails("RLRF_PACKAGE_UNKNOWN", () => removePackage(project, "@team-a/losses"));
    });

    it("two at once are both locked", async () => {
      const names = ["@team-a/losses", "@team-b/losses", "@team-c/losses"];
      await Promise.all(names.map(async (name) => addPackage(project, await packed(lossPackage({ name })), { trust: true })));
      assert.deepEqual(Object.keys((await readLock(project.lock)).packages), names);
    });

    it("updates what it was added as", async () => {
      const path = await packed(lossPackage());
      await addPackage(project, path, { trust: true });
      await writeFile(path, tarballOf(lossPackage({ version: "1.2.0" })));
      assert.deepEqual(
        (await updatePackages(project, [])).map(({ before, locked }) => [before, locked.version]),
        [["1.0.0", "1.2.0"]],
      );
    });
  });

  describe("a package is refused", () => {
    const refusals: readonly [why: string, code: ErrorCode, files: () => Files | Buffer, said: RegExp][] = [
      ["for another framework", "RLRF_PACKAGE_FRAMEWORK", () => lossPackage({ framework: "^7.0.0" }), /made for rlrf4rec \^7\.0\.0/],
      ["without a range that can be read", "RLRF_PACKAGE_FRAMEWORK", () => lossPackage({ framework: "new" }), /not a range/],
      ["that declares a name of the framework's", "RLRF_PACKAGE_NAME", () => lossPackage({ entry: { name: "dpo" } }), /declares loss\/dpo/],
      [
        "that declares another team's name",
        "RLRF_PACKAGE_NAME",
        () => lossPackage({ entry: { name: "@team-b/losses/x" } }),
        /someone else/,
      ],
      ["that calls itself rlrf4rec", "RLRF_PACKAGE_NAME", () => lossPackage({ name: "rlrf4rec" }), /the framework itself/],
      [
        "whose module lies outside",
        "RLRF_PACKAGE_PATH",
        () => lossPackage({ entry: { module: "../../../x.js" } }),
        /outside its own folder/,
      ],
      ["whose source lies outside", "RLRF_PACKAGE_PATH", () => lossPackage({ entry: { file: "/etc/passwd" } }), /outside its own folder/],
      [
        "whose manifest lies outside",
        "RLRF_PACKAGE_PATH",
        () => lossPackage({ packageJson: { rlrf: { plugins: "../plugins.json" } } }),
        /outside its own folder/,
      ],
      [
        "whose module imports from outside",
        "RLRF_PACKAGE_PATH",
        () => ({ ...lossPackage(), "dist/factor.js": 'export * from "../../../spec.js";\n' }),
        /an import of loss/,
      ],
      [
        "whose options schema does not compile",
        "RLRF_PLUGIN_SCHEMA",
        () => lossPackage({ entry: { options: { type: "object", properties: { a: { type: "nummer" } } } } }),
        /options schema of loss\/@team-a\/losses\/likelihood/,
      ],
      [
        "that brings no manifest",
        "RLRF_PACKAGE_FORM",
        () => lossPackage({ packageJson: { rlrf: undefined } }),
        /is no package of plugins: its package\.json has no field rlrf\.plugins/,
      ],
      [
        "whose module is missing",
        "RLRF_PACKAGE_FORM",
        () => lossPackage({ entry: { module: "dist/none.js" } }),
        /module of .* is missing[\s\S]*npm run build/,
      ],
      [
        "that needs what it does not bring",
        "RLRF_PACKAGE_FORM",
        () => lossPackage({ packageJson: { dependencies: { "left-pad": "^1.0.0" } } }),
        /depends on "left-pad"/,
      ],
      [
        "that brings a framework of its own",
        "RLRF_PACKAGE_NAME",
        () => ({ ...lossPackage(), "node_modules/rlrf4rec/package.json": "{}" }),
        /brings a rlrf4rec of its own/,
      ],
      ["that is no archive", "RLRF_PACKAGE_ARCHIVE", () => Buffer.from("not a tarball"), /no whole gzip file/],
      [
        "cut in the middle",
        "RLRF_PACKAGE_ARCHIVE",
        () => gzipSync(tar([{ path: "package/a", body: "x".repeat(2000) }]).subarray(0, 1500)),
        /it ends within/,
      ],
      ["with a link in it", "RLRF_PACKAGE_ARCHIVE", () => gzipSync(tar([{ path: "package/a", type: "2" }])), /link or a device/],
      ["with a path twice", "RLRF_PACKAGE_ARCHIVE", () => gzipSync(tar([{ path: "package/a" }, { path: "package/A" }])), /there twice/],
      ...["package/../../x", "/etc/x", "x", "package//x", "package/./x", "package/a\\b", "package/C:x"].map(
        (path): (typeof refusals)[number] => [
          `with the path ${path}`,
          "RLRF_PACKAGE_PATH",
          () => gzipSync(tar([{ path }])),
          /could leave the package's folder/,
        ],
      ),
      [
        "with such a path in an extended header",
        "RLRF_PACKAGE_PATH",
        () => gzipSync(tar([{ path: "PaxHeader/x", type: "x", body: "30 path=package/../../../x.js\n" }, { path: "package/x" }])),
        /could leave/,
      ],
    ];
    for (const [why, code, files, said] of refusals)
      it(`${why}: ${code}`, async () => {
        await add(lossPackage({ name: "@team-a/others", plugin: "other" }));
        const before = await state();
        const bad = files();
        await assertFails(code, () => add(bad), said);
        assert.deepEqual(await state(), before, "nothing of the project has changed");
      });
  });

  describe("what is locked", () => {
    it("is compared to the byte before any of it is loaded", async () => {
      await add(lossPackage({ version: "3.0.0" }));
      const { file, module, package: installed } = await entry();
      const changes: readonly [string, () => Promise<void>][] = [
        ["its module", () => appendFile(module, "//")],
        ["what it imports", () => writeFile(join(installed?.folder ?? "", "dist", "factor.js"), "export const factor = 9;\n")],
        ["another file", () => writeFile(join(installed?.folder ?? "", "more.js"), "")],
      ];
      assert.ok(file.endsWith("likelihood.ts"));
      for (const [what, change] of changes) {
        await change();
        const changed = await entry();
        await assertFails("RLRF_PACKAGE_INTEGRITY", () => loadPlugin(changed));
        assert.ok(!loaded().includes("@team-a/losses@3.0.0"), what);
        assert.deepEqual(await installLocked(project), ["@team-a/losses@3.0.0"]);
      }
      await loadPlugin(await entry());
      assert.ok(loaded().includes("@team-a/losses@3.0.0"));
    });

    it("a manifest that was changed makes its plugins unusable, and only them", async () => {
      await add(lossPackage());
      const { manifest } = await entry();
      await writeFile(manifest, (await readFile(manifest, "utf8")).replace('"default": 1', '"default": 2'));
      const { entries, unusable } = await installedPackages(project);
      assert.deepEqual([entries.length, unusable.get("@team-a/losses")?.code], [0, "RLRF_PACKAGE_INTEGRITY"]);
    });

    it("comes back from this machine, or from where it came, as it was", async () => {
      const path = await packed(lossPackage());
      await addPackage(project, path, { trust: true });
      await rm(project.packages, { recursive: true });
      assert.equal((await installedPackages(project)).unusable.get("@team-a/losses")?.code, "RLRF_PACKAGE_MISSING");
      await rm(path);
      assert.deepEqual(await installLocked(project), ["@team-a/losses@1.0.0"]);
      assert.deepEqual(await installLocked(project), []);

      await rm(folder("home"), { recursive: true });
      await rm(project.packages, { recursive: true });
      await assertFails("RLRF_FILE_MISSING", () => installLocked(project));
      await writeFile(path, tarballOf(lossPackage({ factor: 3 })));
      await assertFails("RLRF_PACKAGE_INTEGRITY", () => installLocked(project), /not what was locked any more/);
      await writeFile(path, tarballOf(lossPackage()));
      assert.deepEqual(await installLocked(project), ["@team-a/losses@1.0.0"]);
    });

    it("is not loaded any more once the project does not trust it", async () => {
      await add(lossPackage({ version: "4.0.0" }));
      await writeFile(project.trust, JSON.stringify({ trustVersion: 1, keys: {}, packages: {} }));
      const untrusted = await entry();
      await assertFails("RLRF_PACKAGE_UNTRUSTED", () => loadPlugin(untrusted));
      assert.ok(!loaded().includes("@team-a/losses@4.0.0"));
    });
  });

  describe("signatures", () => {
    async function signed(options: PackageOptions, privateKey: string): Promise<Files> {
      const files = lossPackage(options);
      await writeFile(folder("key.pem"), privateKey);
      await rm(folder("signed"), { recursive: true, force: true });
      const tree = await treeOf(await writeFiles(folder("signed"), files));
      const { name, version } = JSON.parse(files["package.json"] ?? "") as { name: string; version: string };
      return { ...files, [signatureFile]: JSON.stringify(signPackage(name, version, tree, await readPrivateKey(folder("key.pem")))) };
    }

    it("by a key of the keyring are asked for, and hold every file, name and version", async () => {
      const [team, other] = [createKey(), createKey()];
      await addTrust(project.trust, "@team-a/*", { name: "team-a", publicKey: team.publicKey });
      const add = async (files: Files) => addPackage(project, await packed(files));
      const good = await signed({}, team.privateKey);
      await assertFails("RLRF_PACKAGE_SIGNATURE", () => add(lossPackage()), /is not signed/);
      const others = await signed({}, other.privateKey);
      await assertFails("RLRF_PACKAGE_SIGNATURE", () => add(others), /by none of those asked for/);
      await assertFails("RLRF_PACKAGE_SIGNATURE", () => add({ ...good, "dist/factor.js": "export const factor = 2;\n" }));
      await assertFails("RLRF_PACKAGE_SIGNATURE", () => add({ ...good, "dist/more.js": "" }));
      await assertFails("RLRF_PACKAGE_SIGNATURE", () =>
        add({ ...good, "package.json": lossPackage({ version: "2.0.0" })["package.json"] ?? "" }),
      );
      await assertFails("RLRF_PACKAGE_SIGNATURE", () => add({ ...good, [signatureFile]: "{" }));
      assert.equal((await add(good)).signer, "team-a");
      for (const installed of await lockedPackages(project)) await installed.verify();
    });

    it("--trust does not weaken a rule that is there", async () => {
      await addTrust(project.trust, "@team-a/*", { name: "team-a", publicKey: createKey().publicKey });
      await assertFails("RLRF_PACKAGE_SIGNATURE", () => add(lossPackage()));
    });

    it("no command takes a signature back that is asked for, or puts another key under a name", async () => {
      const { publicKey } = createKey();
      await addTrust(project.trust, "@team-a/*", { name: "team-a", publicKey });
      for (const pattern of ["@team-a/*", "@team-a/losses"])
        await assertFails("RLRF_USAGE", () => addTrust(project.trust, pattern), /have to be signed by team-a/);
      const other = { name: "team-a", publicKey: createKey().publicKey };
      await assertFails("RLRF_USAGE", () => addTrust(project.trust, "@team-a/losses", other), /another key of the name "team-a"/);
      await addTrust(project.trust, "@team-a/*", { name: "team-a-new", publicKey: other.publicKey });
      assert.deepEqual((await readTrust(project.trust)).packages, { "@team-a/*": { signedBy: ["team-a", "team-a-new"] } });
    });

    it("refuses keys and rules that are none", async () => {
      await assertFails("RLRF_USAGE", () => addTrust(project.trust, "*"));
      await assertFails("RLRF_USAGE", () => addTrust(project.trust, "@team-a/*", { name: "team-a", publicKey: "ed25519:abc" }));
      await mkdir(join(project.folder, "registry"), { recursive: true });
      for (const [text, place] of [
        ["[]", /no object/],
        ['{"trustVersion": 2}', /trustVersion/],
        ['{"trustVersion": 1, "packages": {"x": {"signedBy": ["nobody"]}}}', /there is no key "nobody"/],
        ['{"trustVersion": 1, "keys": {"a": "rsa:1"}}', /\/keys\/a/],
        ['{"trustVersion": 1, "packages": {"*": {}}}', /names no packages/],
      ] as const) {
        await writeFile(project.trust, text);
        await assertFails("RLRF_TRUST_FILE", () => addTrust(project.trust, "x"), place);
      }
      await writeFile(folder("rsa.pem"), "no key");
      await assertFails("RLRF_KEY_FILE", () => readPrivateKey(folder("rsa.pem")));
    });
  });

  describe("the registry of a project", () => {
    it("holds its packages beside the framework's plugins, and says of what is missing how it comes back", async () => {
      await add(lossPackage());
      const here = process.cwd();
      process.chdir(project.folder);
      try {
        assert.equal((await Registry.read()).find("loss", "@team-a/losses/likelihood", "^1").version, "1.0.0");
        await rm(project.packages, { recursive: true });
        const registry = await Registry.read();
        assert.equal(registry.find("loss", "dpo").name, "dpo");
        assert.throws(() => registry.find("loss", "@team-a/losses/likelihood"), { code: "RLRF_PACKAGE_MISSING" });
        assert.throws(() => registry.find("loss", "@team-b/losses/x"), /rlrf plugin add @team-b\/losses/);
      } finally {
        process.chdir(here);
      }
    });
  });
});
