export type Schedule = "constant" | "linear" | "cosine";

/**
 * What the learning rate is multiplied by at a step: a linear rise from 1/n to 1 over the first `rise` share of the steps, then the
 * schedule down from 1. "linear" and "cosine" (Loshchilov & Hutter 2017, arXiv 1608.03983, eq. 5, one cycle) end at 0 one step after the last.
 * @param step from 0 @param steps of the whole training @param rise share of the steps, [0, 1]
 */
export function learningRateScale(step: number, steps: number, schedule: Schedule, rise: number): number {
  const rising = Math.round(rise * steps);
  if (step < rising) return (step + 1) / rising;
  const progress = Math.min(1, (step - rising) / Math.max(1, steps - rising));
  switch (schedule) {
    case "constant":
      return 1;
    case "linear":
      return 1 - progress;
    case "cosine":
      return (1 + Math.cos(Math.PI * progress)) / 2;
  }
}
