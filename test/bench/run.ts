/**
 * `npm run bench`: ours against others on the same work, in turn, in the same minutes; and the command line's own time.
 *   npm run bench -- sasrec        only this part (cli, data, sasrec, prm, generation, llama-cpp, tuning, loading)
 *   npm run bench -- --rounds 2    fewer pairs of timings
 *   npm run bench -- --threads 1   of every side: on a machine with other work two threads wait for each other more than they compute
 *   npm run bench -- --no-fits     without the two whole SASRec fits
 */
import { mkdir } from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { writeJson } from "../../framework/store/files.js";
import { type EngineInfo, startEngine } from "../../framework/tensor/engine.js";
import { transformersRequirements } from "../support/transformers-serve.js";
import { benchCli } from "./cli.js";
import { benchData } from "./data.js";
import { benchExecutor } from "./executor.js";
import { type Figure, table } from "./figures.js";
import { benchGeneration } from "./generation.js";
import { benchLlamaCpp } from "./llama-cpp.js";
import { benchLoading } from "./loading.js";
import { benchPrm } from "./prm.js";
import { requirements } from "./rival.js";
import { benchSasRec } from "./sasrec.js";
import { benchServe } from "./serve.js";
import { benchTuning } from "./tuning.js";
import { benchFolder, movieLens, templateKnowledge } from "./workload.js";

const { values, positionals } = parseArgs({
  options: { rounds: { type: "string", default: "3" }, threads: { type: "string" }, fits: { type: "boolean", default: true } },
  allowPositionals: true,
  allowNegative: true,
});
const rounds = Number(values.rounds);
// Before any engine starts; rivals inherit it.
if (values.threads !== undefined) Object.assign(process.env, { RLRF_THREADS: values.threads, OMP_NUM_THREADS: values.threads });

const benches: Readonly<Record<string, (engine: EngineInfo) => Promise<Figure[]>>> = {
  cli: benchCli,
  data: benchData,
  sasrec: async () => benchSasRec(await movieLens(), { rounds, fits: values.fits }),
  prm: async () => {
    const data = await movieLens();
    return benchPrm(data, await templateKnowledge(data), rounds);
  },
  generation: (engine) => benchGeneration(engine, rounds),
  "llama-cpp": (engine) => benchLlamaCpp(engine, rounds),
  serve: benchServe,
  tuning: (engine) => benchTuning(engine, rounds),
  loading: (engine) => benchLoading(engine, rounds),
  executor: benchExecutor,
};
const chosen = positionals.length === 0 ? Object.keys(benches) : positionals;
const unknown = chosen.filter((name) => !Object.hasOwn(benches, name));
if (unknown.length > 0 || !(Number.isInteger(rounds) && rounds > 0)) {
  const what = unknown.length > 0 ? `there is no bench ${unknown.join(", ")}` : `--rounds is ${values.rounds}`;
  console.error(`${what}; expected ${Object.keys(benches).join(", ")}, and --rounds a whole number above 0`);
  process.exit(2);
}

await mkdir(benchFolder, { recursive: true });
const engine = await startEngine();
const figures: Figure[] = [];
const rivals = [...requirements, ...transformersRequirements];
const machine = { cores: cpus().length, processor: cpus()[0]?.model, node: process.version, engine, rivals };
const path = join(benchFolder, `${new Date().toISOString().replaceAll(":", "-")}.json`);
for (const name of chosen) {
  const own = (await benches[name]?.(engine)) ?? [];
  figures.push(...own);
  await writeJson(path, { machine, rounds, figures }); // whatever becomes of the benches that follow
  console.log(`${table(own)}\n`);
}
console.log(`${engine.name} ${engine.version} against ${requirements[0]}, ${machine.cores} cores; ${path}`);
