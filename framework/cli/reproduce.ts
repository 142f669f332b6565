/** `rlrf reproduce RUN`: a folder that can run it again, from its own files or from MLflow's artifacts, and what of it cannot be had. */
import { readFile } from "node:fs/promises";
import { basename, join, relative, resolve } from "node:path";
import type { Logger } from "../contracts/plugin.js";
import { RlrfError } from "../errors.js";
import type { ReadArtifact, Reproduced } from "../sharing/reproduce.js";
import { AlreadyReported, jsonOption, quietOption, type Register } from "./command.js";
import { createLogger, print, printJson, table } from "./terminal.js";

interface ReproduceFlags {
  readonly from?: string;
  readonly runs: string;
  readonly out?: string;
  readonly fetch: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

export const register: Register = (program) => {
  const command = program
    .command("reproduce")
    .description("rebuild the spec, plugins and assets of a run, and say what cannot be had")
    .argument("<run>", "a run's name or folder; with --from, MLflow's id of it")
    .option("--from <uri>", "an MLflow server that has the run's artifacts")
    .option("--runs <folder>", "where runs are kept", "runs")
    .option("--out <folder>", "a folder for it; else reproduced/RUN")
    .option("--no-fetch", "only say which assets are here");
  jsonOption(quietOption(command)).action(run);
};

async function run(name: string, flags: ReproduceFlags): Promise<void> {
  const { reproduce } = await import("../sharing/reproduce.js");
  const { projectAt } = await import("../sharing/project.js");
  const source = flags.from === undefined ? await localRun(name, flags.runs) : await mlflowRun(name, flags.from, createLogger(flags));
  try {
    const out = resolve(flags.out ?? join("reproduced", source.name));
    const reproduced = await reproduce({
      name,
      place: source.place,
      read: source.read,
      project: projectAt(),
      out,
      asset: await assetsOf(flags),
    });
    if (flags.json) printJson(reproduced);
    else show(reproduced);
    if (reproduced.parts.some(({ state }) => state !== "here")) throw new AlreadyReported(1);
  } finally {
    source.close?.();
  }
}

interface Source {
  readonly name: string;
  /** A folder or an address. */
  readonly place: string;
  readonly read: ReadArtifact;
  close?(): void;
}

async function localRun(name: string, runs: string): Promise<Source> {
  const { findRuns } = await import("../track/runs.js");
  const { runSpecName } = await import("../sharing/run-lock.js");
  const [folder = ""] = await findRuns(runs, [name], runSpecName);
  const read = (path: string) => readFile(join(folder, path)).catch(() => null);
  return { name: basename(resolve(folder)), place: resolve(folder), read };
}

/** @throws RLRF_USAGE for what is no id of MLflow, RLRF_RUN_UNKNOWN, RLRF_TRACK_… */
async function mlflowRun(id: string, uri: string, logger: Logger): Promise<Source> {
  const expected = "the id that `rlrf sync` prints";
  if (!/^[0-9a-f]{32}$/.test(id))
    throw new RlrfError("RLRF_USAGE", {
      message: `${JSON.stringify(id)} is no id of a run in MLflow, which --from asks for`,
      expected: `32 hexadecimal digits: ${expected}`,
      hint: "leave --from out for a run of this machine",
    });
  const { MlflowClient } = await import("../track/mlflow.js");
  const client = new MlflowClient(uri, { logger });
  const found = await client.getRun(id);
  if (found === null) {
    client.close();
    throw new RlrfError("RLRF_RUN_UNKNOWN", {
      message: `MLflow has no run ${JSON.stringify(id)}`,
      where: uri,
      expected,
    });
  }
  return { name: id, place: `${client.uri} ${id}`, read: (path) => client.getArtifact(found, path), close: () => client.close() };
}

async function assetsOf({ fetch, quiet = false }: ReproduceFlags): Promise<(id: string) => Promise<unknown>> {
  const { createAssets } = await import("../setup/assets.js");
  const { createProgress } = await import("./progress.js");
  const assets = createAssets({ logger: createLogger({ quiet }), progress: createProgress({ quiet }) });
  if (fetch) return (id) => assets.folder(id);
  return async (id) => {
    if ((await assets.status(id)).state !== "present")
      throw new RlrfError("RLRF_ASSET_UNAVAILABLE", { message: `${id} is not on this machine` });
  };
}

function show({ folder, parts }: Reproduced): void {
  print(table(parts.map(({ what, name, state, why = "" }) => [state, what, name, why])));
  const here = relative(process.cwd(), folder) || ".";
  const lacking = parts.filter(({ state }) => state !== "here").length;
  print(
    `\n${lacking === 0 ? "everything is as it was" : `${lacking} of ${parts.length} are not as they were`}: cd ${here} && rlrf run spec.json --frozen`,
  );
}
