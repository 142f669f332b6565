/** runs/SWEEP/sweep.json, read as if anybody had written it. */
import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { RlrfError } from "../errors.js";
import { parseJson } from "../spec/json.js";
import { registrySchema } from "../spec/registry-schema.js";
import { validate } from "../spec/validate.js";
import { type SweepReport, sweepName } from "./report.js";

const limitBytes = 64 * 2 ** 20;

export function isSweep(folder: string): boolean {
  return existsSync(join(folder, sweepName));
}

/** @throws RLRF_SWEEP_FILE, RLRF_JSON */
export async function readSweep(folder: string): Promise<SweepReport> {
  const path = join(folder, sweepName);
  const { size } = await stat(path);
  if (size > limitBytes) throw broken(path, `it has ${size} bytes, more than the ${limitBytes} that are read`);
  return parseSweep(await readFile(path, "utf8"), path);
}

/** @param where names the text in messages @throws RLRF_SWEEP_FILE, RLRF_JSON */
export async function parseSweep(text: string, where: string): Promise<SweepReport> {
  const { value } = parseJson(text, where);
  const schema = await registrySchema("sweep");
  const [fault] = validate(schema, value, "sweep.schema.json");
  if (fault !== undefined) throw broken(where, `${fault.pointer || "the sweep"}: ${fault.message}`);
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
  const hint = "give the sweep's `rlrf run` again: it writes the file anew";
  return new RlrfError("RLRF_SWEEP_FILE", { message, where, expected: "the form of registry/sweep.schema.json", hint });
}
