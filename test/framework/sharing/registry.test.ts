/** Static registries: built, served from a folder and over HTTP, and what is refused of them. */
import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Ajv2020 } from "ajv/dist/2020.js";
import { packageRoot } from "../../../framework/setup/paths.js";
import { buildRegistry } from "../../../framework/sharing/build-registry.js";
import { addPackage, installLocked, updatePackages } from "../../../framework/sharing/install.js";
import { publishPackage } from "../../../framework/sharing/pack.js";
import { projectAt } from "../../../framework/sharing/project.js";
import { readLock } from "../../../framework/sharing/lock.js";
import { createKey } from "../../../framework/sharing/signature.js";
import { byVersion, type RegistryIndex, splitSpec, staticRegistry } from "../../../framework/sharing/static-registry.js";
import { addTrust } from "../../../framework/sharing/trust.js";
import { waitForLock } from "../../../framework/store/with-lock.js";
import { useEnvironment } from "../../support/environment.js";
import { assertFails } from "../../support/faults.js";
import { useFolder } from "../../support/folder.js";
import { lossPackage, type PackageOptions, tarballOf } from "../../support/packages.js";

describe("static registries", () => {
  const folder = useFolder();
  useEnvironment(() => ({ RLRF_HOME: folder("home") }));
  const project = () => projectAt(folder());
  const shelf = (...parts: readonly string[]) => folder("shelf", ...parts);
  const packed = async (options: PackageOptions = {}): Promise<string> => {
    const path = folder(`${options.name?.replace("/", "+") ?? "a"}-${options.version ?? "1.0.0"}-${options.factor ?? 1}.tgz`);
    await writeFile(path, tarballOf(lossPackage(options)));
    return path;
  };
  const build = async (...of: readonly PackageOptions[]): Promise<RegistryIndex> =>
    buildRegistry("shelf", await Promise.all(of.map(packed)), project(), {});
  const add = (spec: string, registry = "shelf") => addPackage(project(), spec, { registry });

  const servers: Server[] = [];
  afterEach(async () => {
    for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
  });
  /** @returns its address; it serves the folder as any web server would */
  async function serve(missing = 404): Promise<string> {
    const serving = createServer((request, response) => {
      readFile(shelf(decodeURIComponent(request.url?.slice(1) ?? ""))).then(
        (data) => response.end(data),
        () => response.writeHead(missing).end("not found"),
      );
    });
    servers.push(serving);
    await new Promise<void>((resolve) => serving.listen(0, "127.0.0.1", () => resolve()));
    return `http://127.0.0.1:${(serving.address() as AddressInfo).port}`;
  }

  it("hold tarballs, an index and a page, and give the highest version of a range", async () => {
    await addTrust(project().trust, "@team-a/*");
    await build({}, { version: "1.2.0" }, { version: "1.10.0" }, { version: "2.0.0", framework: "^9.0.0" });
    assert.deepEqual((await readdir(shelf())).sort(), ["index.html", "index.json", "packages"]);
    assert.equal((await add("@team-a/losses@^1.0")).locked.version, "1.10.0");
    assert.equal((await add("@team-a/losses@1.2.0")).locked.version, "1.2.0");
    await assertFails("RLRF_PACKAGE_FRAMEWORK", () => add("@team-a/losses"), /made for rlrf4rec \^9/);
    await assertFails("RLRF_PACKAGE_UNKNOWN", () => add("@team-a/losses@^3.0"), /1\.0\.0, 1\.2\.0, 1\.10\.0, 2\.0\.0/);
    await assertFails("RLRF_PACKAGE_UNKNOWN", () => add("@team-a/other"), /one of: @team-a\/losses/);
    await build({ version: "1.11.0" });
    await add("@team-a/losses@^1.0");
    await build({ version: "1.12.0" });
    assert.equal((await updatePackages(project(), ["@team-a/losses"]))[0]?.locked.version, "1.12.0");
    assert.equal((await readLock(project().lock)).packages["@team-a/losses"]?.registry, "shelf");
  });

  it("are, as locks and trust files, in the form of their schemas", async () => {
    await addTrust(project().trust, "@team-b/*", { name: "team-b", publicKey: createKey().publicKey });
    await addTrust(project().trust, "@team-a/losses");
    await build({});
    await add("@team-a/losses");
    for (const [name, path] of [
      ["lock", project().lock],
      ["trust", project().trust],
      ["registry-index", shelf("index.json")],
    ] as const) {
      const schema = JSON.parse(await readFile(join(packageRoot, "registry", `${name}.schema.json`), "utf8")) as object;
      const valid = new Ajv2020({ allErrors: true }).compile(schema);
      assert.ok(valid(JSON.parse(await readFile(path, "utf8"))), JSON.stringify(valid.errors));
    }
  });

  it("are served by any web server", async () => {
    await addTrust(project().trust, "@team-a/*");
    await build({});
    const url = await serve();
    const { locked } = await add("@team-a/losses@^1", `${url}/`);
    assert.deepEqual([locked.registry, locked.resolved], [`${url}/`, "@team-a/losses@1.0.0"]);
    await writeFile(shelf("packages", "team-a-losses-1.0.0.tgz"), tarballOf(lossPackage({ factor: 2 })));
    await assertFails("RLRF_PACKAGE_INTEGRITY", () => add("@team-a/losses", url), /not the one that the registry's index names/);
    await assertFails("RLRF_PACKAGE_FETCH", () => add("@team-a/losses", "http://127.0.0.1:1"), /cannot be read/);
    assert.deepEqual(await installLocked(project()), [], "what is here needs no registry");
  });

  it("are told from npm's, private ones too, by the index that they have", async () => {
    for (const status of [301, 302, 401, 403, 404, 405])
      assert.equal(await staticRegistry(await serve(status), folder()), null, `${status}`);
    for (const status of [429, 500])
      await assertFails("RLRF_PACKAGE_FETCH", async () => staticRegistry(await serve(status), folder()), /cannot be read: status/);
  });

  it("may not answer with another package than the one that was asked for", async () => {
    await addTrust(project().trust, "@team-a/*");
    await addTrust(project().trust, "@team-b/*");
    await build({}, { name: "@team-b/losses" });
    const index = await readFile(shelf("index.json"), "utf8");
    const swapped = JSON.parse(index) as { packages: Record<string, unknown> };
    swapped.packages["@team-a/losses"] = swapped.packages["@team-b/losses"];
    await writeFile(shelf("index.json"), JSON.stringify(swapped));
    await assertFails("RLRF_PACKAGE_NAME", () => add("@team-a/losses"), /was asked for, and @team-b\/losses came/);
  });

  it("never replace a version by other contents", async () => {
    await build({});
    await build({});
    await assertFails("RLRF_PACKAGE_INTEGRITY", () => build({ factor: 2 }), /is there already, with other contents/);
  });

  it("hold the packages of the project's lock when none is named", async () => {
    await addTrust(project().trust, "@team-a/*");
    await addPackage(project(), await packed({ version: "1.5.0" }));
    const { packages } = await buildRegistry("shelf", [], project(), {});
    assert.deepEqual(Object.keys(packages["@team-a/losses"] ?? {}), ["1.5.0"]);
  });

  it("are built while no other command of the project is under way: it would sweep their temporary folders away", async () => {
    const lock = await waitForLock(join(project().packages, ".lock"));
    const building = build({});
    await sleep(300);
    assert.deepEqual(await readdir(shelf()), ["packages"]);
    assert.deepEqual(await readdir(project().packages), [".lock"]);
    await lock.release();
    assert.deepEqual(Object.keys((await building).packages), ["@team-a/losses"]);
  });

  it("show what anyone wrote as text", async () => {
    await build({ entry: { summary: '<script>alert("x")</script>', source: "a & b" } });
    const page = await readFile(shelf("index.html"), "utf8");
    assert.ok(!page.includes("<script") && page.includes("&lt;script&gt;alert(&quot;x&quot;)") && page.includes("a &amp; b"));
  });

  it("are refused when their index is broken or leads elsewhere", async () => {
    await build({});
    const index = await readFile(shelf("index.json"), "utf8");
    for (const [change, said] of [
      [(text: string) => text.slice(0, 100), /malformed JSON/],
      [(text: string) => text.replace('"registryVersion": 1', '"registryVersion": 2'), /another form of registry/],
      [(text: string) => text.replace("packages/team", "packages/../../team"), /"tarball" is/],
      [(text: string) => text.replace("packages/team-a", "https://example.org/a"), /"tarball" is/],
    ] as const) {
      await writeFile(shelf("index.json"), change(index));
      await assertFails("RLRF_PACKAGE_FORM", () => add("@team-a/losses"), said);
    }
    await assertFails("RLRF_PACKAGE_FETCH", () => add("@team-a/losses", "nowhere"), /nowhere/);
  });

  it("read names with ranges, and order versions as numbers", () => {
    assert.deepEqual(splitSpec("@team/losses@^1.2"), { name: "@team/losses", range: "^1.2" });
    assert.deepEqual(splitSpec("losses"), { name: "losses", range: "*" });
    assert.deepEqual(["1.10.0", "1.9.0", "2.0.0", "1.0.0-beta.1"].sort(byVersion), ["1.0.0-beta.1", "1.9.0", "1.10.0", "2.0.0"]);
  });

  it("addresses with credentials are refused, and not told", async () => {
    const secret = (host: string) => `https://alice:TOKEN@${host}`;
    const refused = async (act: () => Promise<unknown>) => {
      const { message } = await assertFails("RLRF_USAGE", act, /holds credentials[\s\S]*npm login/);
      assert.doesNotMatch(message, /alice|TOKEN/);
    };
    for (const spec of [secret("host/x.tgz"), "https://TOKEN@host/x.tgz", `git+${secret("host/x.git#v1")}`, "git+ssh://git:TOKEN@host/x"])
      await refused(() => addPackage(project(), spec));
    await refused(() => add("@team-a/losses", secret("127.0.0.1:1")));
    await refused(() => publishPackage(folder(), { registry: secret("127.0.0.1:1") }));
    await assertFails("RLRF_PACKAGE_FETCH", () => addPackage(project(), "git+ssh://git@127.0.0.1:1/x"));
    assert.deepEqual((await readLock(project().lock)).packages, {});
  });

  it("names that would lead npm to the network are no names", async () => {
    for (const spec of ["team/losses", "github:team/losses", "x@npm:y", "x@git+ssh://y", "-g", "", "--registry=x"])
      await assertFails("RLRF_USAGE", () => addPackage(project(), spec));
    await assertFails("RLRF_FILE_MISSING", () => addPackage(project(), "dist/none.tgz"));
  });
});
