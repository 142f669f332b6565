/** Files of a run folder, read as if anybody had written them. */
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { RlrfError } from "../errors.js";
import { readRows } from "../method/read-rows.js";
import { registrySchema } from "../spec/registry-schema.js";
import { faultLine, validate } from "../spec/validate.js";
import { readJson } from "../store/files.js";
import { writtenAnew } from "../store/run-file.js";

const fileName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\.jsonl$/;

/** The rows of a file in the form of registry/SCHEMA.schema.json; none when there is no file. @throws RLRF_REPORT_FILE */
export async function* rowsOf<Row>(path: string, schemaName: string): AsyncGenerator<Row> {
  if (!existsSync(path)) return;
  const rows = readRows<Row>(path, schemaName, (where, message) => broken(where, message, schemaName));
  for await (const { row } of rows) yield row;
}

/** @throws RLRF_REPORT_FILE, RLRF_FILE_MISSING, RLRF_FILE_BROKEN */
export async function readFitting<Value>(path: string, schemaName: string): Promise<Value> {
  const value = await readJson(path);
  const [fault] = validate(await registrySchema(schemaName), value, "the file");
  if (fault !== undefined) throw broken(path, faultLine(fault), schemaName);
  return value as Value;
}

/** The JSON-lines files in a folder of the run, without their ending, sorted as their names' numbers and letters are; none when there is no folder. */
export async function namesIn(folder: string, part: string): Promise<readonly string[]> {
  const names = (await readdir(join(folder, part)).catch(() => [])).filter((name) => name.endsWith(".jsonl"));
  const odd = names.find((name) => !fileName.test(name));
  if (odd !== undefined)
    throw new RlrfError("RLRF_REPORT_FILE", {
      message: `a file's name is no name that a run gives: ${JSON.stringify(odd)}`,
      where: join(folder, part),
      expected: "letters, digits, . _ - and .jsonl at the end",
    });
  return names.map((name) => name.slice(0, -".jsonl".length)).sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
}

function broken(where: string, message: string, schemaName: string): RlrfError {
  const expected = `the form of registry/${schemaName}.schema.json`;
  return new RlrfError("RLRF_REPORT_FILE", { message, where, expected, hint: writtenAnew });
}
