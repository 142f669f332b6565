import { InvalidArgumentError } from "commander";
import { textSources } from "../serving/sources.js";
import { quietOption, type Register } from "./command.js";

/** `rlrf serve MODEL`: POST /rerank until SIGTERM or Ctrl-C. Everything heavy is imported by serve-model.ts. */
export const register: Register = (program) => {
  const command = program
    .command("serve")
    .description("answer POST /rerank with a model that `rlrf promote` made")
    .argument("<model>", "its folder, or models:/NAME/VERSION or models:/NAME/ALIAS of MLflow's registry")
    .option("--from <uri>", "the MLflow server of models:/…; else MLFLOW_TRACKING_URI")
    .option("--host <address>", "where to listen; other machines reach it only when this is told", "127.0.0.1")
    .option("--port <number>", "0: any that is free", whole(0, 65535), 8080)
    .option("--texts <sources>", "where a user's text comes from when the request has none, in this order", sources, [...textSources])
    .option("--llm-wait <seconds>", "that a request waits for the LLM before it goes on with the next source", seconds, 2)
    .option("--llm-timeout <seconds>", "in which the LLM has to end a text while it writes", whole(1, 3600), 60)
    .option("--llm-queue <count>", "texts that wait for the LLM", whole(1, 10_000), 64)
    .option("--max-body <bytes>", "of a request", whole(1, 64 << 20), 256 << 10)
    .option("--max-history <count>", "interactions of a request", whole(0, 100_000), 2_000)
    .option("--max-candidates <count>", "candidates of a request", whole(1, 10_000), 500)
    .option("--max-pending <count>", "requests that are answered at once", whole(1, 100_000), 256)
    .option("--receive-timeout <seconds>", "until a request has arrived", whole(1, 600), 10)
    .option("--answer-timeout <seconds>", "until a request is answered", whole(1, 3600), 30)
    .option("--drain <seconds>", "at the end: for how long it still takes requests after /ready says no", whole(0, 3600), 1);
  quietOption(command).action(async (model, options) => {
    const { serveModel } = await import("./serve-model.js");
    await serveModel(model, options);
  });
};

function whole(least: number, most: number) {
  return (value: string): number => {
    if (/^\d{1,12}$/.test(value) && Number(value) >= least && Number(value) <= most) return Number(value);
    throw new InvalidArgumentError(`expected a whole number from ${least} to ${most}`);
  };
}

function seconds(value: string): number {
  if (/^\d{1,4}(\.\d{1,3})?$/.test(value)) return Number(value);
  throw new InvalidArgumentError("expected seconds, such as 0.5");
}

function sources(value: string): (typeof textSources)[number][] {
  const named = value === "none" ? [] : value.split(",").map((name) => name.trim());
  const known = named.map((name) => textSources.find((source) => source === name));
  if (known.every((source) => source !== undefined) && new Set(known).size === known.length) return known;
  throw new InvalidArgumentError(`expected some of ${textSources.join(",")}, each once, or none`);
}
