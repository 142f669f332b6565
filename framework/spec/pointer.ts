/** JSON pointers (RFC 6901) taken apart; `child` in json.ts puts them together. */

/** @returns undefined where it is no pointer to something inside a document */
export function pointerKeys(pointer: string): string[] | undefined {
  if (!/^(?:\/(?:[^~/]|~[01])*)+$/.test(pointer)) return undefined;
  return pointer
    .slice(1)
    .split("/")
    .map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** As `--set` and messages say it: loss.options.beta. */
export function dotted(pointer: string): string {
  return pointerKeys(pointer)?.join(".") ?? pointer;
}

/** Whether one of the two lies inside the other, or is the same. */
export function overlap(a: string, b: string): boolean {
  return `${a}/`.startsWith(`${b}/`) || `${b}/`.startsWith(`${a}/`);
}
