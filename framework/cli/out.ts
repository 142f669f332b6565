/** `--out FILE` writes over a file that the same command wrote, and over no other: it may be the spec, data or part of a run. */
import fs from "node:fs/promises";
import { RlrfError } from "../errors.js";
import { fileError } from "../store/files.js";

/** How each command's own files begin. */
const kinds = {
  report: { begins: /^<!doctype html>/i, called: "an HTML report" },
  lists: { begins: /^\{"user":"(?:[^"\\]|\\.)*","part":"/, called: "lists that `rlrf lists` wrote" },
  rates: { begins: /^\{\s*"measured":/, called: "rates that `rlrf bench` wrote" },
} as const;
/** An id of a user is shorter. */
const beginning = 4096;

/** Asked before the work begins. @throws RLRF_USAGE, RLRF_FILE_DENIED for a folder */
export async function mustBeFree(path: string, kind: keyof typeof kinds): Promise<void> {
  const { begins, called } = kinds[kind];
  const text = await beginningOf(path);
  if (text === "" || begins.test(text ?? "")) return;
  throw new RlrfError("RLRF_USAGE", {
    message: `--out would overwrite ${text === null ? "what is no file" : `a file that is not ${called}`}`,
    where: path,
    expected: `a new file, or ${called}`,
    hint: "choose another path; if the file may go, delete it first",
  });
}

/** @returns "" where nothing is, null for a device */
async function beginningOf(path: string): Promise<string | null> {
  const found = await fs.stat(path).catch(() => null);
  if (found === null) return ""; // whoever writes it says whether it can be made
  if (!found.isFile() && !found.isDirectory()) return null;
  const file = await fs.open(path).catch((error: unknown) => {
    throw fileError(error, path, "write");
  });
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(beginning), 0, beginning, 0);
    return buffer.toString("utf8", 0, bytesRead);
  } catch (error) {
    throw fileError(error, path, "write");
  } finally {
    await file.close();
  }
}
