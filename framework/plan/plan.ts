/** From work and rates to hours and money: what a run of a given size would take, and which step it would wait for. */
import type { Prices, Rate, Rates, Work } from "./rates.js";
import type { StepWork } from "./work.js";

export interface Resources {
  /** Workers with a GPU: they do the work whose rate was measured on one. */
  readonly gpus: number;
  /** Workers without: machines like the one whose rates were measured. */
  readonly cpus: number;
}

export interface PlannedStep {
  readonly step: string;
  readonly tokens: number;
  readonly bytes: number;
  readonly cpuHours: number;
  readonly gpuHours: number;
  /** From its beginning to its end, seconds. */
  readonly wallSeconds: number;
  /** null without prices. */
  readonly cost: number | null;
  /** Workers that can have something to do. */
  readonly busy: number;
  /** Work that no rate is known of: the step is counted without it. */
  readonly unknown: readonly Work[];
}

export interface Plan {
  readonly users: number;
  readonly steps: readonly PlannedStep[];
  /** Of all steps, as far as they are known: `unknown` of any is left out of the sums. */
  readonly total: Omit<PlannedStep, "step" | "busy">;
  readonly bottleneck: { readonly step: string; readonly share: number; readonly because: string };
  /** What a run of this size would meet that no hours mend. */
  readonly limits: readonly string[];
}

/** @param work the steps in order (`workOf`) */
export function planOf(work: readonly StepWork[], rates: Rates, resources: Resources, users: number, prices: Prices | null): Plan {
  const steps = work.map((step) => planned(step, rates, resources, prices));
  const sum = (field: "tokens" | "bytes" | "cpuHours" | "gpuHours" | "wallSeconds") =>
    steps.reduce((total, step) => total + step[field], 0);
  const total = {
    tokens: sum("tokens"),
    bytes: sum("bytes"),
    cpuHours: sum("cpuHours"),
    gpuHours: sum("gpuHours"),
    wallSeconds: sum("wallSeconds"),
    cost: prices === null ? null : steps.reduce((all, step) => all + (step.cost ?? 0), 0),
    unknown: [...new Set(steps.flatMap((step) => step.unknown))],
  };
  return { users, steps, total, bottleneck: bottleneck(steps, work, resources, total.wallSeconds), limits: limits(users, rates) };
}

function planned(step: StepWork, { rates, startup }: Rates, resources: Resources, prices: Prices | null): PlannedStep {
  const known = Object.entries(step.work).flatMap(([work, amount]) => {
    const rate = rates[work as Work];
    return rate === undefined ? [] : [{ rate, seconds: amount / rate.perSecond }];
  });
  const unknown = Object.keys(step.work).filter((work) => rates[work as Work] === undefined) as Work[];
  const secondsOn = (device: Rate["device"]) => known.reduce((sum, { rate, seconds }) => sum + (rate.device === device ? seconds : 0), 0);
  const loading = step.loads ? startup.languageModel : 0;
  const [cpu, gpu] = [secondsOn("cpu") + loading, secondsOn("gpu")];
  const workers = Math.max(1, gpu > 0 ? resources.gpus : resources.cpus);
  const busy = Math.min(workers, step.parts);
  const turns = Math.ceil(step.parts / workers);
  // One worker is the run's own process, which has all in memory; else every part is a process of its own.
  const begin = busy === 1 ? 0 : startup.process + (step.needsModel ? startup.again : 0);
  // A part is 1 / (parts * rounds) of the work; the workers take the parts in turns.
  const wallSeconds = step.rounds * turns * ((cpu + gpu) / (step.parts * step.rounds) + begin);
  const waiting = begin * step.parts * step.rounds;
  const [cpuHours, gpuHours] = [(cpu + (gpu > 0 ? 0 : waiting)) / 3600, (gpu + (gpu > 0 ? waiting : 0)) / 3600];
  const cost = prices === null ? null : cpuHours * prices.cpuHour + gpuHours * prices.gpuHour + (step.bytes / 1e9) * prices.gigabyteMonth;
  const { promptTokens = 0, completionTokens = 0, trainedTokens = 0 } = step.work;
  const tokens = promptTokens + completionTokens + trainedTokens;
  return { step: step.step, tokens, bytes: step.bytes, cpuHours, gpuHours, wallSeconds, cost, busy, unknown };
}

function bottleneck(steps: readonly PlannedStep[], work: readonly StepWork[], { gpus, cpus }: Resources, wall: number): Plan["bottleneck"] {
  const slowest = steps.reduce((worst, step) => (step.wallSeconds > worst.wallSeconds ? step : worst));
  const { parts } = work[steps.indexOf(slowest)] as StepWork; // of the same length
  const workers = slowest.gpuHours > 0 ? gpus : cpus;
  const because =
    parts < workers || parts === 1
      ? `it has ${parts === 1 ? "one part" : `${parts} parts`} for ${workers === 1 ? "one worker" : `${workers} workers`}: more of them change nothing`
      : `its ${parts} parts keep ${workers === 1 ? "the worker" : `all ${workers} workers`} busy: more of them shorten it`;
  return { step: slowest.step, share: slowest.wallSeconds / wall, because };
}

/** Typed arrays number interactions in 32 bits. */
const mostInteractions = 2 ** 31 - 1;

function limits(users: number, { sizes }: Rates): string[] {
  const interactions = users * sizes.interactionsPerUser;
  const memory = interactions * 9 + users * sizes.listsPerUser * 58;
  return [
    ...(interactions > mostInteractions
      ? [
          `${interactions.toExponential(1)} interactions are more than one prepared data set holds (2^31): split the users into several runs`,
        ]
      : []),
    ...(memory > 16e9 ? [`every worker holds the prepared data: about ${(memory / 1e9).toFixed(0)} GB of memory each`] : []),
  ];
}
