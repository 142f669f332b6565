/** A run's result, for people: the table of arms, what the tests say, and where to look further. */
import type { Hearing, Result } from "../method/result.js";
import { table } from "./terminal.js";

interface Shown {
  readonly folder: string;
  /** The MLflow server, if one was named. */
  readonly uri: string | null;
  /** It has everything. */
  readonly tracked: boolean;
  readonly seconds: string;
}

export function resultText(result: Result, { folder, uri, tracked, seconds }: Shown): string {
  const metrics = [...new Set(Object.values(result.arms).flatMap((arm) => Object.keys(arm)))];
  const main = metrics[0] ?? "";
  return [
    "",
    armsTable(result, metrics, main),
    ...testsTable(result, main),
    ...policiesTable(result),
    ...testsTable(result, "reward"),
    "",
    ...new Set(result.hearing.map(hearingText)), // iterations whose reward models heard the same texts say the same
    ...result.iterations.map(
      ({ iteration, accepted, gain }) =>
        `iteration ${iteration}: ${accepted ? "accepted" : "not accepted"}, sampled reward of held-out users ${signed(gain.mean)} [${signed(gain.low)}, ${signed(gain.high)}]`,
    ),
    ...serversTable(result),
    "",
    `run folder   ${folder} (report.html, result.json, scores/, texts/)`,
    `in MLflow    ${inMlflow(folder, uri, tracked)}`,
    `took         ${seconds}`,
  ].join("\n");
}

function hearingText({ texts, right, swapped, difference, deaf }: Hearing): string {
  const interval = `${signed(difference.mean)} [${signed(difference.low)}, ${signed(difference.high)}]`;
  return `hearing test (${texts}, unseen users): ${number(right)} with the right texts, ${number(swapped)} with swapped ones; ${interval}${deaf ? ": deaf" : ""}`;
}

function inMlflow(folder: string, uri: string | null, tracked: boolean): string {
  if (uri === null) return `npm run mlflow, then npx rlrf sync ${folder} --to the URI that it prints`;
  return tracked ? uri : `not all of it: npx rlrf sync ${folder} --to ${uri}`;
}

/** Means over users and seeds; the first metric with its 95% interval. */
function armsTable({ arms }: Result, metrics: readonly string[], main: string): string {
  const others = metrics.filter((metric) => metric !== main);
  const rows = Object.entries(arms).map(([arm, values]) => {
    const first = values[main];
    const interval = first === undefined ? "-" : `${number(first.mean)} [${number(first.low)}, ${number(first.high)}]`;
    return [arm, interval, ...others.map((metric) => number(values[metric]?.mean))];
  });
  return table(
    [["arm", `${main} [95%]`, ...others], ...rows],
    [...others.keys()].map((i) => i + 2),
  );
}

function testsTable({ tests }: Result, of: string): string[] {
  const rows = tests
    .filter(({ metric }) => metric === of)
    .map(({ arm, against, difference, p, pHolm }) => [arm, against, signed(difference), probability(p), probability(pHolm)]);
  return rows.length === 0 ? [] : ["", table([["arm", "against", of, "p", "p (Holm)"], ...rows], [2, 3, 4])];
}

/** What the LLM samples for held-out align users. */
function policiesTable({ llm }: Result): string[] {
  const rows = Object.entries(llm).map(([policy, { reward, bestOfN, winRate, conforming, tokens, distinct2 }]) => [
    ...[policy, number(reward), number(bestOfN), number(winRate)],
    ...[number(conforming), tokens.toFixed(1), number(distinct2)],
  ]);
  const head = ["policy", "sampled reward", "best of N", "win rate", "conforming", "tokens", "distinct-2"];
  return rows.length === 0 ? [] : ["", table([head, ...rows], [1, 2, 3, 4, 5, 6])];
}

function serversTable({ servers = [] }: Result): string[] {
  if (servers.length < 2 && servers.every(({ failures }) => failures === 0)) return [];
  const rows = servers.map(({ server, answers, failures, leftOut }) => [server, ...[answers, failures, leftOut].map(String)]);
  return ["", table([["server", "requests answered", "failed tries", "times left out"], ...rows], [1, 2, 3])];
}

export function number(value: number | undefined): string {
  return value === undefined || Number.isNaN(value) ? "-" : value.toFixed(4);
}
export function signed(value: number): string {
  return `${value >= 0 ? "+" : ""}${value.toFixed(4)}`;
}
export function probability(p: number): string {
  return p < 0.0001 ? "<.0001" : p.toFixed(4);
}
