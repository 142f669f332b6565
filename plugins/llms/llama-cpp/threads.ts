/** Steps of one trial of a number of threads, and between two trials: at first, and at most. */
const trialSteps = 2;
const [firstPause, longestPause] = [32, 1024];

/**
 * How many threads compute, found by trying. llama.cpp's threads wait for each other after every operation, awake: one that another program keeps
 * from its core holds up all, and two threads may take five times as long as one. The number changes no text.
 */
export class ThreadCount {
  private best: number;
  private pause = firstPause;
  private left = 0;
  private trial: { readonly spent: Map<number, number>; steps: number } | undefined;

  /** @param candidates at least one */
  constructor(private readonly candidates: readonly number[]) {
    this.best = Math.max(...candidates);
  }

  /** Of the next step. */
  get threads(): number {
    return this.trial === undefined ? this.best : (this.candidates[Math.floor(this.trial.steps / trialSteps)] as number);
  }

  /** @param seconds that the step took; by its rows, where steps differ */
  took(seconds: number): void {
    if (this.candidates.length === 1) return;
    if (this.trial === undefined) {
      if (--this.left <= 0) this.trial = { spent: new Map(), steps: 0 };
      return;
    }
    const { spent } = this.trial;
    spent.set(this.threads, (spent.get(this.threads) ?? 0) + seconds);
    this.trial.steps++;
    if (this.trial.steps < trialSteps * this.candidates.length) return;
    const [[fastest] = [this.best]] = [...spent].sort(([, a], [, b]) => a - b);
    this.pause = fastest === this.best ? Math.min(longestPause, 2 * this.pause) : firstPause;
    this.best = fastest;
    this.left = this.pause;
    this.trial = undefined;
  }
}

/** One, all of the cores, and half of them. */
export function candidatesFor(cores: number): readonly number[] {
  return [...new Set([1, Math.max(1, cores >> 1), cores])];
}
