/** What a run leaves in its folder for others to read; registry/*.schema.json are the forms of these files. */
import { specHash } from "../spec/hash.js";
import { writeJson, writeJsonLines } from "../store/files.js";
import type { PolicyTexts } from "./infer.js";
import type { PairedTexts, Pairing } from "./pairs.js";
import type { Result } from "./result.js";
import type { Study } from "./study.js";
import { thinned } from "./thinned.js";

/** runs/ID/texts/ARM.jsonl */
export async function writeTexts(study: Study, told: readonly PolicyTexts[]): Promise<void> {
  for (const { name, texts } of told) {
    const rows = texts.map(({ user, text, parsed }) => ({
      user: study.data.users[user]?.id,
      text,
      parsed: parsed.values,
      structureRate: parsed.structureRate,
    }));
    await writeRows(study, ["texts", `${name}.jsonl`], rows);
  }
}

/** runs/ID/pairs/ITERATION.jsonl */
export async function writePairs(study: Study, iteration: number, { pairs }: Pairing): Promise<void> {
  const side = ({ text, reward, length }: PairedTexts["chosen"]) => ({ text, reward, tokens: length });
  const rows = pairs.map(({ user, teaches, chosen, rejected }) => ({
    user: study.data.users[user]?.id,
    teaches,
    chosen: side(chosen),
    rejected: rejected.map(side),
  }));
  await writeRows(study, ["pairs", `${iteration}.jsonl`], rows);
}

/** runs/ID/result.json, and its figures to the tracker. */
export async function writeResult(
  study: Study,
  outcome: Pick<Result, "arms" | "valid" | "tests" | "hearing" | "llm" | "iterations">,
): Promise<Result> {
  const { spec, context, data } = study;
  const result: Result = {
    name: spec.name,
    specHash: specHash(spec),
    engine: context.engine,
    seeds: spec.seeds,
    ...outcome,
    counts: data.counts,
    warnings: study.warnings,
    seconds: study.seconds,
    ...serversOf(study),
  };
  const path = context.folder.path("result.json");
  await writeJson(path, result);
  context.tracker.artifact(path);
  for (const [arm, metrics] of Object.entries(result.arms))
    for (const [metric, { mean }] of Object.entries(metrics)) context.tracker.metrics({ [`${arm}/${metric}`]: mean });
  for (const [arm, metrics] of Object.entries(result.valid))
    for (const [metric, { mean }] of Object.entries(metrics)) context.tracker.metrics({ [`valid/${arm}/${metric}`]: mean });
  for (const [policy, figures] of Object.entries(result.llm))
    context.tracker.metrics(Object.fromEntries(Object.entries(figures).map(([name, value]) => [`${policy}/${name}`, value])));
  for (const { iteration, accepted, gain, accuracy, margin, kl } of result.iterations) {
    const child = context.tracker.child(`iteration-${iteration}`, "iteration");
    child.metrics({ accepted: Number(accepted), gain: gain.mean, gain_low: gain.low, gain_high: gain.high, accuracy, margin, kl });
  }
  return result;
}

/** More users than this are thinned out evenly: these files are for looking at, and nothing is computed from them. */
const shownUsers = 10_000;
const shownInteractions = 50;

/** runs/ID/users.jsonl: what each user did before the lists began; runs/ID/items.jsonl: the items of these users, by name. */
export async function writeUsers(study: Study): Promise<void> {
  const { users, items, sequence, windows, lists, parts } = study.data;
  const ends = new Map<number, number>(); // where a user's last list begins
  const met = new Set<number>();
  for (let list = 0; list < lists.count; list++) ends.set(lists.user[list] as number, lists.start[list] as number);
  const shown = new Set(thinned([...ends.keys()], shownUsers));
  for (let list = 0; list < lists.count; list++)
    if (shown.has(lists.user[list] as number))
      for (const item of lists.candidates.subarray(list * lists.length, (list + 1) * lists.length)) met.add(item);
  const interactions = (from: number, to: number) =>
    Array.from(sequence.items.subarray(from, to), (item, i) => {
      met.add(item);
      return [items[item]?.id, sequence.ratings[from + i]];
    });
  const rows = [...shown].map((user) => {
    const begin = sequence.offsets[user] as number;
    const window = begin + (windows[user] as number);
    const end = ends.get(user) as number;
    const { part, fold = null } = parts.labels[user] as (typeof parts.labels)[number];
    const later = interactions(Math.max(window, end - shownInteractions), end);
    return { user: users[user]?.id, part, fold, window: interactions(begin, window), later };
  });
  await writeRows(study, ["users.jsonl"], rows);
  const named = [...met].sort((a, b) => a - b).map((item) => ({ item: items[item]?.id, title: items[item]?.title }));
  await writeRows(study, ["items.jsonl"], named);
}

function serversOf({ parts }: Study): Pick<Result, "servers"> {
  const servers = (parts.sampler ?? parts.llm)?.shares?.();
  return servers === undefined ? {} : { servers };
}

export async function writeRows(study: Study, parts: readonly string[], rows: readonly object[]): Promise<void> {
  const path = study.context.folder.path(...parts);
  await writeJsonLines(path, rows);
  study.context.tracker.artifact(path);
}
