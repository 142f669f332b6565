/** Files of a run folder, read as if anybody had written them. */
import { existsSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { RlrfError } from "../errors.js";
import { registrySchema } from "../spec/registry-schema.js";
import { validate } from "../spec/validate.js";
import { linesOf, readJson } from "../store/files.js";

const fileLimit = 2 * 2 ** 30;
const fileName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\.jsonl$/;

/** The rows of a JSON-lines file in the form of registry/SCHEMA.schema.json; none when there is no file. @throws RLRF_REPORT_FILE */
export async function* rowsOf<Row>(path: string, schemaName: string): AsyncGenerator<Row> {
  if (!existsSync(path)) return;
  if ((await stat(path)).size > fileLimit) throw broken(path, `it is larger than the ${fileLimit} bytes that are read`, schemaName);
  const schema = await registrySchema(schemaName);
  for await (const { number, text } of linesOf(path)) {
    if (text.trim() === "") continue;
    const where = `${path}:${number}`;
    let row: unknown;
    try {
      row = JSON.parse(text);
    } catch (cause) {
      throw broken(where, `not JSON: ${(cause as Error).message}`, schemaName);
    }
    mustFit(row, schema, where, schemaName);
    yield row as Row;
  }
}

/** @throws RLRF_REPORT_FILE, RLRF_FILE_MISSING, RLRF_FILE_BROKEN */
export async function readFitting<Value>(path: string, schemaName: string): Promise<Value> {
  const value = await readJson(path);
  mustFit(value, await registrySchema(schemaName), path, schemaName);
  return value as Value;
}

function mustFit(value: unknown, schema: object, where: string, schemaName: string): void {
  const [fault] = validate(schema, value, `${schemaName}.schema.json`);
  if (fault !== undefined) throw broken(where, `${fault.pointer || "the line"}: ${fault.message}`, schemaName);
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
  const hint = "report on folders that `rlrf run` has written to their end";
  return new RlrfError("RLRF_REPORT_FILE", { message, where, expected: `the form of registry/${schemaName}.schema.json`, hint });
}
