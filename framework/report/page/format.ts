/** Numbers and names as the page writes them. */

const minus = "\u2212";
const none = "\u2013";

export function fixed(value: number | null | undefined, digits = 4): string {
  if (value === null || value === undefined || Number.isNaN(value)) return none;
  return value.toFixed(digits).replace("-", minus);
}
export function signed(value: number | null, digits = 4): string {
  const text = fixed(value, digits);
  return value !== null && value >= 0 ? `+${text}` : text;
}
export function percent(share: number | null, digits = 0): string {
  return share === null || Number.isNaN(share) ? none : `${(100 * share).toFixed(digits)}%`;
}
export function count(value: number): string {
  return value.toLocaleString("en-US");
}
/** "1 value", "2 values" */
export function counted(value: number, what: string): string {
  return `${count(value)} ${what}${value === 1 ? "" : "s"}`;
}
export function probability(p: number): string {
  return p < 0.001 ? "< 0.001" : p.toFixed(3);
}
/** The usual marks beside a corrected p-value. */
export function stars(p: number): string {
  return p < 0.001 ? "***" : p < 0.01 ? "**" : p < 0.05 ? "*" : "";
}
/** "ndcg@5" is NDCG@5. */
export function metricName(metric: string): string {
  return metric === "reward" ? "sampled reward" : metric.replace(/^[a-z]+(?=@)/, (name) => name.toUpperCase());
}
/** "learningRate" is "learning rate". */
export function figureName(name: string): string {
  const known: Readonly<Record<string, string>> = { gradNorm: "gradient norm", tokensPerSecond: "tokens a second", kl: "KL" };
  return Object.hasOwn(known, name)
    ? (known[name] as string)
    : name.replace(/([a-z])([A-Z])/g, (_, a: string, b: string) => `${a} ${b.toLowerCase()}`);
}
