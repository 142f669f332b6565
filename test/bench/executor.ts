/** What distributing costs the driver, for each unit, besides what Ray itself takes. */
import fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Executor, Unit } from "../../framework/contracts/executor.js";
import { distribute } from "../../framework/method/distribute.js";
import type { Study } from "../../framework/method/study.js";
import type { StepUnit } from "../../framework/method/units.js";
import { Store } from "../../framework/store/store.js";
import { withPlugin } from "../../framework/testing/index.js";
import { silentTracker } from "../../framework/track/tracker.js";
import { Ray } from "../../plugins/executors/ray.js";
import { RayCluster } from "../support/ray-cluster.js";
import { type Figure, timeFigure } from "./figures.js";

const units = 20;
const resources = { cpus: 0.5, gpus: 0, memoryBytes: 2 ** 20 };

interface RayJob {
  readonly submission_id: string;
  readonly start_time: number;
  readonly end_time: number;
}

/** Units that do almost nothing, one after another: what passes between the end of one and the end of the next, less Ray's own time. */
async function besidesRay(): Promise<number> {
  const cluster = new RayCluster();
  try {
    await cluster.start();
    const work = Array.from({ length: units }, (_, i): Unit => ({ id: `bench.${i}`, command: ["list", "executor"], resources }));
    const begun = performance.now();
    await withPlugin({ plugin: Ray, options: { address: cluster.address } }, (ray) => ray.run(work, { concurrent: 1 }));
    const wall = performance.now() - begun;
    const jobs = (await (await fetch(`${cluster.address}/api/jobs/`)).json()) as readonly RayJob[];
    const rays = jobs
      .filter((job) => job.submission_id.startsWith("rlrf.bench."))
      .reduce((sum, job) => sum + job.end_time - job.start_time, 0);
    return (wall - rays) / units;
  } finally {
    await cluster.stop();
  }
}

/** What a run does for each unit before an executor has it, and after: an executor that is done at once. */
async function beforeTheExecutor(): Promise<number> {
  const folder = await fs.mkdtemp(join(tmpdir(), "rlrf-bench-"));
  const executor: Executor = {
    parallel: 16,
    run: async (work) => work.map(({ id }) => ({ id, state: "done", exitCode: 0, attempts: 1 })),
  };
  const quiet = { info() {}, warn() {} };
  const context = {
    store: new Store(folder, quiet),
    folder: { id: "bench", path: (...parts: readonly string[]) => join(folder, ...parts) },
    tracker: silentTracker,
    logger: quiet,
    progress: { start: () => ({ advance() {}, end() {} }) },
    engine: { name: "cpu", threads: 1 },
    signal: new AbortController().signal,
  };
  const study = { spec: { name: "bench" }, parts: { executor }, context, dataKey: "0" } as unknown as Study; // all that distributing reads
  const wanted = Array.from({ length: units }, (_, seed): StepUnit => {
    const name = { part: "evaluate", fold: 0, seed } as const;
    return { makes: { step: "encoder", version: 1, inputs: seed }, work: { what: "encoder", name }, label: "encoder", resources };
  });
  try {
    const begun = performance.now();
    await distribute(study, () => wanted);
    return (performance.now() - begun) / units;
  } finally {
    await fs.rm(folder, { recursive: true, force: true });
  }
}

export async function benchExecutor(): Promise<Figure[]> {
  const mark = { text: "< 0.2 s", met: (time: number) => time < 0.2 };
  const figure = (name: string, milliseconds: number, note: string) =>
    timeFigure(name, [{ ours: milliseconds / 1000, rival: 0.2 }], mark, `${note}; the rival is the mark itself`);
  return [
    figure("a unit's task", await beforeTheExecutor(), "written to the store, with its states"),
    figure("a unit by Ray", await besidesRay(), "submitted, followed and found done, less Ray's own time between submission and end"),
  ];
}
