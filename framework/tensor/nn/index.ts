/** Layers as functions over a scope of parameters: `const layer = dense(scope, shape)` creates, `layer(x)` computes. */
export { elu, gelu, plus, prelu, silu } from "./activations.js";
export { additiveScores } from "./additive-attention.js";
export {
  causalMask,
  crossAttention,
  historyMask,
  joinHeads,
  paddingMask,
  scaledDotProductAttention,
  selfAttention,
  splitHeads,
} from "./attention.js";
export { dense, linear, mlp, type DenseShape } from "./dense.js";
export { dropout } from "./dropout.js";
export { embedding, type Embedding } from "./embedding.js";
export { gru, gruForm } from "./gru.js";
export { heUniform, ones, truncatedNormal, uniform, xavierUniform, zeros } from "./initialisers.js";
export { lstm, type Lstm, type LstmState } from "./lstm.js";
export { attentionRank, binaryCrossEntropy, catalogueCrossEntropy, listwiseSoftmax } from "./losses.js";
export { evaluating, training } from "./mode.js";
export { layerNorm } from "./norm.js";
export { biasGradient, reluGradient } from "./native.js";
export { pointwiseAttention } from "./pointwise-attention.js";
export { l2Normalised, rowDots } from "./products.js";
export { transformerBlock, type BlockShape } from "./transformer.js";
export { withGradient } from "./with-gradient.js";
