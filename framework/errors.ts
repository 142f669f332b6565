/**
 * Every coded error of the framework. docs/errors.md is tested against this table.
 * `exit`: 2 when the user's input is wrong, 1 when the run failed for another reason.
 */
export const errorCodes = {
  RLRF_INTERNAL: { exit: 1, summary: "A fault of rlrf4rec itself; please report it." },
} as const satisfies Record<string, { exit: 1 | 2; summary: string }>;

export type ErrorCode = keyof typeof errorCodes;

export interface Fault {
  readonly message: string;
  /** File, and line or JSON pointer. */
  readonly where?: string;
  readonly expected?: string;
  /** What to do now. */
  readonly hint?: string;
}

/** What every foreseen failure is thrown as: says where, what was expected, and what to do. */
export class RlrfError extends Error {
  override readonly name = "RlrfError";
  constructor(
    readonly code: ErrorCode,
    readonly fault: Fault,
    options?: { readonly cause?: unknown },
  ) {
    super(formatFault(code, fault), options);
  }
  get exit(): 1 | 2 {
    return errorCodes[this.code].exit;
  }
}

function formatFault(code: ErrorCode, { message, where, expected, hint }: Fault): string {
  return [
    `${code}: ${message}`,
    ...(where === undefined ? [] : [`  where     ${where}`]),
    ...(expected === undefined ? [] : [`  expected  ${expected}`]),
    ...(hint === undefined ? [] : [`  to do     ${hint}`]),
  ].join("\n");
}
