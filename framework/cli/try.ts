import type { Assets } from "../contracts/plugin.js";
import { RlrfError } from "../errors.js";
import type { SpecSource } from "../spec/origins.js";
import type { Register } from "./command.js";
import { createLogger, print } from "./terminal.js";

/** `rlrf try KIND/NAME`: feeds JSON to a pure plugin and prints its result as JSON. */
export const register: Register = (program) => {
  program
    .command("try")
    .description("feed JSON to a loss, sampling strategy or metric reward, and print its result as JSON")
    .argument("<kind/name>")
    .option("--options <json>", "the plugin's options", "{}")
    .requiredOption("--input <file>", "JSON to feed; - reads standard input")
    .option("--json", "print JSON, which it does in any case")
    .action(async (id: string, { options, input }: { options: string; input: string }) =>
      print(JSON.stringify(await tryPlugin(id, options, input))),
    );
};

async function tryPlugin(id: string, options: string, input: string): Promise<unknown> {
  const { Registry, splitId } = await import("../kernel/registry.js");
  const { parseJson } = await import("../spec/json.js");
  const { specFromText } = await import("../spec/read.js");
  const { resolveReference } = await import("../spec/resolve.js");
  const registry = await Registry.read();
  const [kind, name] = splitId(id, registry.list());
  const entry = registry.find(kind, name);
  const given = optionsGiven(specFromText(options, "--options"));
  const reference = resolveReference(registry, kind, { plugin: name, options: given.value }, "--options", given.origins);
  const { feeders } = await import("./feed.js");
  const feed = entry.pure === true ? feeders[kind] : undefined;
  if (feed === undefined)
    throw new RlrfError("RLRF_TRY_IMPURE", {
      message: `${id} is no pure function of JSON`,
      expected: `a plugin of kind ${Object.keys(feeders).join(", ")} that calls itself pure`,
    });
  const document = parseJson(await readInput(input), input === "-" ? "standard input" : input);

  const { Assembler } = await import("../kernel/assemble.js");
  const { createProgress } = await import("./progress.js");
  const assembler = new Assembler(registry, { logger: createLogger(), progress: createProgress({ quiet: true }), assets: noAssets });
  try {
    const { product } = await assembler.build<object>(kind, reference, 0, "");
    return await feed(product, document);
  } finally {
    await assembler.dispose();
  }
}

/** Where each of them was written, as a reference has them. */
function optionsGiven({ value, origins }: SpecSource): Pick<SpecSource, "value" | "origins"> {
  return { value, origins: new Map([...origins].map(([pointer, origin]) => [`/options${pointer}`, origin])) };
}

/** A pure plugin has no files. */
const noAssets: Assets = {
  folder: (id) => Promise.reject(new RlrfError("RLRF_TRY_IMPURE", { message: `a pure plugin asked for the asset "${id}"` })),
  requirements: (id) => noAssets.folder(id).then(() => []),
};

/** Of an input: far more than the scores and log-probs of a batch take. */
const maxBytes = 1 << 26;

async function readInput(input: string): Promise<string> {
  const { fileError, readAtMost } = await import("../store/files.js");
  const wrong = (message: string, cause?: unknown) =>
    new RlrfError("RLRF_TRY_INPUT", { message, where: input, expected: "a file of JSON, or - for standard input" }, { cause });
  const bytes = await readAtMost(input === "-" ? process.stdin : input, maxBytes).catch((cause: unknown) => {
    throw wrong(fileError(cause, input, "read").fault.message, cause);
  });
  if (bytes === null) throw wrong(`it has more than ${maxBytes} bytes`);
  return bytes.toString("utf8");
}
