import type { GenerationParameters } from "../contracts/llm.js";

type Filters = Pick<GenerationParameters, "topK" | "topP" | "minP">;

/**
 * Draws tokens from distributions that already have their temperature. The filters are those of the usual order (top-k, top-p within it, min-p):
 * each keeps a head of the tokens by falling probability, so that only that head is ever sorted.
 */
export class TokenSampler {
  private readonly candidates: Int32Array;

  constructor(
    private readonly vocabulary: number,
    private readonly filters: Filters,
  ) {
    this.candidates = new Int32Array(vocabulary);
  }

  /**
   * @param probabilities of many rows, row-major; they need not sum to exactly 1
   * @param uniform in [0, 1): the one random number that a token takes
   */
  pick(probabilities: Float32Array, row: number, uniform: number): number {
    const { topK, topP, minP } = this.filters;
    const distribution = probabilities.subarray(row * this.vocabulary, (row + 1) * this.vocabulary);
    if (topK === 0 && topP >= 1) return minP === 0 ? drawFromAll(distribution, uniform) : this.drawAbove(distribution, minP, uniform);
    const head = topK > 0 ? this.largest(distribution, topK) : this.nucleusCandidates(distribution, topP);
    const within = topK > 0 ? sum(distribution, head) : sumOf(distribution);
    return draw(distribution, cut(distribution, head, topP * within, minP), uniform);
  }

  private drawAbove(distribution: Float32Array, minP: number, uniform: number): number {
    const floor = minP * largestOf(distribution);
    let count = 0;
    for (let token = 0; token < distribution.length; token++) {
      if ((distribution[token] as number) >= floor) this.candidates[count++] = token;
    }
    return draw(distribution, this.candidates.subarray(0, count), uniform);
  }

  /** The k most likely tokens, the likeliest first, ties by id: insertion into a list of k. */
  private largest(distribution: Float32Array, k: number): Int32Array {
    const { candidates } = this;
    const limit = Math.min(k, distribution.length);
    let count = 0;
    for (let token = 0; token < distribution.length; token++) {
      const probability = distribution[token] as number;
      if (count === limit && probability <= (distribution[candidates[limit - 1] as number] as number)) continue;
      let at = count < limit ? count++ : limit - 1;
      for (; at > 0 && (distribution[candidates[at - 1] as number] as number) < probability; at--)
        candidates[at] = candidates[at - 1] as number;
      candidates[at] = token;
    }
    return candidates.subarray(0, count);
  }

  /** Every token that the nucleus could hold, the likeliest first: those below (1 - p) / vocabulary hold less than 1 - p together. */
  private nucleusCandidates(distribution: Float32Array, topP: number): Int32Array {
    const { candidates } = this;
    const floor = Math.min(((1 - topP) * sumOf(distribution)) / distribution.length, largestOf(distribution));
    let count = 0;
    for (let token = 0; token < distribution.length; token++) if ((distribution[token] as number) >= floor) candidates[count++] = token;
    return candidates.subarray(0, count).sort((a, b) => (distribution[b] as number) - (distribution[a] as number) || a - b);
  }
}

/** The shortest head that holds `mass`, less what min-p leaves out; never empty. */
function cut(distribution: Float32Array, head: Int32Array, mass: number, minP: number): Int32Array {
  const floor = minP * (distribution[head[0] as number] as number);
  let held = 0;
  let count = 0;
  while (count < head.length && (count === 0 || held < mass) && (distribution[head[count] as number] as number) >= floor) {
    held += distribution[head[count++] as number] as number;
  }
  return head.subarray(0, Math.max(1, count));
}

function draw(distribution: Float32Array, tokens: Int32Array, uniform: number): number {
  let left = uniform * sum(distribution, tokens);
  for (const token of tokens) {
    left -= distribution[token] as number;
    if (left < 0) return token;
  }
  return tokens[tokens.length - 1] as number;
}

function drawFromAll(distribution: Float32Array, uniform: number): number {
  let left = uniform * sumOf(distribution);
  let last = 0;
  for (let token = 0; token < distribution.length; token++) {
    const probability = distribution[token] as number;
    if (probability > 0) last = token;
    left -= probability;
    if (left < 0) return token;
  }
  return last;
}

function sum(distribution: Float32Array, tokens: Int32Array): number {
  let total = 0;
  for (const token of tokens) total += distribution[token] as number;
  return total;
}

function sumOf(distribution: Float32Array): number {
  let total = 0;
  for (let token = 0; token < distribution.length; token++) total += distribution[token] as number;
  return total;
}

function largestOf(distribution: Float32Array): number {
  let largest = 0;
  for (let token = 0; token < distribution.length; token++)
    if ((distribution[token] as number) > largest) largest = distribution[token] as number;
  return largest;
}
