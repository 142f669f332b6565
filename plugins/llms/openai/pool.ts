/**
 * Does jobs 0 … count - 1, so many at once. The first failure, or the signal, ends those that are under way; nothing is left running when this settles.
 * @throws the first failure, or the signal's reason
 */
export async function pooled(
  count: number,
  atOnce: number,
  work: (job: number, signal: AbortSignal) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const failed = new AbortController();
  const either = signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]);
  let next = 0;
  const worker = async () => {
    try {
      while (next < count && !either.aborted) await work(next++, either);
    } catch (error) {
      failed.abort(error); // the first one wins
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, worker));
  either.throwIfAborted();
}
