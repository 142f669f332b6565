import { createHash } from "node:crypto";
import fs from "node:fs/promises";
import { extname, join, relative } from "node:path";
import {
  type AlignmentExample,
  type Assets,
  assets,
  type CorpusTexts,
  files,
  type NamedLoss,
  options,
  plugin,
  RlrfError,
  runCommand,
  type Tuner,
  type TuningStep,
  type TuningTask,
} from "rlrf4rec";
import { lossesOfTrl, type TrlLoss, trlLoss } from "./trl/losses.js";
import { script } from "./trl/script.js";

interface TrlOptions {
  readonly run: "here" | "elsewhere";
  readonly dtype: "float32" | "bfloat16";
  readonly gradientCheckpointing: boolean;
  readonly accelerate: string | null;
}

/** The asset that is a Python environment with TRL. */
const environment = "trl";
/** Steps between two checkpoints. */
const checkpointEvery = 20;
const dayMilliseconds = 86_400_000;

@plugin({
  kind: "tuner",
  name: "trl",
  version: "1.1.0",
  summary: "TRL's own trainers, as a Python program: in an environment of its own here, or on another machine",
  source: "von Werra et al., TRL 1.16.0; PEFT 0.21.2",
  worksWith: { loss: lossesOfTrl },
  options: {
    type: "object",
    properties: {
      run: {
        enum: ["here", "elsewhere"],
        default: "here",
        assets: { here: [environment] },
        description: "elsewhere: everything is written into the run folder, and the run ends until the adapter is put there.",
      },
      dtype: { enum: ["float32", "bfloat16"], default: "float32", description: "In which the frozen model is loaded." },
      gradientCheckpointing: { type: "boolean", default: false, description: "Less memory, more time." },
      accelerate: {
        type: ["string", "null"],
        default: null,
        file: true,
        description:
          "A config file of accelerate (YAML or JSON), which says how many processes tune and how they share the model: several GPUs, FSDP, DeepSpeed (GPUs are untested here). They share alignment.accumulate, which they divide. null = one process.",
      },
    },
  },
})
export class Trl implements Tuner {
  private readonly exported = new Map<TuningTask["policy"], string>();

  constructor(
    @options() private readonly options: TrlOptions,
    @assets() private readonly assets: Assets,
  ) {}

  async prepare(): Promise<void> {
    const { accelerate } = this.options;
    if (accelerate !== null)
      await fs.access(accelerate).catch((cause: NodeJS.ErrnoException) => {
        throw noConfig(accelerate, cause);
      });
    if (this.options.run === "here") await this.assets.folder(environment);
  }

  supervise(task: TuningTask, dialogues: CorpusTexts["dialogues"]): Promise<void> {
    const rows = dialogues.map(({ messages, completion }) =>
      row(task, { messages, chosen: { text: completion, ended: true }, rejected: [] }),
    );
    return this.tune(task, rows, { trainer: "SFT", arguments: {} });
  }

  /** The reference is a frozen copy of the adapter that the tuning starts from; TRL makes it where the model comes with one. */
  align(task: TuningTask, examples: readonly AlignmentExample[], { plugin: name, options: given }: NamedLoss): Promise<void> {
    const loss = trlLoss(name, given);
    if (loss === undefined || examples.some(({ rejected }) => rejected.length > 1)) throw refused(name, loss !== undefined);
    return this.tune(
      task,
      examples.map((example) => row(task, example)),
      loss,
    );
  }

  private async tune(task: TuningTask, rows: readonly object[], loss: TrlLoss): Promise<void> {
    if (rows.length === 0) throw new RlrfError("RLRF_ALIGN_EMPTY", { message: "there are no examples to tune on", where: task.folder });
    const name = await this.write(task, rows, loss);
    const adapter = join(task.folder, "adapter");
    const made = await taskOf(adapter);
    if (made === name) await tellAgain(task, adapter);
    else if (this.options.run === "here") await this.runHere(task);
    else throw elsewhere(task, adapter, made !== null, this.launcher.join(" "));
    task.signal?.throwIfAborted();
    await task.policy.importAdapter(adapter);
  }

