/**
 * What a report's page is given, as JSON inside of it. The summary is read at once; what is large lies in chunks (base64 of gzip of JSON),
 * each unpacked when it is first looked at. Types alone: the page and what writes it share them.
 */
export interface ReportData {
  readonly runs: readonly RunView[];
  /** Of several runs; null, with the reason, where they cannot be compared. */
  readonly comparison: ComparisonView | null;
  readonly notCompared: string | null;
  readonly sweep: SweepView | null;
}

/** runs/SWEEP/sweep.json, as far as it is shown. */
export interface SweepView {
  readonly name: string;
  readonly strategy: string;
  /** What the sweep chooses by; null: it does not. */
  readonly metric: string | null;
  /** JSON pointers of what is varied. */
  readonly axes: readonly string[];
  readonly trials: readonly TrialView[];
  readonly best: { readonly trials: readonly string[] } | null;
}
export interface TrialView {
  readonly id: string;
  readonly rung: number;
  /** JSON pointer -> value */
  readonly values: Readonly<Record<string, unknown>>;
  readonly state: string;
  readonly selection: number | null;
  readonly arms: Readonly<Record<string, Readonly<Record<string, Interval>>>>;
  readonly error: { readonly code: string; readonly message: string } | null;
}

export interface Interval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/** What `rlrf compare` says of the runs of the report, which are numbered. */
export interface ComparisonView {
  readonly users: number;
  readonly metrics: readonly string[];
  /** metric -> arm -> one interval a run; null where a run does not have the arm. */
  readonly arms: Readonly<Record<string, Readonly<Record<string, readonly (Interval | null)[]>>>>;
  readonly tests: readonly RunTest[];
  readonly differences: readonly { readonly pointer: string; readonly values: readonly unknown[] }[];
}
export interface RunTest extends Tested {
  readonly metric: string;
  readonly arm: string;
  readonly run: number;
  readonly against: number;
  readonly difference: number;
}
interface Tested {
  readonly p: number;
  readonly pHolm: number;
}

/** result.json's tests, hearing tests, figures of policies and iterations, as method/result.ts has them; NaN is null in the file. */
export interface ArmTest extends Tested {
  readonly arm: string;
  readonly against: string;
  readonly metric: string;
  /** Null where no user was held out, of the metric "reward". */
  readonly difference: number | null;
}
export interface HearingView {
  readonly texts: string;
  readonly users: number;
  readonly right: number;
  readonly swapped: number;
  readonly difference: Interval;
  readonly deaf: boolean;
}
/** Null where no user was held out to judge by. */
export interface PolicyFigures {
  readonly reward: number | null;
  readonly bestOfN: number | null;
  readonly winRate: number | null;
  readonly structureRate: number | null;
  readonly conforming: number | null;
  readonly tokens: number | null;
  readonly distinct2: number | null;
}
export interface IterationView {
  readonly iteration: number;
  readonly accepted: boolean;
  readonly gain: Readonly<Record<keyof Interval, number | null>>;
  readonly conforming: number | null;
  readonly pairs: Readonly<Record<string, number>>;
  readonly accuracy: number | null;
  readonly margin: number | null;
  readonly kl: number | null;
}

export interface RunView {
  readonly name: string;
  readonly title: string;
  /** The first is the one that is shown first. */
  readonly metrics: readonly string[];
  readonly arms: readonly ArmView[];
  readonly differences: readonly DifferenceView[];
  readonly tests: readonly ArmTest[];
  /** Users tested. */
  readonly tested: number;
  readonly hearing: readonly HearingView[];
  readonly llm: Readonly<Record<string, PolicyFigures>>;
  readonly iterations: readonly IterationView[];
  readonly rewards: readonly RewardView[];
  readonly curves: readonly CurveView[];
  readonly structure: StructureView;
  readonly counts: Readonly<Record<string, number>>;
  readonly warnings: readonly string[];
  readonly seconds: Readonly<Record<string, number>>;
  /** [JSON pointer, value as JSON, origin] */
  readonly spec: readonly (readonly [string, string, string])[];
  /** [what, value] */
  readonly facts: readonly (readonly [string, string])[];
  readonly users: UsersView;
}

