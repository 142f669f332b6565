import { RlrfError } from "../../errors.js";

/** A checkpoint that contradicts itself or its size. */
export function brokenCheckpoint(where: string, message: string, expected?: string, cause?: unknown): RlrfError {
  const hint = "fetch or convert the model again";
  return new RlrfError("RLRF_CHECKPOINT_BROKEN", { message, where, hint, ...(expected !== undefined && { expected }) }, { cause });
}

/** What `RangeFile` is given for a file that was cut while it was read. */
export const cutCheckpoint = (where: string) => (end: number) => brokenCheckpoint(where, `the file ends at byte ${end}`);

/** A sound checkpoint of a kind that is not computed here. */
export function unsupportedCheckpoint(where: string, message: string, expected: string): RlrfError {
  const hint = "convert the model, choose another one, or write with the llm `openai` or `llama-cpp`";
  return new RlrfError("RLRF_CHECKPOINT_UNSUPPORTED", { message, where, expected, hint });
}

/** Names come from the file: they are shown shortened and escaped. */
export function quoted(name: string | undefined): string {
  if (name === undefined) return "not named";
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name);
}