  /** Everything that the program needs. @returns the name of exactly this task */
  private async write(task: TuningTask, rows: readonly object[], loss: TrlLoss): Promise<string> {
    const { policy, lora, settings, seed, folder, shared } = task;
    policy.attach(lora, seed);
    const start = join(folder, "start");
    await fs.mkdir(start, { recursive: true });
    await policy.exportAdapter(start);
    await files.writeJsonLines(join(folder, "examples.jsonl"), rows);
    const { dtype, gradientCheckpointing } = this.options;
    const model = relative(folder, await this.model(policy, shared));
    const launch = await this.writeLaunch(folder);
    const settled = { loss, settings, seed, dtype, gradientCheckpointing, checkpointEvery, model, ...(launch && { launch }) };
    const hash = createHash("sha256").update(script).update(JSON.stringify(settled));
    for (const file of ["examples.jsonl", "start/adapter_model.safetensors", "start/adapter_config.json"])
      hash.update(await fs.readFile(join(folder, file)));
    const name = hash.digest("hex");
    await fs.writeFile(join(folder, "tune.py"), script);
    await fs.writeFile(join(folder, "requirements.txt"), `${(await this.assets.requirements(environment)).join("\n")}\n`);
    await files.writeJson(join(folder, "arguments.json"), { task: name, ...settled });
    return name;
  }

  /** Accelerate's config, beside the program. @returns its digest, which is part of the task; undefined: there is none */
  private async writeLaunch(folder: string): Promise<string | undefined> {
    const { accelerate } = this.options;
    if (accelerate === null) return undefined;
    const text = await fs.readFile(accelerate).catch((cause: NodeJS.ErrnoException) => {
      throw noConfig(accelerate, cause);
    });
    await fs.writeFile(join(folder, this.launchFile), text);
    return createHash("sha256").update(text).digest("hex");
  }

  private get launchFile(): string {
    return `accelerate${extname(this.options.accelerate ?? "") || ".yaml"}`; // accelerate goes by it
  }

  /** The command that tunes, as words. */
  private get launcher(): readonly [program: string, ...args: string[]] {
    return this.options.accelerate === null ? ["python", "tune.py"] : ["accelerate", "launch", "--config_file", this.launchFile, "tune.py"];
  }

  /** The frozen model, exported once a process: an older process may have had other weights. */
  private async model(policy: TuningTask["policy"], shared: string): Promise<string> {
    const folder = join(shared, "model");
    if (this.exported.get(policy) === folder) return folder;
    const whole = `${folder}.new`;
    await fs.rm(whole, { recursive: true, force: true });
    await fs.mkdir(whole, { recursive: true });
    await policy.exportModel(whole);
    await fs.rm(folder, { recursive: true, force: true });
    await fs.rename(whole, folder);
    this.exported.set(policy, folder);
    return folder;
  }

  private async runHere({ folder, onStep, signal, settings }: TuningTask): Promise<void> {
    const [program, ...args] = this.launcher;
    const command = join(await this.assets.folder(environment), "bin", program);
    let diverged: number | undefined;
    let uneven: number | undefined;
    const onLine = (line: string) => {
      const told = figuresIn(line);
      if (told?.diverged !== undefined) diverged = told.diverged;
      else if (told?.uneven !== undefined) uneven = told.uneven;
      else if (told !== null && isStep(told)) onStep?.(told);
    };
    const running = {
      cwd: folder,
      limit: 20 * dayMilliseconds,
      purpose: "tune with TRL",
      attached: true,
      onLine,
      ...(signal && { signal }),
    };
    await runCommand(command, args, running).catch((error: unknown) => {
      if (uneven !== undefined) throw notShared(uneven, settings.accumulate);
      throw diverged === undefined ? error : notFinite(diverged, folder);
    });
  }
}

