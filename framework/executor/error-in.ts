import type { UnitError } from "../contracts/executor.js";

/**
 * The coded error that an `rlrf` command with `--json` printed last, whatever else it printed before or its machine after; undefined
 * where there is none. `--json` writes an object over several lines, the first of which is a brace alone.
 */
export function errorIn(output: string): UnitError | undefined {
  const lines = output.split(/\r?\n/);
  const last = lines.lastIndexOf("}");
  const first = lines.lastIndexOf("{", last);
  if (last < 0 || first < 0) return undefined;
  try {
    const { error } = JSON.parse(lines.slice(first, last + 1).join("\n")) as { readonly error?: Partial<UnitError> };
    return typeof error?.code === "string" && typeof error.message === "string" ? (error as UnitError) : undefined;
  } catch {
    return undefined;
  }
}
