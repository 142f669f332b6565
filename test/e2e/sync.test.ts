/** `rlrf sync` of several runs, of which some cannot be sent; what a real server makes of those that can is in mlflow.test.ts. */
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { MlflowClient } from "../../framework/track/mlflow.js";
import { Sync } from "../../framework/track/sync.js";
import { openTracker } from "../../framework/track/tracker.js";
import { createListener } from "../support/faults.js";
import { FaultyProxy } from "../support/faulty-proxy.js";
import { useFolder } from "../support/folder.js";
import { command, start } from "../support/run.js";

describe("sync of several runs", () => {
  const folder = useFolder();
  let server: FaultyProxy;
  beforeEach(async () => {
    server = await new FaultyProxy().up();
    server.fault = () => ({ status: 401, body: "who is there?" });
  });
  afterEach(() => server.down());

  const sync = (...args: readonly string[]) =>
    start([process.execPath, command, "sync", "--runs", folder(), "--to", server.uri, ...args]).finished;

  /** With nothing in its journal, so that nothing is asked of a server. */
  async function empty(name: string): Promise<void> {
    await mkdir(folder(name));
    await writeFile(folder(name, "journal.jsonl"), "");
  }
  const told = (name: string) => openTracker(folder(name), { name, experiment: "test" }).journal.close();

  it("goes on past runs of which nothing is told, and one that another process sends, and says so at the end", async () => {
    for (const name of ["a", "b", "c"]) await empty(name);
    const client = new MlflowClient(server.uri);
    const open = await Sync.open(folder("b"), client, createListener());
    const [people, programs, one] = [await sync(), await sync("--json"), await sync("b", "--json")];
    await open.close();
    client.close();
    assert.deepEqual([people.status, programs.status, one.status], [1, 1, 1]);
    assert.match(people.stdout, /\/a +RLRF_RUN_UNKNOWN[\s\S]*\/b +RLRF_RUN_BUSY[\s\S]*\/c +RLRF_RUN_UNKNOWN/);
    assert.match(people.stderr, /^RLRF_RUN_UNKNOWN: the run's journal tells of no run/);
    assert.match(people.stderr, /^RLRF_RUN_BUSY: process \d+ on .* is sending this run/m);
    const rows = JSON.parse(programs.stdout) as { run: string; error?: { code: string } }[];
    assert.deepEqual(
      rows.map(({ run, error }) => [run.slice(-1), error?.code]),
      [
        ["a", "RLRF_RUN_UNKNOWN"],
        ["b", "RLRF_RUN_BUSY"],
        ["c", "RLRF_RUN_UNKNOWN"],
      ],
    );
    assert.equal((JSON.parse(one.stdout) as { error: { code: string } }).error.code, "RLRF_RUN_BUSY");
  });

  it("asks a server that takes nothing once, and tells of it once", async () => {
    for (const name of ["a", "b", "c"]) told(name);
    const { status, stdout, stderr } = await sync();
    assert.equal(status, 1);
    assert.equal(server.seen.length, 1, JSON.stringify(server.seen));
    assert.equal(stdout.match(/RLRF_TRACK_AUTH/g)?.length, 3);
    assert.equal(stderr.match(/RLRF_TRACK_AUTH/g)?.length, 1);
  });

  it("ends with 2 where it was called wrongly for all of them", async () => {
    for (const name of ["a", "b"]) await empty(name);
    const { status, stderr } = await sync("--to", "mlruns");
    assert.equal(status, 2, stderr);
  });
});
