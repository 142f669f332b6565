import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fs from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type ErrorCode, RlrfError } from "../../../framework/errors.js";
import { type AssetFile, type AssetSource, type Catalogue, readCatalogue } from "../../../framework/setup/asset-catalogue.js";
import { createAssets } from "../../../framework/setup/assets.js";
import { packageRoot } from "../../../framework/setup/paths.js";
import { useEnvironment } from "../../support/environment.js";
import { useFolder } from "../../support/folder.js";
import { wheelOf, zipOf } from "../../support/zip.js";

const sha256 = (data: string | Buffer) => createHash("sha256").update(data).digest("hex");
const coded =
  (code: ErrorCode, pattern = /(?:)/) =>
  (error: unknown) =>
    error instanceof RlrfError && error.code === code && pattern.test(error.message);

describe("assets", () => {
  const folder = useFolder();
  useEnvironment(() => ({ PIP_NO_INDEX: "1", PIP_FIND_LINKS: folder() }));
  let server: Server;
  let base = "";
  let requests: string[] = [];
  let files: Record<string, Buffer | string | number> = {};

  before(async () => {
    server = createServer((request, response) => {
      const name = (request.url ?? "").slice(1);
      requests.push(name);
      const file = files[name] ?? 404;
      if (typeof file === "number") response.writeHead(file).end();
      else response.end(file);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  beforeEach(() => {
    requests = [];
    files = {};
  });

  const file = (path: string, content: string, sources: AssetSource[]): AssetFile => ({
    path,
    bytes: content.length,
    sha256: sha256(content),
    sources,
  });
  const url = (name: string): AssetSource => ({ url: `${base}/${name}` });
  const member = (name: string, archive: Buffer, inside: string): AssetSource => {
    files[name] ??= archive;
    return { url: `${base}/${name}`, sha256: sha256(archive), bytes: archive.length, member: inside };
  };
  const catalogueOf = (...variants: AssetFile[][]): Catalogue => ({
    environments: {},
    assets: {
      thing: {
        summary: "a thing",
        licence: "none",
        home: "https://example.org/",
        variants: variants.map((list, i) => ({ name: `v${i}`, files: list })),
      },
    },
  });
  function open(catalogue: Catalogue) {
    const said: string[] = [];
    const logger = {
      info: (message: string) => void said.push(message),
      warn: (code: string, message: string) => void said.push(`${code} ${message}`),
    };
    const root = join(folder(), "assets");
    return { said, root, store: createAssets({ catalogue, root, logger, patience: 300, pipLimit: 60_000 }) };
  }
  const readAll = async (path: string, ...names: string[]) => Promise.all(names.map((name) => fs.readFile(join(path, name), "utf8")));

  it("fetches the files of an asset, in folders, and says what it has", async () => {
    files = { "a.txt": "first", "b.txt": "second" };
    const { store, root } = open(catalogueOf([file("a.txt", "first", [url("a.txt")]), file("sub/b.txt", "second", [url("b.txt")])]));
    assert.equal((await store.status("thing")).state, "absent");
    const path = await store.folder("thing");
    assert.deepEqual(await readAll(path, "a.txt", "sub/b.txt"), ["first", "second"]);
    assert.deepEqual(await store.status("thing"), { id: "thing", state: "present", folder: path, variant: "v0", damaged: [] });
    assert.deepEqual(await store.list(), [
      { id: "thing", kind: "files", summary: "a thing", licence: "none", home: "https://example.org/", bytes: 11 },
    ]);
    assert.deepEqual(
      (await fs.readdir(root)).filter((name) => name.endsWith(".tmp")),
      [],
    );
  });

  it("asks nobody when the files are there", async () => {
    files = { "a.txt": "first" };
    const catalogue = catalogueOf([file("a.txt", "first", [url("a.txt")])]);
    const path = await open(catalogue).store.folder("thing");
    requests = [];
    const again = open(catalogue).store;
    assert.equal(await again.folder("thing"), path);
    assert.equal(await again.folder("thing"), path);
    assert.deepEqual(requests, []);
  });

  it("tries the next source after a refusal, another content, or silence", async () => {
    files = { broken: 500, wrong: "something else", right: "content" };
    const { store } = open(catalogueOf([file("a", "content", [url("missing"), url("broken"), url("wrong"), url("right")])]));
    assert.deepEqual(await readAll(await store.folder("thing"), "a"), ["content"]);
    assert.deepEqual(requests, ["missing", "broken", "wrong", "right"]);
  });

  it("fetches an archive once for all of its files, and writes those alone", async () => {
    const archive = zipOf([
      { name: "d/a", content: "first" },
      { name: "d/b", content: "second" },
      { name: "../../evil", content: "evil" },
    ]);
    const noHash = { path: "b", bytes: 6, sources: [member("x.zip", archive, "d/b")] };
    const { store, root } = open(catalogueOf([file("a", "first", [member("x.zip", archive, "d/a")]), noHash]));
    const path = await store.folder("thing");
    assert.deepEqual(await readAll(path, "a", "b"), ["first", "second"]);
    assert.deepEqual(requests, ["x.zip"]);
    assert.deepEqual((await fs.readdir(path)).sort(), ["a", "asset.json", "b"]);
    assert.deepEqual(await fs.readdir(join(root, ".downloads")), []);
    // A file whose hash only the archive vouches for is still checked against what was unpacked.
    await fs.writeFile(join(path, "b"), "tamper");
    assert.deepEqual((await open(catalogueOf([file("a", "first", []), noHash])).store.status("thing")).damaged, ["b"]);
  });

  it("stops at an archive that unpacks to more than it should", async () => {
    const archive = zipOf([{ name: "a", content: Buffer.alloc(1_000_000) }]);
    const { store } = open(catalogueOf([{ path: "a", bytes: 100, sources: [member("x.zip", archive, "a")] }]));
    await assert.rejects(store.folder("thing"), coded("RLRF_ASSET_UNAVAILABLE", /more than the 200 allowed/));
  });

  it("takes the next variant when one cannot be had whole, and mixes none", async () => {
    files = { a: "first", c: "other" };
    const { store } = open(
      catalogueOf([file("a", "first", [url("a")]), file("b", "second", [url("b")])], [file("c", "other", [url("c")])]),
    );
    const path = await store.folder("thing");
    assert.deepEqual((await fs.readdir(path)).sort(), ["asset.json", "c"]);
    assert.equal((await store.status("thing")).variant, "v1");
  });

  it("unpacks a wheel that pip fetches", async function () {
    this.timeout(60_000);
    const wheel = wheelOf("rlrf_test_wheel", "1.0", [{ name: "data/a", content: "from the wheel" }]);
    await fs.writeFile(join(folder(), "rlrf_test_wheel-1.0-py3-none-any.whl"), wheel);
    const source = (hash: string) => ({ pip: "rlrf-test-wheel==1.0", sha256: hash, bytes: wheel.length, member: "data/a" });
    const { store } = open(catalogueOf([file("a", "from the wheel", [source(sha256(wheel))])]));
    assert.deepEqual(await readAll(await store.folder("thing"), "a"), ["from the wheel"]);
    await fs.rm(join(folder(), "assets"), { recursive: true });
    const missing = { ...source("1".repeat(64)), pip: "rlrf-no-such-wheel==1.0" };
    const tampered = open(catalogueOf([file("a", "from the wheel", [source("0".repeat(64)), missing])])).store;
    await assert.rejects(tampered.folder("thing"), coded("RLRF_ASSET_UNAVAILABLE", /the wheel has sha256[\s\S]*No matching distribution/));
  });

  it("lists everything that was tried in one error, and can be asked again", async () => {
    files = { wrong: "something else" };
    const { store, root } = open(catalogueOf([file("a", "content", [url("missing"), url("wrong")])], [file("b", "x", [url("broken")])]));
    files.broken = 503;
    await assert.rejects(
      store.folder("thing"),
      coded("RLRF_ASSET_UNAVAILABLE", /missing: it answered 404[\s\S]*wrong: it sent something else[\s\S]*broken: it answered 503/),
    );
    assert.deepEqual(
      (await fs.readdir(root)).filter((name) => !name.startsWith(".") || name.endsWith(".tmp")),
      [],
    );
    files.missing = "content";
    assert.deepEqual(await readAll(await store.folder("thing"), "a"), ["content"]);
  });

  it("fetches a damaged asset again, with a warning", async () => {
    files = { a: "first" };
    const catalogue = catalogueOf([file("a", "first", [url("a")])]);
    const path = await open(catalogue).store.folder("thing");
    await fs.writeFile(join(path, "a"), "fir5t");
    const { store, said } = open(catalogue);
    assert.equal((await store.status("thing")).state, "damaged");
    assert.deepEqual(await readAll(await store.folder("thing"), "a"), ["first"]);
    assert.ok(said.some((line) => line.startsWith("RLRF_ASSET_DAMAGED thing: a")));
    await fs.writeFile(join(path, "asset.json"), "{");
    assert.equal((await store.status("thing")).state, "absent");
  });

  it("fetches once when two ask at the same time", async () => {
    files = { a: "first" };
    const catalogue = catalogueOf([file("a", "first", [url("a")])]);
    const paths = await Promise.all([open(catalogue).store.folder("thing"), open(catalogue).store.folder("thing")]);
    assert.equal(paths[0], paths[1]);
    assert.deepEqual(requests, ["a"]);
  });

  it("has an identity that follows the contents", async () => {
    files = { a: "first", b: "other" };
    const one = await open(catalogueOf([file("a", "first", [url("a")])])).store.identity("thing");
    assert.match(one, /^[0-9a-f]{64}$/);
    await fs.rm(join(folder(), "assets"), { recursive: true });
    assert.notEqual(await open(catalogueOf([file("b", "other", [url("b")])])).store.identity("thing"), one);
  });

  it("stops at a full disk instead of trying other sources", async () => {
    files = { a: "first" };
    const { store } = open(catalogueOf([file("a", "first", [url("a"), url("a")])]));
    const original = fs.rename;
    fs.rename = ((from: string, to: string) =>
      to.includes(".downloads")
        ? Promise.reject(Object.assign(new Error("full"), { code: "ENOSPC" }))
        : original(from, to)) as typeof fs.rename;
    try {
      await assert.rejects(store.folder("thing"), coded("RLRF_DISK_FULL"));
    } finally {
      fs.rename = original;
    }
    assert.deepEqual(requests, ["a"]);
  });

  it("names the nearest asset", async () => {
    const { store } = open(catalogueOf([file("a", "first", [])]));
    await assert.rejects(store.folder("think"), coded("RLRF_ASSET_UNKNOWN", /one of thing[\s\S]*did you mean "thing"/));
    await assert.rejects(store.folder("constructor"), coded("RLRF_ASSET_UNKNOWN"));
  });

  describe("registry/assets.json", () => {
    it("follows its schema, and every file can be verified", async () => {
      const { assets } = await readCatalogue();
      const movieLens = ["100k", "1m", "10m", "20m", "25m", "32m"].map((size) => `movielens-${size}`);
      for (const id of [...movieLens, "all-minilm-l6-v2", "smollm2-135m-instruct"]) assert.ok(Object.hasOwn(assets, id), id);
    });

    it("is rejected with the place of each fault", async () => {
      const text = await fs.readFile(join(packageRoot, "registry", "assets.json"), "utf8");
      await fs.copyFile(join(packageRoot, "registry", "assets.schema.json"), join(folder(), "assets.schema.json"));
      const write = (change: (catalogue: { assets: Record<string, { variants: { files: Record<string, unknown>[] }[] }> }) => void) => {
        const catalogue = JSON.parse(text);
        change(catalogue);
        return fs.writeFile(join(folder(), "assets.json"), JSON.stringify(catalogue));
      };
      const first = (catalogue: { assets: Record<string, { variants: { files: Record<string, unknown>[] }[] }> }) =>
        catalogue.assets["smollm2-135m-instruct"]?.variants[0]?.files[0] ?? {};
      for (const path of ["../../evil", "/etc/passwd", "a\\b"]) {
        await write((catalogue) => (first(catalogue).path = path));
        await assert.rejects(readCatalogue(folder()), coded("RLRF_ASSET_CATALOGUE", /smollm2-135m-instruct\/variants\/0\/files\/0\/path/));
      }
      await write((catalogue) => delete first(catalogue).sha256);
      await assert.rejects(readCatalogue(folder()), coded("RLRF_ASSET_CATALOGUE", /needs a sha256/));
    });
  });
});
