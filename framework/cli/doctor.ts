/** `rlrf doctor`: what this machine has and lacks. */
import { AlreadyReported, jsonOption, type Register } from "./command.js";
import { onOutput, print, printJson } from "./terminal.js";

export const register: Register = (program) => {
  const command = program
    .command("doctor")
    .description("show the tensor engine and why it was chosen, versions, devices, disk, and whether MLflow, Python and g++ are there")
    .option("--to <uri>", "the MLflow server to look for (default: MLFLOW_TRACKING_URI)");
  jsonOption(command).action(doctor);
};

async function doctor({ json = false, to }: { readonly json?: boolean; readonly to?: string }): Promise<void> {
  const { diagnose } = await import("../setup/doctor.js");
  const { engine, packages, findings } = await diagnose(to ?? process.env.MLFLOW_TRACKING_URI ?? null);
  if (json) printJson({ engine, packages, findings });
  else {
    const width = Math.max(...findings.map(({ name }) => name.length));
    for (const { name, ok, value, hint } of findings) {
      print(`${ok ? onOutput.green("ok     ") : onOutput.yellow("look at")}  ${name.padEnd(width)}  ${value}`);
      if (!ok && hint !== undefined) print(`${" ".repeat(width + 11)}${onOutput.dim(hint)}`);
    }
    print(
      `\n${Object.entries(packages)
        .map(([name, version]) => `${name} ${version}`)
        .join(", ")}`,
    );
  }
  // Without an engine nothing runs; the rest only takes something away.
  if (engine === null) throw new AlreadyReported(1);
}
