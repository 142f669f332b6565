/** runs/ID/result.json, read as if anybody had written it. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { RlrfError } from "../errors.js";
import { mustBePlain } from "../spec/json.js";
import { registrySchema } from "../spec/registry-schema.js";
import { faultLine, validate } from "../spec/validate.js";
import { readRunFile, writtenAnew } from "../store/run-file.js";
import type { Result } from "./result.js";

const limitBytes = 64 * 2 ** 20;

/** @returns null where there is none @throws RLRF_RESULT_FILE, RLRF_JSON */
export async function readResult(folder: string): Promise<Result | null> {
  const path = join(folder, "result.json");
  if (!existsSync(path)) return null;
  return parseResult(await readRunFile(path, limitBytes, (message) => broken(path, message)), path);
}

/** @param where names the text in messages @throws RLRF_RESULT_FILE, RLRF_JSON */
export async function parseResult(text: string, where: string): Promise<Result> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw broken(where, `not JSON: ${(cause as Error).message}`);
  }
  mustBePlain(value, where);
  const [fault] = validate(await registrySchema("result"), value, "the result");
  if (fault !== undefined) throw broken(where, faultLine(fault));
  const { engine, ...rest } = value as Omit<Result, "valid">;
  return { valid: {}, ...withNaN(rest), engine }; // runs of earlier versions have no figures on valid users
}

/** JSON has no NaN: where nothing could be averaged the file has null. */
function withNaN<Value>(value: Value): Value {
  return JSON.parse(JSON.stringify(value), (_, each: unknown) => (each === null ? Number.NaN : each)) as Value;
}

function broken(where: string, message: string): RlrfError {
  return new RlrfError("RLRF_RESULT_FILE", { message, where, expected: "the form of registry/result.schema.json", hint: writtenAnew });
}
