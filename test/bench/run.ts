/**
 * `npm run bench`: our recommender against PyTorch on the same work, in turn, in the same minutes; and the command line's own time.
 *   npm run bench -- sasrec        only this part (cli, sasrec, prm)
 *   npm run bench -- --rounds 2    fewer pairs of timings
 *   npm run bench -- --no-fits     without the two whole SASRec fits
 */
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { writeJson } from "../../framework/store/files.js";
import { startEngine } from "../../framework/tensor/engine.js";
import { benchCli } from "./cli.js";
import { type Figure, table } from "./figures.js";
import { benchPrm } from "./prm.js";
import { requirements } from "./rival.js";
import { benchSasRec } from "./sasrec.js";
import { benchFolder, movieLens, templateKnowledge } from "./workload.js";

const { values, positionals } = parseArgs({
  options: { rounds: { type: "string", default: "3" }, fits: { type: "boolean", default: true } },
  allowPositionals: true,
  allowNegative: true,
});
const parts = positionals.length === 0 ? ["cli", "sasrec", "prm"] : positionals;
const rounds = Number(values.rounds);

const figures: Figure[] = [];
if (parts.includes("cli")) figures.push(...(await benchCli()));
const engine = await startEngine();
const data = await movieLens();
if (parts.includes("sasrec")) figures.push(...(await benchSasRec(data, { rounds, fits: values.fits })));
if (parts.includes("prm")) figures.push(...(await benchPrm(data, await templateKnowledge(data), rounds)));

const machine = { cores: cpus().length, processor: cpus()[0]?.model, node: process.version, engine, rivals: requirements };
const path = join(benchFolder, `${new Date().toISOString().replaceAll(":", "-")}.json`);
await writeJson(path, { machine, rounds, figures });
console.log(`${table(figures)}\n\n${engine.name} ${engine.version} against ${requirements[0]}, ${machine.cores} cores; ${path}`);
