/** How long `rlrf serve` takes over a list with a cached text: MovieLens-100K, SASRec, HEA and PRM at their usual sizes, MiniLM's vectors. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import fs from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { packageRoot } from "../../framework/setup/paths.js";
import { writeJsonLines } from "../../framework/store/files.js";
import { runFolderIn } from "../support/run.js";
import { ask, evaluatedLists, promote, ranIn, serve } from "../support/served.js";
import type { Figure } from "./figures.js";
import type { Load } from "./load.js";
import { benchFolder } from "./workload.js";

/** Requests a second, and seconds of them. */
const [rate, seconds] = [100, 30];
/** Milliseconds: the mark of p99. */
const mark = 20;

/** The rival is an empty answer of the same server at the same rate: what HTTP and the machine cost by themselves. */
export async function benchServe(): Promise<Figure[]> {
  const { model, requests, run } = await promotedModel();
  const served = await serve(model);
  try {
    for (const { request } of (await evaluatedLists(run, "metadata", 1)).slice(0, 200)) await ask(served.address, "/rerank", request);
    const ours = await load(`${served.address}/rerank`, requests);
    const rival = await load(`${served.address}/health`, "-");
    if (ours.failed > 0 || ours.texts.cache !== ours.requests)
      throw new Error(`not all were answered from kept texts: ${JSON.stringify(ours)}`);
    return (["p50", "p99", "max"] as const).map((name) => figureOf(name, ours, rival));
  } finally {
    served.process.kill("SIGTERM");
    await served.finished;
  }
}

/** The run is made once; the model each time, with the code as it is. */
async function promotedModel(): Promise<{ readonly model: string; readonly requests: string; readonly run: string }> {
  const folder = join(benchFolder, "serve");
  const [model, requests] = [join(folder, "model"), join(folder, "requests.jsonl")];
  const run = existsSync(join(folder, "runs")) ? await runFolderIn(folder) : await ranIn(folder, join(packageRoot, "test", "bench", "specs", "serve.json")); // biome-ignore format: one line
  await fs.rm(model, { recursive: true, force: true });
  const { status, stderr } = await promote(folder, "--out", model);
  if (status !== 0) throw new Error(stderr);
  const lists = await evaluatedLists(run, "metadata", 1);
  await writeJsonLines(requests, lists.map(({ request }) => request)); // biome-ignore format: one line
  return { model, requests, run };
}

async function load(address: string, requests: string): Promise<Load> {
  const script = fileURLToPath(new URL("./load.js", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script, address, requests, String(rate), String(seconds)]);
  return JSON.parse(stdout) as Load;
}

function figureOf(name: "p50" | "p99" | "max", ours: Load, rival: Load): Figure {
  const [own, other] = [ours[name], rival[name]];
  const note = `${own.toFixed(1)} ms at ${rate}/s from when a request was due; the rival, ${other.toFixed(1)} ms, is an empty answer; requests left ${ours.late.toFixed(1)} ms late at most`;
  const marked = name === "p99" ? { mark: `< ${mark} ms`, met: own < mark } : { mark: "-", met: true };
  return {
    name: `serve, ${name}`,
    unit: "s",
    ours: own / 1000,
    rival: other / 1000,
    ratio: other / own,
    ratios: [other / own],
    ...marked,
    note,
  };
}
