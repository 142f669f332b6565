/** A text as one vector: what a decoder's last layer says of its tokens. */
import * as tf from "@tensorflow/tfjs-core";
import type { HiddenPooling, TextVectors } from "../contracts/llm.js";
import type { ChatCodec } from "./chat.js";
import type { DecoderConfig } from "./config.js";
import { decode, finalNorm } from "./decoder.js";
import { attendWithin } from "./attention.js";
import { pack } from "./packed.js";
import type { Rotary } from "./rotary.js";
import type { DecoderWeights } from "./weights.js";

export interface Reader {
  readonly config: DecoderConfig;
  readonly weights: DecoderWeights;
  readonly rotary: Rotary;
  readonly codec: ChatCodec;
}

/**
 * The hidden states after the last norm (`last_hidden_state` of transformers), the mean over a text's tokens or the last one's. A text is its
 * tokens and the end-of-turn token, so that the last has seen all and no text is empty; its beginning is cut where it is too long.
 * @param tokensAtOnce tokens computed at once, padding counted
 */
export async function hiddenVectors(
  { config, weights, rotary, codec }: Reader,
  texts: readonly string[],
  pooling: HiddenPooling,
  tokensAtOnce: number,
): Promise<TextVectors> {
  const width = config.hidden;
  const tokens = texts.map((text) => codec.completion(text, true).slice(-config.context));
  // Texts of like length share a batch, so that little of it is padding.
  const order = [...texts.keys()].sort((a, b) => (tokens[a] as Int32Array).length - (tokens[b] as Int32Array).length);
  const vectors = new Float32Array(texts.length * width);
  for (let from = 0; from < order.length; ) {
    let rows = 1; // the longest of so many rows is the last
    while (from + rows < order.length && (rows + 1) * (tokens[order[from + rows] as number] as Int32Array).length <= tokensAtOnce) rows++;
    const batch = order.slice(from, from + rows);
    const pooled = tf.tidy(() =>
      pooledStates(
        { config, weights, rotary },
        batch.map((text) => tokens[text] as Int32Array),
        pooling,
      ),
    );
    const values = await pooled.data<"float32">();
    pooled.dispose();
    for (const [row, text] of batch.entries()) vectors.set(values.subarray(row * width, (row + 1) * width), text * width);
    from += rows;
  }
  return { width, vectors };
}

/** @returns [texts, hidden] */
function pooledStates(
  { config, weights, rotary }: Omit<Reader, "codec">,
  texts: readonly Int32Array[],
  pooling: HiddenPooling,
): tf.Tensor2D {
  const batch = pack(texts.map((prompt) => ({ prompt, completions: [] })));
  const { rows, length } = batch;
  const mask = tf.tensor4d(batch.mask, [rows, 1, length, length]);
  const input = { tokens: tf.tensor1d(batch.tokens, "int32"), rotation: rotary.at(batch.positions) };
  const states = finalNorm(config, weights, decode(config, weights, input, attendWithin(config, rows, length, mask))); // [rows * length, hidden]
  const share = new Float32Array(rows * length);
  for (const [row, { length: own }] of texts.entries())
    if (pooling === "mean") share.fill(1 / own, row * length, row * length + own);
    else share[row * length + own - 1] = 1;
  const weighted = tf.mul(tf.reshape(states, [rows, length, config.hidden]), tf.tensor3d(share, [rows, length, 1]));
  return tf.sum(weighted, 1);
}
