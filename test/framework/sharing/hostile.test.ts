/** 100,000 mutated specs, manifests and locks: each is taken, or refused with a coded error and status 2; nothing is half done. */
import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { gunzipSync, gzipSync } from "node:zlib";
import { describeText } from "../../../framework/cli/describe.js";
import { RlrfError } from "../../../framework/errors.js";
import { parseManifest } from "../../../framework/kernel/manifest-file.js";
import type { Rng } from "../../../framework/contracts/plugin.js";
import { createRng } from "../../../framework/rng.js";
import { addPackage, installLocked, removePackage } from "../../../framework/sharing/install.js";
import { installedPackages } from "../../../framework/sharing/installed.js";
import { parseLock } from "../../../framework/sharing/lock.js";
import { projectAt } from "../../../framework/sharing/project.js";
import { readTarball } from "../../../framework/sharing/tar.js";
import { readTrust } from "../../../framework/sharing/trust.js";
import { treeOf } from "../../../framework/sharing/tree.js";
import type { Json } from "../../../framework/spec/json.js";
import { strictSchema } from "../../../framework/spec/options.js";
import { specFromText } from "../../../framework/spec/read.js";
import { resolveSpec } from "../../../framework/spec/resolve.js";
import { compileSchema } from "../../../framework/spec/validate.js";
import { useEnvironment } from "../../support/environment.js";
import { fixtureManifest, fixtureRegistry, tunedSpec } from "../../support/fixtures.js";
import { useFolder } from "../../support/folder.js";
import { lossPackage, tarballOf } from "../../support/packages.js";

const slowest = 5_000; // ms: what takes longer than this hangs

/** What stands where something else should. */
const odd: readonly (() => Json)[] = [
  ...[null, true, 0, -1, 1e308, 0.5, "", "x", "../../x", "/etc/passwd", "\u0000", "𝕏", "9".repeat(400)].map((value) => () => value),
  ...["dpo", "@fixture/margin", "loss", "^1.0", "sha512-x", "http://127.0.0.1:1/x", "file:..", "[a-z", "#/nowhere"].map(
    (value) => () => value,
  ),
  () => [],
  () => ({}),
  () => [[[]]],
  () => ({ plugin: 1 }),
  () => ({ type: "nummer" }),
  () => ({ type: "object", properties: [] }),
  () => ({ $ref: "#/nowhere" }),
  () => ({ plugin: "@fixture/first", options: null }),
  () => JSON.parse(`${"[".repeat(80)}${"]".repeat(80)}`) as Json,
];
const keys = [
  "plugin",
  "version",
  "options",
  "x",
  "",
  "a/b",
  "~",
  "type",
  "$ref",
  "pattern",
  "enum",
  "default",
  "properties",
  "toString",
  "plugins",
];

/** One to three changes: a value replaced, a key added, renamed or left out, an item doubled. */
function mutated(value: Json, rng: Rng): Json {
  let result = value;
  for (let i = 1 + rng.below(3); i > 0; i--) result = change(result, rng);
  return result;
}

function change(value: Json, rng: Rng): Json {
  if (typeof value !== "object" || value === null || rng.below(6) === 0) return pick(odd, rng)();
  if (Array.isArray(value)) {
    const at = rng.below(value.length + 1);
    if (at === value.length) return [...value, pick(odd, rng)()];
    if (rng.below(8) === 0) return [...value, value[at] as Json];
    return value.map((item, i) => (i === at ? change(item, rng) : item));
  }
  const own = Object.keys(value);
  const key = rng.below(5) === 0 || own.length === 0 ? pick(keys, rng) : pick(own, rng);
  const { [key]: old = null, ...rest } = value;
  switch (rng.below(8)) {
    case 0:
      return rest;
    case 1:
      return { ...rest, [pick(keys, rng)]: old };
    default:
      return { ...value, [key]: change(old, rng) };
  }
}

/** Of the text rather than of what it says. */
function garbled(text: string, rng: Rng): string {
  const at = rng.below(text.length);
  switch (rng.below(4)) {
    case 0:
      return text.slice(0, at);
    case 1:
      return text.slice(0, at) + pick(['"', "{", "}", ",", ":", "\\", "\n", "__proto__", "\u0000", "-", "e9"], rng) + text.slice(at);
    case 2:
      return text.slice(0, at) + text.slice(at + 1 + rng.below(20));
    default:
      return text.slice(0, at) + text.slice(rng.below(text.length));
  }
}

function pick<Item>(items: readonly Item[], rng: Rng): Item {
  return items[rng.below(items.length)] as Item;
}

interface Tally {
  taken: number;
  refused: number;
}

async function each(count: number, name: string, whole: Json, use: (text: string) => unknown): Promise<Tally> {
  const rng = createRng("hostile", name);
  const text = JSON.stringify(whole);
  const tally = { taken: 0, refused: 0 };
  for (let i = 0; i < count; i++) {
    const bad = rng.below(5) === 0 ? garbled(text, rng) : JSON.stringify(mutated(whole, rng));
    const begun = performance.now();
    try {
      const pending = use(bad);
      if (pending instanceof Promise) await pending;
      tally.taken++;
    } catch (error) {
      assert.ok(error instanceof RlrfError, `${bad}\n${(error as Error).stack}`);
      assert.equal(error.exit, 2, `${bad}\n${error.message}`);
      assert.ok(error.message.length < 20_000, "a message, not a dump");
      tally.refused++;
    }
    assert.ok(performance.now() - begun < slowest, `it took too long: ${bad}`);
  }
  return tally;
}

