/** `rlrf cancel RUN`: ends what a run has started, and nothing else. */
import { setTimeout as sleep } from "node:timers/promises";
import { RlrfError } from "../errors.js";
import type { UnitStates } from "../executor/unit-states.js";
import { jsonOption, quietOption, type Register } from "./command.js";
import type { WhichUnits } from "./distributed.js";
import { createLogger, print, printJson } from "./terminal.js";

interface CancelOptions extends WhichUnits {
  readonly json?: boolean;
  readonly quiet?: boolean;
}

export const register: Register = (program) => {
  const command = program
    .command("cancel")
    .description("end a sweep, or a run that an executor distributes: its driver, and the jobs that it started; what is done is kept")
    .argument("<run>", "its name, or its folder")
    .option("--runs <folder>", "where runs are kept", "runs")
    .option("--cache <folder>", "the store that the run uses; else store.path of its spec, else .rlrf");
  jsonOption(quietOption(command)).action(cancelRun);
};

/** A driver looks every second, unless it computes something in one piece; its store may be on another machine. */
const patience = 15_000; // ms

async function cancelRun(run: string, { json = false, quiet = false, ...which }: CancelOptions): Promise<void> {
  const { unitsOfRun } = await import("./distributed.js");
  const states = await unitsOfRun(run, which);
  const answer = await tellDriver(states);
  const stopped = states.driver === undefined ? [] : await stopJobs(states.driver.executor, states.prefix, quiet);
  if (answer === "silent") throw silent(states, stopped);
  if (json) return printJson({ run: states.runId, driver: answer === "ends", jobs: stopped });
  if (quiet) return;
  print(answer === "ends" ? "the driver ends, and its units with it" : "no driver is at work");
  print(stopped.length === 0 ? "no job of it is left" : `stopped: ${stopped.join(", ")}`);
}

/** The request stays with a silent driver: it ends when it looks again. */
async function tellDriver(states: UnitStates): Promise<"ends" | "gone" | "silent"> {
  const isGone = () => states.driverState === "dead";
  if (isGone()) return "gone";
  await states.cancel();
  for (const deadline = Date.now() + patience; Date.now() < deadline; await sleep(200)) {
    if (!states.isCancelled) return "ends";
    if (isGone()) {
      await states.clearCancellation(); // it was done just then
      return "gone";
    }
  }
  return "silent";
}

function silent({ driver, runId }: UnitStates, stopped: readonly string[]): RlrfError {
  const ended = stopped.length === 0 ? "" : `; stopped: ${stopped.join(", ")}`;
  return new RlrfError("RLRF_RUN_SILENT", {
    message: `the driver of ${runId} has not answered for ${patience / 1000} s${ended}`,
    where: `process ${driver?.process.split("-")[0]} on ${driver?.machine}`,
    expected: "a driver that looks every second whether its run is cancelled",
    hint: "where it lives, it ends when it looks next: see `rlrf status`; where its machine is lost, there is nothing more to end",
  });
}

async function stopJobs(reference: { readonly plugin: string }, prefix: string, quiet: boolean): Promise<readonly string[]> {
  const { Registry } = await import("../kernel/registry.js");
  const { Assembler } = await import("../kernel/assemble.js");
  const { resolveReference } = await import("../spec/resolve.js");
  const { createAssets } = await import("../setup/assets.js");
  const { createProgress } = await import("./progress.js");
  const registry = await Registry.read();
  const logger = createLogger({ quiet });
  const progress = createProgress({ quiet });
  const assembler = new Assembler(registry, { logger, progress, assets: createAssets({ logger, progress }) });
  try {
    const resolved = resolveReference(registry, "executor", reference);
    const { product } = await assembler.build<import("../contracts/executor.js").Executor>("executor", resolved, 0, "/executor");
    return (await product.stop?.(prefix)) ?? [];
  } finally {
    await assembler.dispose();
  }
}
