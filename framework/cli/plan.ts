/** `rlrf plan SPEC`: tokens, bytes, hours, wall time and money of each step at sizes that nobody wants to find out by trying. */
import { InvalidArgumentError } from "commander";
import type { Plan, PlannedStep } from "../plan/plan.js";
import type { Prices, Rates } from "../plan/rates.js";
import { jsonOption, type Register, setOption } from "./command.js";
import { duration } from "./progress.js";
import { print, printJson, table } from "./terminal.js";

interface PlanOptions {
  readonly users: readonly number[];
  readonly items?: number;
  readonly gpus: number;
  readonly cpus: number;
  readonly rates: string;
  readonly prices?: string;
  readonly set: readonly string[];
  readonly json?: boolean;
}

export const register: Register = (program) => {
  const command = program
    .command("plan")
    .description("show what each step of a spec would take with more users, and which step it would wait for")
    .argument("<spec>", "a spec")
    .requiredOption("--rates <file>", "how fast one worker is: what `rlrf bench SPEC --out FILE` wrote, or a file of that form")
    .option("--users <counts>", "numbers of users, with commas between them", counts, [1e3, 1e6, 1e8])
    .option("--items <count>", "items (default: those of the rates)", (text) => counts(text)[0])
    .option("--gpus <count>", "workers with a GPU", (text) => counts(text)[0], 1)
    .option("--cpus <count>", "workers without one", (text) => counts(text)[0], 1)
    .option("--prices <file>", "what their hours and a gigabyte cost (registry/prices.schema.json)");
  jsonOption(setOption(command)).action(plan);
};

function counts(text: string): number[] {
  const values = text.split(",").map(Number);
  if (values.every((value) => Number.isSafeInteger(value) && value >= 1 && value <= 1e12)) return values;
  throw new InvalidArgumentError("expected whole numbers from 1 to 1e12, e.g. 1000,1000000");
}

async function plan(file: string, { users, items, gpus, cpus, json = false, set, ...files }: PlanOptions): Promise<void> {
  const { readSpec } = await import("../spec/read.js");
  const { resolveSpec } = await import("../spec/resolve.js");
  const { Registry } = await import("../kernel/registry.js");
  const { readPlanFile } = await import("../plan/rates.js");
  const { planOf } = await import("../plan/plan.js");
  const { workOf } = await import("../plan/work.js");
  const registry = await Registry.read();
  const { spec } = resolveSpec(await readSpec(file, set), registry);
  const rates = await readPlanFile<Rates>(files.rates, "rates");
  const prices = files.prices === undefined ? null : await readPlanFile<Prices>(files.prices, "prices");
  const sizes = { ...rates.sizes, ...(items !== undefined && { items }) };
  const plans = users.map((count) => planOf(workOf(spec, registry, count, sizes), { ...rates, sizes }, { gpus, cpus }, count, prices));
  if (json) return printJson({ spec: spec.name, resources: { gpus, cpus }, measured: rates.measured ?? null, prices, plans });
  print(plans.map((one) => planText(one, prices)).join("\n\n"));
  print(`\ncounted    for ${cpus} CPU and ${gpus} GPU workers; every iteration and every epoch runs, nothing is in the store yet`);
  if (rates.measured !== undefined)
    print(`rates      ${rates.measured.spec}, ${rates.measured.engine}, ${rates.measured.machine}, ${rates.measured.at.slice(0, 10)}`);
}

function planText({ users, steps, total, bottleneck, limits }: Plan, prices: Prices | null): string {
  const row = (step: Omit<PlannedStep, "busy">) => {
    // Work without a rate is not counted: what is told is then a lower bound, or nothing.
    const known = (text: string) => (step.unknown.length === 0 ? text : step.cpuHours + step.gpuHours === 0 ? "?" : `> ${text}`);
    return [
      step.step,
      step.tokens === 0 ? "" : amount(step.tokens),
      `${amount(step.bytes)}B`,
      known(step.cpuHours.toPrecision(3)),
      step.gpuHours === 0 ? "" : known(step.gpuHours.toPrecision(3)),
      known(duration(step.wallSeconds)),
      step.cost === null ? "" : known(`${step.cost.toFixed(2)} ${prices?.currency ?? ""}`),
    ];
  };
  const rows = [["step", "tokens", "bytes", "CPU h", "GPU h", "wall", "cost"], ...steps.map(row), row({ step: "all", ...total })];
  const { unknown } = total;
  return [
    `${users.toLocaleString("en-US")} users`,
    table(rows, [1, 2, 3, 4, 5, 6]),
    `bottleneck ${bottleneck.step}, ${(100 * bottleneck.share).toFixed(0)}% of the ${unknown.length === 0 ? "" : "known "}time: ${bottleneck.because}`,
    ...(unknown.length === 0 ? [] : [`incomplete no rate of ${unknown.join(", ")}: these are not counted, and > is at least so much`]),
    ...limits.map((limit) => `limit      ${limit}`),
  ].join("\n");
}

function amount(value: number): string {
  const power = value < 1 ? 0 : Math.min(6, Math.floor(Math.log10(value) / 3));
  return (
    `${Number((value / 1000 ** power).toPrecision(3))} ${["", "k", "M", "G", "T", "P", "E"][power]}`.trimEnd() + (power === 0 ? " " : "")
  );
}
