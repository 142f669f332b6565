/** Runs that are promoted and served, as processes of their own; and the requests that ask for what a run's own evaluation asked. */
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { rmSync } from "node:fs";
import fs from "node:fs/promises";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PreparedData } from "../../framework/contracts/dataset.js";
import { prepare } from "../../framework/data/prepare.js";
import { assembleSome } from "../../framework/kernel/assemble.js";
import { Registry } from "../../framework/kernel/registry.js";
import { createAssets } from "../../framework/setup/assets.js";
import { packageRoot } from "../../framework/setup/paths.js";
import { readSpec } from "../../framework/spec/read.js";
import { resolveSpec } from "../../framework/spec/resolve.js";
import type { RerankRequest, RerankResponse } from "../../framework/serving/messages.js";
import { silent } from "./fixtures.js";
import { command, type Finished, runFolderIn, start, startRun } from "./run.js";

/** A run with a tuned LLM and two seeds, made once for all tests of the process. `folder`: of its runs and its store. */
export function servedRun(): Promise<{ readonly folder: string; readonly run: string }> {
  shared ??= makeShared();
  return shared;
}
let shared: ReturnType<typeof makeShared> | undefined;

async function makeShared(): Promise<{ readonly folder: string; readonly run: string }> {
  const folder = await fs.mkdtemp(join(tmpdir(), "rlrf-serve-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  return { folder, run: await ranIn(folder, join(packageRoot, "test", "e2e", "specs", "served.json")) };
}

/** Runs a spec to its end. @returns its folder */
export async function ranIn(folder: string, spec: string): Promise<string> {
  const { status, stderr } = await startRun(spec, folder, "--quiet").finished;
  assert.equal(status, 0, stderr);
  return runFolderIn(folder);
}

/** `rlrf promote` of the one run below `folder`. */
export async function promote(folder: string, ...options: readonly string[]): Promise<Finished> {
  const run = await runFolderIn(folder);
  return start([process.execPath, command, "promote", run, "shown", "--cache", join(folder, "store"), ...options]).finished;
}

export interface Served {
  readonly process: ChildProcess;
  readonly finished: Promise<Finished>;
  readonly address: string;
}

/** `rlrf serve` on a free port, once it is ready. */
export async function serve(model: string, ...options: readonly string[]): Promise<Served> {
  const { process: child, finished } = start([process.execPath, command, "serve", model, "--port", "0", ...options]);
  const address = await new Promise<string>((resolve, reject) => {
    let said = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      const found = /at (http:\S+)\/rerank/.exec(said)?.[1];
      if (found !== undefined) resolve(found);
    });
    void finished.then(({ status, stderr }) => reject(new Error(`it ended with ${status}: ${stderr}`)));
  });
  return { process: child, finished, address };
}

export interface Answer<Body = unknown> {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Body;
}

/** One request; JSON in and out. */
export function ask<Body = RerankResponse>(
  address: string,
  path: string,
  body?: unknown,
  type = "application/json",
): Promise<Answer<Body>> {
  const text = body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const request = http.request(`${address}${path}`, { method: text === undefined ? "GET" : "POST", headers: { "content-type": type } });
    request.on("error", reject).on("response", (response) => {
      const chunks: Buffer[] = [];
      response
        .on("data", (chunk: Buffer) => chunks.push(chunk))
        .on("end", () => {
          const said = Buffer.concat(chunks).toString();
          const json = response.headers["content-type"]?.startsWith("application/json");
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: (json ? JSON.parse(said) : said) as Body });
        });
    });
    request.end(text);
  });
}

export interface EvaluatedList {
  readonly user: string;
  readonly request: RerankRequest;
  readonly scores: readonly number[];
}

/** Every list that an arm of the run was evaluated on, as a request would tell it, with the scores that the run left. */
export async function evaluatedLists(run: string, arm: string, seed: number): Promise<EvaluatedList[]> {
  const data = await dataOf(run);
  const lines = (await fs.readFile(join(run, "scores", `${arm}.jsonl`), "utf8")).trim().split("\n");
  const rows = lines.map((line) => JSON.parse(line) as { seed: number; user: string; candidates: string[]; scores: number[] });
  const numbers = new Map<string, number[]>();
  for (let list = 0; list < data.lists.count; list++) {
    const key = keyOf(data, list);
    numbers.set(key, [...(numbers.get(key) ?? []), list]);
  }
  return rows.filter((row) => row.seed === seed).map(({ user, candidates, scores }) => {
    const list = numbers.get(JSON.stringify([user, candidates]))?.[0];
    assert.ok(list !== undefined, `a list of ${user}`);
    return { user, request: requestOf(data, list), scores };
  }); // biome-ignore format: one expression
}

async function dataOf(run: string): Promise<PreparedData> {
  const registry = await Registry.read();
  const { spec } = resolveSpec(await readSpec(join(run, "spec.json")), registry);
  const { dataset, dispose } = await assembleSome(spec, registry, { ...silent, assets: createAssets() }, ["dataset"]);
  try {
    return await prepare(dataset, spec.protocol, { folds: spec.alignment?.rewardFolds ?? 0 });
  } finally {
    await dispose();
  }
}

function candidatesOf({ lists, items }: PreparedData, list: number): string[] {
  return Array.from(lists.candidates.subarray(list * lists.length, (list + 1) * lists.length), (item) => items[item]?.id as string);
}

function keyOf(data: PreparedData, list: number): string {
  return JSON.stringify([data.users[data.lists.user[list] as number]?.id, candidatesOf(data, list)]);
}

function requestOf(data: PreparedData, list: number): RerankRequest {
  const user = data.lists.user[list] as number;
  const [from, to] = [data.sequence.offsets[user] as number, data.lists.start[list] as number];
  const history = Array.from({ length: to - from }, (_, i) => ({
    item: data.items[data.sequence.items[from + i] as number]?.id as string,
    rating: data.sequence.ratings[from + i] as number,
    time: 1_000_000_000 + i,
  }));
  return {
    history,
    candidates: candidatesOf(data, list),
    user: { fields: data.users[user]?.fields ?? {} },
    window: data.windows[user] as number,
  };
}
