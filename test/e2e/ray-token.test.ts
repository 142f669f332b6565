/** A Ray cluster as administrators run it: behind a token, with what units need unpacked by Ray itself. */
import assert from "node:assert/strict";
import fs from "node:fs/promises";
import { join } from "node:path";
import { packageRoot } from "../../framework/setup/paths.js";
import { setEnvironment } from "../support/environment.js";
import { temporaryFolder } from "../support/fixtures.js";
import { RayCluster } from "../support/ray-cluster.js";
import { command, numbersOf, startRun } from "../support/run.js";
import { zipOf } from "../support/zip.js";

const spec = join(packageRoot, "test", "e2e", "specs", "units.json");
const token = "a-token-of-at-least-thirty-two-characters";

describe("a Ray cluster behind a token", function () {
  this.timeout(20 * 60_000); // it may have to be installed
  const cluster = new RayCluster(token);
  let folder: string;
  let putBack = () => {};
  before(async () => {
    folder = await temporaryFolder();
    await cluster.start();
    putBack = setEnvironment({ RLRF_THREADS: "1" }); // nodes of one core
  });
  after(async () => {
    putBack();
    await cluster.stop();
    await fs.rm(folder, { recursive: true, force: true, maxRetries: 5 });
  });

  const onRay = () => ["--set", "executor.plugin=ray", "--set", `executor.options.address=${cluster.address}`];
  const withToken = ["--set", 'executor.options.token={"env":"TOKEN_OF_THE_CLUSTER"}'];

  it("does units in a folder that Ray has unpacked, and gives the same result", async () => {
    const alone = join(folder, "alone");
    assert.equal((await startRun(spec, alone).finished).status, 0);
    // All of a package in one folder, as Ray asks for it; here the package's command notes where it was called and how many threads it had, and
    // calls this checkout's.
    const notes = join(folder, "notes");
    const program = `import { appendFileSync } from "node:fs";
process.on("exit", () => appendFileSync(${JSON.stringify(notes)}, process.cwd() + " " + process.env.TF_NUM_INTRAOP_THREADS + "\\n"));
await import(${JSON.stringify(`file://${command}`)});
`;
    const zip = join(folder, "package.zip");
    await fs.writeFile(zip, zipOf([{ name: "package/rlrf-of-the-zip.mjs", content: program }]));
    const unpacked = [
      ...["--set", `executor.options.workingDirectory=file://${zip}`],
      ...["--set", 'executor.options.program=["node","rlrf-of-the-zip.mjs"]'],
      ...["--set", 'executor.options.environment=["RLRF_HOME"]'], // how many threads a unit has its task says
    ];
    process.env.TOKEN_OF_THE_CLUSTER = token;
    const distributed = join(folder, "distributed");
    const { status, stderr } = await startRun(spec, distributed, ...onRay(), ...withToken, ...unpacked).finished;
    assert.equal(status, 0, stderr);
    assert.deepEqual(await numbersOf(distributed), await numbersOf(alone));
    const places = (await fs.readFile(notes, "utf8")).trim().split("\n");
    assert.equal(places.length, 4);
    for (const place of places) assert.match(place, /runtime_resources\/working_dir_files.* 1$/);
    const written = await fs.readdir(distributed, { recursive: true, withFileTypes: true });
    for (const entry of written.filter((each) => each.isFile()))
      assert.ok(!(await fs.readFile(join(entry.parentPath, entry.name))).includes(token), `${entry.name} holds the token`);
  });

  it("refuses a run without the token, or with another one, by a coded error", async () => {
    for (const [wrong, options] of [
      ["", []],
      ["another-token-of-at-least-thirty-two-characters", withToken],
    ] as const) {
      process.env.TOKEN_OF_THE_CLUSTER = wrong;
      const { status, stderr } = await startRun(spec, join(folder, `refused-${options.length}`), ...onRay(), ...options).finished;
      assert.notEqual(status, 0);
      assert.match(stderr, /RLRF_RAY_REFUSED/);
      assert.doesNotMatch(stderr, /another-token|\n\s+at .*:\d+/);
    }
    delete process.env.TOKEN_OF_THE_CLUSTER;
  });
});
