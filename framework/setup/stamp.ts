import { stat } from "node:fs/promises";

/** Size and time of a file: enough to see, without reading hundreds of megabytes, that it is still the one that was checked. */
export async function fingerprint(path: string): Promise<string> {
  const { size, mtimeMs } = await stat(path);
  return `${size}@${Math.round(mtimeMs)}`;
}
