/** `npm run mlflow`: a server until Ctrl-C. Its data stay in .rlrf/mlflow. */
import { resolve } from "node:path";
import { RlrfError } from "../errors.js";
import { mlflowPython, startServer } from "./server.js";

try {
  process.stderr.write("MLflow: preparing (the first time installs it) …\n");
  await mlflowPython();
  const server = await startServer(resolve(".rlrf", "mlflow"));
  process.stdout.write(
    [
      `MLflow is at ${server.uri} (process ${server.pid}, data in .rlrf/mlflow, Ctrl-C ends it)`,
      `  live:       MLFLOW_TRACKING_URI=${server.uri} npx rlrf run experiments/quickstart.json`,
      `  afterwards: npx rlrf sync --to ${server.uri}`,
      "",
    ].join("\n"),
  );
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void server.stop());
  await server.ended;
} catch (error) {
  process.stderr.write(`${error instanceof RlrfError ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
