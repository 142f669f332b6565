/** Elements made of data. Text is only ever set as text: the page's policy forbids making HTML of strings. */

export type Child = Node | string | number | null | undefined | readonly Child[];
type Properties = Readonly<Record<string, string | number | boolean | EventListener | undefined>>;

/** @param properties attributes; `on…` are listeners, false and undefined leave an attribute out */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  properties: Properties = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, String(value));
  }
  append(element, children);
  return element;
}

export function append(element: Element, children: readonly Child[]): void {
  for (const child of children) {
    if (Array.isArray(child)) append(element, child);
    else if (child !== null && child !== undefined) element.append(child instanceof Node ? child : String(child));
  }
}

export function replace(element: Element, ...children: readonly Child[]): void {
  element.replaceChildren();
  append(element, children);
}

let ids = 0;
/** An id that no other element of the page has. */
export function freshId(of: string): string {
  return `${of}-${ids++}`;
}

export interface Choice<Value> {
  readonly element: HTMLElement;
  readonly value: Value;
}

/** A labelled select. */
export function select(
  label: string,
  options: readonly (readonly [value: string, text: string])[],
  chosen: string,
  onChange: (value: string) => void,
): HTMLElement {
  const id = freshId("select");
  const element = h("select", { id, onchange: () => onChange(element.value) });
  for (const [value, text] of options) element.append(h("option", { value, selected: value === chosen }, text));
  return h("span", { class: "control" }, h("label", { for: id }, label), element);
}
