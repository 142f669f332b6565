/** `npm run mlflow`: a server until Ctrl-C. Its data stay in .rlrf/mlflow. */
import { resolve } from "node:path";
import { RlrfError } from "../errors.js";
import { logPath, mlflowPython, startServer } from "./server.js";

try {
  process.stderr.write("MLflow: preparing (the first time installs it) …\n");
  await mlflowPython();
  const folder = resolve(".rlrf", "mlflow");
  const server = await startServer(folder);
  let stopping = false;
  const stop = () => {
    stopping = true;
    void server.stop();
  };
  // A closed terminal hangs up; the server is in a group of its own and would outlive it.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, stop);
  process.stdout.write(
    [
      `MLflow is at ${server.uri} (process ${server.pid}, data in .rlrf/mlflow, Ctrl-C ends it)`,
      `  live:       MLFLOW_TRACKING_URI=${server.uri} npx rlrf run experiments/quickstart.json`,
      `  afterwards: npx rlrf sync --to ${server.uri}`,
      "",
    ].join("\n"),
  );
  await server.ended;
  if (!stopping)
    throw new RlrfError("RLRF_COMMAND_FAILED", { message: "the MLflow server has ended, and nobody asked it to", where: logPath(folder) });
} catch (error) {
  process.stderr.write(`${error instanceof RlrfError ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
