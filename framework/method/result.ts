/**
 * What a run ends with: runs/ID/result.json. Its JSON Schema is registry/result.schema.json. A figure of users none of whom has a relevant item is
 * NaN, which is null in the file.
 */
import type { ServerShare } from "../contracts/llm.js";
import type { Interval } from "../metrics/statistics.js";
import type { EngineInfo } from "../tensor/engine.js";

/**
 * A paired randomisation test by user: of arms on test users, or with the metric "reward" of policies on the texts sampled for held-out
 * align users. `p` is two-sided; `pHolm` is corrected over all comparisons of one metric.
 */
export interface Comparison {
  readonly arm: string;
  readonly against: string;
  readonly metric: string;
  readonly difference: number;
  readonly p: number;
  readonly pHolm: number;
}

/** Does the recommender hear the text? Its ranking with the right texts minus that with another user's. */
export interface Hearing {
  readonly texts: string;
  readonly users: number;
  readonly right: number;
  readonly swapped: number;
  readonly difference: Interval;
  readonly deaf: boolean;
}

/** A policy, judged by texts sampled for held-out align users. */
export interface LlmFigures {
  readonly reward: number;
  readonly bestOfN: number;
  readonly winRate: number;
  readonly structureRate: number;
  readonly conforming: number;
  readonly tokens: number;
  readonly distinct2: number;
}

export interface IterationOutcome {
  readonly iteration: number;
  readonly accepted: boolean;
  /** Mean sampled reward of held-out align users after minus before. */
  readonly gain: Interval;
  /** Share of their samples that are finished and in the asked structure, after the iteration. */
  readonly conforming: number;
  readonly pairs: Readonly<Record<string, number>>;
  /** Share of rejected texts with the smaller implicit reward, over the last steps; NaN where there were none. */
  readonly accuracy: number;
  readonly margin: number;
  /** To the policy that the iteration started from, nats a text, on held-out users' samples. */
  readonly kl: number;
}

export interface Result {
  readonly name: string;
  readonly specHash: string;
  readonly engine: EngineInfo;
  readonly seeds: readonly number[];
  readonly arms: Readonly<Record<string, Readonly<Record<string, Interval>>>>;
  /** Arms on valid users: by these, never by test users, runs may be chosen. */
  readonly valid: Readonly<Record<string, Readonly<Record<string, Interval>>>>;
  readonly tests: readonly Comparison[];
  readonly hearing: readonly Hearing[];
  readonly llm: Readonly<Record<string, LlmFigures>>;
  readonly iterations: readonly IterationOutcome[];
  readonly counts: Readonly<Record<string, number>>;
  readonly warnings: readonly string[];
  readonly seconds: Readonly<Record<string, number>>;
  /** What the servers that wrote texts have done, for the process that ended the run; absent where there were none. */
  readonly servers?: readonly ServerShare[];
}
