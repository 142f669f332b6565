import { RlrfError } from "../../errors.js";

/** A checkpoint that contradicts itself or its size. */
export function brokenCheckpoint(where: string, message: string, expected?: string, cause?: unknown): RlrfError {
  const hint = "fetch or convert the model again";
  return new RlrfError("RLRF_CHECKPOINT_BROKEN", { message, where, hint, ...(expected !== undefined && { expected }) }, { cause });
}

/** What `RangeFile` is given for a file that was cut while it was read. */
export const cutCheckpoint = (where: string) => (end: number) => brokenCheckpoint(where, `the file ends at byte ${end}`);

/** A sound checkpoint of a kind that is not computed here. @param hint what else can be done with it: by default, where its decoder is meant */
export function unsupportedCheckpoint(
  where: string,
  message: string,
  expected: string,
  hint = "convert the model, choose another one, or write with the llm `openai` or `llama-cpp`",
): RlrfError {
  return new RlrfError("RLRF_CHECKPOINT_UNSUPPORTED", { message, where, expected, hint });
}

/** One whose texts are cut in a way that is not computed here: the llm `llama-cpp`, which computes every decoder, takes its tokens from here. */
export function unsupportedTokenizer(where: string, message: string, expected: string): RlrfError {
  return unsupportedCheckpoint(where, message, expected, "choose another model, or write with the llm `openai`");
}

/** Names come from the file: they are shown shortened and escaped. */
export function quoted(name: unknown): string {
  if (typeof name !== "string") return "not named";
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name);
}