export interface ArmView {
  readonly arm: string;
  readonly values: Readonly<Record<string, Interval>>;
  /** The same of valid users, by which runs may be chosen; null where none has a value. */
  readonly valid: Readonly<Record<string, { readonly mean: number | null }>>;
}

/** arm - against, on the users of both, with its bootstrap interval. */
export interface DifferenceView {
  readonly metric: string;
  readonly arm: string;
  readonly against: string;
  readonly interval: Interval;
}

/** Rewards of one set of samples. */
export interface RewardView {
  readonly iteration: number;
  readonly users: "tuned" | "held-out";
  readonly when: "before" | "after";
  readonly policy: string;
  readonly count: number;
  readonly mean: number;
  readonly quantiles: readonly [number, number, number];
  /** Shares of the samples in equal bins over `range`, which all sets of a run have in common. */
  readonly bins: readonly number[];
  readonly range: readonly [number, number];
  /** Mean over users of the k-th best of N, k = 1 … N. */
  readonly ordered: readonly number[];
}

/** What a tuning told of itself, step by step. */
export interface CurveView {
  readonly name: string;
  /** figure -> [step, value][] */
  readonly figures: Readonly<Record<string, readonly (readonly [number, number])[]>>;
}

export interface StructureView {
  readonly aspects: readonly string[];
  readonly policies: readonly {
    readonly policy: string;
    readonly texts: number;
    /** Share of texts that answer the aspect exactly once, with something in it. [aspects] */
    readonly rates: readonly number[];
    /** Share of texts with every aspect once and nothing else. */
    readonly conforming: number;
  }[];
}

/** Numbers of chunks. */
export interface UsersView {
  readonly count: number;
  /** Users whom the run has and the report leaves out, to keep the file small. */
  readonly leftOut: number;
  readonly perChunk: number;
  readonly index: number;
  readonly items: number;
  /** A chunk a metric: base64 of Float32, [arms, users]; NaN for users without a value. */
  readonly values: Readonly<Record<string, number>>;
  /** The chunk of user k is details[floor(k / perChunk)]. */
  readonly details: readonly number[];
  readonly arms: readonly string[];
  /** Whose texts there are, in the order in which they were written. */
  readonly policies: readonly string[];
}
export interface UsersIndex {
  readonly ids: readonly string[];
  readonly parts: readonly string[];
  /** Bits: 1 tested, 2 preference pairs. */
  readonly has: readonly number[];
}
export interface ItemsChunk {
  readonly ids: readonly string[];
  readonly titles: readonly string[];
}
export interface UserDetails {
  /** [number of the item, rating] */
  readonly window: readonly (readonly [number, number])[];
  readonly later: readonly (readonly [number, number])[];
  readonly lists: readonly ListDetails[];
  /** One a policy; null where it wrote none. */
  readonly texts: readonly (string | null)[];
  readonly pairs: readonly PairDetails[];
  readonly samples: readonly SampleDetails[];
}
export interface ListDetails {
  readonly items: readonly number[];
  readonly labels: readonly number[];
  /** An arm a row: the candidates' mean ranks over seeds, tied ones at the mean of their ranks, in hundredths. */
  readonly ranks: readonly (readonly number[])[];
}
export interface PairDetails {
  readonly iteration: number;
  readonly teaches: "reward" | "structure";
  readonly chosen: RewardedText;
  readonly rejected: readonly RewardedText[];
}
/** N texts of one policy, the best first. */
export interface SampleDetails extends Pick<RewardView, "iteration" | "users" | "when" | "policy"> {
  readonly texts: readonly (Omit<RewardedText, "reward"> & { readonly reward: number | null })[];
}
export interface RewardedText {
  readonly text: string;
  readonly reward: number;
  readonly tokens: number;
}
