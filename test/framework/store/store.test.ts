import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs/promises";
import { join } from "node:path";
import { mock } from "node:test";
import { ownProcess } from "../../../framework/store/process.js";
import { Store, type StepResult } from "../../../framework/store/store.js";
import { assertFails, createListener } from "../../support/faults.js";
import { useFolder } from "../../support/folder.js";

describe("store/store", () => {
  const path = useFolder();
  const identity = { step: "prepare", version: 1, inputs: { dataset: "x", seed: 7 } };
  afterEach(() => mock.restoreAll());

  async function fill(folder: string): Promise<void> {
    await fs.mkdir(join(folder, "deep"));
    await fs.writeFile(join(folder, "a.txt"), "alpha");
    await fs.writeFile(join(folder, "deep", "b.txt"), "beta");
  }
  const refuse = async (): Promise<never> => assert.fail("made again");

  /** Makes it anew with an own Store, as another process would; counts how often `make` ran. */
  async function again(): Promise<StepResult & { made: number; warnings: readonly { code: string; message: string }[] }> {
    const listener = createListener();
    let made = 0;
    const result = await new Store(path(), listener).step(identity, async (folder) => {
      made++;
      await fill(folder);
    });
    assert.equal(await fs.readFile(join(result.folder, "a.txt"), "utf8"), "alpha");
    assert.equal(await fs.readFile(join(result.folder, "deep", "b.txt"), "utf8"), "beta");
    return { ...result, made, warnings: listener.warnings };
  }

  it("makes a result once; then finds it, also in another process's eyes", async () => {
    const first = await again();
    const second = await again();
    assert.deepEqual([first.made, first.cached, second.made, second.cached], [1, false, 0, true]);
    assert.equal(first.folder, second.folder);
    assert.deepEqual(await fs.readdir(path("tmp")), []);
  });

  it("takes another result for another step, version or input, whatever the order of keys", async () => {
    const store = new Store(path());
    const keyOf = async (changed: object) => (await store.step({ ...identity, ...changed }, fill)).key;
    const keys = [
      await keyOf({}),
      await keyOf({ step: "train" }),
      await keyOf({ version: 2 }),
      await keyOf({ inputs: { dataset: "x", seed: 8 } }),
    ];
    assert.equal(new Set(keys).size, 4);
    assert.equal(await keyOf({ inputs: { seed: 7, dataset: "x" } }), keys[0]);
  });

  it("makes a result once for all who ask at the same time", async () => {
    const store = new Store(path());
    let made = 0;
    const make = async (folder: string) => {
      made++;
      await fill(folder);
    };
    const results = await Promise.all(Array.from({ length: 5 }, () => store.step(identity, make)));
    assert.equal(made, 1);
    assert.equal(new Set(results.map(({ folder }) => folder)).size, 1);
  });

  it("lets the first of two win where one only seemed dead, and uses its result", async () => {
    const rival = new Store(path());
    const result = await new Store(path()).step(identity, async (folder) => {
      await fs.rm(path("leases"), { recursive: true });
      await rival.step(identity, fill);
      await fill(folder);
    });
    assert.equal((await rival.step(identity, refuse)).folder, result.folder);
    assert.deepEqual(await fs.readdir(path("tmp")), []);
  });

  const damages: Record<string, (folder: string) => Promise<unknown>> = {
    "a changed byte": (folder) => fs.writeFile(join(folder, "a.txt"), "alphA"),
    "a shorter file": (folder) => fs.writeFile(join(folder, "deep", "b.txt"), "bet"),
    "a file deleted": (folder) => fs.rm(join(folder, "a.txt")),
    "a file added": (folder) => fs.writeFile(join(folder, "c.txt"), ""),
    "a link instead of a file": async (folder) => {
      await fs.rename(join(folder, "a.txt"), path("elsewhere"));
      await fs.symlink(path("elsewhere"), join(folder, "a.txt"));
    },
    "no manifest": (folder) => fs.rm(join(folder, "manifest.json")),
    "half a manifest": async (folder) => {
      const text = await fs.readFile(join(folder, "manifest.json"), "utf8");
      await fs.writeFile(join(folder, "manifest.json"), text.slice(0, text.length / 2));
    },
    "a manifest that was made to agree": async (folder) => {
      await fs.writeFile(join(folder, "a.txt"), "omega");
      const text = await fs.readFile(join(folder, "manifest.json"), "utf8");
      const sum = execFileSync("sha256sum", [join(folder, "a.txt")], { encoding: "utf8" }).slice(0, 64);
      await fs.writeFile(join(folder, "manifest.json"), text.replace(/("a.txt": \{\s+"bytes": 5,\s+"sha256": ")[0-9a-f]+/, `$1${sum}`));
    },
    "a manifest of nothing": (folder) => fs.writeFile(join(folder, "manifest.json"), "null"),
    "a file in place of the folder": async (folder) => {
      await fs.rm(folder, { recursive: true });
      await fs.writeFile(folder, "");
    },
  };
  for (const [name, damage] of Object.entries(damages))
    it(`discards a result with ${name}, says so, and makes it again`, async () => {
      const { folder } = await again();
      await damage(folder);
      const mended = await again();
      assert.deepEqual([mended.made, mended.cached], [1, false]);
      assert.deepEqual(
        mended.warnings.map(({ code }) => code),
        ["RLRF_STORE_CORRUPT"],
      );
      assert.match(mended.warnings[0]?.message ?? "", /discarded and made again/);
      assert.deepEqual((await again()).made, 0);
      assert.deepEqual(await fs.readdir(path("tmp")), []);
    });

  it("leaves nothing behind when making fails, and passes the failure on", async () => {
    const store = new Store(path());
    const failure = new Error("mine");
    const failing = store.step(identity, async (folder) => {
      await fill(folder);
      throw failure;
    });
    await assert.rejects(failing, (error) => error === failure);
    assert.deepEqual(await fs.readdir(path("tmp")), []);
    assert.equal((await store.step(identity, fill)).cached, false);
  });

  it("refuses a step that writes the manifest or makes links", async () => {
    const store = new Store(path());
    await assertFails("RLRF_INTERNAL", () => store.step(identity, (folder) => fs.writeFile(join(folder, "manifest.json"), "")));
    await assertFails("RLRF_INTERNAL", () => store.step(identity, (folder) => fs.symlink("/etc/passwd", join(folder, "x"))));
    await assertFails("RLRF_INTERNAL", () => store.step({ ...identity, step: "../x" }, fill), /cannot name a folder/);
  });

  it("deletes temporary folders of dead processes and no others", async () => {
    const { pid } = spawnSync("true");
    const { host, started } = ownProcess;
    const alive = `${process.pid}-${host}-${started}.999`;
    const names = [alive, `${pid}-${host}-${started}.0`, `${process.pid}-${host}-abcdef.0`, `1-0123abcd-0.0`];
    for (const name of names) await fs.mkdir(path("tmp", name, "half"), { recursive: true });
    const old = path("tmp", "2-0123abcd-0.1");
    await fs.mkdir(old);
    await fs.utimes(old, 1, 1);
    await again();
    assert.deepEqual((await fs.readdir(path("tmp"))).sort(), ["1-0123abcd-0.0", alive].sort());
  });

  it("says so when the disk fills up, whoever writes, and keeps what was finished", async () => {
    const finished = await again();
    const store = new Store(path());
    const full = () => Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC", errno: -28, syscall: "write" });
    const other = { ...identity, version: 2 };
    await assertFails("RLRF_DISK_FULL", () => store.step(other, async () => Promise.reject(full())), /free some space/);
    mock.method(fs, "rename", async () => Promise.reject(full()));
    await assertFails("RLRF_DISK_FULL", () => store.step(other, fill));
    mock.restoreAll();
    assert.deepEqual(await fs.readdir(path("tmp")), []);
    assert.equal((await store.step(identity, refuse)).folder, finished.folder);
    assert.equal((await store.step(other, fill)).cached, false);
  });

  it("says so when its folder cannot be made", async () => {
    await fs.writeFile(path("file"), "");
    const store = new Store(path("file", "store"));
    await assertFails("RLRF_FILE_DENIED", () => store.step(identity, fill), /choose another path/);
    await assertFails("RLRF_FILE_DENIED", () => store.exclusively("texts", "key", refuse), /choose another path/);
  });
});
