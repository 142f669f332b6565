/** What a report says of one run, from the files that the run left. */
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { rankedLists, seedOf, sharedMetrics, tiesOf } from "../compare/compare.js";
import { type ComparedRun, readRun } from "../compare/read-run.js";
import { RlrfError } from "../errors.js";
import { readResult } from "../method/read-result.js";
import type { Result } from "../method/result.js";
import { mean } from "../metrics/aggregate.js";
import { userMeans } from "../metrics/by-user.js";
import { bootstrapMeans, intervalOf } from "../metrics/statistics.js";
import { leaves } from "../spec/origins.js";
import { writtenAnew } from "../store/run-file.js";
import type { Chunks } from "./chunks.js";
import type { ArmView, DifferenceView, RunView } from "./page/data.js";
import { factsOf, readTold } from "./provenance.js";
import { readSamples } from "./rewards.js";
import { readFitting } from "./rows.js";
import { readPolicies, structureView } from "./texts.js";
import { KnownUsers, RankedUsers, type UserValues, usersView } from "./users.js";

/** A run as it is shown, and as `rlrf compare` takes it. */
export interface ReadRun {
  readonly view: RunView;
  readonly scored: ComparedRun;
}

/** @param most users in the browser of users @throws RLRF_REPORT_FILE, RLRF_COMPARE_FILE, RLRF_FILE_… */
export async function readRunView(folder: string, chunks: Chunks, most: number): Promise<ReadRun> {
  const result = await readResult(folder);
  if (result === null)
    throw new RlrfError("RLRF_RUN_UNENDED", {
      message: "the run has no result.json: it has not ended",
      where: folder,
      hint: writtenAnew,
    });
  const known = await KnownUsers.of(folder, most);
  const ranked = new RankedUsers(known);
  const scored = await readRun(folder, (arm, line) => ranked.add(arm, line));
  const told = await readTold(folder);
  const metrics = metricsOf(result, scored);
  const values = valuesByUser(scored, metrics, Object.keys(result.arms));
  const aspects = aspectsOf(scored);
  const policies = await readPolicies(folder, told.policies, aspects);
  const samples = await readSamples(folder);
  const users = await usersView(folder, chunks, { known, ranked, values, policies, samples: samples.byUser });
  const origins = await originsOf(folder);
  const view: RunView = {
    name: basename(folder),
    title: result.name,
    metrics,
    arms: Object.entries(result.arms).map(([arm, figures]): ArmView => ({ arm, values: figures, valid: result.valid[arm] ?? {} })),
    differences: differencesOf(values, seedOf(scored)),
    tests: result.tests,
    tested: scored.lists.size,
    hearing: result.hearing,
    llm: result.llm,
    iterations: result.iterations,
    rewards: samples.views,
    curves: told.curves,
    structure: structureView(policies, aspects),
    counts: result.counts,
    warnings: result.warnings,
    seconds: result.seconds,
    spec: leaves(scored.spec).map(([pointer, value]) => [pointer, JSON.stringify(value), origins[pointer] ?? ""]),
    facts: await factsOf(folder, result, told),
    users,
  };
  return { view, scored };
}

/** Those of the spec that the result has; a spec that names none of them leaves the result's own. */
function metricsOf(result: Result, scored: ComparedRun): readonly string[] {
  const reported = [...new Set(Object.values(result.arms).flatMap((arm) => Object.keys(arm)))];
  const asked = sharedMetrics([scored]).filter((metric) => reported.includes(metric));
  return asked.length > 0 ? asked : reported;
}

/** Every arm's value of every tested user: the same path as the run's own figures. @param order of the result's arms */
function valuesByUser(scored: ComparedRun, metrics: readonly string[], order: readonly string[]): UserValues {
  const users = new Map([...scored.lists.keys()].sort().map((user, row) => [user, row]));
  const arms = [...new Set([...order, ...scored.arms.keys()])].filter((arm) => scored.arms.has(arm));
  const lists = arms.map((arm) => rankedLists(scored, scored.arms.get(arm), users) ?? []);
  const options = { length: scored.length, ties: tiesOf(scored), users: users.size };
  const byMetric = new Map(metrics.map((metric) => [metric, lists.map((parts) => userMeans(parts, { metric, ...options }))]));
  return { users, arms, byMetric };
}

/** Each pair of arms once; the page turns a difference round where it needs to. */
function differencesOf({ arms, byMetric }: UserValues, seed: number): DifferenceView[] {
  const resampled = bootstrapMeans([...byMetric.values()].flat(), { seed }); // a user has values of all metrics, or of none
  return [...byMetric].flatMap(([metric, columns], m) => {
    const means = resampled.slice(m * arms.length, (m + 1) * arms.length);
    return arms.flatMap((against, a) =>
      arms.slice(a + 1).map((arm, i): DifferenceView => {
        const b = a + 1 + i;
        const apart = (x: readonly Float64Array[]) =>
          (x[b] as Float64Array).map((value, row) => value - ((x[a] as Float64Array)[row] as number));
        return { metric, arm, against, interval: intervalOf(mean(apart(columns)), apart(means)) };
      }),
    );
  });
}

function aspectsOf({ spec }: ComparedRun): readonly string[] {
  const { aspects } = (spec.prompt ?? {}) as { readonly aspects?: unknown };
  if (!Array.isArray(aspects)) return [];
  return aspects.flatMap((aspect: unknown) => {
    const name = (aspect as { readonly name?: unknown } | null)?.name;
    return typeof name === "string" ? [name] : [];
  });
}

async function originsOf(folder: string): Promise<Readonly<Record<string, string>>> {
  const path = join(folder, "origins.json");
  return existsSync(path) ? await readFitting(path, "origins") : {};
}
