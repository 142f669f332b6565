/** Contract suite of executors: short `rlrf` commands, done where the executor does them. */
import assert from "node:assert/strict";
import type { Executor, Unit, UnitChange } from "../contracts/executor.js";
import { identityChecks } from "./identity.js";
import { type Runner, type Subject, suite, withPlugin } from "./subject.js";

const resources = { cpus: 0.1, gpus: 0, memoryBytes: 2 ** 20 };
const unit = (id: string, ...command: readonly string[]): Unit => ({ id: `contract.${id}`, command, resources });
const good = (id: string) => unit(id, "list", "executor", "--json");
const bad = (id: string) => unit(id, "describe", "executor/nowhere", "--json");

export function executorContract(subject: Subject<Executor>, runner?: Runner): void {
  const using = (body: (executor: Executor) => Promise<void>) => () => withPlugin(subject, body);
  const checks = {
    "says how many units of a run it takes at once": using(async ({ parallel }) => {
      assert.ok(Number.isInteger(parallel) && parallel >= 1);
    }),
    "does units at once up to the limit, and tells of each in order": using(async (executor) => {
      await executor.prepare?.();
      const changes: UnitChange[] = [];
      let running = 0;
      let most = 0;
      const onChange = (change: UnitChange) => {
        changes.push(change);
        running += change.state === "running" ? 1 : change.state === "waiting" ? 0 : -1;
        most = Math.max(most, running);
      };
      const work = [good("a"), bad("b"), good("c")];
      const outcomes = await executor.run(work, { concurrent: 2, onChange });
      assert.deepEqual(
        outcomes.map(({ id, state, exitCode, attempts, error }) => [id, state, exitCode, attempts, error?.code]),
        [
          ["contract.a", "done", 0, 1, undefined],
          ["contract.b", "failed", 2, 1, "RLRF_PLUGIN_UNKNOWN"],
          ["contract.c", "done", 0, 1, undefined],
        ],
      );
      assert.ok(most >= 1 && most <= 2, `${most} at once`);
      for (const { id } of work) {
        const own = changes.filter((change) => change.id === id);
        assert.deepEqual(own.map(({ state }) => state).slice(0, 2), ["waiting", "running"]);
        assert.equal(own.length, 3);
        assert.ok(own[1]?.place, "it says where the unit runs");
      }
    }),
    "has nothing to do for no units": using(async (executor) => assert.deepEqual(await executor.run([]), [])),
    "ends what runs when it is told to, and begins nothing more": using(async (executor) => {
      const ending = new AbortController();
      const changes: UnitChange[] = [];
      const onChange = (change: UnitChange) => {
        changes.push(change);
        if (change.state === "running") ending.abort(new Error("enough"));
      };
      const outcomes = await executor.run([good("d"), good("e")], { concurrent: 1, signal: ending.signal, onChange });
      assert.deepEqual(
        outcomes.map(({ state, exitCode }) => [state, exitCode === 0]),
        [
          ["cancelled", false],
          ["cancelled", false],
        ],
      );
      assert.equal(changes.filter(({ state }) => state === "running").length, 1);
      const none = await executor.run([good("f")], { signal: AbortSignal.abort(new Error("before it began")) });
      assert.deepEqual(none, [{ id: "contract.f", state: "cancelled", exitCode: null, attempts: 0 }]);
    }),
  };
  suite(subject, runner, checks, identityChecks(subject));
}
