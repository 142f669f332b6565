import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs/promises";
import { mock } from "node:test";
import { fileURLToPath } from "node:url";
import { holderOf, Lock } from "../../../framework/store/lock.js";
import { processToken } from "../../../framework/store/process.js";
import { RunFolder } from "../../../framework/store/run-folder.js";
import { assertFails } from "../../support/faults.js";
import { useFolder } from "../../support/folder.js";
import { asOtherMachine } from "../../support/other-machine.js";

describe("store/run-folder", () => {
  const path = useFolder();
  const child = fileURLToPath(new URL("children/hold-run.js", import.meta.url));
  afterEach(() => mock.restoreAll());

  it("is held by one at a time, and given on when closed", async () => {
    const first = await RunFolder.open(path("runs"), "a");
    await assertFails("RLRF_RUN_BUSY", () => RunFolder.open(path("runs"), "a"), new RegExp(`process ${process.pid} `));
    await (await RunFolder.open(path("runs"), "b")).close();
    await first.close();
    const second = await RunFolder.open(path("runs"), "a");
    await second.close();
    assert.equal((await fs.readdir(path("runs", "a", "lock"))).length, 1);
  });

  it("is taken over from a process that was killed, and refused while that lives", async function () {
    this.timeout(20_000);
    const holder = spawn(process.execPath, [child, path("runs"), "a"], { stdio: ["ignore", "pipe", "inherit"] });
    await once(holder.stdout, "data");
    await assertFails("RLRF_RUN_BUSY", () => RunFolder.open(path("runs"), "a"), new RegExp(`process ${holder.pid} on`));
    holder.kill("SIGKILL");
    await once(holder, "exit");
    const mine = await RunFolder.open(path("runs"), "a");
    await mine.close();
  });

  it("is refused while one of another machine of the same name has it", async function () {
    this.timeout(20_000);
    const holder = spawn(process.execPath, [...asOtherMachine, child, path("runs"), "a"], { stdio: ["ignore", "pipe", "inherit"] });
    await once(holder.stdout, "data");
    await assertFails("RLRF_RUN_BUSY", () => RunFolder.open(path("runs"), "a"), new RegExp(`process ${holder.pid} on`));
    holder.kill("SIGKILL");
    await once(holder, "exit");
    await assertFails("RLRF_RUN_BUSY", () => RunFolder.open(path("runs"), "a"), /wait for it/);
  });

  it("is won by exactly one of many processes that find a dead owner", async function () {
    this.timeout(60_000);
    const { pid } = spawnSync("true");
    await fs.mkdir(path("runs", "a", "lock"), { recursive: true });
    const dead = processToken.replace(/^\d+/, String(pid));
    await fs.writeFile(path("runs", "a", "lock", "1"), JSON.stringify({ process: dead, machine: "here", since: "", released: false }));
    const rivals = Array.from({ length: 6 }, () =>
      spawn(process.execPath, [child, path("runs"), "a"], { stdio: ["ignore", "pipe", "inherit"] }),
    );
    const answers = await Promise.all(rivals.map(async (rival) => String((await once(rival.stdout, "data"))[0]).trim()));
    assert.deepEqual(answers.sort(), [...Array(5).fill("RLRF_RUN_BUSY"), "held"]);
    for (const rival of rivals) rival.kill("SIGKILL");
  });

  it("believes a holder on another machine for as long as its heart beats", async () => {
    await fs.mkdir(path("lock"));
    const elsewhere = { process: "12-0123456789ab-0", machine: "other", since: "then", released: false };
    await fs.writeFile(path("lock", "4"), JSON.stringify(elsewhere));
    assert.deepEqual(await Lock.take(path("lock")), elsewhere);
    const silent = new Date(Date.now() - 200_000);
    await fs.utimes(path("lock", "4"), silent, silent);
    const lock = await Lock.take(path("lock"));
    assert.ok(lock instanceof Lock);
    assert.deepEqual(await fs.readdir(path("lock")), ["5"]);
    await lock.release();
  });

  it("tells whose it is to somebody who may not write there, by the clock of this machine", async () => {
    await fs.mkdir(path("lock"));
    const elsewhere = { process: "12-0123456789ab-0", machine: "other", since: "then", released: false };
    await fs.writeFile(path("lock", "4"), JSON.stringify(elsewhere));
    const silent = new Date(Date.now() - 200_000);
    for (const code of ["EACCES", "EPERM", "EROFS"]) {
      mock.method(fs, "writeFile", () => Promise.reject(Object.assign(new Error(code), { code })));
      await fs.utimes(path("lock", "4"), new Date(), new Date());
      assert.deepEqual(await holderOf(path("lock")), elsewhere);
      await fs.utimes(path("lock", "4"), silent, silent);
      assert.equal(await holderOf(path("lock")), null);
      mock.restoreAll();
    }
  });

  it("takes a lock that was killed while it was written, but not at once", async () => {
    await fs.mkdir(path("lock"));
    await fs.writeFile(path("lock", "1"), "");
    assert.ok(!((await Lock.take(path("lock"))) instanceof Lock));
    const earlier = new Date(Date.now() - 20_000);
    await fs.utimes(path("lock", "1"), earlier, earlier);
    const lock = await Lock.take(path("lock"));
    assert.ok(lock instanceof Lock);
    await lock.release();
  });

  it("gives no path once another process has taken it over, and none outside of it ever", async () => {
    const run = await RunFolder.open(path("runs"), "a");
    assert.equal(run.path("scores", "llm-1.jsonl"), path("runs", "a", "scores", "llm-1.jsonl"));
    assert.equal(run.path("..x"), path("runs", "a", "..x"));
    await assertFails("RLRF_INTERNAL", () => run.path("..", "b"));
    await assertFails("RLRF_INTERNAL", () => run.path("x/../../b"));
    (run as unknown as { lock: Lock }).lock.taken = true;
    await assertFails("RLRF_RUN_TAKEN", () => run.path("x"));
    await run.close();
  });

  it("gives no path once its folder was deleted, also where another has made one anew", async () => {
    const run = await RunFolder.open(path("runs"), "a");
    await fs.rm(path("runs", "a"), { recursive: true });
    await assertFails("RLRF_RUN_GONE", () => run.path("x"), /the folder of run a, or the lock in it, was deleted/);
    await fs.mkdir(path("runs", "a"));
    await assertFails("RLRF_RUN_GONE", () => run.path());
    await run.close();
    assert.deepEqual(await fs.readdir(path("runs", "a")), [], "nothing is written there");
  });

  it("refuses names that are no folder, and folders it cannot make", async () => {
    for (const name of ["", ".", "..", "a/b", "-a", "a\nb", "x".repeat(129)])
      assert.equal((await assertFails("RLRF_RUN_NAME", () => RunFolder.open(path("runs"), name))).exit, 2);
    await fs.writeFile(path("file"), "");
    await assertFails("RLRF_RUN_UNWRITABLE", () => RunFolder.open(path("file"), "a"), /choose another folder for runs/);
    await fs.mkdir(path("closed"));
    await fs.chmod(path("closed"), 0o555);
    await fs.chmod(path(), 0o755);
    const { stdout } = spawnSync(process.execPath, [child, path("closed"), "a", "not-as-root"], { encoding: "utf8" });
    assert.equal(stdout, "RLRF_RUN_UNWRITABLE\n");
  });
});
