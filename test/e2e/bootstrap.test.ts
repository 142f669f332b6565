import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdir, readFile, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { packageRoot } from "../../framework/setup/paths.js";
import { useFolder } from "../support/folder.js";

/** What `npm start` and `npm test` do before anything is compiled, in a small project with a compiler and an npm that only take notes. */
describe("bootstrap", function () {
  this.timeout(30_000);
  const folder = useFolder();
  const at = (path: string) => join(folder(), path);
  const write = async (path: string, content: string) => {
    await mkdir(dirname(at(path)), { recursive: true });
    await writeFile(at(path), content);
  };
  const allNotes = () => readFile(at("notes"), "utf8").then((text) => text.trim().split("\n"), () => []); // biome-ignore format: one line
  /** The report's page is compiled whenever the framework is, and after it. */
  const notes = async () => (await allNotes()).filter((note) => note !== "tsc page");
  const lock = (version: string) =>
    JSON.stringify({ packages: { "": {}, "node_modules/a": { version }, "node_modules/b": { version: "9", optional: true } } });

  beforeEach(async () => {
    for (const file of ["bootstrap.mjs", "start.mjs", "test.mjs"])
      await cp(join(packageRoot, "framework/setup", file), at(`framework/setup/${file}`));
    const note = (what: string) => `require("fs").appendFileSync(${JSON.stringify(at("notes"))}, ${JSON.stringify(`${what}\n`)});`;
    const installed = JSON.stringify(at("node_modules/.package-lock.json"));
    await write("package.json", "{}");
    await write("tsconfig.json", "{}");
    await write("framework/report/page/tsconfig.json", "{}");
    await write("package-lock.json", lock("1"));
    await write("node_modules/.package-lock.json", lock("1"));
    await write("node_modules/typescript/bin/package.json", '{"type": "commonjs"}');
    await write("node_modules/typescript/bin/tsc", `if (process.argv[3].includes("page")) ${note("tsc page")} else ${note("tsc")}`);
    await write("npm.cjs", `${note("npm ci")} require("fs").copyFileSync(${JSON.stringify(at("package-lock.json"))}, ${installed});`);
    await write("framework/a.ts", "");
    await write("dist/framework/setup/engine.js", "export const setUpEngine = async () => ({ how: 'present' });");
    await write("framework/setup/engine.ts", "");
    await write("dist/package.json", '{"type": "module"}');
  });

  async function run(script = "bootstrap.mjs", ...args: string[]) {
    const env = { ...process.env, npm_execpath: at("npm.cjs"), RLRF_ENGINE: "" };
    const child = promisify(execFile)(process.execPath, [at(`framework/setup/${script}`), ...args], { env });
    return child.then(
      ({ stdout, stderr }) => ({ status: 0, stdout, stderr }),
      ({ code, stdout, stderr }) => ({ status: code as number, stdout: stdout as string, stderr: stderr as string }),
    );
  }

  it("compiles once, and again when a source changed, came or went", async () => {
    await run();
    await run();
    assert.deepEqual(await allNotes(), ["tsc", "tsc page"]);
    await utimes(at("framework/a.ts"), 1, 1);
    await run();
    await write("plugins/b.ts", "");
    await run();
    await write("dist/framework/a.js", "");
    await rm(at("framework/a.ts"));
    await run();
    assert.deepEqual(await notes(), ["tsc", "tsc", "tsc", "tsc"]);
    await assert.rejects(readFile(at("dist/framework/a.js")), "what was compiled from a file that is gone is removed");
    await readFile(at("dist/framework/setup/engine.js"));
  });

  it("has a lockfile that npm ci takes on every system: with the packages that this system has no use for", async () => {
    const { packages } = JSON.parse(await readFile(join(packageRoot, "package-lock.json"), "utf8")) as {
      packages: Record<string, { optionalDependencies?: Record<string, string> }>;
    };
    const wanted = Object.values(packages).flatMap(({ optionalDependencies = {} }) => Object.keys(optionalDependencies));
    const missing = wanted.filter((name) => !Object.keys(packages).some((path) => path.endsWith(`node_modules/${name}`)));
    assert.deepEqual(missing, []);
  });

  it("installs packages when they are missing or others than the lockfile's", async () => {
    await rm(at("node_modules/.package-lock.json"));
    await run();
    await run();
    assert.deepEqual(await notes(), ["npm ci", "tsc"]);
    await write("package-lock.json", lock("2"));
    const { stderr } = await run();
    assert.match(stderr, /installing packages/);
    assert.deepEqual(await notes(), ["npm ci", "tsc", "npm ci", "tsc"]);
  });

  it("accepts that optional packages of other systems are absent", async () => {
    await write("node_modules/.package-lock.json", JSON.stringify({ packages: { "node_modules/a": { version: "1" } } }));
    await run();
    assert.deepEqual(await notes(), ["tsc"]);
  });

  it("does all of it once when two begin together, also after one was killed", async () => {
    await write(".rlrf/bootstrap.lock", "999999999");
    await rm(at("node_modules/.package-lock.json"));
    await Promise.all([run(), run()]);
    assert.deepEqual(await notes(), ["npm ci", "tsc"]);
  });

  it("shows what a failing step printed, and stops", async () => {
    await write("node_modules/typescript/bin/tsc", "console.log('a.ts(1,1): error TS1: wrong'); process.exit(2);");
    const { status, stderr } = await run();
    assert.equal(status, 1);
    assert.match(stderr, /TypeScript found errors:\na\.ts\(1,1\): error TS1: wrong/);
  });

  it("goes on without TensorFlow, saying so", async () => {
    await write(
      "dist/framework/setup/engine.js",
      "export const setUpEngine = async () => { throw new Error('RLRF_ENGINE_SETUP: no network'); };",
    );
    const { status, stderr } = await run();
    assert.equal(status, 0);
    assert.match(stderr, /no network[\s\S]*WebAssembly/);
  });

  it("runs the quickstart with further arguments, and passes its status on", async () => {
    await write(
      "dist/framework/cli/main.js",
      "export const main = async (args) => { console.log(JSON.stringify(args)); return 2; }; export const drain = async () => {};",
    );
    await write("framework/cli/main.ts", "");
    const { status, stdout } = await run("start.mjs", "--quiet");
    assert.equal(status, 2);
    assert.deepEqual(JSON.parse(stdout), ["run", join("experiments", "quickstart.json"), "--quiet"]);
  });

  describe("npm test", () => {
    beforeEach(async () => {
      for (const name of ["mocha", "c8"]) await symlink(join(packageRoot, "node_modules", name), at(`node_modules/${name}`));
      await cp(join(packageRoot, "test/support/reporter.cjs"), at("test/support/reporter.cjs"));
      await write("framework/a.ts", "");
      await write("dist/framework/a.js", "export const twice = (x) => 2 * x;\nexport const half = (x) => x / 2;\n");
      for (const name of ["a", "e2e/b"]) await write(`test/${name}.test.ts`, "");
      await write(
        "dist/test/a.test.js",
        `import { twice } from "../framework/a.js"; it("one", () => {}); it("two", () => { if (twice(1) !== 2) throw new Error("no"); });`,
      );
      await write("dist/test/e2e/b.test.js", `it("fails", () => { throw new Error("on purpose"); });`);
    });
    const lastLine = (text: string) => text.trimEnd().split("\n").at(-1);

    it("ends with a line of counts and the right status", async () => {
      const all = await run("test.mjs");
      assert.deepEqual([lastLine(all.stdout), all.status], ["2 passed, 1 failed", 1]);
      assert.match(all.stdout, /Coverage summary/);
      const unit = await run("test.mjs", "--unit");
      assert.deepEqual([lastLine(unit.stdout), unit.status], ["2 passed, 0 failed", 0]);
      const some = await run("test.mjs", "--grep", "one");
      assert.deepEqual([lastLine(some.stdout), some.status], ["1 passed, 0 failed", 0]);
    });

    it("fails when the coverage is too low, when a test is left out, and when nothing starts", async () => {
      await write("dist/test/e2e/b.test.js", `it("three", () => {});`);
      const uncovered = Array.from({ length: 200 }, (_, i) => `  x += ${i};`).join("\n");
      await write("dist/framework/a.js", `export const twice = (x) => 2 * x;\nexport function unused(x) {\n${uncovered}\n  return x;\n}\n`);
      const low = await run("test.mjs");
      assert.deepEqual([lastLine(low.stdout), low.status], ["3 passed, 1 failed", 1]);
      assert.match(low.stdout + low.stderr, /Coverage for lines .* does not meet/);
      await write("dist/test/e2e/b.test.js", `it.skip("three", () => {});`);
      assert.equal((await run("test.mjs", "--grep", "three")).status, 1);
      await write("dist/test/e2e/b.test.js", "import './missing.js';");
      const broken = await run("test.mjs");
      assert.deepEqual([lastLine(broken.stdout), broken.status], ["2 passed, 1 failed", 1]);
      await rm(at("dist/test/a.test.js"));
      const nothing = await run("test.mjs", "--unit");
      assert.deepEqual([lastLine(nothing.stdout), nothing.status], ["0 passed, 1 failed", 1]);
    });
  });
});
