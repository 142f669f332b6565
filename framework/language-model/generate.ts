/**
 * Texts for many prompts at once. A prompt is computed once for its samples; a sample that has ended is no longer computed, and its row goes
 * to a waiting prompt at the end of the block (continuous batching: Yu et al. 2022, "Orca", OSDI).
 */
import * as tf from "@tensorflow/tfjs-core";
import type { GeneratedText, GenerationParameters, GenerationRequest, OnDone } from "../contracts/llm.js";
import { RlrfError } from "../errors.js";
import { createRng } from "../rng.js";
import { KeyValueCache, type Prefixes } from "./cache.js";
import { type ChatCodec, stopBytes } from "./chat.js";
import { type DecoderConfig, tokenBytes } from "./config.js";
import { type Attend, decode, logits } from "./decoder.js";
import { Lane } from "./lane.js";
import { attendWithin } from "./attention.js";
import type { Rotary } from "./rotary.js";
import { TokenSampler } from "./sampler.js";
import type { DecoderWeights } from "./weights.js";

/** A decoder that can write: weights with any adapter already merged in. */
export interface Writer {
  readonly config: DecoderConfig;
  readonly weights: DecoderWeights;
  readonly rotary: Rotary;
  readonly codec: ChatCodec;
}

/** How work is cut; it changes speed and memory, not what is written. */
export interface Batching {
  /** Samples written at once, at most. */
  readonly rows: number;
  /** Bytes that their keys and values may take: fewer are written at once where prompts are long. */
  readonly keys: number;
  /** Tokens between two looks at which prompts are finished. */
  readonly block: number;
  /** Prompt tokens computed at once. */
  readonly prefill: number;
}

/** Samples of one prompt in one slot at most. */
const mostLanes = 16;

/** Some samples of one request; they share the prompt's keys. */
interface Group {
  readonly request: number;
  readonly prompt: Int32Array;
  readonly lanes: readonly Lane[];
}

export async function generate(
  writer: Writer,
  requests: readonly GenerationRequest[],
  parameters: GenerationParameters,
  batching: Batching,
  onDone: OnDone = () => {},
  signal?: AbortSignal,
): Promise<readonly (readonly GeneratedText[])[]> {
  const fewest = requests.reduce((least, { samples }) => Math.min(least, samples), mostLanes);
  const lanes = Math.max(1, Math.min(fewest, batching.rows));
  const groups = requests.map((request, index) => groupsOf(writer, request, index, parameters, lanes));
  // Longest prompts first: what is admitted later fits where a longer prompt was, and neighbours need little padding.
  const waiting = groups.flat().sort((a, b) => b.prompt.length - a.prompt.length || a.request - b.request);
  const longest = waiting[0]?.prompt.length ?? 0;
  const slots = slotsAtOnce(writer.config, batching, lanes, longest, parameters.maxTokens);
  const batch = new GenerationBatch(writer, parameters, lanes, slots, batching);
  const left = groups.map((own) => own.length);
  const textsOf = (own: readonly Group[]) => own.flatMap((group) => group.lanes.map((lane) => lane.result()));
  try {
    while (waiting.length > 0 || batch.busy) {
      for (const { request } of batch.exchange(waiting)) {
        left[request] = (left[request] as number) - 1;
        if (left[request] === 0) onDone(request, textsOf(groups[request] ?? []));
      }
      for (let step = 0; step < batching.block && !batch.finished; step++) batch.step();
      await new Promise((resolve) => setImmediate(resolve)); // let signals and timers in
      signal?.throwIfAborted();
    }
  } finally {
    batch.dispose();
  }
  return groups.map(textsOf);
}

/** Prompts that memory has room for: a slot keeps its prompt's keys once, and those of `lanes` texts. */
function slotsAtOnce(config: DecoderConfig, { keys }: Batching, lanes: number, prompt: number, completion: number): number {
  return Math.max(1, Math.floor(keys / (tokenBytes(config) * (prompt + lanes * completion))));
}

