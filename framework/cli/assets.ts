/** `rlrf assets`: the data sets and models that plugins can ask for, which of them are here, and fetching or checking them. */
import type { AssetInfo, AssetStatus } from "../setup/assets.js";
import { AlreadyReported, jsonOption, quietOption, type Register } from "./command.js";
import { createLogger, onOutput, print, printJson, table } from "./terminal.js";

interface Options {
  readonly json?: boolean;
  readonly quiet?: boolean;
}

export const register: Register = (program) => {
  const assets = program
    .command("assets")
    .description("list data sets, models and Python environments with their licences, and fetch or check them");
  jsonOption(assets).action(list);
  jsonOption(
    quietOption(
      assets
        .command("fetch")
        .description("fetch assets, or make Python environments; without names, all data sets and models")
        .argument("[id...]", "as `rlrf assets` lists them"),
    ),
  ).action(fetchAssets);
  jsonOption(
    assets.command("verify").description("read every byte of the assets that are here, and compare hashes").argument("[id...]"),
  ).action(verify);
};

async function open({ quiet = false }: Options = {}) {
  const { createAssets } = await import("../setup/assets.js");
  const { createProgress } = await import("./progress.js");
  return createAssets({ logger: createLogger({ quiet }), progress: createProgress({ quiet }) });
}

async function list(_: Options, command: { optsWithGlobals(): Options }): Promise<void> {
  const store = await open();
  const rows: (AssetInfo & AssetStatus)[] = [];
  for (const info of await store.list()) rows.push({ ...info, ...(await store.status(info.id)) });
  if (command.optsWithGlobals().json) return printJson(rows);
  print(
    table(
      rows.map(({ id, state, bytes, licence, summary }) => [id, state, megabytes(bytes), summary, licence]),
      [2],
    ),
  );
  print(`\n${onOutput.dim("rlrf assets fetch [ID…] fetches, rlrf assets verify [ID…] checks; runs fetch what they need by themselves")}`);
}

async function fetchAssets(ids: readonly string[], _: Options, command: { optsWithGlobals(): Options }): Promise<void> {
  const options = command.optsWithGlobals();
  const store = await open(options);
  const wanted = ids.length > 0 ? ids : (await store.list()).flatMap(({ id, kind }) => (kind === "files" ? [id] : []));
  const folders: Record<string, string> = {};
  for (const id of wanted) {
    folders[id] = await store.folder(id);
    if (!options.json && !options.quiet) print(`${id}  ${folders[id]}`);
  }
  if (options.json) printJson(folders);
}

async function verify(ids: readonly string[], _: Options, command: { optsWithGlobals(): Options }): Promise<void> {
  const store = await open();
  const all = await Promise.all((ids.length > 0 ? ids : (await store.list()).map(({ id }) => id)).map((id) => store.status(id)));
  // Without names: what is here. With names: all of those.
  const checked = ids.length > 0 ? all : all.filter(({ state }) => state !== "absent");
  if (command.optsWithGlobals().json) printJson(checked);
  else for (const { id, state, damaged } of checked) print(`${id}  ${state}${damaged.length > 0 ? `: ${damaged.join(", ")}` : ""}`);
  if (checked.some(({ state }) => state !== "present")) throw new AlreadyReported(1);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
