/** Ordinary mistakes with files: nothing of the user's is lost, and what is said leads to the file and to what helps. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { packageRoot } from "../../framework/setup/paths.js";
import { useFolder } from "../support/folder.js";
import { makeRun } from "../support/made-run.js";
import { command, start } from "../support/run.js";

const shipped = join(packageRoot, "experiments", "synthetic-tiny-none-dpo.json");
const folder = useFolder();

async function fails(args: readonly string[], said: RegExp, environment = {}, expected = 2): Promise<void> {
  const { status, stderr } = await start([process.execPath, command, ...args], environment).finished;
  assert.match(stderr, said);
  assert.equal(status, expected, stderr);
}

describe("--out", function () {
  this.timeout(60_000);

  it("overwrites no spec, no data, no file of a run", async () => {
    const path = folder("precious");
    await writeFile(path, '{"user":"1","item":"2"}\n');
    await makeRun(folder("run"), { users: 4 });
    for (const args of [
      ["lists", shipped, "--out", path],
      ["bench", shipped, "--out", path],
      ["report", folder("run"), "--out", path],
      ["report", folder("run"), "--out", folder("run", "result.json")],
    ])
      await fails(args, /^RLRF_USAGE: --out would overwrite a file that is not [\s\S]*where .*(precious|result\.json)[\s\S]*to do/);
    await fails(["lists", shipped, "--out", "/dev/zero"], /^RLRF_USAGE: --out would overwrite what is no file/);
    await fails(["lists", shipped, "--out", folder()], /^RLRF_FILE_DENIED: .*it is a folder/, {}, 1);
    assert.equal(await readFile(path, "utf8"), '{"user":"1","item":"2"}\n');
  });

  it("writes over what the same command wrote, and over an empty file", async () => {
    await makeRun(folder("run"), { users: 4 });
    await writeFile(folder("lists"), "");
    for (let time = 1; time <= 2; time++) {
      const lists = await start([process.execPath, command, "lists", shipped, "--out", folder("lists")]).finished;
      const report = await start([process.execPath, command, "report", folder("run"), "--out", folder("report")]).finished;
      assert.deepEqual([lists.status, report.status], [0, 0], lists.stderr + report.stderr);
    }
  });
});

describe("a run's folder that lacks a file, or has something else in its place", function () {
  this.timeout(60_000);
  const again = "[\\s\\S]*to do .*give its `rlrf run` again";
  beforeEach(async () => {
    for (const name of ["a", "b"]) await makeRun(folder(name), { users: 4, name });
  });
  const reading = (): readonly (readonly string[])[] => [
    ["report", folder("a")],
    ["compare", folder("a"), folder("b")],
    ["promote", folder("a"), "m", "--out", folder("m")],
    ["reproduce", folder("a"), "--out", folder("again")],
  ];

  it("has ended when it is read, whoever reads it", async () => {
    await rm(folder("a", "spec.json"));
    for (const args of reading()) await fails(args, new RegExp(`^RLRF_RUN_UNENDED: .*spec\\.json${again}`));
  });

  it("a folder for a result", async () => {
    await rm(folder("a", "result.json"));
    await mkdir(folder("a", "result.json"));
    const [report = [], , promote = []] = reading();
    for (const args of [report, promote]) await fails(args, new RegExp(`^RLRF_RESULT_FILE: it is a folder${again}`), {}, 1);
  });

  it("a value for a result, a spec that is cut", async () => {
    await writeFile(folder("a", "result.json"), "null");
    await fails(["report", folder("a")], /^RLRF_RESULT_FILE: the result is null\n/, {}, 1);
    await writeFile(folder("a", "spec.json"), "{");
    await fails(["reproduce", folder("a")], /^RLRF_JSON: malformed JSON[\s\S]*where {5}\/.*\/a\/spec\.json:1:2/);
  });
});

describe("what a command cannot heed", function () {
  this.timeout(60_000);

  it("an experiment without a server, a folder of runs that is none", async () => {
    await fails(["compare", "a", "b", "--experiment", "foo"], /^RLRF_USAGE: --experiment is of an MLflow server, and none is named/);
    await writeFile(folder("file"), "");
    await fails(["runs", "--runs", folder("file")], /^RLRF_USAGE: --runs names no folder: /);
    await fails(["runs", "--runs", folder("none")], /^RLRF_USAGE: --runs names nothing that is there: /);
  });

  it("an executor without an address: no engine is started, no run begun", async () => {
    const args = ["run", shipped, "--set", "executor.plugin=ray", "--runs", folder("runs"), "--cache", folder("store")];
    await fails(args, /^RLRF_SPEC_MISSING: executor\.options\.address is null/, { RLRF_RAY_ADDRESS: "" });
    assert.deepEqual([existsSync(folder("runs")), existsSync(folder("store"))], [false, false]);
  });

  it("a server that does not answer, for long: each try is told, and a sync ends with what replays it", async () => {
    await makeRun(folder("run"), { users: 4 });
    const { stderr, status } = await start([process.execPath, command, "sync", folder("run"), "--to", "http://127.0.0.1:1"]).finished;
    assert.match(
      stderr,
      /^(MLflow at .*, try [1-4] of 5: .*ECONNREFUSED.*; again in .* s\n){4}RLRF_TRACK_UNREACHABLE: [\s\S]*nothing is lost/,
    );
    assert.equal(status, 1);
  });
});

describe("files and folders where others are expected", function () {
  this.timeout(60_000);

  it("a folder that cannot be made under RLRF_HOME", async () => {
    await writeFile(folder("file"), "");
    for (const home of [folder("file"), "/proc/none"])
      await fails(["assets", "fetch", "movielens-100k"], /^RLRF_FILE_DENIED: [\s\S]*to do .*set RLRF_HOME/, { RLRF_HOME: home }, 1);
  });

  it("a folder for a file of data", async () => {
    const sets = ["--set", 'dataset={"plugin":"table"}', "--set", `dataset.options={"interactions":"${folder()}","format":"csv"}`];
    await fails(["check", shipped, ...sets], /^RLRF_FILE_MISSING: dataset\.options\.interactions: ".*" is no file/);
    await fails(["lists", shipped, "--out", folder("lists"), ...sets], /^RLRF_DATA_FILE: it is a folder/);
  });

  it("a device for a spec, a spec for a package, something else for a key", async () => {
    await fails(["check", "/dev/zero"], /^RLRF_SPEC_FILE: the spec is too large\n {2}where {5}\/dev\/zero/);
    await fails(["registry", "build", folder("shelf"), shipped], new RegExp(`where {5}.*${basename(shipped)}`));
    await fails(["plugin", "keygen", folder()], /^RLRF_KEY_FILE: the key cannot be written: there is something already/);
    await fails(["plugin", "trust", "@a/*", "--key", "foo"], /^RLRF_USAGE: "foo" is no key/);
    assert.equal((await start([process.execPath, command, "plugin", "keygen", folder("new", "k.pem")]).finished).status, 0);
  });

  it("a spec for rates, a run's name for an id of MLflow", async () => {
    await fails(["plan", shipped, "--rates", shipped], /^RLRF_PLAN_FILE: [\s\S]*: the file has no key "/);
    await fails(["reproduce", "x", "--from", "http://127.0.0.1:1"], /^RLRF_USAGE: "x" is no id of a run in MLflow/);
  });
});
