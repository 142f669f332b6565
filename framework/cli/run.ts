import { jsonOption, quietOption, type Register, setOption } from "./command.js";

/** `rlrf run SPEC`: the whole method. Everything heavy is imported by run-spec.ts. */
export const register: Register = (program) => {
  const command = program
    .command("run")
    .description("run an experiment; the same command goes on where a killed one was")
    .argument("<spec>")
    .option("--runs <folder>", "where runs are kept", "runs")
    .option("--cache <folder>", "where computed steps are kept", ".rlrf")
    .option("--frozen", "refuse plugins that registry/lock.json does not hold; the default where CI is set")
    .option("--no-frozen", "take plugins of RLRF_PLUGINS as well");
  jsonOption(quietOption(setOption(command))).action(async (file, options) => {
    const { runSpec } = await import("./run-spec.js");
    await runSpec(file, options);
  });
};
