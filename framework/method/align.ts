/** Step 7, and the warm-up before the loop: a tuned adapter is made once, kept in the store, and taken over from there. */
import fs from "node:fs/promises";
import { join } from "node:path";
import type { AdapterFiles, CorpusTexts } from "../contracts/llm.js";
import type { AlignmentExample, TuningSettings, TuningStep, TuningTask } from "../contracts/tuner.js";
import { RlrfError } from "../errors.js";
import { mean } from "../metrics/aggregate.js";
import { createRng } from "../rng.js";
import type { Warmup } from "../spec/types.js";
import { makeFolder, readJsonLines, writeJsonLines } from "../store/files.js";
import { type StepIdentity, stepKey } from "../store/store.js";
import { distribute } from "./distribute.js";
import { metadataText } from "./metadata.js";
import type { PairedTexts, Pairing } from "./pairs.js";
import { promptOf } from "./prompt.js";
import type { Study, TuningParts } from "./study.js";
import { tuningUnit } from "./units.js";

/** How a tuning ended: means over the last tenth of its steps. */
export interface TuningOutcome {
  readonly accuracy: number;
  readonly margin: number;
}

export interface AlignedPolicy {
  readonly adapter: AdapterFiles;
  readonly outcome: TuningOutcome;
}

/** Tunes the policy in place on the pairs. @throws RLRF_REWARD_FLAT when there are none */
export async function alignPolicy(study: Study, tuning: TuningParts, pairing: Pairing, iteration: number): Promise<AlignedPolicy> {
  const { data, spec } = study;
  if (pairing.pairs.length === 0) throw nothingToTuneOn(pairing, tuning.alignment);
  const examples = pairing.pairs.map(
    ({ user, chosen, rejected }): AlignmentExample => ({
      messages: promptOf(user, data, spec.prompt),
      chosen: trained(chosen),
      rejected: rejected.map(trained),
    }),
  );
  const settings = settingsOf(tuning.alignment);
  const { steps, adapter } = await tunedOnce(study, tuning, { name: `iteration-${iteration}`, settings, examples });
  const last = steps.slice(-Math.ceil(steps.length / 10));
  const over = (figure: string) => mean(last.map((step) => step[figure] ?? Number.NaN));
  return { adapter, outcome: { accuracy: over("accuracy"), margin: over("margin") } };
}

/** The supervised stage before iteration 1: texts of the template, of users that are tuned on. */
export async function warmUpPolicy(study: Study, tuning: TuningParts, users: Int32Array): Promise<AdapterFiles | null> {
  const { data, spec } = study;
  const { warmup } = tuning.alignment;
  if (warmup === null) return null;
  const chosen = createRng(study.llmSeed, "warm-up users").shuffle(users.slice()).subarray(0, warmup.users);
  const dialogues = Array.from(chosen, (user) => ({
    messages: promptOf(user, data, spec.prompt),
    completion: metadataText(user, data, spec.prompt),
  }));
  const settings = warmupSettings(warmup);
  return (await tunedOnce(study, tuning, { name: "warm-up", settings, dialogues })).adapter;
}

/** What a tuning made: the adapter as files, and the figures of every step, those of an earlier process included. */
interface Tuned {
  readonly adapter: AdapterFiles;
  readonly steps: readonly TuningStep[];
}

/** One tuning: of dialogues or of examples. */
export type Lesson = { readonly name: string; readonly settings: TuningSettings } & (
  | { readonly dialogues: CorpusTexts["dialogues"] }
  | { readonly examples: readonly AlignmentExample[] }
);

