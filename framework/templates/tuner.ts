import { type AlignmentExample, type CorpusTexts, type NamedLoss, plugin, type Tuner, type TuningTask, tuning } from "rlrf4rec";

@plugin({
  kind: "tuner",
  name: "@team/package/name",
  version: "1.0.0",
  summary: "A low-rank adapter, trained with AdamW in this process",
  source: "Hu et al. 2021, arXiv 2106.09685; Loshchilov & Hutter 2019, arXiv 1711.05101",
})
export class Template implements Tuner {
  async supervise(task: TuningTask, dialogues: CorpusTexts["dialogues"]): Promise<void> {
    const { checkpoint, local } = within(task);
    await tuning.tuneOnDialogues(local, dialogues);
    await checkpoint.remove();
  }

  async align(task: TuningTask, examples: readonly AlignmentExample[], { loss }: NamedLoss): Promise<void> {
    const { checkpoint, local } = within(task);
    await tuning.tuneOnPreferences(local, examples, loss);
    await checkpoint.remove();
  }
}

/** Killed and asked again, the training loop goes on from the checkpoint. */
function within({ folder, shared: _, ...task }: TuningTask): { checkpoint: tuning.FolderCheckpoint; local: tuning.LocalTuning } {
  const checkpoint = new tuning.FolderCheckpoint(folder);
  return { checkpoint, local: { ...task, checkpoint } };
}