function groupsOf(
  { codec, config }: Writer,
  request: GenerationRequest,
  index: number,
  { maxTokens, stop }: GenerationParameters,
  lanes: number,
): readonly Group[] {
  const prompt = codec.prompt(request.messages);
  if (prompt.length + maxTokens > config.context)
    throw contextError(prompt.length, maxTokens, config.context, `the prompt of user ${request.user}`);
  const stops = stopBytes(stop);
  const samples = Array.from(
    { length: request.samples },
    (_, i) => new Lane(codec, maxTokens, stops, createRng(request.seed, "sample", i)),
  );
  return Array.from({ length: Math.ceil(samples.length / lanes) }, (_, i) => ({
    request: index,
    prompt,
    lanes: samples.slice(i * lanes, (i + 1) * lanes),
  }));
}

export function contextError(prompt: number, completion: number, context: number, where: string): RlrfError {
  return new RlrfError("RLRF_LLM_CONTEXT", {
    message: `a prompt of ${prompt} tokens and a completion of ${completion} do not fit the model's context`,
    where,
    expected: `at most ${context} tokens together`,
    hint: "shorten the window (protocol.window) or the prompt's items, lower maxTokens, or give the model a longer context",
  });
}

/** The slots that are being written, and their memory. */
class GenerationBatch {
  private slots: Group[] = [];
  private readonly cache: KeyValueCache;
  private readonly sampler: TokenSampler;

  constructor(
    private readonly writer: Writer,
    private readonly parameters: GenerationParameters,
    private readonly lanes: number,
    /** Slots at most. */
    private readonly capacity: number,
    private readonly batching: Batching,
  ) {
    this.cache = new KeyValueCache(writer.config, lanes);
    this.sampler = new TokenSampler(writer.config.vocabulary, parameters);
  }

  get busy(): boolean {
    return this.slots.length > 0;
  }

  /** Every sample of every slot is written. */
  get finished(): boolean {
    return this.slots.every(isDone);
  }

  /** Takes finished groups out and waiting ones in. @returns the finished ones */
  exchange(waiting: Group[]): readonly Group[] {
    const done = this.slots.filter(isDone);
    const kept = this.slots.flatMap((group, slot) => (isDone(group) ? [] : [slot]));
    const free = Math.floor((this.batching.rows - this.writing().length) / this.lanes);
    const admitted = waiting.splice(0, Math.min(free, this.capacity - kept.length));
    this.slots = [...kept.map((slot) => this.slots[slot] as Group), ...admitted];
    if (this.slots.length > 0) this.cache.rearrange(kept, admitted.length === 0 ? null : this.prefill(admitted));
    return done;
  }

  /** Computes the prompts of new groups, each once however many groups share it, and draws the first token of their lanes. */
  private prefill(groups: readonly Group[]): Prefixes {
    const length = Math.max(...groups.map(({ prompt }) => prompt.length));
    const atOnce = Math.max(1, Math.floor(this.batching.prefill / length));
    const prompts = [...new Map(groups.map(({ request, prompt }) => [request, prompt]))];
    const parts: Prefixes["layers"][] = [];
    const rowOf = new Map(prompts.map(([request], row) => [request, row]));
    const rows = Int32Array.from(groups, ({ request }) => rowOf.get(request) as number);
    for (let from = 0; from < prompts.length; from += atOnce) {
      const some = prompts.slice(from, from + atOnce).map(([, prompt]) => prompt);
      const { layers, choices } = this.computePrompts(some, length);
      parts.push(layers);
      for (const [group, { lanes }] of groups.entries()) {
        const row = (rows[group] as number) - from;
        if (row >= 0 && row < some.length) for (const lane of lanes) lane.accept(choices(row, lane));
      }
    }
    const layers = tf.tidy(() => {
      const index = tf.tensor1d(rows, "int32");
      const joined = (tensors: readonly tf.Tensor[]) => tf.keep(tf.gather(tf.concat([...tensors], 0), index));
      return this.writer.weights.layers.map((_, layer) => {
        const own = parts.map((part) => part[layer] as Prefixes["layers"][number]);
        return { key: joined(own.map(({ key }) => key)), value: joined(own.map(({ value }) => value)) };
      });
    });
    for (const part of parts) tf.dispose(part.flatMap(({ key, value }) => [key, value]));
    return { layers, lengths: groups.map(({ prompt }) => prompt.length) };
  }

