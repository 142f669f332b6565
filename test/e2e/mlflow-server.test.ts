import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../../framework/setup/paths.js";
import { mlflowPython, startServer } from "../../framework/track/server.js";
import { assertFails } from "../support/faults.js";
import { useFaultyProxies } from "../support/faulty-proxy.js";
import { useFolder } from "../support/folder.js";

describe("npm run mlflow", function () {
  this.timeout(20 * 60_000); // the first use installs MLflow
  const path = useFolder();
  const openServer = useFaultyProxies();
  before(() => mlflowPython());

  async function serve() {
    const child = spawn(process.execPath, [join(packageRoot, "dist", "framework", "track", "serve.js")], {
      cwd: path(),
      stdio: ["ignore", "pipe", "pipe"],
    });
    const said = { output: "", errors: "" };
    child.stdout.on("data", (chunk) => (said.output += chunk));
    child.stderr.on("data", (chunk) => (said.errors += chunk));
    while (!said.output.includes("rlrf sync")) await Promise.race([once(child.stdout, "data"), once(child, "exit")]);
    const { output } = said;
    const [, uri, pid] = /MLflow is at (http:\/\/127\.0\.0\.1:\d+) \(process (\d+)/.exec(output) ?? [];
    assert.ok(uri !== undefined && pid !== undefined, output);
    return { child, said, output, uri, pid };
  }

  it("starts a server, says how to use it, and ends it and all its processes on Ctrl-C", async () => {
    const { child, output, uri, pid } = await serve();
    assert.match(output, new RegExp(`MLFLOW_TRACKING_URI=${uri} npx rlrf run[^\\n]*\\n +afterwards: npx rlrf sync --to ${uri}`));
    assert.equal((await fetch(`${uri}/version`)).status, 200);
    assert.ok(fs.existsSync(path(".rlrf", "mlflow", "mlflow.db")));
    child.kill("SIGINT");
    await once(child, "close");
    assert.equal(child.exitCode, 0);
    assert.throws(() => process.kill(-Number(pid), 0), { code: "ESRCH" });
    await assert.rejects(fetch(`${uri}/version`));
  });

  it("ends with the terminal that it was started in", async () => {
    const { child, pid } = await serve();
    child.kill("SIGHUP");
    await once(child, "close");
    assert.throws(() => process.kill(-Number(pid), 0), { code: "ESRCH" });
  });

  it("says so when the server ends by itself", async () => {
    const { child, said, pid } = await serve();
    process.kill(-Number(pid), "SIGKILL");
    await once(child, "close");
    assert.equal(child.exitCode, 1);
    assert.match(said.errors, /RLRF_COMMAND_FAILED: the MLflow server has ended[\s\S]*server\.log/);
  });

  it("shows the server's own words when it cannot start", async () => {
    const occupied = Number(new URL((await openServer()).uri).port);
    await assertFails("RLRF_COMMAND_FAILED", () => startServer(path(), occupied), /log ends with:\n[\s\S]*address already in use/);
  });
});
