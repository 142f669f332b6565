/** A real Ray on loopback: a head, and two nodes with a core each. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { closeSync, openSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAssets } from "../../framework/setup/assets.js";
import { endGroup } from "../../framework/setup/command.js";

/** Every node has an address of its own, as on a network: 127.0.0.2 and on. */
const headHost = "127.0.0.2";
const nodeHosts = ["127.0.0.3", "127.0.0.4"] as const;
/** The smallest that Ray takes; nothing is put there. */
const objectStore = ["--object-store-memory", "80000000"];

export class RayCluster {
  private folder = "";
  private ray = "";
  private gcsPort = 0;
  private dashboardPort = 0;
  private readonly processes = new Map<string, ChildProcess>();

  /** @param token asked for by the cluster, of its own nodes too; undefined = no authentication */
  constructor(private readonly token?: string) {}

  get address(): string {
    return `http://${headHost}:${this.dashboardPort}`;
  }

  async start(): Promise<void> {
    if (this.folder === "") {
      this.ray = join(await createAssets().folder("ray"), "bin", "ray");
      this.folder = await mkdtemp(join(tmpdir(), "rlrf-ray-"));
      [this.gcsPort, this.dashboardPort] = [await freePort(), await freePort()];
    }
    await this.startHead();
    await Promise.all(nodeHosts.map((_, node) => this.startNode(node)));
    await this.until(async () => {
      // A node that could not start on a busy machine ends: another one is started in its place.
      for (const [node, host] of nodeHosts.entries()) if (hasEnded(this.processes.get(host))) await this.startNode(node);
      return (await this.nodesAlive()) === 3;
    }, "three nodes");
  }

  /** Of one core. */
  async startNode(node: number): Promise<void> {
    const host = nodeHosts[node] as string;
    const place = ["--address", `${headHost}:${this.gcsPort}`, "--node-ip-address", host, "--num-cpus", "1"];
    await this.spawn(host, place);
  }

  /** With everything that runs on it, at once. */
  async killNode(node: number): Promise<void> {
    await this.kill(nodeHosts[node] as string);
  }

  /** Kills the whole cluster, which forgets all jobs, and starts it again at the same address. */
  async restart(): Promise<void> {
    await this.killAll();
    await this.start();
  }

  async stop(): Promise<void> {
    await this.killAll();
    if (this.folder !== "") await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
    this.folder = "";
  }

  async nodesAlive(): Promise<number> {
    const answer = await this.ask("nodes?view=summary").then(
      (response) => response.json() as Promise<{ data?: { summary?: readonly { raylet?: { state?: string } }[] } }>,
      () => null,
    );
    return answer?.data?.summary?.filter(({ raylet }) => raylet?.state === "ALIVE").length ?? 0;
  }

  private ask(path: string): Promise<Response> {
    return fetch(`${this.address}/${path}`, this.token === undefined ? {} : { headers: { authorization: `Bearer ${this.token}` } });
  }

  private async startHead(): Promise<void> {
    const place = ["--head", "--port", String(this.gcsPort), "--node-ip-address", headHost, "--num-cpus", "0", "--temp-dir", this.folder];
    await this.spawn(headHost, [...place, "--dashboard-host", headHost, "--dashboard-port", String(this.dashboardPort)]);
    await this.until(async () => (await this.ask("api/version")).ok, "the head");
  }

  private async spawn(host: string, place: readonly string[]): Promise<void> {
    // Agents of all nodes ask for the same port, and go without one on the machine that they share.
    const ports = ["--dashboard-agent-listen-port", String(await freePort(host))];
    const args = ["start", "--block", "--disable-usage-stats", "--include-log-monitor", "false", ...place, ...ports, ...objectStore];
    const authentication = this.token === undefined ? {} : { RAY_AUTH_MODE: "token", RAY_AUTH_TOKEN: this.token };
    const env = { ...process.env, ...authentication, RAY_USAGE_STATS_ENABLED: "0" };
    // A process group of its own, which ends as a machine does: all at once. Also when this process does, which holds the pipe open.
    const guarded = ["-c", '(read -r _ <&3; kill -KILL 0) & exec "$@" 3<&-', "sh", this.ray, ...args];
    const log = openSync(join(this.folder, `${host}.log`), "a");
    const child = spawn("sh", guarded, { env, stdio: ["ignore", log, log, "pipe"], detached: true });
    closeSync(log);
    child.once("exit", () => endGroup(child.pid, "SIGKILL")); // what ends by itself leaves its guard, and with it the pipe that keeps this process alive
    this.processes.set(host, child);
  }

  private async kill(host: string): Promise<void> {
    const child = this.processes.get(host);
    if (child === undefined) return;
    this.processes.delete(host);
    const ended = hasEnded(child) ? null : new Promise((resolve) => child.once("exit", resolve));
    endGroup(child.pid, "SIGKILL");
    await ended;
  }

  private async killAll(): Promise<void> {
    for (const host of [...this.processes.keys()]) await this.kill(host);
  }

  /** The last lines of all nodes. */
  private async said(): Promise<string> {
    const names = (await readdir(this.folder)).filter((name) => name.endsWith(".log"));
    const texts = await Promise.all(names.map((name) => readFile(join(this.folder, name), "utf8")));
    return names.map((name, i) => `${name}: ${texts[i]?.trim().split("\n").slice(-5).join("\n")}`).join("\n");
  }

  private async until(holds: () => Promise<boolean>, what: string): Promise<void> {
    const deadline = Date.now() + 3 * 60_000;
    while (!(await holds().catch(() => false))) {
      if (Date.now() > deadline) throw new Error(`Ray does not start: ${what} does not come up\n${await this.said()}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

function hasEnded(child: ChildProcess | undefined): boolean {
  return child !== undefined && (child.exitCode !== null || child.signalCode !== null);
}

/** Below the ports that systems hand out: Ray's processes ask for some of those, and took the one meant for an agent that began after them. */
async function freePort(host = headHost): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_000);
    const server = net.createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, host, () => server.close(() => resolve(true)));
    });
    if (free) return port;
  }
}
