import assert from "node:assert/strict";
import { MlflowClient } from "../../../framework/track/mlflow.js";
import { trackingUri } from "../../../framework/track/tracking.js";
import { assertFails, createListener, type Listener } from "../../support/faults.js";
import { type Fault, FaultyProxy } from "../../support/faulty-proxy.js";

const secrets = ["MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_URI"] as const;

describe("track/connection", () => {
  let server: FaultyProxy;
  let client: MlflowClient;
  let logger: Listener;
  const kept = secrets.map((name) => [name, process.env[name]] as const);

  beforeEach(async () => {
    for (const name of secrets) delete process.env[name];
    server = await new FaultyProxy().up();
    logger = createListener();
    client = new MlflowClient(server.uri, { attempts: 4, backoff: 1, timeout: 200, logger });
  });
  afterEach(async () => {
    client.close();
    await server.down();
    for (const [name, value] of kept) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });

  const ok: Fault = { status: 200, body: "{}" };
  function answers(...faults: readonly Fault[]): void {
    let next = 0;
    server.fault = () => faults[Math.min(next++, faults.length - 1)] ?? ok;
  }
  const batch = () => client.logBatch("r", { metrics: [], params: [], tags: [] });

  it("tries again after what passes: too many requests, server errors, cut and silent connections", async () => {
    answers({ status: 429 }, { status: 503 }, "drop", ok);
    await batch();
    assert.equal(server.seen.length, 4);
    answers("hang", ok);
    await batch();
    assert.equal(server.seen.length, 6);
  });

  it("waits as long as the server asks", async () => {
    answers({ status: 429, headers: { "retry-after": "1" } }, ok);
    const start = performance.now();
    await batch();
    assert.ok(performance.now() - start >= 990);
  });

  it("gives up after its tries and says where, why and what to do", async () => {
    answers({ status: 500, body: '{"error_code":"INTERNAL_ERROR","message":"database is locked"}' });
    const error = await assertFails("RLRF_TRACK_UNREACHABLE", batch, /runs\/log-batch in 4 tries: 500 INTERNAL_ERROR database is locked/);
    assert.equal(server.seen.length, 4);
    assert.equal(
      logger.infos.filter((line) => /, try [123] of 4: 500 INTERNAL_ERROR database is locked; again in 0\.0 s$/.test(line)).length,
      3,
    );
    assert.doesNotMatch(error.message, /nothing is lost/);
    const replayed = new MlflowClient(server.uri, { attempts: 1, replayed: true });
    await assertFails("RLRF_TRACK_UNREACHABLE", () => replayed.experiments(), /nothing is lost: .*rlrf sync --to URI/);
    replayed.close();
    await server.down();
    await assertFails("RLRF_TRACK_UNREACHABLE", batch, /ECONNREFUSED/);
    await server.up();
    answers("hang");
    await assertFails("RLRF_TRACK_UNREACHABLE", batch, /no answer for 0\.2 s/);
  });

  it("does not repeat what was refused, nor the creation of a run", async () => {
    answers({ status: 400, body: '{"error_code":"INVALID_PARAMETER_VALUE","message":"no"}' });
    await assertFails("RLRF_TRACK_REFUSED", batch, /400 INVALID_PARAMETER_VALUE no/);
    assert.equal(server.seen.length, 1);
    answers("drop");
    await assertFails("RLRF_TRACK_UNREACHABLE", () => client.createRun({ experiment_id: "0", run_name: "x", start_time: 0, tags: [] }));
    assert.equal(server.seen.length, 2);
  });

  it("sends credentials from the environment alone, and never shows them", async () => {
    answers({ status: 401, body: "who are you" });
    process.env.MLFLOW_TRACKING_TOKEN = "s3cret-token";
    const error = await assertFails("RLRF_TRACK_AUTH", batch, /MLFLOW_TRACKING_TOKEN/);
    assert.equal(server.seen[0]?.headers.authorization, "Bearer s3cret-token");
    process.env.MLFLOW_TRACKING_USERNAME = "ann";
    process.env.MLFLOW_TRACKING_PASSWORD = "s3cret-word";
    const again = await assertFails("RLRF_TRACK_AUTH", batch);
    assert.equal(server.seen[1]?.headers.authorization, `Basic ${Buffer.from("ann:s3cret-word").toString("base64")}`);
    for (const shown of [error, again]) assert.doesNotMatch(`${shown.stack} ${JSON.stringify(shown)}`, /s3cret/);
  });

  it("knows what is no MLflow server", async () => {
    answers({ status: 200, body: "<html>hello</html>" });
    await assertFails("RLRF_TRACK_SERVER", batch, /<html>hello/);
    answers({ status: 404, body: "<h1>Not Found</h1>" });
    await assertFails("RLRF_TRACK_SERVER", batch, /404 Not Found/);
    answers({ status: 308, headers: { location: "https://elsewhere.invalid/" } });
    await assertFails("RLRF_TRACK_SERVER", batch, /points to https:\/\/elsewhere\.invalid/);
  });

  it("takes the address of a server only", async () => {
    for (const uri of ["", "mlruns", "sqlite:///mlflow.db", "file:///tmp", "databricks"])
      assert.equal((await assertFails("RLRF_TRACK_URI", () => new MlflowClient(uri), /npm run mlflow/)).exit, 2);
    const error = await assertFails("RLRF_TRACK_URI", () => new MlflowClient("http://ann:s3cret@host"), /credentials/);
    assert.doesNotMatch(error.message, /s3cret/);
    assert.equal(new MlflowClient("https://host/mlflow/?x#y").uri, "https://host/mlflow");
  });

  it("asks below a path prefix", async () => {
    answers(ok);
    const prefixed = new MlflowClient(`${server.uri}/team/`, { attempts: 1 });
    await prefixed.logBatch("r", { metrics: [], params: [], tags: [] });
    prefixed.close();
    assert.equal(server.seen[0]?.url, "/team/api/2.0/mlflow/runs/log-batch");
  });

  it("follows pages", async () => {
    const run = (id: string) => ({ info: { run_id: id }, data: {} });
    answers(
      { status: 200, body: JSON.stringify({ runs: [run("a")], next_page_token: "2" }) },
      { status: 200, body: JSON.stringify({ runs: [run("b")] }) },
    );
    assert.deepEqual(
      (await client.searchRuns("0", "")).map(({ info }) => info.run_id),
      ["a", "b"],
    );
    assert.match(server.seen[1]?.body ?? "", /"page_token":"2"/);
  });

  it("names its server by flag, spec or environment, in this order", () => {
    assert.equal(trackingUri(undefined, null), null);
    process.env.MLFLOW_TRACKING_URI = "http://env";
    assert.equal(trackingUri(undefined, "", null), "http://env");
    assert.equal(trackingUri(undefined, "http://spec"), "http://spec");
    assert.equal(trackingUri("http://flag", "http://spec"), "http://flag");
  });
});
