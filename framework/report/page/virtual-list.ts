/** A list of any length of which only the visible rows exist: one tab stop, arrow keys within, as a listbox. */
import { freshId, h } from "./dom.js";

const rowHeight = 34; // px; style.css has the same
const beyond = 8; // rows drawn above and below what is visible

export interface VirtualList {
  readonly element: HTMLElement;
  /** @param count of rows @param keep which of them is selected, -1 = none */
  show(count: number, keep: number): void;
}

/** @param row fills the row at a place @param onSelect hears of the place that was chosen */
export function virtualList(label: string, row: (place: number) => readonly HTMLElement[], onSelect: (place: number) => void): VirtualList {
  const id = freshId("option");
  const space = h("div", { class: "space", role: "presentation" });
  const element = h("div", { class: "list", role: "listbox", tabindex: 0, "aria-label": label }, space);
  let count = 0;
  let selected = -1;
  const draw = () => {
    const first = Math.max(0, Math.floor(element.scrollTop / rowHeight) - beyond);
    const last = Math.min(count, Math.ceil((element.scrollTop + element.clientHeight) / rowHeight) + beyond);
    const rows: HTMLElement[] = [];
    for (let place = first; place < last; place++) {
      const option = h(
        "div",
        {
          ...{ role: "option", class: "row", id: `${id}-${place}`, "data-place": place, style: `top:${place * rowHeight}px` },
          ...{ "aria-selected": String(place === selected), "aria-setsize": count, "aria-posinset": place + 1 },
        },
        ...row(place),
      );
      rows.push(option);
    }
    space.replaceChildren(...rows);
    if (selected >= first && selected < last) element.setAttribute("aria-activedescendant", `${id}-${selected}`);
    else element.removeAttribute("aria-activedescendant");
  };
  const choose = (place: number) => {
    if (count === 0) return;
    selected = Math.min(count - 1, Math.max(0, place));
    const top = selected * rowHeight;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + rowHeight > element.scrollTop + element.clientHeight) element.scrollTop = top + rowHeight - element.clientHeight;
    draw();
    onSelect(selected);
  };
  const page = () => Math.max(1, Math.floor(element.clientHeight / rowHeight) - 1);
  const moves: Readonly<Record<string, () => number>> = {
    ArrowDown: () => selected + 1,
    ArrowUp: () => selected - 1,
    PageDown: () => selected + page(),
    PageUp: () => selected - page(),
    Home: () => 0,
    End: () => count - 1,
  };
  element.addEventListener("keydown", (event) => {
    const move = moves[event.key];
    if (move === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    choose(move());
  });
  element.addEventListener("click", (event) => {
    const place = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-place]")?.dataset.place : undefined;
    if (place !== undefined) choose(Number(place));
  });
  element.addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
  new ResizeObserver(draw).observe(element);
  return {
    element,
    show(rows, keep) {
      count = rows;
      selected = keep;
      space.style.height = `${rows * rowHeight}px`;
      element.scrollTop = 0;
      draw();
    },
  };
}
