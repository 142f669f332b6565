/** A tuning in progress, in the run folder: a killed run goes on from here and ends with the same numbers. */
import fs from "node:fs/promises";
import { join } from "node:path";
import { readJson, writeJson } from "../store/files.js";
import { floatTensors, readTensors, type StoredTensor, writeTensors } from "../store/tensors.js";
import type { Checkpoint, TrainingState } from "./training-loop.js";

/** Steps between two states: seldom enough to cost little, often enough to lose little. */
const every = 20;

interface Pointer extends Pick<TrainingState, "step" | "fingerprint" | "objective" | "figures"> {
  readonly file: string;
}

/** The tensors are written under a name of their own, and the pointer to them replaces the old one at once. */
export class FolderCheckpoint implements Checkpoint {
  readonly every = every;

  constructor(private readonly folder: string) {}

  async load(): Promise<TrainingState | null> {
    const pointer = await readJson<Pointer>(join(this.folder, "state.json")).catch(() => null);
    if (pointer === null) return null;
    const tensors = await readTensors(join(this.folder, pointer.file)).catch(() => null);
    if (tensors === null) return null; // begun again: a checkpoint only saves time
    const part = (prefix: string) =>
      floatTensors(
        Object.fromEntries(
          Object.entries(tensors).flatMap(([name, tensor]) => (name.startsWith(prefix) ? [[name.slice(prefix.length), tensor]] : [])),
        ),
      );
    const { step, fingerprint, objective, figures } = pointer;
    return { step, fingerprint, objective, figures, parameters: part("parameters/"), optimiser: part("optimiser/") };
  }

  async save({ step, fingerprint, parameters, optimiser, objective, figures }: TrainingState): Promise<void> {
    const named = (prefix: string, tensors: Readonly<Record<string, StoredTensor>>) =>
      Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [prefix + name, tensor]));
    const file = `${step}.safetensors`;
    await fs.mkdir(this.folder, { recursive: true });
    await writeTensors(join(this.folder, file), { ...named("parameters/", parameters), ...named("optimiser/", optimiser) });
    await writeJson(join(this.folder, "state.json"), { step, fingerprint, file, objective, figures } satisfies Pointer);
    for (const name of await fs.readdir(this.folder)) {
      if (name.endsWith(".safetensors") && name !== file) await fs.rm(join(this.folder, name), { force: true });
    }
  }

  async remove(): Promise<void> {
    await fs.rm(this.folder, { recursive: true, force: true });
  }
}
