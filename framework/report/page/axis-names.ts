/** The names beside a figure's rows: how much room they get, and what of them fits in it. */

const character = 6; // px, about, at 12 px
const gap = 14; // px

export interface AxisNames {
  readonly margin: number;
  readonly text: (name: string) => string;
}

/** @param share of the width that they may take */
export function axisNames(names: readonly string[], width: number, share = 0.42): AxisNames {
  const longest = Math.max(0, ...names.map((name) => name.length));
  const margin = Math.min(share * width, gap + character * longest);
  const most = Math.max(4, Math.floor((margin - gap) / character) + 1);
  return { margin, text: (name) => (name.length <= most ? name : `${name.slice(0, most - 1)}\u2026`) };
}
