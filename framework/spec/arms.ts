/** What the names of arms say of the order in which policies were made. */

/** llm-2 comes after llm-1, llm-warm between llm-0 and llm-1. @returns undefined where no LLM wrote */
export function lastPolicy(arms: readonly string[]): string | undefined {
  const made = (name: string) => (name === "llm-warm" ? 0.5 : Number(/^llm-(\d+)$/.exec(name)?.[1] ?? -1));
  return arms.filter((name) => made(name) >= 0).sort((a, b) => made(a) - made(b)).at(-1); // biome-ignore format: one line
}
