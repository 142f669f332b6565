/** JSON-lines files of a run's folder, read as if anybody had written them. */
import type { RlrfError } from "../errors.js";
import { registrySchema } from "../spec/registry-schema.js";
import { faultLine, validate } from "../spec/validate.js";
import { linesOf } from "../store/files.js";
import { mustBeRunFile } from "../store/run-file.js";

const usualLimit = 2 * 2 ** 30;

export interface ReadRow<Row> {
  readonly row: Row;
  /** Its line, for messages. */
  readonly where: string;
}

/**
 * The rows of a file in the form of registry/SCHEMA.schema.json, one at a time.
 * @param broken makes an error of what is wrong; @param limit bytes of the file at most. @throws that, RLRF_RUN_UNENDED, RLRF_FILE_…
 */
export async function* readRows<Row>(
  path: string,
  schemaName: string,
  broken: (where: string, message: string, cause?: unknown) => RlrfError,
  limit = usualLimit,
): AsyncGenerator<ReadRow<Row>> {
  await mustBeRunFile(path, limit, (message) => broken(path, message));
  const schema = await registrySchema(schemaName);
  for await (const { number, text } of linesOf(path)) {
    if (text.trim() === "") continue;
    const where = `${path}:${number}`;
    let row: unknown;
    try {
      row = JSON.parse(text);
    } catch (cause) {
      throw broken(where, `not JSON: ${(cause as Error).message}`, cause);
    }
    const [fault] = validate(schema, row, "the line");
    if (fault !== undefined) throw broken(where, faultLine(fault));
    yield { row: row as Row, where };
  }
}
