/** What a run leaves in its folder for others to read; registry/*.schema.json are the forms of these files. */
import { specHash } from "../spec/hash.js";
import { writeJson, writeJsonLines } from "../store/files.js";
import type { PolicyTexts } from "./infer.js";
import type { PairedTexts, Pairing } from "./pairs.js";
import type { Result } from "./result.js";
import type { Study } from "./study.js";

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
  outcome: Pick<Result, "arms" | "tests" | "hearing" | "llm" | "iterations">,
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
  };
  const path = context.folder.path("result.json");
  await writeJson(path, result);
  context.tracker.artifact(path);
  for (const [arm, metrics] of Object.entries(result.arms))
    for (const [metric, { mean }] of Object.entries(metrics)) context.tracker.metrics({ [`${arm}/${metric}`]: mean });
  for (const [policy, figures] of Object.entries(result.llm))
    context.tracker.metrics(Object.fromEntries(Object.entries(figures).map(([name, value]) => [`${policy}/${name}`, value])));
  for (const { iteration, accepted, gain, accuracy, margin, kl } of result.iterations) {
    const child = context.tracker.child(`iteration-${iteration}`, "iteration");
    child.metrics({ accepted: Number(accepted), gain: gain.mean, gain_low: gain.low, gain_high: gain.high, accuracy, margin, kl });
  }
  return result;
}

async function writeRows(study: Study, parts: readonly string[], rows: readonly object[]): Promise<void> {
  const path = study.context.folder.path(...parts);
  await writeJsonLines(path, rows);
  study.context.tracker.artifact(path);
}
