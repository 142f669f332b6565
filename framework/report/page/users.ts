/** The browser of users: all of them in a list that is searched and sorted, one of them beside it. */
import { chunk, floats } from "./chunks.js";
import type { ItemsChunk, RunView, UserDetails, UsersIndex } from "./data.js";
import { h, replace, select } from "./dom.js";
import { count, counted, fixed, metricName, signed } from "./format.js";
import { userElement } from "./user.js";
import { firstShown, listed, type Order, orders, partsOf } from "./user-order.js";
import { virtualList } from "./virtual-list.js";

export function usersSection(run: RunView): HTMLElement[] {
  if (run.users.count === 0) return [h("p", {}, "The run left no users to look at.")];
  const place = h("div", { class: "users" }, h("p", { class: "note" }, "Unpacking the users\u2026"));
  // Nothing of the users is unpacked before the reader comes near them.
  const seen = new IntersectionObserver(
    (entries) => {
      if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
      seen.disconnect();
      void openBrowser(run, place);
    },
    { rootMargin: "600px" },
  );
  seen.observe(place);
  const left = run.users.leftOut === 0 ? "" : ` ${counted(run.users.leftOut, "more user")} of the run do not fit into this file.`;
  return [h("p", {}, `${counted(run.users.count, "user")}.${left} Arrow keys move through the list.`), place];
}

async function openBrowser(run: RunView, place: HTMLElement): Promise<void> {
  const browser = new Browser(run, await chunk<UsersIndex>(run.users.index));
  await browser.load();
  replace(place, ...browser.elements());
  await browser.begin();
}

/** What the reader has chosen. */
interface Choice {
  metric: string;
  a: string;
  b: string;
  order: Order;
  text: string;
  part: string;
}

class Browser {
  private readonly choice: Choice;
  private values: Float32Array = new Float32Array();
  private rows: Int32Array = new Int32Array();
  /** Of A - B: the length of a whole bar. */
  private largest = 1;
  private shown = -1;
  private readonly detail = h("div", { class: "detail", tabindex: 0, role: "region", "aria-label": "The chosen user" });
  private readonly status = h("p", { class: "note", role: "status" });
  private readonly list = virtualList(
    "Users",
    (place) => this.row(this.rows[place] as number),
    (place) => void this.show(this.rows[place] as number),
  );

  constructor(
    private readonly run: RunView,
    private readonly index: UsersIndex,
  ) {
    const { arms } = run.users;
    const a = arms.filter((arm) => /^llm-\d+$/.test(arm)).at(-1) ?? arms.at(-1) ?? "";
    const b = ["metadata", "item-only"].find((arm) => arms.includes(arm)) ?? arms[0] ?? "";
    this.choice = { metric: run.metrics[0] ?? "", a, b, order: "id", text: "", part: "" };
  }

  elements(): HTMLElement[] {
    const heads = ["user", "part", "A", "B", "A \u2212 B", ""].map((head) => h("span", {}, head));
    const side = h("div", { class: "side" }, h("div", { class: "list-head", "aria-hidden": "true" }, ...heads), this.list.element);
    return [this.controls(), this.status, h("div", { class: "browser" }, side, this.detail)];
  }

  private controls(): HTMLElement {
    const { choice, run } = this;
    const arms = run.users.arms.map((arm) => [arm, arm] as const);
    const metrics = run.metrics.map((metric) => [metric, metricName(metric)] as const);
    const choose = <Key extends keyof Choice>(label: string, key: Key, options: readonly (readonly [string, string])[]) =>
      select(label, options, choice[key], (value) => {
        choice[key] = value as Choice[Key]; // one of the options
        void this.load().then(() => this.refresh());
      });
    const search = h("input", { type: "search", id: "user-search", autocomplete: "off", spellcheck: "false" });
    search.addEventListener("input", () => {
      choice.text = search.value;
      this.refresh();
    });
    return h(
      "div",
      { class: "controls" },
      h("span", { class: "control" }, h("label", { for: "user-search" }, "User id"), search),
      choose("Show", "part", partsOf(this.index)),
      choose("Metric", "metric", metrics),
      choose("A", "a", arms),
      choose("B", "b", arms),
      choose("Sort by", "order", orders),
    );
  }

  /** The values of the chosen metric. */
  async load(): Promise<void> {
    const number = this.run.users.values[this.choice.metric];
    this.values = number === undefined ? new Float32Array() : floats(await chunk<string>(number));
  }

  async begin(): Promise<void> {
    this.refresh();
    const first = firstShown(this.index, this.rows);
    if (first === undefined) return;
    await this.show(first);
    this.list.show(this.rows.length, this.rows.indexOf(first));
  }

  private value(arm: string, user: number): number {
    const row = this.run.users.arms.indexOf(arm);
    return row < 0 ? Number.NaN : (this.values[row * this.run.users.count + user] ?? Number.NaN);
  }

  private refresh(): void {
    const { choice, index } = this;
    const a = (user: number) => this.value(choice.a, user);
    const b = (user: number) => this.value(choice.b, user);
    this.rows = listed(index, { a, b }, choice);
    this.largest = index.ids.reduce((most, _, user) => Math.max(most, Math.abs(a(user) - b(user)) || 0), 0) || 1;
    const name = metricName(choice.metric);
    this.status.textContent = `${count(this.rows.length)} of ${count(index.ids.length)} users. A is ${choice.a}, B is ${choice.b}, by ${name}.`;
    this.list.show(this.rows.length, this.rows.indexOf(this.shown));
  }

  private row(user: number): HTMLElement[] {
    const [a, b] = [this.value(this.choice.a, user), this.value(this.choice.b, user)];
    const difference = a - b;
    const known = !Number.isNaN(difference);
    const bar = h("i", {
      class: difference < 0 ? "bar minus" : "bar",
      style: `--share:${known ? Math.abs(difference) / this.largest : 0}`,
    });
    return [
      h("span", { class: "id" }, this.index.ids[user] ?? ""),
      h("span", { class: "part" }, this.index.parts[user] ?? ""),
      h("span", { class: "number" }, fixed(a, 3)),
      h("span", { class: "number" }, fixed(b, 3)),
      h("span", { class: "number difference" }, known ? signed(difference, 3) : fixed(difference)),
      h("span", { class: known ? "axis" : "" }, bar),
    ];
  }

  private async show(user: number): Promise<void> {
    this.shown = user;
    const { users } = this.run;
    const details = await chunk<readonly UserDetails[]>(users.details[Math.floor(user / users.perChunk)] as number);
    const items = await chunk<ItemsChunk>(users.items);
    const own = details[user % users.perChunk];
    if (this.shown !== user || own === undefined) return; // another was chosen meanwhile
    const { ids, parts } = this.index;
    replace(this.detail, ...userElement({ id: ids[user] ?? "", part: parts[user] ?? "", details: own }, users, items));
    this.detail.scrollTop = 0;
  }
}
