import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { hashOf, Store } from "../../../framework/store/store.js";
import { createListener } from "../../support/faults.js";
import { useFolder } from "../../support/folder.js";
import { asOtherMachine } from "../../support/other-machine.js";

describe("store, shared by processes", () => {
  const path = useFolder();
  const child = fileURLToPath(new URL("children/make-once.js", import.meta.url));
  const identity = { step: "once", version: 1, inputs: null };
  const lease = () => path("leases", `once-${hashOf(identity)}`);
  const refuse = async (): Promise<never> => assert.fail("made again");
  const makers = async () => (await fs.readFile(path("notes"), "utf8")).trim().split("\n").map(Number);

  function start(
    milliseconds: number,
    nodeOptions: readonly string[] = [],
  ): {
    readonly process: ChildProcess;
    readonly making: Promise<unknown>;
    readonly ended: Promise<unknown>;
  } {
    const made = spawn(process.execPath, [...nodeOptions, child, path(), path("notes"), String(milliseconds)], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    return { process: made, making: once(made.stdout, "data"), ended: once(made, "close") };
  }

  it("makes a result once for all processes that need it at the same time", async function () {
    this.timeout(30_000);
    const all = [300, 300, 300, 300].map((milliseconds) => start(milliseconds));
    await Promise.all(all.map(({ ended }) => ended));
    assert.deepEqual(
      all.map(({ process: { exitCode } }) => exitCode),
      [0, 0, 0, 0],
    );
    assert.equal((await makers()).length, 1);
    assert.deepEqual([await fs.readdir(path("leases")), await fs.readdir(path("tmp"))], [[], []]);
  });

  it("takes the work over from one that was killed, and says whom it waits for", async function () {
    this.timeout(30_000);
    const first = start(60_000);
    await first.making;
    const listener = createListener();
    const waiting = new Store(path(), listener).step(identity, (folder) => fs.writeFile(`${folder}/result.txt`, "by me"));
    while (listener.infos.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.match(listener.infos[0] ?? "", new RegExp(`^once: process ${first.process.pid} on .+ is computing it; waiting for it$`));
    first.process.kill("SIGKILL");
    const { folder, cached } = await waiting;
    assert.equal(cached, false);
    assert.equal(await fs.readFile(`${folder}/result.txt`, "utf8"), "by me");
    assert.deepEqual(listener.warnings, []);
    assert.deepEqual([await fs.readdir(path("leases")), listener.infos.length], [[], 1]);
    await first.ended;
  });

  it("waits for a machine whose heart beats, by the clock of the file system, and not for a silent one", async () => {
    await fs.mkdir(lease(), { recursive: true });
    const elsewhere = { process: "12-0123456789ab-0", machine: "other", since: "then", released: false };
    await fs.writeFile(`${lease()}/1`, JSON.stringify(elsewhere));
    const listener = createListener();
    let ended = false;
    const waiting = new Store(path(), listener)
      .step(identity, (folder) => fs.writeFile(`${folder}/result.txt`, ""))
      .then((result) => {
        ended = true;
        return result;
      });
    while (listener.infos.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.ok(!ended && /process 12 on other/.test(listener.infos[0] ?? ""));
    const silent = new Date(Date.now() - 200_000);
    await fs.utimes(`${lease()}/1`, silent, silent);
    assert.equal((await waiting).cached, false);
    assert.deepEqual(await fs.readdir(path("leases")), []);
  });

  it("waits for another machine of the same name, and leaves what that one makes alone", async function () {
    this.timeout(30_000);
    const other = start(1_500, asOtherMachine);
    await other.making;
    const { cached } = await new Store(path(), createListener()).step(identity, refuse);
    await other.ended;
    assert.deepEqual([cached, other.process.exitCode], [true, 0]);
  });

  it("gives the work to the next when making fails, and ends a wait when the run is interrupted", async () => {
    await assert.rejects(
      new Store(path()).step(identity, () => Promise.reject(new Error("mine"))),
      /mine/,
    );
    const controller = new AbortController();
    const reason = new Error("ended by SIGINT");
    await new Store(path()).step(identity, async (folder) => {
      const listener = createListener();
      const waiting = new Store(path(), listener, controller.signal).step(identity, refuse);
      setTimeout(() => controller.abort(reason), 20);
      await assert.rejects(waiting, (error) => error === reason);
      await fs.writeFile(`${folder}/result.txt`, "");
    });
    assert.equal((await new Store(path()).step(identity, refuse)).cached, true);
  });
});
