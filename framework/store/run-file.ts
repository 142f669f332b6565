/** Files of a run's folder, which a run writes before its end and anybody may have changed since. */
import { readFile, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { RlrfError } from "../errors.js";
import { fileError } from "./files.js";

/** What to do about any of them. */
export const writtenAnew = "give its `rlrf run` again: what is computed is found, and the file is written anew";

/** @param broken makes an error of what is wrong. @throws that, RLRF_RUN_UNENDED where there is none, RLRF_FILE_… */
export async function mustBeRunFile(path: string, limit: number, broken: (message: string) => RlrfError): Promise<void> {
  const found = await stat(path).catch((error: unknown) => {
    throw unreadable(error, path);
  });
  if (!found.isFile()) throw broken(found.isDirectory() ? "it is a folder" : "it is no regular file");
  if (found.size > limit) throw broken(`it has ${found.size} bytes, more than the ${limit} that are read`);
}

/** As text. @throws as `mustBeRunFile` does */
export async function readRunFile(path: string, limit: number, broken: (message: string) => RlrfError): Promise<string> {
  await mustBeRunFile(path, limit, broken);
  return readFile(path, "utf8").catch((error: unknown) => {
    throw unreadable(error, path);
  });
}

function unreadable(cause: unknown, path: string): RlrfError {
  const error = fileError(cause, path, "read");
  if (error.code !== "RLRF_FILE_MISSING") return error;
  const { message } = error.fault;
  return new RlrfError("RLRF_RUN_UNENDED", { message, where: dirname(path), expected: "the folder of a run that has ended", hint: writtenAnew }, { cause }); // biome-ignore format: one fault
}
