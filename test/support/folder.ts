import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Logger } from "../../framework/contracts/plugin.js";
import { type ErrorCode, RlrfError } from "../../framework/errors.js";

/** A new empty folder for each test of the enclosing `describe`; `path()` is valid inside tests. */
export function useFolder(): (...parts: readonly string[]) => string {
  let folder = "";
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "rlrf-test-"));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true, force: true });
  });
  return (...parts) => join(folder, ...parts);
}

/** Asserts that something fails with this code, and that what it says matches. */
export async function assertFails(code: ErrorCode, act: () => unknown, message: RegExp = /./): Promise<RlrfError> {
  const error = await Promise.resolve()
    .then(act)
    .then(
      () => assert.fail(`expected ${code}, nothing failed`),
      (thrown: unknown) => thrown,
    );
  if (!(error instanceof RlrfError)) throw error;
  assert.equal(error.code, code, error.message);
  assert.match(error.message, message);
  return error;
}

/** Keeps what it is told. */
export function createListener(): Logger & { readonly warnings: { code: string; message: string }[]; readonly infos: string[] } {
  const warnings: { code: string; message: string }[] = [];
  const infos: string[] = [];
  return { warnings, infos, warn: (code, message) => void warnings.push({ code, message }), info: (message) => void infos.push(message) };
}
