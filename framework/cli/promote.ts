import { InvalidArgumentError } from "commander";
import { jsonOption, quietOption, type Register } from "./command.js";

/** `rlrf promote RUN NAME`: a run becomes a model that `rlrf serve` takes. Everything heavy is imported by promote-run.ts. */
export const register: Register = (program) => {
  const command = program
    .command("promote")
    .description("make a model of a run's arm: in MLflow's model registry, or in a folder")
    .argument("<run>", "the name of a run, or its folder")
    .argument("<name>", "of the model")
    .option("--to <uri>", "the MLflow server; else the run's own tracking.uri, else MLFLOW_TRACKING_URI")
    .option("--out <folder>", "a new folder for the model; MLflow is left out unless --to names it")
    .option("--arm <name>", "the arm to serve (default: the last policy, else metadata)")
    .option("--seed <number>", "the recommender of this seed, or all: the mean of their scores (default: the first of the spec)", seed)
    .option("--users <which>", "split: the recommender that was evaluated; a number: that of this fold; refit: fitted on everybody (default: split, or refit under folds)", users) // biome-ignore format: one option
    .option("--alias <name>", "an alias of the version in MLflow, such as champion")
    .option("--runs <folder>", "where runs are kept", "runs")
    .option("--cache <folder>", "where computed steps are kept; else store.path of the run's spec, else .rlrf");
  jsonOption(quietOption(command)).action(async (run, name, options) => {
    const { promoteRun } = await import("./promote-run.js");
    await promoteRun(run, name, options);
  });
};

function seed(value: string): number | "all" {
  return value === "all" ? value : wholeNumber(value, "a seed of the spec, or all");
}

function users(value: string): number | "split" | "refit" {
  return value === "split" || value === "refit" ? value : wholeNumber(value, "split, refit or the number of a fold");
}

function wholeNumber(value: string, expected: string): number {
  if (/^\d{1,9}$/.test(value)) return Number(value);
  throw new InvalidArgumentError(`expected ${expected}`);
}
