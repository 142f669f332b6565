/** The sequence encoder's own fit: next items of the training users' sequences; then it is frozen and shared by all arms. */
import type { Tensor3D } from "@tensorflow/tfjs-core";
import type { PreparedData, Round } from "../contracts/dataset.js";
import type { Progress } from "../contracts/plugin.js";
import type { SequenceEncoder } from "../contracts/recommender.js";
import type { NamedArrays } from "../tensor/optimiser.js";
import type { FitReport } from "./recommender.js";

export interface EncoderRequest {
  readonly data: PreparedData;
  readonly round: Round;
  readonly encoder: SequenceEncoder;
  /** Interactions before a list that the encoder sees, at most (protocol.history). */
  readonly history: number;
  readonly seed: number;
  readonly progress?: Progress;
  readonly signal?: AbortSignal;
}

/** A frozen encoder: the features of candidates, the same for every arm. */
export interface FittedEncoder {
  /** Absent where there was nothing to fit, and after `restoreEncoder`. */
  readonly report?: FitReport;
  readonly width: number;
  /** @param lists list numbers; @returns [lists, length, width] */
  features(lists: Int32Array): Tensor3D;
  state(): Promise<NamedArrays>;
  dispose(): void;
}

export function fitEncoder(request: EncoderRequest): Promise<FittedEncoder> {
  throw new Error(`being written ${request.seed}`);
}

export function restoreEncoder(parts: Pick<EncoderRequest, "data" | "encoder" | "history">, state: NamedArrays): FittedEncoder {
  throw new Error(`being written ${parts.history} ${Object.keys(state)}`);
}
