/** A Python rival as a process that answers one command at a time, and waits, without computing, in between. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { packageRoot } from "../../framework/setup/paths.js";
import { pythonEnvironment } from "../../framework/setup/python.js";
import { trlPython } from "../support/python.js";
import { transformersRequirements } from "../support/transformers-serve.js";

/** What the recommender's rivals are measured with; the versions are part of the figures. */
export const requirements = ["torch==2.13.0", "numpy==2.4.6", "safetensors==0.8.0"] as const;

const recommender = () => pythonEnvironment("bench", requirements);
const languageModel = () => pythonEnvironment("transformers", transformersRequirements);
/** The interpreter of each rival. */
const rivals = {
  "sasrec.py": recommender,
  "prm.py": recommender,
  "generation.py": languageModel,
  "loading.py": languageModel,
  "tuning.py": trlPython,
} as const;

export interface Timed {
  readonly seconds: number;
  readonly [figure: string]: number;
}

export class Rival {
  private readonly answers: AsyncIterator<string>;

  private constructor(
    private readonly script: string,
    private readonly child: ChildProcessWithoutNullStreams,
  ) {
    this.answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  /** @param data a safetensors file; @param options hyper-parameters, the same as ours */
  static async start(script: keyof typeof rivals, data: string, options: object): Promise<Rival> {
    const python = await rivals[script]();
    const path = join(packageRoot, "test", "bench", "rivals", script);
    const env = { ...process.env, HF_HUB_OFFLINE: "1", TRANSFORMERS_VERBOSITY: "error", TQDM_DISABLE: "1" };
    return Rival.begin(script, spawn(python, [path, data, JSON.stringify(options)], { stdio: ["pipe", "pipe", "pipe"], env }));
  }

  /** One of our own sides, where it needs a process of its own. */
  static ofNode(path: string): Promise<Rival> {
    return Rival.begin(path, spawn(process.execPath, [path], { stdio: ["pipe", "pipe", "pipe"] }));
  }

  private static async begin(script: string, child: ChildProcessWithoutNullStreams): Promise<Rival> {
    child.stderr.pipe(process.stderr);
    const rival = new Rival(script, child);
    await rival.answer(); // it is ready
    return rival;
  }

  async ask(command: string, parameters: object = {}): Promise<Timed> {
    this.child.stdin.write(`${JSON.stringify({ do: command, ...parameters })}\n`);
    return this.answer();
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.stdin.end();
    await once(this.child, "exit");
  }

  private async answer(): Promise<Timed> {
    const { value, done } = await this.answers.next();
    if (done) throw new Error(`${this.script} ended before it answered`);
    return JSON.parse(value as string) as Timed;
  }
}