describe("100,000 mutations", function () {
  this.timeout(180_000);
  const folder = useFolder();
  useEnvironment(() => ({ RLRF_HOME: folder("home") }));

  it("of specs (40,000)", async () => {
    const registry = await fixtureRegistry();
    const spec = { ...tunedSpec(), protocol: { window: 3, split: [0.8, 0.1, 0.1], metrics: ["ndcg@5"] }, tracking: { uri: null } };
    const { taken, refused } = await each(40_000, "spec", spec as Json, (text) => resolveSpec(specFromText(text, "spec.json"), registry));
    assert.ok(taken > 500 && refused > 20_000, `${taken} taken, ${refused} refused`);
  });

  it("of manifests (30,000), up to the text of `rlrf describe`", async () => {
    const manifest = JSON.parse(await readFile(await fixtureManifest(), "utf8")) as { plugins: { name: string }[] };
    const wanted = ["@fixture/margin", "@fixture/doubled", "@fixture/ends", "@fixture/echo"];
    const plugins = manifest.plugins.filter(({ name }) => wanted.includes(name));
    const compiled = new Set<string>();
    const { taken, refused } = await each(30_000, "manifest", { plugins } as unknown as Json, async (text) => {
      for (const entry of parseManifest(text, "/package/plugins.json")) {
        // Compiling is what takes long, and most of a mutated manifest's schemas are the old ones.
        const schema = JSON.stringify(entry.options);
        if (!compiled.has(schema)) compileSchema(strictSchema(entry), entry.name);
        compiled.add(schema);
        await describeText(entry);
      }
    });
    assert.ok(taken > 500 && refused > 10_000, `${taken} taken, ${refused} refused`);
  });

  it("of locks (30,000), and of trust files, in memory", async () => {
    const project = projectAt(folder("project"));
    await mkdir(project.folder);
    await writeFile(folder("a.tgz"), tarballOf(lossPackage()));
    await addPackage(project, folder("a.tgz"), { trust: true });
    const lock = JSON.parse(await readFile(project.lock, "utf8")) as Json;
    const { refused } = await each(29_000, "lock", lock, (text) => parseLock(text, "lock.json"));
    assert.ok(refused > 15_000, `${refused} refused`);
    const trust = { trustVersion: 1, keys: { a: `ed25519:${"A".repeat(43)}=` }, packages: { "@a/*": { signedBy: ["a"] }, b: {} } };
    const path = folder("trust.json");
    await each(1000, "trust", trust, async (text) => {
      await writeFile(path, text);
      await readTrust(path);
    });
  });

  it("of archives (1,000 besides), in the tar and in the gzip", async () => {
    const sound = gunzipSync(tarballOf(lossPackage()));
    const rng = createRng("hostile", "archive");
    let refused = 0;
    for (let i = 0; i < 1000; i++) {
      const bytes = Buffer.from(sound);
      // Headers decide most, and are few: half of the changes are in the first.
      for (let n = 1 + rng.below(4); n > 0; n--) bytes[rng.below(rng.below(2) === 0 ? 512 : bytes.length)] = rng.below(256);
      const archive = gzipSync(bytes, { level: 1 });
      if (rng.below(10) === 0) archive[rng.below(archive.length)] = rng.below(256);
      try {
        readTarball(archive, "a.tgz");
      } catch (error) {
        assert.ok(error instanceof RlrfError && error.exit === 2, (error as Error).stack);
        refused++;
      }
    }
    assert.ok(refused > 300, `${refused} refused`);
  });

  it("and what is done with a broken lock is done whole, or not at all", async () => {
    const project = projectAt(folder("project"));
    await mkdir(project.folder);
    await writeFile(folder("a.tgz"), tarballOf(lossPackage()));
    await writeFile(folder("b.tgz"), tarballOf(lossPackage({ name: "@team-b/losses" })));
    await addPackage(project, folder("a.tgz"), { trust: true });
    const lock = JSON.parse(await readFile(project.lock, "utf8")) as Json;
    const packages = async () => [...(await treeOf(project.packages))].filter(([name]) => !name.startsWith(".lock/")).sort();
    const before = await packages();
    await each(150, "project", lock, async (text) => {
      await writeFile(project.lock, text);
      const act = pick(
        [() => addPackage(project, folder("b.tgz")), () => installLocked(project), () => removePackage(project, "x")],
        createRng(text),
      );
      try {
        await act();
      } catch (error) {
        assert.equal(await readFile(project.lock, "utf8"), text, "the lock is as it was");
        assert.deepEqual(await packages(), before, "and so are the packages");
        if (error instanceof RlrfError && ["RLRF_FILE_MISSING", "RLRF_PACKAGE_FETCH"].includes(error.code)) return; // it names what is not there
        throw error;
      }
      const { entries, unusable } = await installedPackages(project);
      assert.ok(entries.length + unusable.size > 0 || text.includes('"packages":{}'), text);
    });
  });
});
