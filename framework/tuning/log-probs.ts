/** What a policy thinks of texts, without learning from them. */
import * as tf from "@tensorflow/tfjs-core";
import type { TokenizedExample, TunablePolicy } from "../contracts/llm.js";

/** Log-probs of every example's completions under the policy as it is now, without dropout, in nats; examples of like length together. */
export async function logProbsOf(
  policy: TunablePolicy,
  examples: readonly TokenizedExample[],
  batchSize: number,
  signal?: AbortSignal,
): Promise<readonly Float32Array[]> {
  const order = examples.map((_, index) => index);
  const size = (index: number) => tokensOf(examples[index] as TokenizedExample);
  order.sort((a, b) => completionsOf(examples, a) - completionsOf(examples, b) || size(a) - size(b) || a - b);
  const results: Float32Array[] = new Array(examples.length);
  for (let from = 0; from < order.length; ) {
    const width = completionsOf(examples, order[from] as number);
    let to = from + 1;
    while (to < order.length && to - from < batchSize && completionsOf(examples, order[to] as number) === width) to++;
    const batch = order.slice(from, to);
    const sums = tf.tidy(() => policy.logProbs(batch.map((index) => examples[index] as TokenizedExample)));
    const values = await sums.data<"float32">();
    sums.dispose();
    batch.forEach((index, row) => {
      results[index] = values.slice(row * width, (row + 1) * width);
    });
    signal?.throwIfAborted();
    from = to;
  }
  return results;
}

function completionsOf(examples: readonly TokenizedExample[], index: number): number {
  return examples[index]?.completions.length ?? 0;
}

export function tokensOf({ prompt, completions }: TokenizedExample): number {
  return completions.reduce((sum, { length }) => sum + length, prompt.length);
}
