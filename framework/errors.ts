/**
 * Every coded error of the framework. docs/errors.md is tested against this table.
 * `exit`: 2 when the user's input is wrong, 1 when the run failed for another reason.
 */
export const errorCodes = {
  RLRF_INTERNAL: { exit: 1, summary: "A fault of rlrf4rec itself; please report it." },
  RLRF_DISK_FULL: { exit: 1, summary: "No space is left where a file had to be written; what was finished is kept." },
  RLRF_FILE_MISSING: { exit: 2, summary: "A file that was to be read is not there." },
  RLRF_FILE_DENIED: { exit: 1, summary: "A file or folder cannot be read or written by this user." },
  RLRF_FILE_BROKEN: { exit: 1, summary: "A JSON or JSONL file does not parse." },
  RLRF_FILE_IO: { exit: 1, summary: "The operating system failed to read or write a file." },
  RLRF_TENSORS_BROKEN: { exit: 1, summary: "A safetensors file is damaged or contradicts itself." },
  RLRF_TENSORS_DTYPE: { exit: 1, summary: "A tensor on disk has another type than the reader can use." },
  RLRF_STORE_CORRUPT: { exit: 1, summary: "Warning: a cached file does not match its checksum; it was discarded and is made again." },
  RLRF_RUN_NAME: { exit: 2, summary: "A run's name cannot be the name of a folder." },
  RLRF_RUN_BUSY: { exit: 1, summary: "Another living process writes the same run." },
  RLRF_RUN_UNWRITABLE: { exit: 1, summary: "The folder of the run cannot be made or written." },
  RLRF_RUN_TAKEN: { exit: 1, summary: "The lock of the run was taken over by another process while this one was stalled." },
  RLRF_USAGE: { exit: 2, summary: "A command was called with arguments that it cannot use." },
  RLRF_SPEC_FILE: { exit: 2, summary: "A spec cannot be read, or is too large." },
  RLRF_SPEC_JSON: { exit: 2, summary: "Malformed JSON, a forbidden or repeated key, or nesting that is too deep; with line and column." },
  RLRF_SPEC_EXTENDS: { exit: 2, summary: "`extends` runs in a circle, or is not the path of a spec." },
  RLRF_SPEC_SET: { exit: 2, summary: "A `--set path=value` does not fit the spec." },
  RLRF_SPEC_FAULTS: { exit: 2, summary: "Several faults in one spec; each is listed with a code of its own." },
  RLRF_SPEC_UNKNOWN_KEY: { exit: 2, summary: "A key that the spec or a plugin's options do not have." },
  RLRF_SPEC_MISSING: { exit: 2, summary: "A section or option that has to be there is missing." },
  RLRF_SPEC_TYPE: { exit: 2, summary: "A value of the wrong type." },
  RLRF_SPEC_VALUE: { exit: 2, summary: "A value of the right type that is not allowed." },
  RLRF_SPEC_CONFLICT: { exit: 2, summary: "Sections that do not fit each other." },
  RLRF_SPEC_SECRET: { exit: 2, summary: "A secret stands in the spec, or the environment variable that it names is not set." },
  RLRF_REGISTRY_FILE: { exit: 1, summary: "A manifest of plugins cannot be read or is not in its form." },
  RLRF_PLUGIN_UNKNOWN: { exit: 2, summary: "No plugin of this kind has this name." },
  RLRF_PLUGIN_KIND: { exit: 2, summary: "There is no such kind of plugin." },
  RLRF_PLUGIN_VERSION: { exit: 2, summary: "The registered version of a plugin is not in the range asked for, or the range is malformed." },
  RLRF_PLUGIN_DUPLICATE: { exit: 2, summary: "Two manifests register a plugin of the same kind and name." },
  RLRF_PLUGIN_SCHEMA: { exit: 1, summary: "A plugin's options schema is not a valid JSON Schema." },
  RLRF_PLUGIN_IMPORT: { exit: 1, summary: "A plugin's module cannot be imported." },
  RLRF_PLUGIN_STALE: { exit: 1, summary: "The registry does not describe the plugin as it is: run `npm run build`." },
  RLRF_PLUGIN_INJECTION: { exit: 1, summary: "A plugin's constructor asks for something that the kernel does not give." },
  RLRF_PLUGIN_CONSTRUCTOR: { exit: 1, summary: "A plugin's constructor threw." },
  RLRF_PLUGIN_DISPOSE: { exit: 1, summary: "Plugins failed while they were disposed of." },
  RLRF_TRY_IMPURE: { exit: 2, summary: "`rlrf try` takes pure plugins: losses, sampling strategies and metric rewards." },
  RLRF_TRY_INPUT: { exit: 2, summary: "The input of `rlrf try` is not of the form that the plugin's kind takes." },
  RLRF_ENGINE_UNKNOWN: { exit: 2, summary: "The tensor engine asked for is none of auto, tensorflow, wasm and cpu." },
  RLRF_ENGINE_UNAVAILABLE: { exit: 1, summary: "The tensor engine that was forced cannot start on this machine." },
  RLRF_ENGINE_SETUP: { exit: 1, summary: "TensorFlow could not be bound to this Node; what was tried is listed." },
  RLRF_LOCK_TIMEOUT: { exit: 1, summary: "Another process held a set-up lock for too long." },
  RLRF_COMMAND_FAILED: { exit: 1, summary: "A program that the set-up needs (python, pip, g++, …) failed, is missing or took too long." },
  RLRF_ARCHIVE_BAD: { exit: 1, summary: "A downloaded zip or wheel is damaged, or is not what it should be." },
  RLRF_TEXT_WIDTH: { exit: 2, summary: "A text encoder's vectors are not all of one width." },
  RLRF_TEXT_NOT_FINITE: { exit: 1, summary: "A text encoder gave a vector with NaN or infinity in it." },
  RLRF_TEXT_MODEL: { exit: 2, summary: "The files of a text encoder's model are missing or cannot be read." },
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

/** The lines in which every fault is shown. */
export function formatFault(code: ErrorCode, { message, where, expected, hint }: Fault): string {
  return [
    `${code}: ${message}`,
    ...(where === undefined ? [] : [`  where     ${where}`]),
    ...(expected === undefined ? [] : [`  expected  ${expected}`]),
    ...(hint === undefined ? [] : [`  to do     ${hint}`]),
  ].join("\n");
}