/** In TRL's conversational form, for whoever reads it, and as token ids, which is what is learnt from. */
function row({ policy }: TuningTask, { messages, chosen, rejected }: Pick<AlignmentExample, "messages"> & Sides): object {
  const { prompt, completions } = policy.tokenize(messages, [chosen, ...rejected]);
  const said = ({ text }: Side) => [{ role: "assistant", content: text }];
  const [other] = rejected;
  return {
    prompt: messages,
    chosen: said(chosen),
    ...(other && { rejected: said(other) }),
    prompt_ids: [...prompt],
    chosen_ids: [...(completions[0] ?? [])],
    ...(other && { rejected_ids: [...(completions[1] ?? [])] }),
  };
}

type Side = Pick<AlignmentExample["chosen"], "text" | "ended">;
interface Sides {
  readonly chosen: Side;
  readonly rejected: readonly Side[];
}

/** The figures of a line that the program printed or wrote; null where it is something else. */
function figuresIn(line: string): Readonly<Record<string, number>> | null {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== "object" || value === null) return null;
    return Object.fromEntries(Object.entries(value).filter((entry): entry is [string, number] => Number.isFinite(entry[1])));
  } catch {
    return null;
  }
}

function isStep(figures: Readonly<Record<string, number>>): figures is TuningStep & Record<string, number> {
  return Number.isInteger(figures.step) && Number.isInteger(figures.steps) && figures.loss !== undefined;
}

/** Which task an adapter was made for; null where there is none. */
async function taskOf(adapter: string): Promise<string | null> {
  const { task } = await files.readJson<{ readonly task?: unknown }>(join(adapter, "task.json")).catch(() => ({ task: null }));
  return typeof task === "string" ? task : null;
}

/** An adapter was made before this process began, here or elsewhere: its steps come from its own record. */
async function tellAgain({ onStep }: TuningTask, adapter: string): Promise<void> {
  const lines = (await fs.readFile(join(adapter, "steps.jsonl"), "utf8").catch(() => "")).split("\n");
  for (const figures of lines.map(figuresIn)) if (figures !== null && isStep(figures)) onStep?.(figures);
}

function elsewhere({ folder, shared }: TuningTask, adapter: string, other: boolean, launch: string): RlrfError {
  const name = relative(shared, folder);
  return new RlrfError("RLRF_TUNER_ELSEWHERE", {
    message:
      `${name} waits for its adapter, which is to be made on another machine` +
      (other ? "; the one that lies there was made of other examples or settings" : ""),
    where: folder,
    expected: `an adapter in ${adapter}`,
    hint:
      `copy ${shared} to that machine (Python 3.10 or newer), and there: cd ${name} && pip install -r requirements.txt && ${launch}; ` +
      `copy its ${name}/adapter to ${adapter}, then give the same command again`,
  });
}

function noConfig(path: string, cause: NodeJS.ErrnoException): RlrfError {
  return new RlrfError(
    "RLRF_FILE_MISSING",
    {
      message: `the config of accelerate cannot be read: ${cause.message}`,
      where: path,
      expected: "a file that `accelerate config` writes",
      hint: "set tuner.options.accelerate to its path on the machine that tunes",
    },
    { cause },
  );
}

function refused(name: string, pairs: boolean): RlrfError {
  return new RlrfError("RLRF_SPEC_CONFLICT", {
    message: pairs ? `TRL takes pairs, "${name}" was given several rejected texts` : `TRL has no loss "${name}"`,
    where: "/tuner",
    expected: `one of: ${Object.keys(lossesOfTrl).join(", ")}; or the tuner "lora"`,
  });
}

function notShared(processes: number, accumulate: number): RlrfError {
  return new RlrfError("RLRF_SPEC_CONFLICT", {
    message: `alignment.accumulate is ${accumulate}: no multiple of the ${processes} processes that accelerate starts, which share its batches`,
    where: "/alignment/accumulate",
    expected: `a multiple of ${processes}, or another num_processes in tuner.options.accelerate`,
  });
}

function notFinite(step: number, where: string): RlrfError {
  return new RlrfError("RLRF_ALIGN_NAN", {
    message: `tuning diverged: the loss or the gradient of step ${step} is not a finite number`,
    where,
    hint: "lower the learning rate (alignment.learningRate), or clip the gradients (alignment.clip)",
  });
}
