import { type EncoderNetwork, plugin, type SequenceEncoder, tf } from "rlrf4rec";

/** Features [batch, list, 0], a score of 0 for every item, nothing to learn. */
@plugin({
  kind: "encoder",
  name: "none",
  version: "1.0.0",
  summary: "No sequence encoder: the user's text is the recommender's only word about the user",
  source: "KAR's re-ranking setting, Xi et al. 2023, arXiv 2306.10933",
})
export class NoEncoder implements SequenceEncoder {
  build(_scope: unknown, shape: { readonly items: number }): EncoderNetwork {
    return {
      width: 0,
      loss: () => tf.scalar(0),
      features: (_history, candidates) => tf.zeros([...candidates.shape, 0]),
      scores: (history) => tf.zeros([history.shape[0], shape.items + 1]),
    };
  }
}
