/** runs/SWEEP/sweep.json, read as if anybody had written it. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { RlrfError } from "../errors.js";
import { parseJson } from "../spec/json.js";
import { registrySchema } from "../spec/registry-schema.js";
import { faultLine, validate } from "../spec/validate.js";
import { readRunFile, writtenAnew } from "../store/run-file.js";
import { type SweepReport, sweepName } from "./report.js";

const limitBytes = 64 * 2 ** 20;

export function isSweep(folder: string): boolean {
  return existsSync(join(folder, sweepName));
}

/** @throws RLRF_SWEEP_FILE, RLRF_JSON */
export async function readSweep(folder: string): Promise<SweepReport> {
  const path = join(folder, sweepName);
  return parseSweep(await readRunFile(path, limitBytes, (message) => broken(path, message)), path);
}

/** @param where names the text in messages @throws RLRF_SWEEP_FILE, RLRF_JSON */
export async function parseSweep(text: string, where: string): Promise<SweepReport> {
  const { value } = parseJson(text, where);
  const schema = await registrySchema("sweep");
  const [fault] = validate(schema, value, "the sweep");
  if (fault !== undefined) throw broken(where, faultLine(fault));
  const report = value as unknown as SweepReport;
  const outside = report.trials.find(({ run }) => !/^trials\/[A-Za-z0-9][A-Za-z0-9._-]*$/.test(run));
  if (outside !== undefined) throw broken(where, `the trial ${JSON.stringify(outside.id)} lies outside of the sweep's folder`);
  return report;
}

/** Folders of the trials that have a file, in the sweep's order. */
export async function trialFolders(folder: string, wanted: string): Promise<string[]> {
  const { trials } = await readSweep(folder);
  return trials.map(({ run }) => join(folder, run)).filter((trial) => existsSync(join(trial, wanted)));
}

function broken(where: string, message: string): RlrfError {
  return new RlrfError("RLRF_SWEEP_FILE", { message, where, expected: "the form of registry/sweep.schema.json", hint: writtenAnew });
}
