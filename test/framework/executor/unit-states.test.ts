import assert from "node:assert/strict";
import fs from "node:fs/promises";
import { relative } from "node:path";
import { mock } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { RlrfError } from "../../../framework/errors.js";
import { UnitStates } from "../../../framework/executor/unit-states.js";
import { Store } from "../../../framework/store/store.js";
import { assertFails, createListener } from "../../support/faults.js";
import { useFolder } from "../../support/folder.js";

describe("states of units", () => {
  const path = useFolder();
  const executor = { plugin: "local", version: "1.0.0", options: {} };
  const statesIn = (folder: string) => UnitStates.open(new Store(folder), "run-1");
  const unit = (label: string) => ({ label, makes: `steps/fit/${label}` });

  it("are of units whose ids tell the run and its store, however the store is named", async () => {
    const { prefix } = await statesIn(path("store"));
    assert.match(prefix, /^run-1\.[0-9a-f]{8}\.$/);
    assert.equal((await statesIn(relative(process.cwd(), path("store")))).prefix, prefix);
    assert.notEqual((await statesIn(path("other"))).prefix, prefix);
  });

  it("are those that the driver at work has asked for, with what earlier ones of the same were lost by", async () => {
    const first = await statesIn(path("store"));
    await first.begin(executor);
    for (const id of ["kept", "mended", "again"]) first.expect(id, unit(id));
    first.change({ id: "kept", state: "waiting", attempt: 1, lost: "killed" });
    first.change({ id: "kept", state: "done", attempt: 2 });
    first.change({ id: "mended", state: "failed", attempt: 1 });
    first.change({ id: "again", state: "running", attempt: 1 });
    const second = await statesIn(path("store"));
    await second.begin(executor);
    assert.deepEqual(second.all(), []);
    second.found("kept");
    second.found("made by another run");
    second.expect("mended with another key", unit("mended"));
    second.expect("again", unit("again"));
    const rows = (await statesIn(path("store"))).all().map(({ id, state, lost }) => [id, state, lost]);
    assert.deepEqual(rows.sort(), [
      ["again", "waiting", []],
      ["kept", "done", ["killed"]],
      ["mended with another key", "waiting", []],
    ]);
  });

  it("are done where what they make is there, whoever made it", async () => {
    const states = await statesIn(path("store"));
    await states.begin(executor);
    for (const id of ["made", "missing"]) {
      states.expect(id, unit(id));
      states.change({ id, state: "running", attempt: 1 });
    }
    await fs.mkdir(path("store", "steps", "fit", "made"), { recursive: true });
    assert.deepEqual(
      (await states.seen()).map(({ state }) => state),
      ["done", "running"],
    );
  });

  describe("of a run that is driven", () => {
    afterEach(() => mock.restoreAll());
    const uncancelled = (reason: Error) => assert.fail(reason);

    it("are one driver's at a time: who begins the same run meanwhile waits, says so, and finds what that one made", async () => {
      const first = await statesIn(path("store"));
      const listener = createListener();
      const second = await UnitStates.open(new Store(path("store"), listener), "run-1");
      const order: string[] = [];
      let end = () => {};
      const driven = first.drive(executor, uncancelled, async () => {
        first.expect("a", unit("a"));
        await new Promise<void>((resolve) => (end = resolve));
        order.push("first");
      });
      while (first.driver === undefined) await sleep(5);
      const waiting = second.drive(executor, uncancelled, async () => {
        order.push("second");
        second.found("a");
      });
      while (listener.infos.length === 0) await sleep(5);
      assert.match(listener.infos.join(), new RegExp(`driver: process ${process.pid} on .*waiting for it`));
      end();
      await Promise.all([driven, waiting]);
      assert.deepEqual(order, ["first", "second"]);
      assert.deepEqual(
        second.all().map(({ id, state }) => [id, state]),
        [["a", "done"]],
      );
    });

    it("are driven again after a driver that failed", async () => {
      const states = await statesIn(path("store"));
      await assert.rejects(
        states.drive(executor, uncancelled, async () => Promise.reject(new Error("failed"))),
        /failed/,
      );
      assert.equal(await states.drive(executor, uncancelled, async () => "done"), "done");
    });

    const denied = () => Promise.reject(Object.assign(new Error("EACCES"), { code: "EACCES", errno: -13, syscall: "unlink" }));

    it("end when somebody cancels it, once, also where the request is a file of theirs that cannot be deleted", async () => {
      const states = await statesIn(path("store"));
      const reasons: RlrfError[] = [];
      const unhandled: unknown[] = []; // which would end the process
      const onUnhandled = (reason: unknown) => unhandled.push(reason);
      const untilAgain = async () => {
        mock.method(fs, "rm", denied);
        await states.cancel();
        while (reasons.length === 0) await sleep(20);
        await sleep(1_100); // until it would look again
        mock.restoreAll();
      };
      process.on("unhandledRejection", onUnhandled);
      await states.drive(executor, (reason) => reasons.push(reason), untilAgain).finally(() => process.off("unhandledRejection", onUnhandled)); // biome-ignore format: one call
      assert.deepEqual([reasons.map(({ code }) => code), unhandled], [["RLRF_RUN_CANCELLED"], []]);
    });

    it("say whose file is in the way where a request of another user cannot be deleted", async () => {
      const states = await statesIn(path("store"));
      await states.cancel();
      mock.method(fs, "rm", denied);
      const { fault } = await assertFails("RLRF_FILE_DENIED", () => states.begin(executor), /this user may not/);
      assert.equal(fault.where, path("store", "cancelled", "run-1"));
    });
  });
});
