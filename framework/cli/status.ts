/** `rlrf status RUN`: the units of a run that an executor distributes, from any machine that sees the store. */
import type { UnitState } from "../contracts/executor.js";
import { jsonOption, type Register } from "./command.js";
import type { WhichUnits } from "./distributed.js";
import { print, printJson, table } from "./terminal.js";

interface StatusOptions extends WhichUnits {
  readonly json?: boolean;
}

export const register: Register = (program) => {
  const command = program
    .command("status")
    .description("show the trials of a sweep, or the units of work of a run that an executor distributes: waiting, running, done, failed")
    .argument("<run>", "its name, or its folder")
    .option("--runs <folder>", "where runs are kept", "runs")
    .option("--cache <folder>", "the store that the run uses; else store.path of its spec, else .rlrf");
  jsonOption(command).action(showStatus);
};

const order: readonly UnitState[] = ["waiting", "running", "done", "failed", "cancelled"];

async function showStatus(run: string, { json = false, ...which }: StatusOptions): Promise<void> {
  const { isDone, unitsOfRun } = await import("./distributed.js");
  const states = await unitsOfRun(run, which);
  const units = await states.seen();
  const counts = Object.fromEntries(order.map((state) => [state, units.filter((unit) => unit.state === state).length]));
  const { driver, driverState } = states;
  const state = driverState === "dead" && (await isDone(run, which.runs, units)) ? "done" : driverState;
  const driven = { process: driver?.process.split("-")[0] ?? null, machine: driver?.machine ?? null, state };
  if (json) return printJson({ run: states.runId, executor: driver?.executor.plugin ?? null, driver: driven, counts, units });
  print(`run        ${states.runId}`);
  print(`executor   ${driver?.executor.plugin ?? "?"}`);
  print(`driver     process ${driven.process} on ${driven.machine}: ${shownState[state]}`);
  print(`units      ${order.map((state) => `${counts[state]} ${state}`).join(", ")}`);
  const telling = units.filter(({ state, lost }) => state !== "done" || lost.length > 0);
  if (telling.length === 0) return;
  const rows = telling.map(({ label, state, attempt, place, lost }) => [label, state, String(attempt), place ?? "", lost.at(-1) ?? ""]);
  print(`\n${table([["unit", "state", "attempt", "place", "lost before"], ...rows], [2])}`);
}

const shownState = {
  alive: "at work",
  dead: "gone; the same command goes on from here",
  done: "gone: everything is done",
  elsewhere: "on another machine, or lost when this one was booted again",
} as const;
