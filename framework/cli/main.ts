/** The `rlrf` command: finds the command's file, imports that one alone, and turns what happens into an exit status. */
import { Command, type Option } from "commander";
import { RlrfError } from "../errors.js";
import { frameworkVersion } from "../setup/version.js";
import type { Register } from "./command.js";
import { report } from "./failure.js";

/** Each is a file beside this one that exports `register` (command.ts). */
export const commands = [
  "run",
  "status",
  "cancel",
  "step",
  "check",
  "explain",
  "plan",
  "bench",
  "list",
  "describe",
  "try",
  "lists",
  "runs",
  "best",
  "compare",
  "report",
  "promote",
  "serve",
  "assets",
  "doctor",
  "sync",
  "new",
  "plugin",
  "registry",
  "reproduce",
] as const;

/**
 * @param args the command line without node and script
 * @returns 0 done, 1 failed, 2 the user's input is wrong, 130 interrupted
 */
export async function main(args: readonly string[]): Promise<number> {
  process.stdout.on("error", onStreamError);
  process.stderr.on("error", onStreamError);
  try {
    const program = await createProgram(args);
    await program.parseAsync(asked(args), { from: "user" });
    return 0;
  } catch (error) {
    return report(error, { json: args.includes("--json") });
  }
}

/** `rlrf help NAME` and `rlrf NAME --help` of a command that is none are told so, in place of the help of all. */
function asked(args: readonly string[]): string[] {
  const [name = ""] = args[0] === "help" ? args.slice(1) : args;
  return name === "" || name === "help" || name.startsWith("-") || commands.some((known) => known === name) ? [...args] : [name];
}

async function createProgram(args: readonly string[]): Promise<Command> {
  const wanted = commands.find((name) => name === args[0]);
  const program = new Command("rlrf")
    .description("Tune a language model with a recommender's own feedback (RLRF4Rec).")
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, "RLRF_USAGE: ")) })
    .showHelpAfterError("  to do     rlrf --help lists the commands")
    .version(frameworkVersion(), "-V, --version", "print the version")
    .configureHelp({ optionDescription: optionText })
    .exitOverride()
    .hook("preAction", (_, command) => mustBeFilled(command));
  for (const name of wanted === undefined ? commands : [wanted]) {
    const { register } = (await import(`./${name}.js`)) as { register: Register };
    register(program);
  }
  for (const command of program.commands) pointToHelp(command, `rlrf ${command.name()}`);
  return program;
}

/** A command within another one has a help of its own. */
function pointToHelp(command: Command, called: string): void {
  command.showHelpAfterError(`  to do     ${called} --help shows how it is called`);
  for (const inner of command.commands) pointToHelp(inner, `${called} ${inner.name()}`);
}

/** Defaults in the form that the option takes, and whether there is no call without it. */
function optionText({ description, mandatory, required, optional, defaultValue }: Option): string {
  const shown = Array.isArray(defaultValue) ? defaultValue.join(",") : String(defaultValue ?? "");
  const notes = [...(mandatory ? ["required"] : []), ...((required || optional) && shown !== "" ? [`default: ${shown}`] : [])];
  return notes.length === 0 ? description : `${description} (${notes.join(", ")})`;
}

/** A shell variable that is not set gives an empty text, which as a folder would be the working one. */
function mustBeFilled(command: Command): void {
  const empty = command.options.filter((option) => command.getOptionValue(option.attributeName()) === "").map(({ long }) => long);
  if (command.args.includes("")) empty.push("an argument");
  if (empty.length === 0) return;
  throw new RlrfError("RLRF_USAGE", {
    message: `${empty.join(" and ")} ${empty.length === 1 ? "is" : "are"} empty`,
    expected: "a value, or the option left out",
    hint: "look whether a shell variable that stands there is set",
  });
}

/** `rlrf list | head` closes the pipe early: that is no fault. */
function onStreamError(error: NodeJS.ErrnoException): void {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
}

/** Waits until what was printed has left this process. */
export async function drain(): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) await new Promise<void>((resolve) => stream.write("", () => resolve()));
}
