/** What a run left in its folder, read as if anybody had written it. */
import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { RlrfError } from "../errors.js";
import { readRows } from "../method/read-rows.js";
import { type Json, parseJson } from "../spec/json.js";
import { isObject } from "../spec/origins.js";
import { readRunFile, writtenAnew } from "../store/run-file.js";

/** The scores that one arm gave, by the recommender's seed. */
export interface ArmScores {
  readonly bySeed: ReadonlyMap<number, SeedScores>;
}
export interface SeedScores {
  /** Raw id of each list's user. [lists] */
  readonly users: readonly string[];
  readonly labels: Uint8Array; // [lists * length]
  readonly scores: Float64Array; // [lists * length]
}
export interface ComparedRun {
  readonly name: string;
  readonly folder: string;
  readonly spec: { readonly [key: string]: Json };
  readonly seeds: readonly number[];
  /** In the order of their files. */
  readonly arms: ReadonlyMap<string, ArmScores>;
  /** Candidates a list. */
  readonly length: number;
  /** User -> what names the user's lists: candidates and labels, in whatever order. */
  readonly lists: ReadonlyMap<string, string>;
}

/** A line of scores/ARM.jsonl; its form is registry/scores.schema.json. */
export interface ScoreLine {
  readonly seed: number;
  readonly user: string;
  readonly candidates: readonly string[];
  readonly labels: readonly number[];
  readonly scores: readonly number[];
}

const specLimit = 4 * 2 ** 20;
const scoresLimit = 4 * 2 ** 30;

/** @param visit sees every line on the way @throws RLRF_COMPARE_FILE, RLRF_FILE_…, RLRF_JSON */
export async function readRun(folder: string, visit: (arm: string, line: ScoreLine) => void = () => {}): Promise<ComparedRun> {
  const spec = await readSpec(folder);
  const names = (await readdir(join(folder, "scores")).catch(() => [])).filter((name) => name.endsWith(".jsonl")).sort();
  const arms = new Map<string, ArmScores>();
  let first: { readonly path: string; readonly length: number; readonly lists: ReadonlyMap<string, string> } | undefined;
  for (const name of names) {
    const path = join(folder, "scores", name);
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\.jsonl$/.test(name)) throw broken(join(folder, "scores"), "a file's name is no name of an arm");
    const arm = name.slice(0, -".jsonl".length);
    const { scores, length, lists } = await readArm(path, (line) => visit(arm, line));
    first ??= { path, length, lists };
    mustAgree(path, lists, first);
    arms.set(arm, scores);
  }
  if (first === undefined) throw broken(join(folder, "scores"), "there are no scores: the run has not ended");
  const seeds = [...new Set([...arms.values()].flatMap(({ bySeed }) => [...bySeed.keys()]))].sort((a, b) => a - b);
  return { name: basename(folder), folder, spec, seeds, arms, length: first.length, lists: first.lists };
}

/** @throws RLRF_COMPARE_FILE, RLRF_FILE_…, RLRF_JSON */
export async function readSpec(folder: string): Promise<ComparedRun["spec"]> {
  const path = join(folder, "spec.json");
  return parseSpec(await readRunFile(path, specLimit, (message) => broken(path, message)), path);
}

/** @throws RLRF_COMPARE_FILE, RLRF_JSON */
export function parseSpec(text: string, where: string): ComparedRun["spec"] {
  const { value } = parseJson(text, where);
  if (!isObject(value)) throw broken(where, "a spec is a JSON object");
  return value;
}

export async function readArm(
  path: string,
  visit: (line: ScoreLine) => void = () => {},
): Promise<{ scores: ArmScores; length: number; lists: ReadonlyMap<string, string> }> {
  const bySeed = new Map<number, { readonly users: string[]; readonly labels: number[]; readonly scores: number[] }>();
  const collected = new Map<number, ListNames>();
  let length = 0;
  for await (const { row: line, where } of readRows<ScoreLine>(path, "scores", broken, scoresLimit)) {
    mustBeWhole(line, where);
    length ||= line.candidates.length;
    if (line.candidates.length !== length) throw broken(where, `a list of ${line.candidates.length} among lists of ${length}`);
    const own = bySeed.get(line.seed) ?? { users: [], labels: [], scores: [] };
    bySeed.set(line.seed, own);
    own.users.push(line.user);
    own.labels.push(...line.labels);
    own.scores.push(...line.scores);
    const names = collected.get(line.seed) ?? new ListNames();
    collected.set(line.seed, names);
    if (!names.add(line)) throw broken(where, `a list of user ${JSON.stringify(line.user)} stands twice`);
    visit(line);
  }
  const [first, ...others] = [...collected.values()].map((names) => names.byUser());
  if (first === undefined) throw broken(path, "the file is empty");
  for (const lists of others) mustAgree(path, lists, { path, lists: first });
  return { scores: { bySeed: new Map([...bySeed].map(([seed, own]) => [seed, packed(own)])) }, length, lists: first };
}

/** A run of many users has millions of these, for every arm. */
function packed({
  users,
  labels,
  scores,
}: {
  readonly users: readonly string[];
  readonly labels: number[];
  readonly scores: number[];
}): SeedScores {
  return { users, labels: Uint8Array.from(labels), scores: Float64Array.from(scores) };
}

/** What the schema cannot ask. */
function mustBeWhole({ candidates: { length }, labels, scores }: ScoreLine, where: string): void {
  if (length === 0 || labels.length !== length || scores.length !== length)
    throw broken(where, `${length} candidates, ${labels.length} labels and ${scores.length} scores`);
  if (!scores.every(Number.isFinite)) throw broken(where, "a score is not finite");
}

/** Names each user's lists by what is in them. */
class ListNames {
  private readonly names = new Map<string, Set<string>>();

  /** @returns false when the user has this list already */
  add({ user, candidates, labels }: ScoreLine): boolean {
    const name = JSON.stringify(candidates.map((candidate, i) => `${labels[i]} ${candidate}`).sort());
    const own = this.names.get(user) ?? new Set();
    this.names.set(user, own);
    return own.size < own.add(name).size;
  }

  byUser(): ReadonlyMap<string, string> {
    return new Map(
      [...this.names].map(([user, lists]) => [
        user,
        createHash("sha256")
          .update([...lists].sort().join("\n"))
          .digest("base64"),
      ]),
    );
  }
}

/** All arms and seeds of a run score the same lists. */
function mustAgree(
  path: string,
  lists: ReadonlyMap<string, string>,
  first: { readonly path: string; readonly lists: ReadonlyMap<string, string> },
): void {
  const other = [...new Set([...lists.keys(), ...first.lists.keys()])].find((user) => lists.get(user) !== first.lists.get(user));
  if (other !== undefined)
    throw broken(path, `its lists of user ${JSON.stringify(other)} are not those of ${first.path}, or of another seed`);
}

function broken(where: string, message: string, cause?: unknown): RlrfError {
  const fault = { message, where, expected: "the form of registry/scores.schema.json", hint: writtenAnew };
  return new RlrfError("RLRF_COMPARE_FILE", fault, { cause });
}
