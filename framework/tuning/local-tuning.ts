/** What both stages of tuning in this process are given. */
import type { TunablePolicy } from "../contracts/llm.js";
import type { TuningTask } from "../contracts/tuner.js";
import type { Checkpoint, Trainee } from "./training-loop.js";

export interface LocalTuning extends Omit<TuningTask, "folder" | "shared" | "key"> {
  /** Belongs to the checkpoint. */
  readonly key?: string;
  readonly checkpoint?: Checkpoint;
}

/** The adapter of a policy as what a training loop trains. */
export function adapterOf(policy: TunablePolicy): Trainee {
  return { variables: () => policy.trainable(), state: () => policy.adapter(), restore: (state) => policy.restore(state) };
}
