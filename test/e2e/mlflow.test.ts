import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import fs from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { reportName, writeReport } from "../../framework/report/write.js";
import { createRng } from "../../framework/rng.js";
import { packageRoot } from "../../framework/setup/paths.js";
import { writeJson } from "../../framework/store/files.js";
import { manifestName } from "../../framework/track/artifacts.js";
import type { JournalEvent } from "../../framework/track/events.js";
import { follow } from "../../framework/track/follow.js";
import { MlflowClient } from "../../framework/track/mlflow.js";
import { mlflowKey } from "../../framework/track/names.js";
import { Sync, type SyncReport } from "../../framework/track/sync.js";
import { startTracking } from "../../framework/track/tracking.js";
import { openTracker, type Tracker } from "../../framework/track/tracker.js";
import { useBrowser } from "../support/browser.js";
import { assertFails, createListener } from "../support/faults.js";
import { useFaultyProxies } from "../support/faulty-proxy.js";
import { useFolder } from "../support/folder.js";
import { makeRun as makeReportedRun } from "../support/made-run.js";
import { type ReadRun, useMlflow } from "../support/mlflow.js";
import { recordedRun } from "../support/recorded-run.js";
import { command, start } from "../support/run.js";

describe("track, with a real MLflow server", function () {
  this.timeout(120_000);
  const server = useMlflow();
  const path = useFolder();
  const browser = useBrowser();
  const openProxy = useFaultyProxies();
  const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
  const events = (folder: string) =>
    fs
      .readFileSync(join(folder, "journal.jsonl"), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as JournalEvent);

  /** A run as the method tells it: params, an iteration with steps, seeds, artifacts. */
  function tellRun(tracker: Tracker, folder: string, steps = 20): void {
    tracker.params({ loss: { plugin: "dpo", options: { beta: 0.01 } }, seeds: [1, 2], uri: null, prompt: "x".repeat(7_000), empty: "" });
    tracker.tags({ engine: "tensorflow", "rlrf.specHash": "abc" });
    const iteration = tracker.child("iteration-1", "iteration");
    for (let step = 0; step < steps; step++) iteration.metrics({ loss: 1 / (step + 1), margin: step - 3.5 }, step);
    iteration.metrics({ odd: Number.NaN, high: Number.POSITIVE_INFINITY, low: Number.NEGATIVE_INFINITY, zero: 0 }, 1);
    for (const seed of [1, 2]) {
      const child = tracker.child(`seed-${seed}`, "seed");
      child.metrics({ "llm-1/ndcg@5": 0.7 + seed / 100, "p<0.01": 1 });
      child.finish("FINISHED");
    }
    fs.mkdirSync(join(folder, "adapters", "1"), { recursive: true });
    fs.writeFileSync(join(folder, "adapters", "1", "adapter.safetensors"), new Uint8Array(300_000).fill(7));
    fs.writeFileSync(join(folder, "adapters", "1", "note é%.txt"), "odd name");
    fs.writeFileSync(join(folder, "empty.jsonl"), "");
    fs.writeFileSync(join(folder, "spec.json"), "{}");
    iteration.artifact("adapters/1");
    iteration.finish("FINISHED");
    for (const name of ["spec.json", "empty.jsonl"]) tracker.artifact(name);
  }

  function makeRun(experiment: string, steps?: number): string {
    const folder = path("runs", experiment);
    const { tracker, journal } = openTracker(folder, { name: "quick", experiment });
    tellRun(tracker, folder, steps);
    tracker.finish("FINISHED");
    journal.close();
    return folder;
  }

  async function sync(folder: string, uri = server.uri, listener = createListener(), tries = 5): Promise<SyncReport> {
    const client = new MlflowClient(uri, { attempts: tries, backoff: 5, timeout: 10_000 });
    const open = await Sync.open(folder, client, listener);
    try {
      return await open.pass();
    } finally {
      await open.close();
      client.close();
    }
  }

  /** What the journal says, in the form in which MLflow's client gives it. */
  function assertSame(read: readonly ReadRun[], folder: string): void {
    const all = events(folder);
    const keys = [...new Set(all.map(({ key }) => key))].sort();
    assert.deepEqual(read.map(({ tags }) => tags["rlrf.key"]).sort(), keys);
    const byKey = new Map(read.map((run) => [run.tags["rlrf.key"], run]));
    for (const key of keys) {
      const run = byKey.get(key) as ReadRun;
      const own = all.filter((event) => event.key === key);
      const start = own.find((event) => event.event === "run");
      assert.deepEqual([run.name, run.start, run.tags["rlrf.kind"]], [start?.name, start?.time, start?.kind]);
      assert.equal(run.tags["mlflow.parentRunId"], start?.parent ? byKey.get(start.parent)?.id : undefined);
      const expected: Record<string, string[]> = {};
      const points = (name: string): string[] => {
        expected[name] ??= [];
        return expected[name];
      };
      for (const event of own)
        if (event.event === "metrics")
          for (const [name, value] of Object.entries(event.metrics))
            points(mlflowKey(name)).push(JSON.stringify([event.step, event.time, inMlflow(Number(value))]));
      const found = Object.entries(run.metrics).map(([name, history]) => [
        name,
        history.map(([step, time, value]) => JSON.stringify([step, time, inMlflow(value === "nan" ? Number.NaN : Number(value))])).sort(),
      ]);
      assert.deepEqual(Object.fromEntries(found), Object.fromEntries(Object.entries(expected).map(([name, told]) => [name, told.sort()])));
      const files = Object.entries(run.artifacts).filter(([name]) => name !== manifestName);
      for (const [name, sum] of files) assert.equal(sum, sha256(fs.readFileSync(join(folder, name))), name);
    }
  }
  /** As a text: MLflow keeps infinities as the largest doubles. */
  const inMlflow = (value: number): string =>
    String(Math.abs(value) === Number.POSITIVE_INFINITY ? Math.sign(value) * Number.MAX_VALUE : value);

  it("is read back by MLflow's own client as it was told, and the second and third time nothing changes", async () => {
    const folder = makeRun("told", 2_500);
    const first = await sync(folder);
    const read = await server.read("told");
    assertSame(read, folder);
    const [root, iteration, seed] = read as [ReadRun, ReadRun, ReadRun];
    assert.equal(first.runId, root.id);
    assert.deepEqual(first.runs, { created: 4, found: 0 });
    assert.deepEqual(first.refused, []);
    const { prompt, ...params } = root.params;
    assert.deepEqual(params, { "loss.plugin": "dpo", "loss.options.beta": "0.01", seeds: "[1,2]", uri: "null", empty: "" });
    assert.match(prompt ?? "", /^x{5900,}… \(7000 characters, sha256 [0-9a-f]{16}\)$/);
    assert.equal(root.tags.engine, "tensorflow");
    assert.deepEqual(Object.keys(root.artifacts).sort(), ["empty.jsonl", manifestName, "spec.json"].sort());
    assert.deepEqual(Object.keys(iteration.artifacts).sort(), ["adapters/1/adapter.safetensors", "adapters/1/note é%.txt", manifestName]);
    assert.equal(iteration.metrics.loss?.length, 2_500);
    assert.equal(iteration.metrics.odd?.[0]?.[2], "nan");
    assert.deepEqual(Object.keys(seed.metrics).sort(), ["llm-1/ndcg_at_5", mlflowKey("p<0.01")]);
    const finish = events(folder).at(-1);
    assert.deepEqual([root.status, root.end], ["FINISHED", finish?.time]);
    for (let again = 0; again < 2; again++) {
      const report = await sync(folder);
      assert.deepEqual(
        [report.runs, report.artifacts],
        [
          { created: 0, found: 4 },
          { uploaded: 0, unchanged: 4, missing: 0 },
        ],
      );
      assert.deepEqual(await server.read("told"), read);
    }
  });

  it("adds what a resumed run tells, uploads a changed file again, and keeps a param that changed as a tag", async () => {
    const folder = makeRun("resumed");
    await sync(folder);
    const { tracker, journal } = openTracker(folder, { name: "quick", experiment: "resumed" });
    tellRun(tracker, folder);
    tracker.params({ loss: { plugin: "ipo" } });
    tracker.child("iteration-2", "iteration").metrics({ loss: 5 }, 0);
    fs.writeFileSync(join(folder, "spec.json"), "[]"); // as long as before
    tracker.artifact("spec.json");
    journal.close();
    const report = await sync(folder);
    assert.deepEqual(report.runs, { created: 1, found: 4 });
    assert.equal(report.artifacts.uploaded, 1);
    const read = await server.read("resumed");
    assertSame(read, folder);
    assert.deepEqual(
      [read[0]?.params["loss.plugin"], read[0]?.tags["rlrf.changed.loss.plugin"], read[0]?.status],
      ["dpo", "ipo", "RUNNING"],
    );
  });

  it("has no doubles and no gaps when every request may go wrong, before or after it took effect", async () => {
    const folder = makeRun("faulty", 3_000);
    const proxy = await openProxy(server.uri);
    const rng = createRng("faults", 5);
    let faults = 0;
    proxy.fault = () => {
      const draw = rng.uniform();
      if (draw < 0.6) return "pass";
      faults++;
      return draw < 0.75 ? "drop" : draw < 0.95 ? "drop-answer" : { status: 503 };
    };
    let failures = 0;
    for (;;) {
      // Each try is a new process's view: it knows nothing of the ones before.
      const done = await sync(folder, proxy.uri, createListener(), 1).catch((error: Error) => error);
      if (!(done instanceof Error)) break;
      assert.match(done.message, /^RLRF_TRACK_UNREACHABLE/);
      if (failures++ === 40) proxy.fault = () => "pass";
    }
    await proxy.down();
    assert.ok(faults > 5 && failures > 2, `${faults} faults, ${failures} failed passes`);
    assertSame(await server.read("faulty"), folder);
  });

  it("survives kill -9 of `rlrf sync` at any request", async () => {
    const folder = makeRun("killed", 3_000);
    const proxy = await openProxy(server.uri);
    const cli = join(packageRoot, "framework", "cli", "rlrf.mjs");
    for (const last of [3, 6, 9, 13]) {
      const child = spawn(process.execPath, [cli, "sync", folder, "--to", proxy.uri], { stdio: "ignore" });
      const before = proxy.seen.length;
      proxy.fault = () => {
        if (proxy.seen.length - before < last) return "pass";
        child.kill("SIGKILL");
        return "drop-answer";
      };
      await once(child, "close");
      assert.equal(child.signalCode, "SIGKILL");
    }
    await proxy.down();
    const report = await sync(folder);
    assert.deepEqual([report.runs.created + report.runs.found, report.refused], [4, []]);
    assertSame(await server.read("killed"), folder);
  });

  it("logs everything but what MLflow refuses, and names that", async () => {
    const folder = path("runs", "refused");
    const { tracker, journal } = openTracker(folder, { name: "quick", experiment: "refused" });
    for (let step = 0; step < 50; step++) tracker.metrics({ good: step }, step);
    // Our own events cannot be wrong in a way that MLflow sees, so a hand has to write one.
    fs.appendFileSync(
      join(folder, "journal.jsonl"),
      `${JSON.stringify({ event: "metrics", key: journal.key, time: -5, step: 0, metrics: { early: 1 } })}\n`,
    );
    for (let step = 50; step < 100; step++) tracker.metrics({ good: step }, step);
    for (const name of ["a#b.txt", "c.txt"]) {
      fs.writeFileSync(join(folder, name), name);
      tracker.artifact(name);
    }
    journal.close();
    const report = await sync(folder);
    assert.deepEqual(
      report.refused.map(({ kind, name }) => [kind, name]),
      [
        ["metrics", "early"],
        ["artifacts", "a#b.txt"],
      ],
    );
    const [root] = await server.read("refused");
    assert.deepEqual(Object.keys(root?.metrics ?? {}), ["good"]);
    assert.equal(root?.metrics.good?.length, 100);
    assert.deepEqual(Object.keys(root?.artifacts ?? {}), ["c.txt", manifestName]);
  });

  it("makes a run anew that was deleted on the server, also while it is being followed", async () => {
    const folder = makeRun("deleted");
    const client = new MlflowClient(server.uri);
    const open = await Sync.open(folder, client, createListener());
    const { runId } = await open.pass();
    await client.deleteRun(runId as string);
    const { tracker, journal } = openTracker(folder, { name: "quick", experiment: "deleted" });
    tracker.metrics({ late: 1 }, 1);
    journal.close();
    const again = await open.pass();
    assert.notEqual(again.runId, runId);
    await open.close();
    client.close();
    assertSame(
      (await server.read("deleted")).filter(({ id }) => id !== runId),
      folder,
    );
  });

  it("deletes an empty double of a run, as a lost answer may leave one, but no run that has something", async () => {
    const folder = makeRun("doubled");
    await sync(folder);
    const read = await server.read("doubled");
    const key = read[0]?.tags["rlrf.key"] ?? "";
    const client = new MlflowClient(server.uri);
    const experiment = await client.experiment("doubled");
    const tags = ["rlrf.key", "rlrf.root"].map((name) => ({ key: name, value: key }));
    const create = () => client.createRun({ experiment_id: experiment, run_name: "double", start_time: Date.now(), tags });
    await create();
    const used = (await create()).info.run_id;
    await client.logBatch(used, { metrics: [{ key: "mine", value: 1, timestamp: 1, step: 0 }], params: [], tags: [] });
    client.close();
    await sync(folder);
    assert.deepEqual((await server.read("doubled")).map(({ id }) => id).sort(), [...read.map(({ id }) => id), used].sort());
  });

  it("says what to do when the experiment was deleted there", async () => {
    const client = new MlflowClient(server.uri);
    const id = await client.experiment("gone");
    await fetch(`${server.uri}/api/2.0/mlflow/experiments/delete`, {
      method: "POST",
      body: JSON.stringify({ experiment_id: id }),
      headers: { "content-type": "application/json" },
    });
    const folder = makeRun("gone");
    await assertFails("RLRF_TRACK_EXPERIMENT", () => sync(folder), /experiments restore -x/);
    client.close();
  });

  it("is sent by one at a time", async () => {
    const folder = makeRun("one");
    const client = new MlflowClient(server.uri);
    const open = await Sync.open(folder, client, createListener());
    await assertFails("RLRF_RUN_BUSY", () => sync(folder), /followed live/);
    await open.close();
    client.close();
  });

  it("gives back all that a run is reproduced from, its package's tarball included", async () => {
    const home = process.env.RLRF_HOME;
    process.env.RLRF_HOME = path("home");
    try {
      const run = await recordedRun(path());
      const { tracker, journal } = openTracker(run.folder, { name: "recorded", experiment: "reproduced" });
      for (const artifact of [join(run.folder, "spec.json"), ...run.artifacts]) tracker.artifact(artifact);
      tracker.finish("FINISHED");
      journal.close();
      const client = new MlflowClient(server.uri);
      const sync = await Sync.open(run.folder, client, createListener());
      const { runId } = await sync.pass();
      await sync.close();
      client.close();
      for (const gone of ["home", "maker", "losses.tgz", "runs"]) fs.rmSync(path(gone), { recursive: true, force: true });
      fs.mkdirSync(path("own", "registry"), { recursive: true });
      await writeJson(path("own", "registry", "trust.json"), { trustVersion: 1, packages: { "@team-a/*": {} } });
      const reproduce = (id: string) =>
        start([
          "bash",
          "-c",
          'cd "$0" && exec "$@"',
          path("own"),
          process.execPath,
          command,
          "reproduce",
          id,
          "--from",
          server.uri,
          "--no-fetch",
        ]).finished;
      const { status, stdout, stderr } = await reproduce(runId ?? "");
      assert.equal(status, 1, stderr);
      assert.match(stdout, /^here +package +@team-a\/losses 1\.0\.0$/m);
      assert.match(stdout, /^missing +asset +movielens-100k +RLRF_ASSET_UNAVAILABLE/m);
      assert.match(stdout, /^1 of \d+ are not as they were: cd reproduced\/[0-9a-f]{32} && rlrf run spec\.json --frozen$/m);
      const unknown = await reproduce("0".repeat(32));
      assert.equal(unknown.status, 2);
      assert.match(unknown.stderr, /^RLRF_RUN_UNKNOWN: MLflow has no run/);
    } finally {
      if (home === undefined) delete process.env.RLRF_HOME;
      else process.env.RLRF_HOME = home;
    }
  });

  it("warns of artifacts that are gone, and sends the rest", async () => {
    const folder = makeRun("missing");
    fs.rmSync(join(folder, "spec.json"));
    const listener = createListener();
    const report = await sync(folder, server.uri, listener);
    assert.deepEqual(report.artifacts, { uploaded: 3, unchanged: 0, missing: 1 });
    assert.match(listener.warnings[0]?.message ?? "", /spec\.json is not in/);
  });

  it("is followed live, off the run's own thread", async () => {
    const folder = path("runs", "live");
    const listener = createListener();
    const { tracker, finish } = startTracking(folder, { name: "quick", experiment: "live", uri: server.uri }, listener, { interval: 50 });
    tracker.metrics({ loss: 1 }, 0);
    const client = new MlflowClient(server.uri);
    const seen = async () => (await client.searchRuns(await client.experiment("live"), ""))[0]?.data.metrics?.length ?? 0;
    for (const deadline = Date.now() + 20_000; (await seen()) === 0; await sleep(50))
      assert.ok(Date.now() < deadline, "nothing arrived while the run was going");
    const block = Date.now() + 300; // training holds this thread; the other goes on
    tracker.metrics({ loss: 2 }, 1);
    while (Date.now() < block);
    tellRun(tracker, folder);
    await finish("FINISHED");
    client.close();
    assert.deepEqual(listener.warnings, []);
    const read = await server.read("live");
    assertSame(read, folder);
    assert.equal(read[0]?.status, "FINISHED");
  });

  it("loses nothing when the server goes away in the middle and comes back on the same port", async () => {
    const folder = path("runs", "away");
    const proxy = await openProxy(server.uri);
    const listener = createListener();
    const { tracker, finish } = startTracking(folder, { name: "quick", experiment: "away", uri: proxy.uri }, listener, { interval: 30 });
    tracker.metrics({ loss: 1 }, 0);
    for (const deadline = Date.now() + 20_000; !proxy.seen.some(({ url }) => url.endsWith("log-batch")); await sleep(20))
      assert.ok(Date.now() < deadline);
    await proxy.down();
    for (let step = 1; step < 500; step++) tracker.metrics({ loss: step }, step);
    for (const deadline = Date.now() + 20_000; listener.warnings.length === 0; await sleep(20))
      assert.ok(Date.now() < deadline, "no warning");
    await proxy.up();
    tellRun(tracker, folder);
    await finish("FINISHED");
    await proxy.down();
    assert.deepEqual(
      listener.warnings.map(({ code }) => code),
      ["RLRF_TRACK_UNREACHABLE"],
    );
    assert.match(listener.warnings[0]?.message ?? "", /the run goes on/);
    assert.match(listener.infos.at(-1) ?? "", /is back; nothing was lost/);
    assertSame(await server.read("away"), folder);
  });

  it("`rlrf sync` sends all runs, prints a table or JSON, and says what is wrong", async () => {
    makeRun("cli-a", 3);
    makeRun("cli-b", 3);
    const cli = async (...args: string[]) => {
      const { MLFLOW_TRACKING_URI: _, ...env } = process.env;
      const child = spawn(process.execPath, [join(packageRoot, "framework", "cli", "rlrf.mjs"), "sync", ...args], { env, cwd: path() });
      let [out, err] = ["", ""];
      child.stdout.on("data", (chunk) => (out += chunk));
      child.stderr.on("data", (chunk) => (err += chunk));
      await once(child, "close");
      return { status: child.exitCode, out, err };
    };
    const table = await cli("--to", server.uri);
    assert.equal(table.status, 0, table.err);
    assert.match(table.out, /runs\/cli-a +[0-9a-f]{32} +4\/0 +1[0-9] +6 +4\/0/);
    const json = await cli("cli-b", "--to", server.uri, "--json");
    assert.deepEqual(
      (JSON.parse(json.out) as { run: string; runs: object }[]).map(({ run, runs }) => [run, runs]),
      [["runs/cli-b", { created: 0, found: 4 }]],
    );
    await writeJson(path("runs", "cli-a", "spec.json"), { tracking: { uri: server.uri } });
    assert.equal((await cli("runs/cli-a")).status, 0);
    const cases: [string[], RegExp][] = [
      [["cli-c", "--to", server.uri], /RLRF_RUN_UNKNOWN[\s\S]*cli-a, cli-b/],
      [["cli-b"], /RLRF_TRACK_URI[\s\S]*--to URI/],
      [["cli-b", "--to", "mlruns"], /RLRF_TRACK_URI/],
      [["--runs", "none", "--to", server.uri], /RLRF_RUN_UNKNOWN/],
    ];
    for (const [args, message] of cases) {
      const { status, err } = await cli(...args);
      assert.equal(status, 2, args.join(" "));
      assert.match(err, message);
    }
  });

  it("shows a run's report in its view of artifacts, a sandboxed frame", async () => {
    const folder = path("runs", "reported");
    await makeReportedRun(folder, { users: 30 });
    await writeReport([folder], join(folder, reportName));
    const { tracker, journal } = openTracker(folder, { name: "made", experiment: "made" });
    tracker.artifact(join(folder, reportName));
    journal.close();
    const { runId } = await sync(folder);
    const client = new MlflowClient(server.uri);
    const experiment = await client.experiment("made");
    client.close();
    const { page, close } = await browser.open(`${server.uri}/#/experiments/${experiment}/runs/${runId}/artifacts/${reportName}`, {
      allowed: server.uri,
    });
    const report = page.frameLocator("iframe[sandbox]");
    await report.locator("h1", { hasText: "made" }).waitFor({ timeout: 60_000 });
    await report.getByRole("link", { name: "Users" }).click();
    await report.locator(".user-head", { hasText: "User u1" }).waitFor();
    await report.getByRole("button", { name: /theme/ }).click();
    assert.match((await report.locator("html").getAttribute("data-theme")) ?? "", /dark|light/);
    await close();
  });

  it("puts the trials of a sweep below it, also one that is told of first", async () => {
    const tell = (name: string, target: { kind?: string; key?: string }) => {
      const folder = path("runs", name);
      const { tracker, journal } = openTracker(folder, { name, experiment: "sweep", ...target });
      tellRun(tracker, folder, 1);
      tracker.finish("FINISHED");
      journal.close();
      return { folder, key: journal.key };
    };
    const sweep = tell("sweep", { kind: "sweep" });
    const trials = ["t1", "t2"].map((id) => tell(id, { key: `${sweep.key}/${id}` }));
    const early = await sync(trials[0]?.folder ?? "");
    const report = await sync(sweep.folder);
    await sync(trials[1]?.folder ?? "");
    assert.deepEqual((await sync(trials[0]?.folder ?? "")).runs, { created: 0, found: 4 });
    const runs = await server.read("sweep");
    const byKey = (key: string) => runs.find(({ tags }) => tags["rlrf.key"] === key);
    assert.equal(runs.length, 12);
    for (const { key } of trials) {
      const run = byKey(key);
      assert.equal(run?.tags["mlflow.parentRunId"], report.runId);
      assert.deepEqual([run?.name, run?.tags["rlrf.kind"], run?.status], [key.split("/")[1], "trial", "FINISHED"]);
      assert.equal(byKey(`${key}/seed-1`)?.tags["mlflow.parentRunId"], run?.id);
      assert.equal(run?.params["loss.plugin"], "dpo");
    }
    assert.equal(early.runId, byKey(trials[0]?.key ?? "")?.id);
  });

  it("has a sweep as it is run, and `rlrf runs`, `best` and `compare` say of it what they say of its folder", async () => {
    const cli = async (...args: string[]) => {
      const { status, stdout, stderr } = await start([process.execPath, command, ...args, "--json"]).finished;
      assert.equal(status, 0, stderr);
      return JSON.parse(stdout) as unknown;
    };
    const spec = path("swept.json");
    await writeJson(spec, {
      extends: join(packageRoot, "test", "e2e", "specs", "quick.json"),
      name: "swept",
      sweep: { axes: { "/adaptor/options/join": { values: ["aspects", "product"] } }, maxConcurrent: 2 },
      tracking: { experiment: "swept", uri: server.uri },
    });
    await cli("run", spec, "--runs", path("runs"), "--cache", path("store"));
    const runs = await server.read("swept");
    const of = (kind: string) => runs.filter(({ tags }) => tags["rlrf.kind"] === kind);
    const [sweep] = of("sweep");
    assert.deepEqual(
      of("trial").map(({ name, status, tags, params }) => [name, status, tags["mlflow.parentRunId"], params["adaptor.options.join"]]),
      [
        ["t1", "FINISHED", sweep?.id, "aspects"],
        ["t2", "FINISHED", sweep?.id, "product"],
      ],
    );
    assert.deepEqual([sweep?.status, "sweep.json" in (sweep?.artifacts ?? {})], ["FINISHED", true]);

    const name = (await fs.promises.readdir(path("runs")))[0] as string;
    const [here, there] = [
      ["--runs", path("runs")],
      ["--from", server.uri, "--experiment", "swept"],
    ];
    const places = new Set(["at", "begun", "folder"]);
    const same = (value: unknown): unknown =>
      JSON.parse(JSON.stringify(value), (key, item: unknown) =>
        places.has(key) ? undefined : typeof item === "number" ? Number(item.toPrecision(12)) : item,
      );
    type Listed = { id: string; figures: { arms: object } }[];
    const means = (runs: Listed) =>
      JSON.parse(JSON.stringify(runs), (key, item: unknown) => (["low", "high"].includes(key) ? undefined : item)) as Listed;
    const listed = (await cli("runs", "--trials", ...there)) as Listed;
    assert.deepEqual(
      listed.map(({ id }) => id),
      [name, `${name}/t1`, `${name}/t2`],
    );
    const onlyMeans = (runs: Listed) => means(runs).map(({ id, figures: { arms } }) => ({ id, arms }));
    assert.deepEqual(same(onlyMeans(listed)), same(onlyMeans((await cli("runs", "--trials", ...here)) as Listed)));
    const best = async (at: readonly string[]) => {
      const { metric, candidates, best } = (await cli("best", name, ...at)) as {
        metric: string;
        candidates: { id: string; selection: number }[];
        best: { id: string };
      };
      return { metric, best: best.id, candidates: candidates.map(({ id, selection }) => ({ id, selection })) };
    };
    assert.deepEqual(same(await best(there)), same(await best(here)));
    assert.deepEqual(same(await cli("compare", name, ...there)), same(await cli("compare", name, ...here)));
  });

  it("says how to replay when the server does not come back, and that works after its restart on the same port", async function () {
    this.timeout(300_000);
    const folder = path("runs", "stopped");
    const listener = createListener();
    const { tracker, journal } = openTracker(folder, { name: "quick", experiment: "stopped" });
    const follower = follow(folder, server.uri, listener, { interval: 50, patience: 1_500 });
    tracker.metrics({ loss: 1 }, 0);
    const client = new MlflowClient(server.uri);
    const arrived = async () =>
      (await client.searchRuns(await client.experiment("stopped"), "")).some(({ data }) => data.metrics?.length === 1);
    for (const deadline = Date.now() + 20_000; !(await arrived()); await sleep(50)) assert.ok(Date.now() < deadline);
    client.close();
    await server.stop();
    tellRun(tracker, folder);
    tracker.finish("FINISHED");
    journal.close();
    assert.deepEqual(await follower.finish(), { complete: false });
    assert.match(listener.warnings.at(-1)?.message ?? "", new RegExp(`rlrf sync ${folder} --to ${server.uri}`));
    await server.restart();
    assert.deepEqual((await sync(folder)).refused, []);
    assertSame(await server.read("stopped"), folder);
  });
});
