/**
 * The form of a command's file: `export const register: Register = (program) => { program.command("name")… }`.
 * Heavy imports (tensors, DuckDB, plugins) go inside the action, so that `--help` and the light commands stay quick.
 */
import { type Command, InvalidArgumentError } from "commander";
import { runsByDefault } from "../compare/open.js";

export type Register = (program: Command) => void;

/** `--set a.b=1 --set c=2` arrives as ["a.b=1", "c=2"]. */
export function setOption(command: Command): Command {
  return command.option("--set <path=value>", "override one value of the spec (repeatable)", collect, []);
}
/** Where runs lie: a folder, or an MLflow server. */
export function sourceOptions(command: Command): Command {
  return command
    .option("--runs <folder>", "where runs are kept", runsByDefault)
    .option("--from <uri>", "an MLflow server instead of the folder")
    .option("--experiment <name>", "with --from: one MLflow experiment; else all");
}
export function jsonOption(command: Command): Command {
  return command.option("--json", "print JSON");
}
export function quietOption(command: Command): Command {
  return command.option("--quiet", "print results and errors only");
}

function collect(value: string, previous: readonly string[]): readonly string[] {
  if (!value.includes("=")) throw new InvalidArgumentError("expected path=value, e.g. loss.options.beta=0.1");
  return [...previous, value];
}

/** A command has printed what is wrong, and only its status is left to tell. */
export class AlreadyReported extends Error {
  constructor(readonly status: number) {
    super(`status ${status}`);
  }
}
