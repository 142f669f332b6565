import assert from "node:assert/strict";
import fs from "node:fs";
import { ArtifactUploads, manifestName } from "../../../framework/track/artifacts.js";
import { MlflowClient, type MlflowRun } from "../../../framework/track/mlflow.js";
import { createListener } from "../../support/faults.js";
import { useFaultyProxies } from "../../support/faulty-proxy.js";
import { useFolder } from "../../support/folder.js";

describe("track/artifacts", () => {
  const path = useFolder();
  const openServer = useFaultyProxies();
  const run = (artifact_uri: string): MlflowRun => ({
    info: { run_id: "r", experiment_id: "0", status: "RUNNING", lifecycle_stage: "active", artifact_uri },
    data: {},
  });

  it("says once that a server keeps its artifacts elsewhere, and goes on", async () => {
    fs.writeFileSync(path("a"), "1");
    const server = await openServer();
    const client = new MlflowClient(server.uri);
    const listener = createListener();
    const uploads = new ArtifactUploads(path(), client, listener);
    for (let i = 0; i < 2; i++)
      assert.deepEqual(await uploads.upload(run("s3://bucket/0/r"), "key", ["a"], []), { uploaded: 0, unchanged: 0, missing: 0 });
    client.close();
    assert.deepEqual(
      listener.warnings.map(({ code }) => code),
      ["RLRF_TRACK_ARTIFACTS"],
    );
    assert.match(listener.warnings[0]?.message ?? "", /at s3:, which the server does not serve/);
    assert.equal(server.seen.length, 0);
  });

  it("uploads again when its list of uploads is damaged, and names what the server does not take", async () => {
    fs.writeFileSync(path("a"), "1");
    fs.writeFileSync(path("b"), "2");
    const server = await openServer();
    server.fault = ({ method, url }) => {
      if (url.endsWith(manifestName)) return { status: 200, body: method === "GET" ? "half of a {" : "" };
      return url.endsWith("/b") ? { status: 413, body: "too large" } : { status: 200, body: "{}" };
    };
    const client = new MlflowClient(server.uri);
    const refused: { kind: string; name: string; message: string }[] = [];
    const counts = await new ArtifactUploads(path(), client, createListener()).upload(
      run("mlflow-artifacts:/0/r/artifacts"),
      "key",
      ["a", "b"],
      refused as never,
    );
    client.close();
    assert.deepEqual(counts, { uploaded: 1, unchanged: 0, missing: 0 });
    assert.deepEqual(refused, [{ run: "key", kind: "artifacts", name: "b", message: "413 too large" }]);
    const put = server.seen.find(({ method, url }) => method === "PUT" && url.endsWith("/a"));
    assert.deepEqual(
      [put?.url, put?.body, put?.headers["content-length"]],
      ["/api/2.0/mlflow-artifacts/artifacts/0/r/artifacts/a", "1", "1"],
    );
  });
});
