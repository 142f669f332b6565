/** What a reader in a hurry should take away, in sentences made of the run's figures. */
import { lastPolicy } from "../../spec/arms.js";
import type { RunView } from "./data.js";
import { h } from "./dom.js";
import { count, fixed, metricName, percent, probability, signed } from "./format.js";

export function abstract(run: RunView): HTMLElement {
  const sentences = [armsSentence(run), rivalSentence(run), hearingSentence(run), iterationsSentence(run), warningsSentence(run)];
  return h("p", { class: "abstract" }, sentences.filter((sentence) => sentence !== null).join(" "));
}

function lastPolicyOf({ arms }: RunView): string | undefined {
  return lastPolicy(arms.map(({ arm }) => arm));
}

function armsSentence(run: RunView): string | null {
  const metric = run.metrics[0];
  const arm = lastPolicyOf(run) ?? run.arms.find(({ arm: name }) => name === "metadata")?.arm ?? run.arms[0]?.arm;
  const interval = run.arms.find((one) => one.arm === arm)?.values[metric ?? ""];
  if (metric === undefined || arm === undefined || interval === undefined) return null;
  return `On ${count(run.tested)} test users the arm ${arm} reaches ${metricName(metric)} ${fixed(interval.mean)} (95% interval ${fixed(interval.low)} to ${fixed(interval.high)}).`;
}

function rivalSentence(run: RunView): string | null {
  const arm = lastPolicyOf(run);
  const tests = run.tests.filter(
    (test) => test.arm === arm && test.metric === run.metrics[0] && ["metadata", "item-only", "llm-0"].includes(test.against),
  );
  if (tests.length === 0) return null;
  const parts = tests.map(({ against, difference, pHolm }) =>
    `${signed(difference)} to ${against} (p = ${probability(pHolm)})`.replace("= <", "<"),
  );
  return `Differences, Holm-corrected: ${parts.join(", ")}.`;
}

function hearingSentence({ hearing }: RunView): string | null {
  const last = hearing.at(-1);
  if (last === undefined) return null;
  const { difference, deaf } = last;
  const change = `swapping users' texts costs ${fixed(difference.mean)} (${fixed(difference.low)} to ${fixed(difference.high)})`;
  return deaf ? `The recommender does not provably hear the texts: ${change}.` : `The recommender hears the texts: ${change}.`;
}

function iterationsSentence({ iterations, llm }: RunView): string | null {
  if (iterations.length === 0) return null;
  const accepted = iterations.filter((iteration) => iteration.accepted).length;
  const [first] = Object.values(llm);
  const last = Object.entries(llm).at(-1);
  const rewards =
    first === undefined || last === undefined || last[1].reward === null
      ? ""
      : ` The mean sampled reward of held-out users went from ${fixed(first.reward)} to ${fixed(last[1].reward)} (${last[0]}; wins ${percent(last[1].winRate)} against llm-0).`;
  return `${accepted} of ${iterations.length} ${iterations.length === 1 ? "iteration was" : "iterations were"} accepted.${rewards}`;
}

function warningsSentence({ warnings }: RunView): string | null {
  if (warnings.length === 0) return null;
  return `The run gave ${warnings.length} ${warnings.length === 1 ? "warning" : "warnings"}, listed under Provenance.`;
}
