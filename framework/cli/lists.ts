/** `rlrf lists SPEC --out FILE`: the prepared lists, for readers outside of this framework. */
import type { Dataset } from "../contracts/dataset.js";
import { jsonOption, quietOption, type Register, setOption } from "./command.js";
import { createLogger, print, printJson } from "./terminal.js";

interface ListsOptions {
  readonly out: string;
  readonly set: readonly string[];
  readonly json?: boolean;
  readonly quiet?: boolean;
}

export const register: Register = (program) => {
  const command = program
    .command("lists")
    .description("write the lists that a spec prepares: a line each, with user, part, window, history, candidates and labels")
    .argument("<spec>", "a spec")
    .requiredOption("--out <file>", "the JSON lines to write");
  jsonOption(quietOption(setOption(command))).action(writeLists);
};

async function writeLists(file: string, { out, set, json = false, quiet = false }: ListsOptions): Promise<void> {
  const { mustBeFree } = await import("./out.js");
  const { readSpec } = await import("../spec/read.js");
  const { resolveSpec } = await import("../spec/resolve.js");
  const { Registry } = await import("../kernel/registry.js");
  const { Assembler } = await import("../kernel/assemble.js");
  const { prepare, digestOf, warnOfSkippedRows } = await import("../data/prepare.js");
  const { fieldNames, mustHaveFields } = await import("../method/aspect-fields.js");
  const { listLines } = await import("../data/list-lines.js");
  const { createAssets } = await import("../setup/assets.js");
  const { createProgress } = await import("./progress.js");
  const { writeJsonLines } = await import("../store/files.js");
  await mustBeFree(out, "lists");
  const registry = await Registry.read();
  const { spec } = resolveSpec(await readSpec(file, set), registry);
  const logger = createLogger({ quiet });
  const progress = createProgress({ quiet });
  const assembler = new Assembler(registry, { logger, progress, assets: createAssets({ logger, progress }) });
  try {
    const { product } = await assembler.build<Dataset>("dataset", spec.dataset, spec.protocol.seed, "/dataset");
    // The reward's folds decide who scores whom, which no line speaks of.
    const data = await prepare(product, spec.protocol, { folds: 0 });
    warnOfSkippedRows(data, logger);
    mustHaveFields(data.items, spec);
    await writeJsonLines(out, listLines(data, spec.protocol.history));
    const digest = digestOf(data);
    const fields = fieldNames(data.items);
    if (json) printJson({ file: out, digest, counts: data.counts, fields });
    else if (!quiet)
      print(`${data.lists.count} lists of ${data.users.length} users in ${out}\nfields of items: ${fields.join(", ") || "none"}`);
  } finally {
    await assembler.dispose();
  }
}
