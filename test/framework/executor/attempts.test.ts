import assert from "node:assert/strict";
import type { Unit, UnitChange } from "../../../framework/contracts/executor.js";
import { attempted, type AttemptResult } from "../../../framework/executor/attempts.js";
import { errorIn } from "../../../framework/executor/error-in.js";

const unitsNamed = (...ids: readonly string[]) =>
  ids.map((id): Unit => ({ id, command: ["list"], resources: { cpus: 1, gpus: 0, memoryBytes: 1 } }));
const limits = { concurrent: 2, attempts: 3 };
const done: AttemptResult = { exitCode: 0, output: "" };
const killed: AttemptResult = { exitCode: null, output: "half a line", lost: "its process was ended by SIGKILL" };
const coded = JSON.stringify({ error: { code: "RLRF_DISK_FULL", message: "no space" } }, null, 2);

describe("attempts of units", () => {
  it("begin a lost unit again, and say why", async () => {
    const changes: UnitChange[] = [];
    const [outcome] = await attempted(
      unitsNamed("a"),
      { onChange: (change) => changes.push(change) },
      limits,
      async (_, number, started) => {
        started(`place ${number}`);
        return number < 3 ? killed : done;
      },
    );
    assert.deepEqual(outcome, { id: "a", state: "done", exitCode: 0, attempts: 3 });
    assert.deepEqual(
      changes.map(({ state, attempt, lost }) => [state, attempt, lost]),
      [
        ["waiting", 0, undefined],
        ["running", 1, undefined],
        ["waiting", 1, killed.lost],
        ["running", 2, undefined],
        ["waiting", 2, killed.lost],
        ["running", 3, undefined],
        ["done", 3, undefined],
      ],
    );
  });

  it("end with a coded error after the last attempt, with what was printed", async () => {
    const [outcome, other] = await attempted(unitsNamed("a", "b"), {}, limits, async ({ id }) => (id === "a" ? killed : done));
    assert.deepEqual([outcome?.state, outcome?.attempts, outcome?.error?.code], ["failed", 3, "RLRF_UNIT_LOST"]);
    assert.match(outcome?.error?.message ?? "", /ended by SIGKILL, 3 times; it printed last:\n {4}half a line/);
    assert.equal(other?.state, "done", "the others go on");
  });

  it("do not repeat what told a coded error", async () => {
    let attempts = 0;
    const [outcome] = await attempted(unitsNamed("a"), {}, limits, async () => ({ exitCode: 1, output: `${++attempts}\n${coded}\n` }));
    assert.equal(attempts, 1);
    assert.deepEqual(outcome?.error, { code: "RLRF_DISK_FULL", message: "no space" });
  });

  it("run no more at once than they may", async () => {
    let running = 0;
    let most = 0;
    const attempt = async () => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 2));
      running--;
      return done;
    };
    await attempted(unitsNamed("a", "b", "c", "d", "e"), { concurrent: 3 }, limits, attempt);
    assert.equal(most, 3);
  });

  it("end the others when the executor itself fails, and throw its error", async () => {
    const ended: string[] = [];
    const failing = attempted(unitsNamed("a", "b"), {}, limits, async ({ id }, _, __, signal) => {
      if (id === "a") throw new Error("no cluster");
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      ended.push(id);
      return killed;
    });
    await assert.rejects(failing, /no cluster/);
    assert.deepEqual(ended, ["b"]);
  });
});

describe("the coded error in an output", () => {
  it("is the last one, whatever stands around it", () => {
    assert.equal(errorIn(`warning\n{\n  "error": {}\n}\n${coded}\nraylet: bye`)?.code, "RLRF_DISK_FULL");
    assert.equal(errorIn(`engine\r\n${coded.replaceAll("\n", "\r\n")}\r\n`)?.code, "RLRF_DISK_FULL");
  });

  it("is not there in other outputs", () => {
    for (const output of [
      "",
      "}",
      "{\n}",
      "{\n}\n}",
      '{\n  "result": 1\n}\n',
      '{\n  "error": { "code": 3, "message": "x" }\n}',
      `x${coded}`,
      "}\n{",
    ])
      assert.equal(errorIn(output), undefined, output);
  });
});
