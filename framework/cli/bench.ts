/** `rlrf bench SPEC`: how fast this machine does a little of each kind of work that the spec asks for; `rlrf plan` counts with it. */
import { jsonOption, quietOption, type Register, setOption } from "./command.js";
import { createLogger, print, printJson, table } from "./terminal.js";

interface BenchOptions {
  readonly out?: string;
  readonly set: readonly string[];
  readonly json?: boolean;
  readonly quiet?: boolean;
}

export const register: Register = (program) => {
  const command = program
    .command("bench")
    .description("measure how fast this machine does each kind of work of a spec")
    .argument("<spec>", "a spec")
    .option("--out <file>", "write the rates there, for `rlrf plan --rates`");
  jsonOption(quietOption(setOption(command))).action(bench);
};

async function bench(file: string, { out, set, json = false, quiet = false }: BenchOptions): Promise<void> {
  const { mustBeFree } = await import("./out.js");
  const { measureSpec } = await import("../plan/measure-spec.js");
  if (out !== undefined) await mustBeFree(out, "rates");
  const rates = await measureSpec(file, set, createLogger({ quiet: quiet || json }));
  const { writeJson } = await import("../store/files.js");
  if (out !== undefined) await writeJson(out, rates);
  if (json) return printJson(rates);
  const rows = Object.entries(rates.rates).map(([work, rate]) => [work, rate.perSecond.toPrecision(3), rate.device]);
  print(table([["work", "a second", "on"], ...rows], [1]));
  if (out !== undefined) print(`\nrates in ${out}; rlrf plan ${file} --rates ${out} counts with them`);
}
