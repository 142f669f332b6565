/**
 * Contract suites for plugin authors, one a kind: `import { lossContract } from "rlrf4rec/testing"`. Called in a test file, a suite
 * declares its checks with the runner's `describe` and `it` (the global ones, or those it is given). Suites of tensor plugins run on
 * whatever engine is current: start one before them with `startEngine`.
 */
export { startEngine } from "../tensor/engine.js";
export { datasetContract } from "./dataset.js";
export { executorContract } from "./executor.js";
export { lossContract, preferenceBatch, rewardContract, samplingContract } from "./feedback.js";
export { adaptorContract, encoderContract, rerankerContract } from "./recommender.js";
export { type Runner, type Subject, withPlugin } from "./subject.js";
export { llmContract, textEncoderContract } from "./texts.js";
export { tunerContract } from "./tuner.js";
