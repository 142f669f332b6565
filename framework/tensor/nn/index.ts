/** Layers as functions over a scope of parameters: `const layer = dense(scope, shape)` creates, `layer(x)` computes. */
export { plus } from "./activations.js";
export { causalMask, paddingMask, scaledDotProductAttention, selfAttention } from "./attention.js";
export { dense, mlp, type DenseShape } from "./dense.js";
export { dropout } from "./dropout.js";
export { embedding, type Embedding } from "./embedding.js";
export { heUniform, ones, truncatedNormal, uniform, xavierUniform, zeros } from "./initialisers.js";
export { binaryCrossEntropy, catalogueCrossEntropy, listwiseSoftmax } from "./losses.js";
export { evaluating, training } from "./mode.js";
export { layerNorm } from "./norm.js";
export { biasGradient, reluGradient } from "./native.js";
export { rowDots } from "./products.js";
export { transformerBlock, type BlockShape } from "./transformer.js";
export { withGradient } from "./with-gradient.js";