  private computePrompts(prompts: readonly Int32Array[], length: number) {
    const { config, weights, rotary } = this.writer;
    const { kvHeads, headDim } = config;
    const count = prompts.length;
    const tokens = new Int32Array(count * length);
    for (const [row, prompt] of prompts.entries()) tokens.set(prompt, row * length);
    const rotation = rotary.at(Int32Array.from(tokens, (_, at) => at % length));
    const layers: Prefixes["layers"][number][] = [];
    const chosen = tf.tidy(() => {
      const within = attendWithin(config, count, length, causalMask(length));
      const keeping =
        (attend: Attend): Attend =>
        (layer, query, key, value) => {
          const byHead = (x: tf.Tensor3D) => tf.keep(tf.transpose(tf.reshape(x, [count, length, kvHeads, headDim]), [0, 2, 1, 3]));
          layers.push({ key: byHead(key), value: byHead(value) });
          return attend(layer, query, key, value);
        };
      const ends = prompts.map((prompt) => prompt.length - 1);
      const rows = tf.tensor1d(ends.map((end, row) => row * length + end), "int32"); // biome-ignore format: one line
      const focus = { rows, attend: keeping(attendWithin(config, count, length, endMask(ends, length))) };
      const states = decode(config, weights, { tokens: tf.tensor1d(tokens, "int32"), rotation }, keeping(within), { focus });
      return this.distribution(states);
    });
    tf.dispose([rotation.cos, rotation.sin]);
    return { layers, choices: this.choose(chosen) };
  }

  /** Rows of the cache, slot * lanes + lane, whose texts have not ended. */
  private writing(): readonly number[] {
    return this.slots.flatMap(({ lanes }, slot) => lanes.flatMap((lane, index) => (lane.done ? [] : [slot * this.lanes + index])));
  }

  /** One more token for every lane that has not ended. */
  step(): void {
    const { config, weights, rotary } = this.writer;
    const rows = this.writing();
    const next = this.cache.positions();
    const slotOf = (row: number) => Math.floor(row / this.lanes);
    const lanes = rows.map((row) => this.slots[slotOf(row)]?.lanes[row % this.lanes] as Lane);
    const rotation = rotary.at(Int32Array.from(rows, (row) => next[slotOf(row)] as number));
    const chosen = tf.tidy(() => {
      const input = { tokens: tf.tensor1d(Int32Array.from(lanes, ({ last }) => last)), rotation };
      return this.distribution(decode(config, weights, input, this.cache.attend(rows)));
    });
    tf.dispose([rotation.cos, rotation.sin]);
    this.cache.advance();
    const choices = this.choose(chosen);
    for (const [row, lane] of lanes.entries()) lane.accept(choices(row, lane));
  }

  /** The most likely tokens [rows] when greedy, else the probabilities [rows, vocabulary]. */
  private distribution(states: tf.Tensor2D): tf.Tensor {
    const { config, weights } = this.writer;
    const scores = logits(config, weights, states);
    const { temperature } = this.parameters;
    if (temperature === 0) return tf.argMax(scores, 1);
    return tf.softmax(temperature === 1 ? scores : tf.div(scores, temperature));
  }

  private choose(distribution: tf.Tensor): (row: number, lane: Lane) => number {
    const values = distribution.dataSync();
    distribution.dispose();
    if (this.parameters.temperature === 0) return (row) => values[row] as number;
    return (row, lane) => this.sampler.pick(values as Float32Array, row, lane.rng.uniform());
  }

  dispose(): void {
    this.cache.dispose();
  }
}

function isDone(group: Group): boolean {
  return group.lanes.every((lane) => lane.done);
}

/** [1, 1, length, length]; padding stands on the right, so that no token of a prompt ever sees it. */
function causalMask(length: number): tf.Tensor4D {
  const mask = new Float32Array(length * length);
  for (let row = 0; row < length; row++) mask.fill(-1e9, row * length + row + 1, (row + 1) * length);
  return tf.tensor4d(mask, [1, 1, length, length]);
}

/** [rows, 1, 1, length]: the last token of each prompt sees the whole prompt. */
function endMask(ends: readonly number[], length: number): tf.Tensor4D {
  const mask = new Float32Array(ends.length * length).fill(-1e9);
  for (const [row, end] of ends.entries()) mask.fill(0, row * length, row * length + end + 1);
  return tf.tensor4d(mask, [ends.length, 1, 1, length]);
}
