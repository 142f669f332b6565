import { failing, type NativeContext, type NativeSampler } from "./binding.js";

/** The sequence that is used; whatever was in it is gone. */
const sequence = 0;

/**
 * Log-probabilities of the tokens from `first` on, each given all before it.
 * @param greedy a sampler without a temperature: what it draws is the most likely token
 * @param batch tokens that are computed at once at most
 */
export async function logProbsOf(
  context: NativeContext,
  greedy: NativeSampler,
  tokens: readonly number[],
  first: number,
  batch: number,
): Promise<readonly number[]> {
  greedy.applyConfig({ temperature: 0 });
  context.disposeSequence(sequence);
  const values: number[] = [];
  for (let from = 0; from < tokens.length; from += batch) {
    const part = Uint32Array.from(tokens.slice(from, from + batch));
    // A token is predicted at the one before it.
    const asked = Array.from(part.keys()).filter((i) => from + i + 1 >= first && from + i + 1 < tokens.length);
    context.initBatch(part.length);
    const places = context.addToBatch(sequence, from, part, Uint32Array.from(asked));
    await failing("llama.cpp fails at a chat that is probed", "", () => context.decodeBatch());
    for (const [k, i] of asked.entries()) {
      const token = tokens[from + i + 1] as number;
      const wanted = [[token], false, false, true, 0] as const; // the drawn one has the largest logit
      const [, , , logits, weight] = await context.sampleToken(places[k] as number, greedy, false, false, wanted, true);
      const found = new Map(Array.from({ length: logits.length / 2 }, (_, j) => [logits[2 * j], logits[2 * j + 1] as number]));
      values.push((found.get(token) as number) - Math.max(...found.values()) - Math.log(weight));
    }
  }
  return values;
}
