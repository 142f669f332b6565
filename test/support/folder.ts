/** Folders of tests, gone when they are no longer needed. */
import { mkdtempSync, rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** @returns the path, or one below it, fresh before each test of the enclosing `describe` */
export function useFolder(): (...parts: readonly string[]) => string {
  let folder = "";
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "rlrf4rec-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));
  return (...parts) => join(folder, ...parts);
}

const untilExit: string[] = [];

/** A new folder that several tests may share: it goes with the process. */
export function folderUntilExit(): string {
  if (untilExit.length === 0)
    process.on("exit", () => {
      for (const folder of untilExit) rmSync(folder, { recursive: true, force: true });
    });
  const folder = mkdtempSync(join(tmpdir(), "rlrf-test-"));
  untilExit.push(folder);
  return folder;
}
