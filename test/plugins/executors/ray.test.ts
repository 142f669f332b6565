/** The executor `ray` against answers that a real cluster seldom gives; the contract suite and test/e2e/units.test.ts have a real one. */
import assert from "node:assert/strict";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { mock } from "node:test";
import type { Unit, UnitChange } from "../../../framework/contracts/executor.js";
import { withPlugin } from "../../../framework/testing/index.js";
import { Ray } from "../../../plugins/executors/ray.js";
import { Jobs } from "../../../plugins/executors/ray/jobs.js";
import { useEnvironment } from "../../support/environment.js";
import { assertFails, createListener } from "../../support/faults.js";

interface FakeJob {
  readonly submission_id: string;
  readonly entrypoint: string;
  readonly status: string;
  readonly message?: string;
  readonly error_type?: string;
  readonly driver_exit_code?: number;
}

/** Speaks the Jobs API; a job ends at the first look as `end` says. */
class FakeRay {
  readonly jobs = new Map<string, FakeJob>();
  readonly submitted: Record<string, unknown>[] = [];
  readonly stopped: string[] = [];
  readonly tokens = new Set<string | undefined>();
  end: (name: string) => Partial<FakeJob> | null = () => ({ status: "SUCCEEDED", driver_exit_code: 0 });
  /** An answer in the place of the right one; undefined = the right one. */
  fault: (method: string, path: string) => { readonly status: number; readonly body: string } | "drop-answer" | undefined = () => undefined;
  address = "";
  private readonly server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const [method, path] = [request.method ?? "", request.url ?? ""];
      this.tokens.add(request.headers.authorization);
      const fault = this.fault(method, path);
      const answer = typeof fault === "object" ? fault : this.answer(method, path, Buffer.concat(chunks).toString());
      if (fault === "drop-answer") request.socket.destroy();
      else response.writeHead(answer.status).end(answer.body);
    });
  });

  async up(): Promise<void> {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    this.address = `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async down(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private answer(method: string, path: string, body: string): { readonly status: number; readonly body: string } {
    const json = (value: unknown) => ({ status: 200, body: JSON.stringify(value) });
    if (path === "/api/version") return json({ ray_version: "2.60.0" });
    if (path === "/api/jobs/" && method === "GET") return json([...this.jobs.values()]);
    if (path === "/api/jobs/") {
      const wish = JSON.parse(body) as { submission_id: string; entrypoint: string };
      if (this.jobs.has(wish.submission_id))
        return { status: 500, body: `Traceback\nValueError: Job with submission_id ${wish.submission_id} already exists.\n.` };
      this.submitted.push(wish);
      this.jobs.set(wish.submission_id, { submission_id: wish.submission_id, entrypoint: wish.entrypoint, status: "RUNNING" });
      return json(wish);
    }
    const [, name = "", what] = /^\/api\/jobs\/([^/]+)(?:\/(\w+))?$/.exec(path) ?? [];
    const job = this.jobs.get(name);
    if (job === undefined) return { status: 404, body: `Job ${name} does not exist` };
    if (what === "logs") return { status: 500, body: "the node is gone" };
    if (what === "stop") {
      this.stopped.push(name);
      return json({ stopped: true });
    }
    const end = this.end(name);
    if (end === null) {
      this.jobs.delete(name);
      return { status: 404, body: `Job ${name} does not exist` };
    }
    this.jobs.set(name, { ...job, ...end });
    return json(this.jobs.get(name));
  }
}

const resources = { cpus: 2, gpus: 0, memoryBytes: 1e9 };
const unit: Unit = { id: "run.a", command: ["step", "it's", "--cache", "/shared/store"], resources };

describe("the executor ray", () => {
  let ray: FakeRay;
  useEnvironment(() => ({ RLRF_TEST_TOKEN: "secret-token", RLRF_RAY_ADDRESS: "" }));
  beforeEach(async () => {
    ray = new FakeRay();
    await ray.up();
  });
  afterEach(async () => {
    mock.restoreAll();
    await ray.down();
  });
  const using = <T>(options: object, body: (executor: Ray) => Promise<T>) =>
    withPlugin({ plugin: Ray, options: { address: ray.address, ...options } }, body);

  it("submits the command with what it takes, quoted for a shell, in the folder and environment asked for", async () => {
    const options = {
      program: ["node", "/opt/rlrf.mjs"],
      folder: "/shared/my runs",
      image: "team/rlrf:1",
      environment: ["RLRF_TEST_TOKEN"],
    };
    await using({ ...options, gpus: 1, token: { env: "RLRF_TEST_TOKEN" } }, (executor) =>
      executor.run([unit, { ...unit, id: "run.b", resources: { ...resources, languageModel: true } }]),
    );
    const [first, second] = ray.submitted;
    assert.deepEqual(first, {
      submission_id: "rlrf.run.a.1",
      entrypoint: "cd '/shared/my runs' && exec node /opt/rlrf.mjs step 'it'\\''s' --cache /shared/store",
      entrypoint_num_cpus: 2,
      entrypoint_num_gpus: 0,
      entrypoint_memory: 1e9,
      runtime_env: { image_uri: "team/rlrf:1", env_vars: { RLRF_TEST_TOKEN: "secret-token" } },
    });
    assert.equal(second?.entrypoint_num_gpus, 1, "a GPU for the language model");
    assert.deepEqual([...ray.tokens], ["Bearer secret-token"]);
  });

  it("follows the living job of an earlier process, and takes no name twice", async () => {
    const own = { ...unit, command: ["list"] };
    const entrypoint = `cd ${process.cwd()} && exec node rlrf.mjs list`;
    const options = { program: ["node", "rlrf.mjs"] };
    ray.jobs.set("rlrf.run.a.3", { submission_id: "rlrf.run.a.3", entrypoint, status: "RUNNING" });
    const places: string[] = [];
    const onChange = ({ place }: UnitChange) => place !== undefined && places.push(place);
    await using(options, (executor) => executor.run([own], { onChange }));
    assert.deepEqual([ray.submitted.length, places], [0, ["job rlrf.run.a.3"]]);
    await using(options, (executor) => executor.run([own], { onChange }));
    assert.deepEqual(places, ["job rlrf.run.a.3", "job rlrf.run.a.4"], "an ended one is not followed: what it made may be gone");
  });

  it("begins again what a cluster lost or forgot, and knows a command that failed by itself", async () => {
    const told = `failed, last available logs:\n${JSON.stringify({ error: { code: "RLRF_DISK_FULL", message: "no space" } }, null, 2)}\n`;
    const failed = { status: "FAILED", error_type: "JOB_ENTRYPOINT_COMMAND_ERROR" };
    const ends: (Partial<FakeJob> | null)[] = [
      null,
      { status: "FAILED", error_type: "JOB_SUPERVISOR_ACTOR_DIED", message: "Job supervisor actor died: node lost\nmore" },
      { ...failed, driver_exit_code: -9, message: "killed" },
      { ...failed, driver_exit_code: 1, message: told },
    ];
    ray.end = () => ends.shift() ?? null;
    const lost: string[] = [];
    const onChange = (change: UnitChange) => change.lost !== undefined && lost.push(change.lost);
    const [outcome] = await using({}, (executor) => executor.run([unit], { onChange }));
    assert.deepEqual(lost, [
      "the cluster knows its job rlrf.run.a.1 no more",
      "Job supervisor actor died: node lost",
      "it ended with exit code -9",
    ]);
    assert.deepEqual([outcome?.state, outcome?.attempts, outcome?.error?.code], ["failed", 4, "RLRF_DISK_FULL"]);
  });

  it("queues a unit again that a full cluster gave up, without counting an attempt, and says what it waits for", async () => {
    const given = { status: "FAILED", error_type: "JOB_SUPERVISOR_ACTOR_START_TIMEOUT", message: "failed to start within 900.0 seconds" };
    ray.end = (name) => (ray.submitted.length < 4 ? given : { status: name.endsWith(".4") ? "SUCCEEDED" : "FAILED" });
    const changes: UnitChange[] = [];
    const { infos, ...logger } = createListener();
    const subject = { plugin: Ray, options: { address: ray.address, attempts: 2 }, services: { logger } };
    const [outcome] = await withPlugin(subject, (executor) => executor.run([unit], { onChange: (change) => changes.push(change) }));
    assert.deepEqual([outcome?.state, outcome?.attempts, ray.submitted.length], ["done", 1, 4]);
    assert.deepEqual(
      changes.map(({ state, place }) => [state, place]),
      [
        ["waiting", undefined],
        ["running", "job rlrf.run.a.4"],
        ["done", undefined],
      ],
    );
    assert.deepEqual(infos, Array(3).fill("run.a waits for a node with 2 cores, 1.0 GB of memory free"));
  });

  it("says once that nothing begins: what is asked for may be on no node", async () => {
    const now = performance.now.bind(performance);
    let looks = 0;
    mock.method(performance, "now", () => now() + (looks > 0 ? 31_000 : 0));
    ray.end = () => ({ status: looks++ < 2 ? "PENDING" : "SUCCEEDED" });
    const { infos, ...logger } = createListener();
    const subject = { plugin: Ray, options: { address: ray.address }, services: { logger } };
    const [outcome] = await withPlugin(subject, (executor) => executor.run([unit]));
    assert.equal(outcome?.state, "done");
    assert.deepEqual(infos, ["run.a waits for a node with 2 cores, 1.0 GB of memory free"]);
  });

  it("leaves a job alone that somebody stopped, and stops its own when it is told to", async () => {
    ray.end = () => ({ status: "STOPPED" });
    const [stopped] = await using({}, (executor) => executor.run([unit]));
    assert.deepEqual([stopped?.state, stopped?.attempts], ["cancelled", 1]);
    ray.end = () => ({ status: "RUNNING" });
    const ending = new AbortController();
    const onChange = ({ state }: UnitChange) => state === "running" && ending.abort(new Error("enough"));
    const [ended] = await using({}, (executor) => executor.run([unit], { signal: ending.signal, onChange }));
    assert.equal(ended?.state, "cancelled");
    assert.deepEqual(ray.stopped, ["rlrf.run.a.2"]);
    ray.jobs.set("rlrf.other.1", { submission_id: "rlrf.other.1", entrypoint: "", status: "RUNNING" });
    assert.deepEqual(await using({}, (executor) => executor.stop("run.")), ["rlrf.run.a.2"]);
  });

  it("gets over a head that fails for a while, and an answer that is lost", async () => {
    const faults: ReturnType<FakeRay["fault"]>[] = [
      { status: 503, body: "starting" },
      undefined,
      "drop-answer",
      undefined,
      { status: 500, body: "" },
    ];
    ray.fault = () => faults.shift();
    const [outcome] = await using({}, (executor) => executor.run([unit]));
    assert.deepEqual([outcome?.state, outcome?.attempts, ray.submitted.length], ["done", 1, 1]);
  });

  it("ends soon when it is told to while the head is away", async () => {
    ray.end = () => ({ status: "RUNNING" });
    const { timeout } = AbortSignal;
    const patience = mock.method(AbortSignal, "timeout", (milliseconds: number) => timeout(milliseconds / 20));
    ray.fault = (_, path) => (path.endsWith("/stop") ? { status: 503, body: "starting" } : undefined);
    const ending = new AbortController();
    const onChange = ({ state }: UnitChange) => state === "running" && ending.abort(new Error("enough"));
    const [outcome] = await using({}, (executor) => executor.run([unit], { signal: ending.signal, onChange }));
    assert.equal(outcome?.state, "cancelled");
    assert.deepEqual(
      patience.mock.calls.map(({ arguments: [milliseconds] }) => milliseconds),
      [10_000],
    );
  });

  it("says what is wrong with an address", async () => {
    await assertFails("RLRF_RAY_ADDRESS", () => using({ address: null }, (executor) => executor.prepare()), /has no address/);
    await assertFails("RLRF_RAY_ADDRESS", () => using({ address: "ray://10.0.0.1" }, (executor) => executor.prepare()), /no URL/);
    await assertFails("RLRF_RAY_ADDRESS", () => using({ address: "http://a:b@10.0.0.1" }, (executor) => executor.prepare()));
    ray.fault = () => ({ status: 401, body: "Unauthorized: no token" });
    await assertFails("RLRF_RAY_REFUSED", () => using({}, (executor) => executor.prepare()), /401 Unauthorized/);
    ray.fault = () => ({ status: 200, body: "<html>a shop</html>" });
    await assertFails("RLRF_RAY_REFUSED", () => using({}, (executor) => executor.prepare()), /does not speak/);
    const gone = new Jobs({ address: "http://127.0.0.1:9", patience: 300 });
    await assertFails("RLRF_RAY_UNREACHABLE", () => gone.list(), /did not answer for 0 s: .*ECONNREFUSED/);
  });
});
