/** Timings in turn (A B A B), and what is made of them. */

export interface Pair {
  readonly ours: number;
  readonly rival: number;
}

/** One line of the table, and one entry of the JSON. */
export interface Figure {
  readonly name: string;
  readonly unit: "s" | "GB" | "NDCG@10";
  readonly ours: number;
  readonly rival: number;
  /** Of times: the rival's by ours; of qualities: ours by the rival's. Above 1 is better than the rival. */
  readonly ratio: number;
  readonly ratios: readonly number[];
  readonly mark: string;
  readonly met: boolean;
  readonly note: string;
}

/** Measures both sides in turn, so that whatever else the machine does falls on both. */
export async function inTurn(rounds: number, ours: () => Promise<number>, rival: () => Promise<number>): Promise<Pair[]> {
  const pairs: Pair[] = [];
  for (let round = 0; round < rounds; round++) pairs.push({ ours: await ours(), rival: await rival() });
  return pairs;
}

export function timeFigure(
  name: string,
  pairs: readonly Pair[],
  mark: { readonly text: string; readonly met: (ours: number, ratio: number) => boolean },
  note: string,
): Figure {
  const ratios = pairs.map((pair) => pair.rival / pair.ours);
  const [ours, ratio] = [median(pairs.map((pair) => pair.ours)), median(ratios)];
  const rival = median(pairs.map((pair) => pair.rival));
  return { name, unit: "s", ours, rival, ratio, ratios, mark: mark.text, met: mark.met(ours, ratio), note };
}

/** @param peaks in bytes */
export function memoryFigure(
  name: string,
  peaks: { readonly ours: number; readonly rival: number },
  mark: { readonly text: string; readonly met: (bytes: number) => boolean },
  note: string,
): Figure {
  const [ours, rival] = [peaks.ours / 1e9, peaks.rival / 1e9];
  return { name, unit: "GB", ours, rival, ratio: rival / ours, ratios: [rival / ours], mark: mark.text, met: mark.met(peaks.ours), note };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low, high] = [sorted[sorted.length % 2 === 0 ? middle - 1 : middle], sorted[middle]];
  if (low === undefined || high === undefined) throw new RangeError("the median of nothing");
  return (low + high) / 2;
}

export function table(figures: readonly Figure[]): string {
  const rows = figures.map(({ name, unit, ours, rival, ratio, ratios, mark, met, note }) => {
    const digits = unit === "NDCG@10" ? 4 : 2;
    const range = ratios.length > 1 ? ` (${Math.min(...ratios).toFixed(2)}-${Math.max(...ratios).toFixed(2)})` : "";
    return [
      name,
      `${ours.toFixed(digits)} ${unit}`,
      `${rival.toFixed(digits)} ${unit}`,
      `${ratio.toFixed(2)}x${range}`,
      `${mark}: ${met ? "met" : "MISSED"}`,
      note,
    ];
  });
  const all = [["what", "ours", "rival", "ratio", "mark", ""], ...rows];
  const widths = all[0]?.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0))) ?? [];
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
