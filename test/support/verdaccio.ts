/** A real npm registry for tests: Verdaccio, installed by npm on first use, on a free loopback port, without uplinks. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { request } from "../../framework/http/request.js";
import { runCommand } from "../../framework/setup/command.js";
import { home } from "../../framework/setup/paths.js";
import { withLock } from "../../framework/store/with-lock.js";

/** The newest that runs on Node 20; one of its dependencies names a dist-tag that registries may lack. */
const manifest = { private: true, dependencies: { verdaccio: "6.8.0" }, overrides: { "node-fetch": "2.7.0" } };

export interface TestRegistry {
  readonly url: string;
  /** An .npmrc that may publish there: the path of npm's userconfig. */
  readonly userconfig: string;
  /** Where it keeps tarballs: for a test that tampers with one. */
  readonly storage: string;
}

/** One registry for all tests of the enclosing `describe`. */
export function useVerdaccio(): TestRegistry {
  let folder = "";
  let port = 0;
  let child: ChildProcess | undefined;
  before(async function () {
    this.timeout(10 * 60_000);
    const program = await install();
    folder = await mkdtemp(join(tmpdir(), "rlrf-verdaccio-"));
    for (let attempt = 1; child === undefined; attempt++) {
      port = 20_000 + Math.floor(Math.random() * 30_000);
      child = (await start(program, folder, port)) ?? undefined;
      if (child === undefined && attempt === 3) throw new Error(await readFile(join(folder, "log"), "utf8"));
    }
    await writeFile(join(folder, ".npmrc"), `//127.0.0.1:${port}/:_authToken=anything\n`);
  });
  after(async () => {
    if (child !== undefined && child.exitCode === null) {
      const ended = new Promise((resolve) => child?.once("exit", resolve));
      child.kill("SIGTERM");
      await Promise.race([ended, sleep(5_000, undefined, { ref: false })]);
      child.kill("SIGKILL");
    }
    await rm(folder, { recursive: true, force: true });
  });
  return {
    get url() {
      return `http://127.0.0.1:${port}/`;
    },
    get userconfig() {
      return join(folder, ".npmrc");
    },
    get storage() {
      return join(folder, "storage");
    },
  };
}

async function install(): Promise<string> {
  const folder = join(home(), "npm", `verdaccio-${manifest.dependencies.verdaccio}`);
  const whole = join(folder, ".whole");
  await withLock(`${folder}.lock`, async () => {
    if (existsSync(whole)) return;
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "package.json"), JSON.stringify(manifest));
    const args = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    await runCommand("npm", args, { cwd: folder, limit: 8 * 60_000, purpose: "install the npm registry that tests publish to" });
    await writeFile(whole, "");
  });
  return join(folder, "node_modules", "verdaccio", "bin", "verdaccio");
}

async function start(program: string, folder: string, port: number): Promise<ChildProcess | null> {
  const config = `storage: ${join(folder, "storage")}
auth: { htpasswd: { file: ${join(folder, "htpasswd")}, max_users: -1 } }
uplinks: {}
packages: { "**": { access: $all, publish: $all, unpublish: $all } }
log: { type: file, path: ${join(folder, "log")}, level: warn }
`;
  await writeFile(join(folder, "config.yaml"), config);
  await writeFile(join(folder, "log"), "");
  const args = [program, "--config", join(folder, "config.yaml"), "--listen", `127.0.0.1:${port}`];
  const child = spawn(process.execPath, args, { cwd: folder, stdio: "ignore" });
  process.once("exit", () => child.kill("SIGKILL"));
  for (const deadline = Date.now() + 60_000; child.exitCode === null && Date.now() < deadline; await sleep(100)) {
    const answer = await request(new URL(`http://127.0.0.1:${port}/-/ping`), { method: "GET", timeout: 5_000 }).catch(() => null);
    if (answer?.status === 200) return child;
  }
  child.kill("SIGKILL");
  return null;
}
