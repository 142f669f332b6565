/** Figures with a number, a caption and, where it says more, the table behind them; drawn anew when their width changes. */
import { type Child, h } from "./dom.js";

let figures = 0;
let tables = 0;

/** Numbers begin again: another run is shown. */
export function restart(): void {
  figures = 0;
  tables = 0;
}

export type Draw = (width: number) => SVGSVGElement | HTMLElement;

const places: WeakRef<Element>[] = [];
const redraws = new WeakMap<Element, () => void>();

/** Paper has another width than the screen, and no observer hears of it in time: figures are drawn for it, and drawn back. */
export function drawForPrint(): void {
  const redrawAll = () => {
    for (const place of places) {
      const element = place.deref();
      if (element?.isConnected === true) redraws.get(element)?.();
    }
  };
  addEventListener("beforeprint", () => {
    document.documentElement.classList.add("printing");
    redrawAll();
  });
  addEventListener("afterprint", () => {
    document.documentElement.classList.remove("printing");
    redrawAll();
  });
}

/** Draws into an element as wide as its place, in whole steps so that a scrollbar does not start a circle. */
export function responsive(draw: Draw, label: string): HTMLElement {
  const place = h("div", { class: "plot" });
  let drawn = 0;
  const redraw = (width: number) => {
    const rounded = Math.max(130, Math.floor(width / 4) * 4);
    if (rounded === drawn || width === 0) return;
    drawn = rounded;
    const picture = draw(rounded);
    for (const mark of picture.querySelectorAll("[aria-label]")) mark.removeAttribute("aria-label"); // the picture has one
    picture.setAttribute("role", "img");
    picture.setAttribute("aria-label", label);
    place.replaceChildren(picture);
  };
  places.push(new WeakRef(place));
  redraws.set(place, () => redraw(place.clientWidth));
  new ResizeObserver((entries) => redraw(entries.at(-1)?.contentRect.width ?? 0)).observe(place);
  return place;
}

/** A figure of one or more parts. */
export function figure(title: string, caption: Child, ...content: readonly Child[]): HTMLElement {
  return h(
    "figure",
    {},
    h("div", { class: "parts" }, ...content),
    h("figcaption", {}, h("b", {}, `Figure ${++figures}. ${title}`), " ", caption),
  );
}

/** @param letter names the part in the caption */
export function panel(letter: string, title: string, ...content: readonly Child[]): HTMLElement {
  return h("div", { class: "panel" }, panelHead(letter, title), ...content);
}

export function panelHead(letter: string, title: string): HTMLElement {
  return h("h4", {}, letter === "" ? null : h("span", { class: "letter" }, letter), title);
}

export function tableFigure(title: string, caption: Child, table: HTMLElement, open = true): HTMLElement {
  const head = [h("b", {}, `Table ${++tables}. ${title}`), " ", caption] as const;
  if (open) return h("div", { class: "table-figure" }, h("p", { class: "caption" }, ...head), table);
  return h("details", { class: "table-figure" }, h("summary", {}, ...head), table);
}
