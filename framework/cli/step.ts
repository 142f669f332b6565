/** `rlrf step TASK`: what executors start; makes one step of a run that another process drives. */
import { jsonOption, quietOption, type Register } from "./command.js";

export const register: Register = (program) => {
  const command = program
    .command("step")
    .description("make one step of a run that another process distributes (executors call it)")
    .argument("<task>", "the key of a task in the store")
    .requiredOption("--cache <folder>", "the store, as this machine sees it");
  jsonOption(quietOption(command)).action(async (task, options) => {
    const { makeStep } = await import("./make-step.js");
    await makeStep(task, options);
  });
};
