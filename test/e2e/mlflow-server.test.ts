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

  it("starts a server, says how to use it, and ends it and all its processes on Ctrl-C", async () => {
    const child = spawn(process.execPath, [join(packageRoot, "dist", "framework", "track", "serve.js")], {
      cwd: path(),
      stdio: ["ignore", "pipe", "ignore"],
    });
    let output = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    while (!output.includes("rlrf sync")) await Promise.race([once(child.stdout, "data"), once(child, "exit")]);
    const [, uri, pid] = /MLflow is at (http:\/\/127\.0\.0\.1:\d+) \(process (\d+)/.exec(output) ?? [];
    assert.ok(uri !== undefined && pid !== undefined, output);
    assert.match(output, new RegExp(`MLFLOW_TRACKING_URI=${uri} npx rlrf run[^\\n]*\\n +afterwards: npx rlrf sync --to ${uri}`));
    assert.equal((await fetch(`${uri}/version`)).status, 200);
    assert.ok(fs.existsSync(path(".rlrf", "mlflow", "mlflow.db")));
    child.kill("SIGINT");
    await once(child, "close");
    assert.equal(child.exitCode, 0);
    assert.throws(() => process.kill(-Number(pid), 0), { code: "ESRCH" });
    await assert.rejects(fetch(`${uri}/version`));
  });

  it("shows the server's own words when it cannot start", async () => {
    const occupied = Number(new URL((await openServer()).uri).port);
    await assertFails("RLRF_COMMAND_FAILED", () => startServer(path(), occupied), /log ends with:\n[\s\S]*address already in use/);
  });
});
