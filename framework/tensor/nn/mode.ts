import type { Rng } from "../../contracts/plugin.js";
import type { Mode } from "../../contracts/recommender.js";

/** Nothing stochastic happens: for evaluation. */
export const evaluating: Mode = {
  training: false,
  nextSeed: () => {
    throw new Error("a stochastic op ran outside training");
  },
};

/** Dropout is on, drawn from this stream. */
export function training(rng: Rng): Mode {
  return { training: true, nextSeed: () => rng.seed() };
}
