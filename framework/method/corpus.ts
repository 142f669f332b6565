/**
 * Step 0 for a model that the run trains itself: what it learns its language from. The readers are invented — a random taste,
 * items drawn at random — so that no real user's taste, of whatever part, is in the untuned model.
 */
import type { PreparedData } from "../contracts/dataset.js";
import type { CorpusTexts } from "../contracts/llm.js";
import { createRng } from "../rng.js";
import type { Prompt } from "../spec/types.js";
import { metadataText } from "./metadata.js";
import { promptOf } from "./prompt.js";

/** Dialogues of readers that never were, in the prompt's own form, answered by the fixed template. */
export function inventedDialogues(data: PreparedData, prompt: Prompt, readers: number, seed: number): CorpusTexts {
  const invented = inventReaders(data, readers, seed);
  return {
    dialogues: Array.from({ length: readers }, (_, reader) => ({
      messages: promptOf(reader, invented, prompt),
      completion: metadataText(reader, invented, prompt),
    })),
  };
}

/** Prepared data of invented readers: windows as long as those of real users, random items, ratings by coin. */
function inventReaders(data: PreparedData, readers: number, seed: number): PreparedData {
  const rng = createRng(seed, "invented readers");
  const windows = Int32Array.from({ length: readers }, () => data.windows[rng.below(data.windows.length)] as number);
  const offsets = new Int32Array(readers + 1);
  for (const [reader, length] of windows.entries()) offsets[reader + 1] = (offsets[reader] as number) + length;
  const total = offsets[readers] as number;
  const items = Int32Array.from({ length: total }, () => 1 + rng.below(data.items.length - 1));
  // A whole number from 1 to 5 each: the prompt's own scale.
  const ratings = Float32Array.from({ length: total }, () => 1 + rng.below(5));
  const relevant = Uint8Array.from(ratings, (rating) => (rating > 3 ? 1 : 0));
  const users = Array.from({ length: readers }, (_, reader) => ({
    id: `invented ${reader}`,
    fields: data.users[rng.below(data.users.length)]?.fields ?? {},
  }));
  return { ...data, users, windows, sequence: { offsets, items, ratings, relevant } };
}
