import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Unit, UnitChange } from "../../../framework/contracts/executor.js";
import { RlrfError } from "../../../framework/errors.js";
import { packageRoot } from "../../../framework/setup/paths.js";
import { withPlugin } from "../../../framework/testing/index.js";
import { Local } from "../../../plugins/executors/local.js";
import { assertFails } from "../../support/faults.js";
import { temporaryFolder } from "../../support/fixtures.js";
import { start } from "../../support/run.js";

const resources = { cpus: 1, gpus: 0, memoryBytes: 1 };

/** A run that takes seconds: there is time to kill it. */
async function slowUnit(): Promise<Unit> {
  const folder = await temporaryFolder();
  const spec = join(packageRoot, "test", "e2e", "specs", "small.json");
  return { id: "slow", command: ["run", spec, "--json", "--runs", join(folder, "runs"), "--cache", join(folder, "store")], resources };
}

/** Until it listens to what ends it. */
async function begun({ command }: Unit): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!existsSync(command.at(-1) as string) && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
}

const pidOf = ({ place = "" }: UnitChange) => Number(place.split(" ")[1]);
const lives = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

describe("the executor local", function () {
  this.timeout(60_000);

  it("begins a unit again whose process was killed", async () => {
    const told: UnitChange[] = [];
    const onChange = (change: UnitChange) => {
      told.push(change);
      if (change.state === "running") process.kill(pidOf(change), "SIGKILL");
    };
    const unit = await slowUnit();
    const [outcome] = await withPlugin({ plugin: Local, options: { attempts: 2 } }, (local) => local.run([unit], { onChange }));
    assert.deepEqual([outcome?.state, outcome?.attempts, outcome?.exitCode], ["failed", 2, null]);
    assert.equal(outcome?.error?.code, "RLRF_UNIT_LOST");
    assert.deepEqual(
      told.flatMap(({ lost }) => lost ?? []),
      ["its process was ended by SIGKILL"],
    );
  });

  it("ends a unit cleanly when it is told to", async () => {
    const ending = new AbortController();
    const unit = await slowUnit();
    const onChange = ({ state }: UnitChange) => state === "running" && void begun(unit).then(() => ending.abort(new Error("enough")));
    const [outcome] = await withPlugin({ plugin: Local }, (local) => local.run([unit], { signal: ending.signal, onChange }));
    assert.deepEqual([outcome?.state, outcome?.exitCode], ["cancelled", 130]);
  });

  it("ends the unit, and the rest with its error, when whoever listens to it fails", async () => {
    const unit = await slowUnit();
    let pid = 0;
    const onChange = (change: UnitChange) => {
      if (change.state !== "running") return;
      pid = pidOf(change);
      throw new RlrfError("RLRF_DISK_FULL", { message: "no space left to write the units' states" });
    };
    const running = () => withPlugin({ plugin: Local }, (local) => local.run([unit], { onChange }));
    await assertFails("RLRF_DISK_FULL", running, /no space left/);
    assert.ok(pid > 0 && !lives(pid));
  });

  it("leaves no process behind when its own is killed", async () => {
    const unit = await slowUnit();
    const program = `
      const { withPlugin } = await import(${JSON.stringify(join(packageRoot, "dist", "framework", "testing", "index.js"))});
      const { Local } = await import(${JSON.stringify(join(packageRoot, "dist", "plugins", "executors", "local.js"))});
      await withPlugin({ plugin: Local }, (local) => local.run(${JSON.stringify([unit])}, { onChange: ({ place }) => place && console.log(place) }));`;
    const { process: driver, finished } = start([process.execPath, "--input-type=module", "-e", program]);
    const place = await new Promise<string>((resolve) => driver.stdout?.once("data", (chunk: Buffer) => resolve(String(chunk))));
    const pid = pidOf({ place } as UnitChange);
    await begun(unit);
    assert.ok(lives(pid));
    driver.kill("SIGKILL");
    await finished;
    const deadline = Date.now() + 20_000;
    while (lives(pid) && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50));
    assert.ok(!lives(pid), "the unit ended with its driver");
  });
});