export async function tunedOnce(study: Study, tuning: TuningParts, lesson: Lesson): Promise<Tuned> {
  const { context, parts } = study;
  const { name, settings } = lesson;
  const { policy, llm } = tuning;
  const { lora } = tuning.alignment;
  const tracker = context.tracker.child(name, "iteration");
  const tell = ({ step, steps: _, ...figures }: TuningStep) => tracker.metrics(figures, step);
  const seed = createRng(study.llmSeed, name).seed();
  const from = { from: study.identityOf("llm"), lora, seed, tuner: parts.identities.tuner };
  const taught = "examples" in lesson ? { examples: lesson.examples, loss: parts.identities.loss } : { dialogues: lesson.dialogues };
  const identity: StepIdentity = { step: "tune", version: "examples" in lesson ? 3 : 2, inputs: { ...taught, settings, ...from } };
  await distribute(study, async () => [await tuningUnit(study, name, lesson, identity)]);
  const step = await context.store.step(identity, async (folder) => {
    const [own, shared] = [context.folder.path("tuning", name), context.folder.path("tuning")];
    await makeFolder(own);
    const progress = context.progress.start(name, 1, "steps");
    const figures: TuningStep[] = [];
    const onStep = (step: TuningStep) => {
      figures.push(step);
      tell(step);
      progress.advance(1 / step.steps);
    };
    const task: TuningTask = { policy, lora, settings, seed, onStep, key: stepKey(identity), folder: own, shared, signal: context.signal };
    try {
      if ("examples" in lesson) await tuning.tuner.align(task, lesson.examples, tuning.loss);
      else await tuning.tuner.supervise(task, lesson.dialogues);
    } finally {
      progress.end();
    }
    await makeFolder(join(folder, "adapter"));
    await policy.exportAdapter(join(folder, "adapter"));
    await writeJsonLines(join(folder, "steps.jsonl"), figures);
  });
  const steps = await readJsonLines<TuningStep>(join(step.folder, "steps.jsonl"));
  if (step.cached) {
    await policy.importAdapter(join(step.folder, "adapter"));
    for (const figures of steps) tell(figures);
  }
  const adapter = await shownAdapter(study, name, join(step.folder, "adapter"), llm.identity());
  context.tracker.artifact(adapter.folder);
  tracker.finish("FINISHED");
  return { adapter, steps };
}

/** runs/ID/adapters/NAME/: the adapter in the forms that other programs read. */
async function shownAdapter(study: Study, name: string, made: string, identity: string): Promise<AdapterFiles> {
  const folder = study.context.folder.path("adapters", name);
  await fs.rm(folder, { recursive: true, force: true });
  await makeFolder(join(folder, ".."));
  await fs.cp(made, folder, { recursive: true });
  return { folder, identity };
}

function trained({ text, finished, reward }: PairedTexts["chosen"]) {
  return { text, ended: finished, reward };
}

/** The settings that change what is tuned, and no other: judging an iteration differently makes no new adapter. */
export function settingsOf({
  epochs,
  batchSize,
  accumulate,
  learningRate,
  weightDecay,
  clip,
  schedule,
  rise,
}: TuningParts["alignment"]): TuningSettings {
  return { epochs, batchSize, accumulate, learningRate, weightDecay, clip, schedule, rise };
}

function warmupSettings({ epochs, batchSize, learningRate }: Warmup): TuningSettings {
  return { epochs, batchSize, learningRate, accumulate: 1, weightDecay: 0, clip: 1, schedule: "cosine", rise: 0.05 };
}

function nothingToTuneOn({ counts }: Pairing, { structure, warmup }: TuningParts["alignment"]): RlrfError {
  const warm = warmup === null ? ", warm up (alignment.warmup)" : "";
  const ungate = structure === "gate" ? ', or set alignment.structure to "off"' : "";
  const reasons = Object.entries(counts).flatMap(([name, count]) => {
    const [kind, reason] = name.split(": ");
    return kind === "dropped" ? [`${reason} (${count})`] : [];
  });
  return new RlrfError("RLRF_REWARD_FLAT", {
    message: `no preference example came from any of the ${counts.users} users: ${reasons.join(", ")}; nothing was tuned`,
    where: "/sampling",
    expected: "users with texts of unequal rewards, and in the asked structure where it is a gate",
    hint: `sample more texts, longer ones (sampling.options.maxTokens) or at a higher temperature${warm}${ungate}`,
  });
}
