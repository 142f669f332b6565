/** What language models take of the engine's memory, estimated before it is taken. */
import { type DecoderConfig, parameterCount, qkvWidth } from "./config.js";

const float = 4; // bytes

/** Weights, and beside them the largest joined matrix with its parts while it is put together. */
export function loadingBytes(config: DecoderConfig): number {
  const { hidden, intermediate, vocabulary, tiedHead } = config;
  const largest = Math.max(hidden * 2 * intermediate, hidden * qkvWidth(config), tiedHead ? 0 : vocabulary * hidden);
  return float * (parameterCount(config) + 2 * largest);
}
