/** Step 7, and the warm-up before the loop: a tuned adapter is made once, kept in the store, and restored from there. */
import fs from "node:fs/promises";
import { join } from "node:path";
import type { LoraOptions, TunablePolicy } from "../contracts/llm.js";
import { RlrfError } from "../errors.js";
import { createRng } from "../rng.js";
import { readJsonLines, writeAtomic, writeJsonLines } from "../store/files.js";
import { readTensors, writeTensors } from "../store/tensors.js";
import { type AlignmentExample, align } from "./align.js";
import { FolderCheckpoint } from "./checkpoint.js";
import { floatTensors } from "./fits.js";
import { metadataText } from "./metadata.js";
import type { PairedTexts, Pairing } from "./pairs.js";
import { promptOf } from "./prompt.js";
import type { Study, Tuning } from "./study.js";
import type { TuningStep } from "./tuning.js";
import { warmUp } from "./warmup.js";

type Figures = TuningStep<Record<string, number>>;

/** How a tuning ended: means over the last tenth of its steps. */
export interface TuningOutcome {
  readonly accuracy: number;
  readonly margin: number;
}

/** Tunes the policy in place on the pairs. @throws RLRF_REWARD_FLAT when there are none */
export async function alignPolicy(study: Study, tuning: Tuning, pairing: Pairing, iteration: number): Promise<TuningOutcome> {
  const { data, spec, parts } = study;
  if (pairing.pairs.length === 0) throw nothingToTuneOn(pairing);
  const examples = pairing.pairs.map(
    ({ user, chosen, rejected }): AlignmentExample => ({
      messages: promptOf(user, data, spec.prompt),
      chosen: trained(chosen),
      rejected: rejected.map(trained),
    }),
  );
  const { alignment, loss, policy, llm } = tuning;
  const inputs = { from: llm.identity(), examples, loss: parts.identities.loss, alignment: tunedBy(alignment) };
  const steps = await tunedOnce(study, policy, alignment.lora, `iteration-${iteration}`, inputs, (seed, checkpoint, onStep) =>
    align({ policy, examples, loss, alignment, seed, onStep, checkpoint, signal: study.context.signal }),
  );
  const last = steps.slice(-Math.ceil(steps.length / 10));
  const over = (figure: string) => last.reduce((sum, step) => sum + (step[figure] ?? Number.NaN), 0) / last.length;
  return { accuracy: over("accuracy"), margin: over("margin") };
}

/** The supervised stage before iteration 1: texts of the template, of users that are tuned on. */
export async function warmUpPolicy(study: Study, { alignment, policy, llm }: Tuning, users: Int32Array): Promise<void> {
  const { data, spec } = study;
  const { warmup, lora } = alignment;
  if (warmup === null) return;
  const chosen = createRng(study.llmSeed, "warm-up users").shuffle(users.slice()).subarray(0, warmup.users);
  const dialogues = Array.from(chosen, (user) => ({
    messages: promptOf(user, data, spec.prompt),
    completion: metadataText(user, data, spec.prompt),
  }));
  const inputs = { from: llm.identity(), dialogues, warmup, lora };
  await tunedOnce(study, policy, lora, "warm-up", inputs, (seed, checkpoint, onStep) =>
    warmUp({ policy, dialogues, warmup, lora, seed, onStep, checkpoint, signal: study.context.signal }),
  );
}

/** @returns the figures of every step, those of an earlier process included */
async function tunedOnce(
  study: Study,
  policy: TunablePolicy,
  lora: LoraOptions,
  name: string,
  inputs: object,
  tune: (seed: number, checkpoint: FolderCheckpoint, onStep: (step: Figures) => void) => Promise<{ readonly steps: number }>,
): Promise<readonly Figures[]> {
  const { context } = study;
  const tracker = context.tracker.child(name, "iteration");
  const seed = createRng(study.llmSeed, name).seed();
  const identity = { step: "tune", version: 1, inputs: { ...inputs, seed, engine: context.engine.name } };
  const step = await context.store.step(identity, async (folder) => {
    const checkpoint = new FolderCheckpoint(context.folder.path("checkpoints", name));
    const progress = context.progress.start(name, 1, "steps");
    await tune(seed, checkpoint, (figures) => {
      checkpoint.figures.push(figures);
      tellStep(tracker, figures);
      progress.advance(1 / figures.steps);
    });
    progress.end();
    await writeTensors(join(folder, "adapter.safetensors"), await policy.adapter());
    await writeJsonLines(join(folder, "steps.jsonl"), checkpoint.figures);
    await checkpoint.remove();
  });
  const steps = await readJsonLines<Figures>(join(step.folder, "steps.jsonl"));
  if (step.cached) {
    policy.attach(lora, seed);
    policy.restore(floatTensors(await readTensors(join(step.folder, "adapter.safetensors"))));
    for (const figures of steps) tellStep(tracker, figures);
  }
  const shown = context.folder.path("adapters", name, "adapter.safetensors");
  await writeAtomic(shown, await fs.readFile(join(step.folder, "adapter.safetensors")));
  context.tracker.artifact(shown);
  tracker.finish("FINISHED");
  return steps;
}

function tellStep(tracker: Study["context"]["tracker"], { step, steps: _, ...figures }: Figures): void {
  tracker.metrics(figures, step);
}

function trained({ text, finished, reward }: PairedTexts["chosen"]) {
  return { text, ended: finished, reward };
}

/** The settings that change what is tuned, and no other: judging an iteration differently makes no new adapter. */
function tunedBy({ epochs, batchSize, accumulate, learningRate, weightDecay, clip, schedule, rise, lora }: Tuning["alignment"]) {
  return { epochs, batchSize, accumulate, learningRate, weightDecay, clip, schedule, rise, lora };
}

function nothingToTuneOn({ counts }: Pairing): RlrfError {
  const reasons = Object.entries(counts).flatMap(([name, count]) => {
    const [kind, reason] = name.split(": ");
    return kind === "dropped" ? [`${reason} (${count})`] : [];
  });
  return new RlrfError("RLRF_REWARD_FLAT", {
    message: `no preference example came from any of the ${counts.users} users: ${reasons.join(", ")}; nothing was tuned`,
    where: "/sampling",
    expected: "users with texts of unequal rewards, and in the asked structure where it is a gate",
    hint: 'sample more texts, longer ones (sampling.options.maxTokens) or at a higher temperature, warm up (alignment.warmup), or set alignment.structure to "off"',
  });
}
