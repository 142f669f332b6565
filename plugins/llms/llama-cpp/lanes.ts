/** Texts for many prompts at once: a prompt is computed once for its samples, and a sample that is finished makes room for the next. */
import { createRng, type GeneratedText, type GenerationParameters, type GenerationRequest, lm, type OnDone } from "rlrf4rec";
import { failing, type LogitIndex, type NativeContext, type NativeSampler } from "./binding.js";
import type { ThreadCount } from "./threads.js";

/** Sequences that nothing is written in: the state of the prompt whose samples wait, and what fills up a batch. */
export const ownSequences = 2;

export interface Engine {
  readonly context: NativeContext;
  /** Of the context, `ownSequences` included. */
  readonly sequences: number;
  /** Tokens of a batch at most. */
  readonly batch: number;
  sampler(): NativeSampler;
  readonly threads: ThreadCount;
}

/** A sample in the making. */
interface Row {
  readonly lane: lm.Lane;
  readonly sampler: NativeSampler;
  readonly job: number;
  /** Tokens whose state its sequence holds. */
  position: number;
  /** -1 until it has one. */
  sequence: number;
}

export interface Job {
  readonly request: GenerationRequest;
  readonly prompt: Int32Array;
}

export class Generation {
  private readonly free: number[];
  private rows: Row[] = [];
  /** Samples of one prompt whose first token is drawn already; the prompt's state lies in `shared`. */
  private waiting: Row[] = [];
  private readonly written: { readonly lanes: readonly lm.Lane[]; left: number }[] = [];
  private readonly shared: number;
  private readonly filler: number;

  constructor(
    private readonly engine: Engine,
    private readonly codec: lm.ChatCodec,
    private readonly jobs: readonly Job[],
    private readonly parameters: GenerationParameters,
    private readonly onDone: OnDone,
  ) {
    const lanes = engine.sequences - ownSequences;
    this.free = Array.from({ length: lanes }, (_, i) => lanes - 1 - i);
    [this.shared, this.filler] = [lanes, lanes + 1];
  }

  async run(signal?: AbortSignal): Promise<readonly (readonly GeneratedText[])[]> {
    for (let sequence = 0; sequence < this.engine.sequences; sequence++) this.engine.context.disposeSequence(sequence);
    try {
      while (await this.admit()) {
        await this.step();
        signal?.throwIfAborted();
      }
      return this.written.map(({ lanes }) => lanes.map((lane) => lane.result()));
    } finally {
      for (const { sampler } of [...this.rows, ...this.waiting]) sampler.dispose();
    }
  }

  /** Fills the free sequences. @returns whether there is anything left to write */
  private async admit(): Promise<boolean> {
    while (this.free.length > 0) {
      const row = this.waiting.shift();
      if (row !== undefined) await this.seat(row);
      else if (this.written.length < this.jobs.length) await this.prefill(this.written.length);
      else break;
    }
    return this.rows.length > 0;
  }

  /** Gives a waiting sample a sequence, with its prompt's state. */
  private async seat(row: Row): Promise<void> {
    this.rows.push(row);
    row.sequence = this.free.pop() as number;
    await computed(() => this.engine.context.copySequenceStateFromOtherSequence(row.sequence, this.shared));
  }

  /** Computes a prompt and draws the first token of its samples. */
  private async prefill(index: number): Promise<void> {
    const { request, prompt } = this.jobs[index] as Job;
    const { context, batch } = this.engine;
    context.disposeSequence(this.shared);
    let last: LogitIndex = 0;
    for (let from = 0; from < prompt.length; from += batch) {
      const part = Uint32Array.from(prompt.subarray(from, from + batch));
      const ends = from + part.length === prompt.length;
      context.initBatch(part.length);
      [last = 0] = context.addToBatch(this.shared, from, part, ends ? Uint32Array.of(part.length - 1) : new Uint32Array());
      await computed(() => context.decodeBatch());
    }
    const stops = lm.stopBytes(this.parameters.stop);
    this.waiting = Array.from({ length: request.samples }, (_, sample): Row => {
      const rng = createRng(request.seed, "sample", sample);
      const lane = new lm.Lane(this.codec, this.parameters.maxTokens, stops, rng);
      return { lane, sampler: this.samplerOf(rng.seed()), job: index, position: prompt.length, sequence: -1 };
    });
    this.written.push({ lanes: this.waiting.map(({ lane }) => lane), left: request.samples });
    await this.draw(this.waiting.map((row) => ({ row, at: last })));
    this.waiting = this.withoutDone(this.waiting);
  }

  private samplerOf(seed: number): NativeSampler {
    const { temperature, topK, topP, minP } = this.parameters;
    const sampler = this.engine.sampler();
    // llama.cpp cuts before it divides by the temperature T: p >= m * largest after that is p >= m^T * largest before.
    const floor = minP > 0 && temperature > 0 ? { minP: minP ** temperature } : {};
    sampler.applyConfig({ temperature, seed, ...floor, ...(topK > 0 && { topK }), ...(topP < 1 && { topP }) });
    return sampler;
  }

  /** One more token for every sequence. */
  private async step(): Promise<void> {
    const { rows, filler } = this;
    const { context } = this.engine;
    // A single row is computed by other kernels, which round otherwise: a text must not depend on what else is written.
    const alone = rows.length === 1;
    context.initBatch(rows.length + (alone ? 1 : 0));
    const places = rows.map((row) => context.addToBatch(row.sequence, row.position++, Uint32Array.of(row.lane.last), Uint32Array.of(0)));
    if (alone) {
      context.disposeSequence(filler);
      context.addToBatch(filler, 0, Uint32Array.of(this.codec.padding), new Uint32Array());
    }
    await this.decode(rows.length);
    await this.draw(rows.map((row, i) => ({ row, at: places[i]?.[0] as LogitIndex })));
    this.rows = this.withoutDone(rows);
  }

  /** The batch, with as many threads as turned out best. */
  private async decode(rows: number): Promise<void> {
    const { context, threads } = this.engine;
    const begun = performance.now();
    context.setThreads(threads.threads);
    await computed(() => context.decodeBatch());
    threads.took((performance.now() - begun) / rows);
  }

  private async draw(drawn: readonly { readonly row: Row; readonly at: LogitIndex }[]): Promise<void> {
    const { context } = this.engine;
    const tokens = await computed(() => Promise.all(drawn.map(({ row, at }) => context.sampleToken(at, row.sampler))));
    for (const [i, { row }] of drawn.entries()) row.lane.accept(tokens[i] as number);
  }

  /** Frees the sequences of finished samples, and tells of the requests that have all of theirs. */
  private withoutDone(rows: readonly Row[]): Row[] {
    const done = rows.filter(({ lane }) => lane.done);
    for (const { sampler, sequence, job } of done) {
      sampler.dispose();
      if (sequence >= 0) this.free.push(sequence);
      const written = this.written[job] as (typeof this.written)[number];
      written.left--;
      if (written.left === 0) this.onDone(job, written.lanes.map((lane) => lane.result())); // biome-ignore format: one line
    }
    return rows.filter(({ lane }) => !lane.done);
  }
}

function computed<Result>(work: () => Promise<Result>): Promise<Result> {
  return failing("llama.cpp fails at a batch", "fewer sequences at once need less memory (options.sequences)", work);
}
