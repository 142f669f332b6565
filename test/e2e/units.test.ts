/** Runs cut into units of work: the same numbers as in one process, whatever is killed meanwhile. */
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { UnitStates } from "../../framework/executor/unit-states.js";
import { createRng } from "../../framework/rng.js";
import { packageRoot } from "../../framework/setup/paths.js";
import { Lock } from "../../framework/store/lock.js";
import { Store } from "../../framework/store/store.js";
import type { SweepReport } from "../../framework/sweep/report.js";
import { Jobs } from "../../plugins/executors/ray/jobs.js";
import { useRay } from "../support/ray.js";
import { command, numbersOf, runFolderIn, start, startRun } from "../support/run.js";
import { killOne, unitProcesses } from "../support/units.js";

const specIn = (name: string) => join(packageRoot, "test", "e2e", "specs", `${name}.json`);
const folders: string[] = [];
async function newFolder(): Promise<string> {
  const folder = await fs.mkdtemp(join(tmpdir(), "rlrf-units-"));
  folders.push(folder);
  return folder;
}
const storeOf = (folder: string) => join(folder, "store");

async function undisturbed(name: string): Promise<Record<string, string>> {
  const folder = await newFolder();
  const { status, stderr } = await startRun(specIn(name), folder).finished;
  assert.equal(status, 0, stderr);
  return numbersOf(folder);
}

interface Seen {
  readonly counts: Readonly<Record<string, number>>;
  readonly driver: { readonly state: string };
  readonly units: readonly { readonly state: string; readonly lost: readonly string[] }[];
}

/** What `rlrf status` says of the one run in a folder. */
async function statusIn(folder: string): Promise<Seen> {
  const asked = [process.execPath, command, "status", await runFolderIn(folder), "--cache", storeOf(folder), "--json"];
  const { status, stdout, stderr } = await start(asked).finished;
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout) as Seen;
}

/** The executor tells that a unit runs when it looks next. */
async function untilRunning(folder: string): Promise<Seen> {
  for (;;) {
    const seen = await statusIn(folder);
    if ((seen.counts.running ?? 0) > 0) return seen;
  }
}

/** Of eight trials, two at once. */
async function sweepSpec(): Promise<string> {
  const spec = join(await newFolder(), "sweep.json");
  const sweep = {
    axes: { "/reranker/options/learningRate": { values: [0.001, 0.01, 0.02, 0.03] } },
    seeds: { "/seeds": [[1], [2]] },
    maxConcurrent: 2,
  };
  await fs.writeFile(spec, JSON.stringify({ extends: specIn("units"), name: "trials", arms: ["id-only", "metadata"], sweep }));
  return spec;
}

async function waitsIn(driver: ChildProcess): Promise<void> {
  let said = "";
  driver.stderr?.on("data", (chunk: Buffer) => (said += chunk));
  while (!/is computing it; waiting for it/.test(said)) {
    assert.equal(driver.exitCode, null, `it has waited for nobody: ${said}`);
    await sleep(20);
  }
}

