import {
  type AlignmentExample,
  type CorpusTexts,
  type NamedLoss,
  plugin,
  type TokenizedExample,
  type TunablePolicy,
  type Tuner,
  type TuningTask,
  tuning,
} from "rlrf4rec";

@plugin({
  kind: "tuner",
  name: "lora",
  version: "1.0.0",
  summary: "A low-rank adapter, trained with AdamW in this process",
  source: "Hu et al. 2021, arXiv 2106.09685; Loshchilov & Hutter 2019, arXiv 1711.05101",
})
export class Lora implements Tuner {
  requireMemory(policy: TunablePolicy, longest: TokenizedExample, batchSize: number): void {
    policy.requireMemory?.(
      Array.from({ length: batchSize }, () => longest),
      batchSize,
    );
  }

  supervise(task: TuningTask, dialogues: CorpusTexts["dialogues"]): Promise<void> {
    return checkpointed(task, (local) => tuning.tuneOnDialogues(local, dialogues));
  }

  align(task: TuningTask, examples: readonly AlignmentExample[], { loss }: NamedLoss): Promise<void> {
    return checkpointed(task, (local) => tuning.tuneOnPreferences(local, examples, loss));
  }
}

/** A checkpoint only saves time: when the tuning is done, it goes. */
async function checkpointed(
  { folder, shared: _, ...task }: TuningTask,
  tune: (local: tuning.LocalTuning) => Promise<unknown>,
): Promise<void> {
  const checkpoint = new tuning.FolderCheckpoint(folder);
  await tune({ ...task, checkpoint });
  await checkpoint.remove();
}
