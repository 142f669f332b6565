/** The sequence encoder's own fit: next items of the training users' sequences; then it is frozen and shared by all arms. */
import * as tf from "@tensorflow/tfjs-core";
import type { PreparedData, Round } from "../contracts/dataset.js";
import type { Progress } from "../contracts/plugin.js";
import type { EncoderNetwork, SequenceEncoder } from "../contracts/recommender.js";
import { createRng } from "../rng.js";
import { evaluating, training } from "../tensor/nn/index.js";
import type { NamedArrays } from "../tensor/optimiser.js";
import { Parameters } from "../tensor/parameters.js";
import { bucketedBatches, chunks } from "./batches.js";
import { breath, type FitReport, train } from "./fit.js";
import { type NextItems, nextItemNdcg, type Seen } from "./next-item.js";
import { leaveLastOut, listHistories, paddedBatch, type Sequences, trainingRows } from "./sequences.js";

export interface EncoderParts {
  readonly data: PreparedData;
  readonly encoder: SequenceEncoder;
  /** Interactions before a list that anything sees, at most (protocol.history). */
  readonly history: number;
}
export interface EncoderRequest extends EncoderParts {
  readonly round: Round;
  readonly seed: number;
  /** Of the training sequences (`trainingRows`). */
  readonly stride?: number | undefined;
  readonly progress?: Progress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Learns from the sequences of the round's train users, stopped by the NDCG@10 of its valid users' last items (full ranking, what they
 * met before left out); test users' sequences are never learnt from.
 */
export async function fitEncoder(request: EncoderRequest): Promise<FittedEncoder> {
  const { data, round, encoder, history, stride } = request;
  const rows = trainingRows(data.sequence, round.train, history, stride);
  const { network, parameters, report } = await fitSequences({
    ...request,
    items: data.items.length - 1,
    rows,
    valid: leaveLastOut(data.sequence, round.valid),
  });
  return new FittedEncoder({ data, encoder, history }, network, parameters, report);
}

export function restoreEncoder(parts: EncoderParts, state: NamedArrays): FittedEncoder {
  const parameters = new Parameters(createRng("restored"));
  try {
    const network = parts.encoder.build(parameters, { items: parts.data.items.length - 1, history: parts.history });
    parameters.restore(state);
    return new FittedEncoder(parts, network, parameters);
  } catch (error) {
    parameters.dispose();
    throw error;
  }
}

export interface SequenceFit extends Pick<EncoderRequest, "encoder" | "history" | "seed" | "progress" | "signal"> {
  /** Items, padding not counted. */
  readonly items: number;
  readonly rows: Sequences;
  readonly valid: NextItems;
  /** Whether valid items are ranked among what their user has met; "out" by default, as in a run. */
  readonly seen?: Seen;
}

/** The fit itself, on sequences from anywhere. The caller disposes the parameters. */
export async function fitSequences(
  request: SequenceFit,
): Promise<{ readonly network: EncoderNetwork; readonly parameters: Parameters; readonly report?: FitReport }> {
  const { encoder, items, rows, valid, history } = request;
  const rng = createRng("encoder", request.seed);
  const parameters = new Parameters(rng);
  const network = encoder.build(parameters, { items, history });
  const options = encoder.fit;
  if (options === undefined) return { network, parameters };
  const mode = training(rng.derive("stochastic"));
  const lengths = rows.end.map((end, row) => end - (rows.begin[row] as number));
  try {
    const report = await train({
      label: "sequence encoder",
      parameters,
      options,
      schedule: "constant",
      batches: (epoch) => bucketedBatches(lengths, options.batchSize, rng.derive("order", epoch)),
      loss: (batch) => network.loss(paddedBatch(rows, batch, history + 1), mode),
      evaluate: async () => nextItemNdcg(network, valid, history, 10, request.seen),
      progress: request.progress,
      signal: request.signal,
    });
    return { network, parameters, report };
  } catch (error) {
    parameters.dispose();
    throw error;
  }
}

/** Features of all lists are kept on the engine up to this; computed batch by batch beyond it. */
const cacheBytes = 512 * 2 ** 20;
const featureBatch = 512;

/** A frozen encoder: the features of candidates, the same for every arm. */
export class FittedEncoder {
  readonly width: number;
  readonly history: number;
  private readonly histories: Sequences;
  private cache: tf.Tensor2D | undefined;

  constructor(
    private readonly parts: EncoderParts,
    readonly network: EncoderNetwork,
    private readonly parameters: Parameters,
    /** Absent where there was nothing to fit, and when restored. */
    readonly report?: FitReport,
  ) {
    this.width = network.width;
    this.history = parts.history;
    this.histories = listHistories(parts.data);
  }

  /** Computes the features of all lists at once where they fit, so that no arm or epoch computes them again. */
  async warm(signal?: AbortSignal): Promise<void> {
    const { count, length } = this.parts.data.lists;
    if (this.width === 0 || this.cache !== undefined || count * length * this.width * 4 > cacheBytes) return;
    const pieces: tf.Tensor2D[] = [];
    try {
      for (const lists of chunks(
        Int32Array.from({ length: count }, (_, list) => list),
        featureBatch,
      )) {
        await breath(signal);
        pieces.push(tf.tidy(() => tf.reshape(this.compute(lists), [lists.length, length * this.width])));
      }
      this.cache = tf.keep(tf.concat(pieces, 0));
    } finally {
      tf.dispose(pieces);
    }
  }

  /** @param lists list numbers; @returns [lists, length, width] */
  features(lists: Int32Array): tf.Tensor3D {
    const { length } = this.parts.data.lists;
    const cache = this.cache;
    if (cache === undefined) return tf.tidy(() => this.compute(lists));
    return tf.tidy(() => tf.reshape(tf.gather(cache, tf.tensor1d(lists, "int32")), [lists.length, length, this.width]));
  }

  private compute(lists: Int32Array): tf.Tensor3D {
    return this.featuresAfter(this.histories, lists, candidatesOf(this.parts.data.lists, lists));
  }

  /** Of any candidates. @param rows of `histories`, one a list; @param candidates [lists, length]; @returns [lists, length, width] */
  featuresAfter(histories: Sequences, rows: Int32Array, candidates: tf.Tensor2D): tf.Tensor3D {
    return this.network.features(paddedBatch(histories, rows, this.history), candidates, evaluating);
  }

  state(): Promise<NamedArrays> {
    return this.parameters.state();
  }

  dispose(): void {
    this.cache?.dispose();
    this.cache = undefined;
    this.parameters.dispose();
  }
}

/** @returns [lists, length], int32 */
export function candidatesOf({ candidates, length }: PreparedData["lists"], lists: Int32Array): tf.Tensor2D {
  const values = new Int32Array(lists.length * length);
  for (const [row, list] of lists.entries()) values.set(candidates.subarray(list * length, (list + 1) * length), row * length);
  return tf.tensor2d(values, [lists.length, length], "int32");
}