describe("a run cut into units of work", function () {
  this.timeout(20 * 60_000);
  after(() => Promise.all(folders.map((folder) => fs.rm(folder, { recursive: true, force: true, maxRetries: 5 }))));

  describe("by processes of this machine", () => {
    it("gives the same result, also when a unit is killed, and says so", async () => {
      const expected = await undisturbed("units");
      const folder = await newFolder();
      const run = startRun(specIn("units"), folder, "--set", "executor.options.processes=2");
      await killOne(storeOf(folder), run.process.pid, () => 0);
      const { status, stderr } = await run.finished;
      assert.equal(status, 0, stderr);
      assert.deepEqual(await numbersOf(folder), expected);
      assert.match(stderr, /attempt 1 was lost \(its process was ended by SIGKILL\); it is begun again/);
      assert.match(stderr, /\d+ units of work, 1 of them begun again/);
      const { counts, units } = await statusIn(folder);
      assert.deepEqual([counts.done, units.length], [4, 4]);
    });

    it("ends when it is cancelled, and goes on from there", async () => {
      const folder = await newFolder();
      const run = startRun(specIn("units"), folder, "--set", "executor.options.processes=2", "--json");
      while (unitProcesses(storeOf(folder), run.process.pid).length === 0) await sleep(20);
      const asked = [process.execPath, command, "cancel", await runFolderIn(folder), "--cache", storeOf(folder), "--json"];
      const cancelled = await start(asked).finished;
      assert.equal(cancelled.status, 0, cancelled.stderr);
      assert.equal((JSON.parse(cancelled.stdout) as { driver: boolean }).driver, true);
      const { status, stdout } = await run.finished;
      assert.equal(status, 1);
      assert.match(stdout, /RLRF_RUN_CANCELLED/);
      assert.deepEqual(unitProcesses(storeOf(folder), undefined), [], "its units ended with it");
      assert.match(await fs.readFile(join(await runFolderIn(folder), "journal.jsonl"), "utf8"), /"status":"KILLED"/, "it has not failed");
      assert.equal((await statusIn(folder)).driver.state, "dead");
      assert.equal((await startRun(specIn("units"), folder).finished).status, 0);
      assert.equal((await statusIn(folder)).driver.state, "done");
    });
  });

  describe("and cancelled", () => {
    const cancel = (run: string, folder: string) =>
      start([process.execPath, command, "cancel", run, "--cache", storeOf(folder), "--json"]).finished;

    it("ends wherever it is, not only while it distributes", async () => {
      const first = await newFolder();
      const processes = ["--set", "executor.options.processes=2"];
      const before = startRun(specIn("units"), first, ...processes);
      const step = "given-tensors"; // what units are given is kept before the first of them is
      const kept = () => fs.readdir(join(storeOf(first), "steps", step)).catch(() => []);
      while ((await kept()).length === 0) await sleep(20);
      before.process.kill("SIGKILL");
      await before.finished;
      const [key] = await kept();
      // The driver of the same run with another store waits for somebody who makes the same, such as this process.
      const folder = await newFolder();
      const lease = await Lock.take(join(storeOf(folder), "leases", `${step}-${key}`));
      assert.ok(lease instanceof Lock);
      const run = startRun(specIn("units"), folder, ...processes, "--json");
      await waitsIn(run.process);
      const { status, stdout, stderr } = await cancel(await runFolderIn(folder), folder);
      assert.equal(status, 0, stderr);
      assert.equal((JSON.parse(stdout) as { driver: boolean }).driver, true);
      const ended = await run.finished;
      await lease.release();
      assert.deepEqual([ended.status, /RLRF_RUN_CANCELLED/.test(ended.stdout)], [1, true]);
    });

    it("ends a sweep with its trials, which its states show", async () => {
      const folder = await newFolder();
      const run = startRun(await sweepSpec(), folder, "--json");
      while (unitProcesses(storeOf(folder), run.process.pid).length === 0) await sleep(20);
      assert.equal((await untilRunning(folder)).units.length, 8);
      const { status, stderr } = await cancel(await runFolderIn(folder), folder);
      assert.equal(status, 0, stderr);
      const ended = await run.finished;
      assert.deepEqual([ended.status, /RLRF_RUN_CANCELLED/.test(ended.stdout)], [1, true]);
      assert.deepEqual(unitProcesses(storeOf(folder), undefined), []);
    });

    it("is told of a driver that does not answer, and leaves it the request", async () => {
      const folder = await newFolder();
      const states = await UnitStates.open(new Store(storeOf(folder)), "busy-1");
      await states.begin({ plugin: "local", version: "1.0.0", options: {} }); // this process, which does not look
      const { status, stdout } = await cancel("busy-1", folder);
      assert.equal(status, 1);
      assert.match(stdout, /RLRF_RUN_SILENT/);
      assert.ok(states.isCancelled);
    });
  });

  describe("by Ray", () => {
    const cluster = useRay();
    let expected: Record<string, string>;
    before(async () => {
      expected = await undisturbed("units");
    });
    const onRay = ["--set", "executor.plugin=ray", "--set", "executor.options.jobs=2"];

    // What goes wrong at a moment that the seed draws, while units are at work.
    const chaos: readonly [
      name: string,
      act: (folder: string, run: ReturnType<typeof startRun>, draw: (below: number) => number) => Promise<unknown>,
    ][] = [
      ["a worker killed", (folder, run, draw) => killOne(storeOf(folder), run.process.pid, draw)],
      [
        "two workers killed",
        async (folder, run, draw) => {
          await killOne(storeOf(folder), run.process.pid, draw);
          await killOne(storeOf(folder), run.process.pid, draw);
        },
      ],
      [
        "a node lost, and another one in its place",
        async (_folder, _run, draw) => {
          const node = draw(2);
          await cluster.killNode(node);
          await cluster.startNode(node);
        },
      ],
      ["the driver killed, and started again", async (_folder, run) => run.process.kill("SIGKILL")],
      ["the head and all nodes started again", () => cluster.restart()],
    ];

    for (const [i, [name, act]] of chaos.entries())
      it(`gives the same result: ${name}`, async () => {
        const rng = createRng("chaos", i + 1);
        const folder = await newFolder();
        const run = startRun(specIn("units"), folder, ...onRay);
        while (unitProcesses(storeOf(folder), run.process.pid).length === 0) await sleep(20);
        await sleep(1500 * rng.uniform());
        await act(folder, run, (below) => rng.below(below));
        let { status, stderr } = await run.finished;
        if (status === null) ({ status, stderr } = await startRun(specIn("units"), folder, ...onRay).finished);
        assert.equal(status, 0, stderr);
        assert.deepEqual(await numbersOf(folder), expected);
        assert.equal((await statusIn(folder)).counts.done, 4);
      });

    it("gives the same result with a language model that is tuned", async () => {
      const alone = await undisturbed("units-tuned");
      const folder = await newFolder();
      const { status, stderr } = await startRun(specIn("units-tuned"), folder, ...onRay).finished;
      assert.equal(status, 0, stderr);
      assert.deepEqual(await numbersOf(folder), alone);
      const made = await fs.readdir(join(storeOf(folder), "steps"));
      for (const step of ["texts", "model-rewards", "tune", "recommender", "scores"]) assert.ok(made.includes(step), step);
    });

    it("stops the jobs that a killed driver left behind when it is cancelled, and no others", async () => {
      const folder = await newFolder();
      const jobs = new Jobs({ address: cluster.address, patience: 60_000 });
      const run = startRun(specIn("units"), folder, ...onRay);
      while (unitProcesses(storeOf(folder), run.process.pid).length === 0) await sleep(20);
      run.process.kill("SIGKILL");
      await run.finished;
      const id = basename(await runFolderIn(folder));
      const others = `rlrf.${id}.01234567.recommender.1`; // the same run of somebody with a store of their own
      await jobs.submit({ name: others, entrypoint: "sleep 600", cpus: 0.1, gpus: 0, memoryBytes: 1, runtime: {} });
      assert.equal((await statusIn(folder)).driver.state, "dead");
      const asked = [process.execPath, command, "cancel", await runFolderIn(folder), "--cache", storeOf(folder), "--json"];
      const { status, stdout, stderr } = await start(asked).finished;
      assert.equal(status, 0, stderr);
      const ended = JSON.parse(stdout) as { driver: boolean; jobs: readonly string[] };
      assert.equal(ended.driver, false);
      assert.ok(ended.jobs.length > 0 && ended.jobs.every((job) => job.startsWith(`rlrf.${id}.`)), ended.jobs.join(" "));
      assert.ok(!ended.jobs.includes(others));
      assert.ok(["PENDING", "RUNNING"].includes((await jobs.status(others))?.status ?? ""));
      await jobs.stop(others);
    });

    it("stops the trials that a killed driver of a sweep left behind when it is cancelled", async () => {
      const folder = await newFolder();
      const run = startRun(await sweepSpec(), folder, ...onRay);
      while (unitProcesses(storeOf(folder), run.process.pid).length === 0) await sleep(20);
      await untilRunning(folder);
      run.process.kill("SIGKILL");
      await run.finished;
      assert.equal((await statusIn(folder)).driver.state, "dead");
      const asked = [process.execPath, command, "cancel", await runFolderIn(folder), "--cache", storeOf(folder), "--json"];
      const { status, stdout, stderr } = await start(asked).finished;
      assert.equal(status, 0, stderr);
      assert.ok((JSON.parse(stdout) as { jobs: readonly string[] }).jobs.length > 0);
      for (const deadline = Date.now() + 60_000; unitProcesses(storeOf(folder), undefined).length > 0 && Date.now() < deadline; )
        await sleep(100);
      assert.deepEqual(unitProcesses(storeOf(folder), undefined), []);
    });

    it("does the trials of a sweep, also with a worker killed", async () => {
      const spec = await sweepSpec();
      const tableOf = async (...options: readonly string[]) => {
        const folder = await newFolder();
        const run = startRun(spec, folder, ...options);
        if (options.length > 0) await killOne(storeOf(folder), run.process.pid, () => 0);
        const { status, stderr } = await run.finished;
        assert.equal(status, 0, stderr);
        return JSON.parse(await fs.readFile(join(await runFolderIn(folder), "sweep.json"), "utf8")) as SweepReport;
      };
      const [here, there] = [await tableOf(), await tableOf(...onRay)];
      assert.equal(here.trials.length, 8);
      const figures = ({ trials }: SweepReport) => trials.map(({ id, state, selection, arms }) => ({ id, state, selection, arms }));
      assert.deepEqual(figures(there), figures(here));
      assert.deepEqual(there.best, here.best);
    });
  });
});
