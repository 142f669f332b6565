import { jsonOption, quietOption, type Register, setOption } from "./command.js";

/** `rlrf run SPEC`: the whole method, or a sweep of trials. Everything heavy is imported by run-spec.ts. */
export const register: Register = (program) => {
  const command = program
    .command("run")
    .description("run an experiment, or the trials of a sweep; the same command goes on where a killed one was")
    .argument("<spec>")
    .option("--runs <folder>", "where runs are kept", "runs")
    .option("--cache <folder>", "where computed steps are kept; else store.path of the spec, else .rlrf")
    .option("--frozen", "refuse plugins that registry/lock.json does not hold; the default where CI is set")
    .option("--no-frozen", "take plugins of RLRF_PLUGINS as well")
    .option("--wait", "wait for another process that writes the same run");
  jsonOption(quietOption(setOption(command))).action(async (file, options) => {
    const { readSpec } = await import("../spec/read.js");
    const { hasSweep } = await import("../spec/resolve.js");
    const source = await readSpec(file, options.set);
    if (hasSweep(source)) await (await import("./run-sweep.js")).runSweep(source, options);
    else await (await import("./run-spec.js")).runSpec(source, options);
  });
};
