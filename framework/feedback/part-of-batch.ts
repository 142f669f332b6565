import type { RewardBatch, TextFeatures } from "../contracts/feedback.js";
import { mapBatches } from "./map-batches.js";

/** The batch of some of its texts alone, with their lists and whatever else it holds of them; all of these are to be rewarded. @param texts indices, each once */
export function partOfBatch(batch: RewardBatch, texts: readonly number[]): RewardBatch {
  const { lists, unmeasured: _, vectors, states, prompts, others, ...shared } = batch;
  const places = new Map(texts.map((text, place) => [text, place]));
  const kept = [...lists.text.keys()].filter((list) => places.has(lists.text[list] as number));
  const ofLists = <Values extends Float32Array | Uint8Array>(values: Values) => rowsOf(values, lists.length, kept);
  const ofTexts = ({ width, values }: TextFeatures): TextFeatures => ({ width, values: rowsOf(values, width, texts) });
  return {
    ...shared,
    texts: texts.flatMap((text) => batch.texts[text] ?? []),
    lists: {
      text: Int32Array.from(kept, (list) => places.get(lists.text[list] as number) as number),
      length: lists.length,
      scores: ofLists(lists.scores),
      labels: ofLists(lists.labels),
      ...(lists.neutral && { neutral: ofLists(lists.neutral) }),
    },
    ...(vectors && { vectors: ofTexts(vectors) }),
    ...(states && { states: ofTexts(states) }),
    ...(prompts && { prompts: texts.flatMap((text) => prompts[text] ?? []) }),
    ...(others && { others: mapBatches(others, (other) => partOfBatch(other, texts)) }),
  };
}

/** @param values [all * width] @param rows indices, each once. @returns a copy, [rows * width] */
function rowsOf<Values extends Float32Array | Uint8Array>(values: Values, width: number, rows: readonly number[]): Values {
  const part = values.slice(0, rows.length * width) as Values; // an array of the same kind
  for (const [place, row] of rows.entries()) part.set(values.subarray(row * width, (row + 1) * width), place * width);
  return part;
}
