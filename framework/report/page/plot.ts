/** Plot, and what all figures have in common. Colours are the style sheet's, so that a theme changes without drawing anew. */
import type * as PlotModule from "@observablehq/plot";

declare const Plot: typeof PlotModule;
export const plot: typeof PlotModule = Plot;

export const ink = "var(--ink)";
export const muted = "var(--muted)";
export const rule = "var(--rule)";
export const blue = "var(--blue)";
export const vermilion = "var(--vermilion)";
export const green = "var(--green)";
export const purple = "var(--purple)";
/** Told apart by every common form of colour vision, and by their order. */
export const series = [muted, blue, vermilion, green, purple, ink] as const;

export const common = {
  style: { fontFamily: "var(--sans)", fontSize: "12px", background: "none", overflow: "visible", color: "var(--ink)" },
} as const;

export type PlotOptions = PlotModule.PlotOptions;

export function draw(options: PlotOptions): SVGSVGElement | HTMLElement {
  return Plot.plot({ ...common, ...options });
}

/** By what an arm is: without user texts, written by the template, by an LLM, or a control. */
export function armColor(arm: string): string {
  if (arm === "id-only" || arm === "item-only" || arm === "best-of-N") return muted;
  if (arm === "shuffled" || arm === "swapped") return vermilion;
  return arm === "metadata" ? ink : blue;
}
export function isControl(arm: string): boolean {
  return arm === "shuffled" || arm === "swapped" || arm === "best-of-N";
}
