/** How a failure is told: to people on stderr, and besides, where `--json` was asked for, to programs on stdout. */
import { CommanderError } from "commander";
import { RlrfError } from "../errors.js";
import { SpecFaults } from "../spec/faults.js";
import { AlreadyReported } from "./command.js";
import { wasInterrupted } from "./interrupt.js";
import { printJson } from "./terminal.js";

/** @returns the status to end with */
export function report(error: unknown, { json }: { readonly json: boolean }): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    if (json) printJson({ error: { code: "RLRF_USAGE", message: error.message.replace(/^error: /, "") } }); // commander has told people
    return 2;
  }
  if (wasInterrupted()) return 130;
  if (error instanceof AlreadyReported) return error.status;
  const coded = error instanceof RlrfError ? error : internal(error);
  process.stderr.write(`${coded.message}\n`);
  if (process.env.RLRF_DEBUG) console.error(error);
  if (json) printJson({ error: errorJson(coded) });
  return coded.exit;
}

/** The same fields as the lines on stderr; several faults of a spec each with its own. */
export function errorJson(error: RlrfError): object {
  const several = error instanceof SpecFaults && error.faults.length > 1;
  const message = several ? error.fault.message.split("\n")[0] : error.fault.message;
  return { code: error.code, ...error.fault, message, ...(several && { faults: error.faults }) };
}

function internal(cause: unknown): RlrfError {
  const message = cause instanceof Error ? cause.message : String(cause);
  return new RlrfError("RLRF_INTERNAL", { message, hint: "report it with the output of RLRF_DEBUG=1 rlrf …" }, { cause });
}
