import assert from "node:assert/strict";
import type { Logger } from "../../framework/contracts/plugin.js";
import { type ErrorCode, RlrfError } from "../../framework/errors.js";

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

export interface Listener extends Logger {
  readonly warnings: { readonly code: string; readonly message: string }[];
  readonly infos: string[];
}

/** A logger that keeps what it is told. */
export function createListener(): Listener {
  const warnings: Listener["warnings"] = [];
  const infos: string[] = [];
  return { warnings, infos, warn: (code, message) => void warnings.push({ code, message }), info: (message) => void infos.push(message) };
}
