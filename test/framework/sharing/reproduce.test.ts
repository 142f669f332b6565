import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { RlrfError } from "../../../framework/errors.js";
import { type Project, projectAt } from "../../../framework/sharing/project.js";
import { type Part, reproduce } from "../../../framework/sharing/reproduce.js";
import type { RunLock } from "../../../framework/sharing/run-lock.js";
import { addTrust } from "../../../framework/sharing/trust.js";
import { useEnvironment } from "../../support/environment.js";
import { assertFails } from "../../support/faults.js";
import { useFolder } from "../../support/folder.js";
import { recordedRun } from "../../support/recorded-run.js";

describe("reproducing a run", () => {
  const folder = useFolder();
  useEnvironment(() => ({ RLRF_HOME: folder("home") }));
  let project: Project;
  let files: Map<string, Buffer>;
  beforeEach(async () => {
    const run = await recordedRun(folder());
    const paths = ["spec.json", "lock.json", "packages/team-a-losses-1.0.0.tgz"];
    files = new Map(await Promise.all(paths.map(async (path) => [path, await readFile(join(run.folder, path))] as const)));
    assert.deepEqual(run.artifacts.map((path) => path.slice(run.folder.length + 1)).sort(), paths.slice(1));
    // Another machine: nothing of the maker's is there.
    for (const gone of ["home", "maker", "losses.tgz", "runs"]) await rm(folder(gone), { recursive: true, force: true });
    project = projectAt(folder("own"));
    await mkdir(project.folder);
    await addTrust(project.trust, "@team-a/*");
  });

  const parts = async (asset: (id: string) => Promise<unknown> = async () => "") =>
    (
      await reproduce({
        name: "run",
        place: "runs/run",
        read: async (path) => files.get(path) ?? null,
        project,
        out: folder("again"),
        asset,
      })
    ).parts;
  const notHere = async (...args: Parameters<typeof parts>) => (await parts(...args)).filter(({ state }) => state !== "here");
  const changeLock = (change: (lock: { -readonly [Key in keyof RunLock]: RunLock[Key] }) => void) => {
    const lock = JSON.parse(String(files.get("lock.json"))) as RunLock;
    change(lock);
    files.set("lock.json", Buffer.from(JSON.stringify(lock)));
  };

  it("makes a project of what the run left, with nothing of its maker's", async () => {
    const found = await parts();
    assert.deepEqual(
      found.filter(({ state }) => state !== "here"),
      [],
    );
    const names = (what: Part["what"]) => found.filter((part) => part.what === what).map(({ name }) => name);
    assert.deepEqual(names("package"), ["@team-a/losses 1.0.0"]);
    assert.deepEqual([names("spec"), names("asset")], [["recorded"], ["movielens-100k"]]);
    assert.ok(names("plugin").includes("reranker/prm 1.0.0") && names("plugin").includes("text-encoder/@team-a/losses/lengths 1.0.0"));
    assert.equal(String(await readFile(folder("again", "spec.json"))), String(files.get("spec.json")));
    assert.deepEqual(await notHere(), [], "the same again");
  });

  it("refuses a sweep, and makes no folder of it", async () => {
    const spec = JSON.parse(String(files.get("spec.json")));
    files.set("spec.json", Buffer.from(JSON.stringify({ ...spec, sweep: { parameters: { "loss.options.beta": [0.1, 0.2] } } })));
    await assertFails("RLRF_RUN_UNKNOWN", parts, /is a sweep/);
    assert.equal(existsSync(folder("again")), false);
  });

  it("says of a package why it cannot be had, and goes on", async () => {
    await writeFile(project.trust, JSON.stringify({ trustVersion: 1 }));
    const untrusted = await notHere();
    assert.match(untrusted.find(({ what }) => what === "package")?.why ?? "", /^RLRF_PACKAGE_UNTRUSTED: /);
    await addTrust(project.trust, "@team-a/*");
    await rm(folder("again"), { recursive: true });
    await rm(folder("home"), { recursive: true, force: true });
    files.set("packages/team-a-losses-1.0.0.tgz", Buffer.from("another"));
    assert.match((await notHere()).find(({ what }) => what === "package")?.why ?? "", /^RLRF_FILE_MISSING: /);
    assert.match((await notHere()).find(({ what }) => what === "spec")?.why ?? "", /cannot be resolved here/);
  });

  it("tells what is another than it was", async () => {
    changeLock((lock) => {
      lock.framework = "0.0.9";
      const prm = lock.plugins["reranker/prm"] ?? assert.fail();
      const none = lock.plugins["encoder/none"] ?? assert.fail();
      lock.plugins = {
        ...lock.plugins,
        "reranker/prm": { ...prm, source: "0".repeat(64) },
        "encoder/none": { ...none, version: "0.9.0" },
        "loss/own": { ...none, from: "/home/someone/plugins.json" },
      };
    });
    assert.deepEqual(
      (await notHere()).map(({ what, name, state }) => [what, name, state]),
      [
        ["framework", "rlrf4rec 0.0.9", "differs"],
        ["plugin", "encoder/none 0.9.0", "differs"],
        ["plugin", "reranker/prm 1.0.0", "differs"],
        ["plugin", "loss/own 1.0.0", "missing"],
      ],
    );
  });

  it("tells of assets that cannot be had, and of runs without a record", async () => {
    const failing = async () => {
      throw new RlrfError("RLRF_ASSET_UNAVAILABLE", { message: "no source has it" });
    };
    assert.deepEqual(
      (await notHere(failing)).map(({ name, why }) => [name, why]),
      [["movielens-100k", "RLRF_ASSET_UNAVAILABLE: no source has it"]],
    );
    changeLock((lock) => Object.assign(lock, { plugins: null }));
    await assertFails("RLRF_PACKAGE_LOCK", () => parts(), /the record of this run is damaged/);
    files.delete("lock.json");
    assert.match((await notHere())[0]?.why ?? "", /has no lock\.json/);
    files.set("spec.json", Buffer.from("{"));
    await assertFails("RLRF_JSON", () => parts());
    files.delete("spec.json");
    await assertFails("RLRF_RUN_UNKNOWN", () => parts(), /has no spec\.json/);
  });
});
