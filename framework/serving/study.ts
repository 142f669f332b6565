/** The run's study made again, so that its recommenders are found where `rlrf run` left them; nothing of the run's own folder is written. */
import fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assemble, type Assembly, type Services } from "../kernel/assemble.js";
import type { Registry } from "../kernel/registry.js";
import { Study } from "../method/study.js";
import { RunFolder } from "../store/run-folder.js";
import { silentTracker } from "../track/tracker.js";
import { type EndedRun, unpromotable } from "./run.js";

export interface Workshop {
  readonly registry: Registry;
  readonly services: Required<Services>;
  readonly signal: AbortSignal;
}

/** @throws RLRF_PROMOTE_RUN when the data set is not that of the run any more */
export async function withStudy<T>(run: EndedRun, workshop: Workshop, act: (study: Study, parts: Assembly) => Promise<T>): Promise<T> {
  const { registry, services, signal } = workshop;
  const scratch = await fs.mkdtemp(join(tmpdir(), "rlrf-promote-"));
  const parts = await assemble(run.spec, registry, services);
  try {
    const folder = await RunFolder.open(scratch, "study");
    const study = await Study.prepare(run.spec, parts, { ...services, folder, tracker: silentTracker, signal });
    try {
      if (study.dataKey !== run.listsDigest)
        throw unpromotable(
          run.folder,
          "the data set gives other lists than it did to the run",
          "bring its files back, or run the spec again",
        );
      return await act(study, parts);
    } finally {
      await study.close();
      await folder.close();
    }
  } finally {
    await parts.dispose();
    await fs.rm(scratch, { recursive: true, force: true });
  }
}
