import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { createAssets } from "../../../framework/setup/assets.js";
import { type Diagnosis, diagnose } from "../../../framework/setup/doctor.js";
import { packageRoot } from "../../../framework/setup/paths.js";
import { useEnvironment } from "../../support/environment.js";
import { useFolder } from "../../support/folder.js";

async function rlrf(args: readonly string[], env: Record<string, string> = {}) {
  const child = promisify(execFile)(process.execPath, [join(packageRoot, "framework/cli/rlrf.mjs"), ...args], {
    env: { ...process.env, ...env },
  });
  return child.then(
    ({ stdout, stderr }) => ({ status: 0, stdout, stderr }),
    ({ code, stdout, stderr }) => ({ status: code as number, stdout: stdout as string, stderr: stderr as string }),
  );
}

describe("diagnose", () => {
  const folder = useFolder();
  useEnvironment(() => ({ RLRF_HOME: join(folder(), "not", "there", "yet") }));
  const finding = ({ findings }: Diagnosis, name: string) => findings.find((each) => each.name === name);

  it("tells engine, versions, disk and tools", async () => {
    const diagnosis = await diagnose(null);
    assert.match(diagnosis.engine?.reason ?? "", /./);
    assert.equal(diagnosis.packages["@tensorflow/tfjs-node-gpu"], "4.22.0");
    assert.ok(!Object.values(diagnosis.packages).includes("missing"));
    for (const name of ["Node", "Python", "C++ compiler", "MLflow"]) assert.equal(finding(diagnosis, name)?.ok, true, name);
    assert.match(finding(diagnosis, "Disk")?.value ?? "", /GiB free for .*not\/there\/yet/);
    assert.match(finding(diagnosis, "Node")?.value ?? "", new RegExp(process.version));
  });

  it("looks for the MLflow server, and tells what is missing", async () => {
    const path = "/mlflow/api/2.0/mlflow/experiments/search";
    const server = createServer(
      (request, response) => void response.end(request.url === path ? '{"experiments":[{}]}' : "<h1>Welcome</h1>"),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    assert.match(finding(await diagnose(`${base}/mlflow`), "MLflow")?.value ?? "", /has 1 experiment$/);
    const wrong = finding(await diagnose(base), "MLflow");
    assert.equal(wrong?.ok, false);
    assert.match(wrong?.value ?? "", /is not JSON: <h1>Welcome/);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    assert.equal(finding(await diagnose(base), "MLflow")?.ok, false);
    process.env.CXX = "/no/such/compiler";
    try {
      const compiler = finding(await diagnose(null), "C++ compiler");
      assert.deepEqual([compiler?.ok, /not installed/.test(compiler?.value ?? "")], [false, true]);
    } finally {
      delete process.env.CXX;
    }
  });
});

describe("rlrf doctor and rlrf assets", () => {
  const folder = useFolder();

  it("doctor prints what is well and what is not, or JSON", async () => {
    const text = await rlrf(["doctor", "--to", "http://127.0.0.1:9"]);
    assert.equal(text.status, 0);
    assert.match(text.stdout, /Tensor engine/);
    assert.match(text.stdout, /look at +MLflow/);
    const diagnosis = JSON.parse((await rlrf(["doctor", "--json"], { RLRF_ENGINE: "wasm" })).stdout) as Diagnosis;
    assert.equal(diagnosis.engine?.name, "wasm");
    const none = await rlrf(["doctor", "--json"], { RLRF_ENGINE: "cuda" });
    assert.equal(none.status, 1);
    assert.match(none.stdout, /RLRF_ENGINE_UNKNOWN/);
  });

  it("assets are listed, fetched and verified", async () => {
    const listed = JSON.parse((await rlrf(["assets", "--json"], { RLRF_HOME: folder() })).stdout) as {
      id: string;
      state: string;
      licence: string;
    }[];
    assert.ok(listed.length >= 4 && listed.every(({ state, licence }) => state === "absent" && licence.length > 0));
    assert.match((await rlrf(["assets"], { RLRF_HOME: folder() })).stdout, /movielens-100k +absent +2\.1 MB/);
    await createAssets().folder("movielens-100k"); // in the usual place, as any run would
    const fetched = await rlrf(["assets", "fetch", "movielens-100k", "--json"]);
    assert.match((JSON.parse(fetched.stdout) as Record<string, string>)["movielens-100k"] ?? "", /movielens-100k$/);
    const verified = await rlrf(["assets", "verify", "movielens-100k"]);
    assert.deepEqual([verified.status, verified.stdout.trim()], [0, "movielens-100k  present"]);
    const absent = await rlrf(["assets", "verify", "movielens-100k"], { RLRF_HOME: folder() });
    assert.deepEqual([absent.status, absent.stdout.trim()], [1, "movielens-100k  absent"]);
  });

  it("assets names what there is when asked for something else", async () => {
    const { status, stderr } = await rlrf(["assets", "fetch", "movielens-100"], { RLRF_HOME: folder() });
    assert.equal(status, 2);
    assert.match(stderr, /RLRF_ASSET_UNKNOWN[\s\S]*did you mean "movielens-100k"/);
  });
});
