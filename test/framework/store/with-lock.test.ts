import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { RlrfError } from "../../../framework/errors.js";
import { withLock } from "../../../framework/store/with-lock.js";
import { packageRoot } from "../../../framework/setup/paths.js";
import { useFolder } from "../../support/folder.js";

describe("withLock", () => {
  const folder = useFolder();
  const lock = () => join(folder(), "lock");

  it("lets one in at a time, says who is waited for, and hands out results and errors", async () => {
    let inside = 0;
    const waits: string[] = [];
    const work = async () => {
      assert.equal(++inside, 1);
      await sleep(30);
      return --inside;
    };
    const onWait = (pid: string) => void waits.push(pid);
    assert.deepEqual(await Promise.all([1, 2, 3].map(() => withLock(lock(), work, { onWait }))), [0, 0, 0]);
    assert.ok(waits.length >= 1 && waits.every((pid) => pid === String(process.pid)));
    await assert.rejects(
      withLock(lock(), () => Promise.reject(new Error("mine"))),
      /mine/,
    );
    assert.equal(await withLock(lock(), () => Promise.resolve("free again")), "free again");
  });

  it("gives up after its patience, naming the holder", async () => {
    await withLock(lock(), () =>
      assert.rejects(
        withLock(lock(), () => Promise.resolve(), { patience: 150 }),
        (error) => error instanceof RlrfError && error.code === "RLRF_LOCK_TIMEOUT" && error.message.includes(String(process.pid)),
      ),
    );
  });

  it("takes over the lock of a process that was killed", async () => {
    const script = `
      const { withLock } = await import(${JSON.stringify(join(packageRoot, "dist/framework/store/with-lock.js"))});
      await withLock(${JSON.stringify(lock())}, async () => { console.log("held"); await new Promise((done) => setTimeout(done, 60_000)); });`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
    await new Promise((resolve) => child.stdout.once("data", resolve));
    child.kill("SIGKILL");
    await new Promise((resolve) => child.once("close", resolve));
    assert.equal(await withLock(lock(), () => Promise.resolve("taken over"), { patience: 5_000 }), "taken over");
  });
});
