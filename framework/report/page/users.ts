/** The browser of users: all of them in a list that is searched and sorted, one of them beside it. */
import { chunk, floats } from "./chunks.js";
import type { ItemsChunk, RunView, UserDetails, UsersIndex } from "./data.js";
import { h, replace, select } from "./dom.js";
import { count, fixed, metricName, signed } from "./format.js";
import { userElement } from "./user.js";
import { virtualList } from "./virtual-list.js";

type Order = "id" | "difference-up" | "difference-down" | "a-down" | "a-up";

export function usersSection(run: RunView): HTMLElement[] {
  if (run.users.count === 0) return [h("p", {}, "The run left no users to look at.")];
  const place = h("div", { class: "users" }, h("p", { class: "note" }, "Unpacking the users…"));
  // Nothing of the users is unpacked before the reader comes near them.
  const seen = new IntersectionObserver(
    (entries) => {
      if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
      seen.disconnect();
      void new Browser(run, place).open();
    },
    { rootMargin: "600px" },
  );
  seen.observe(place);
  const left = run.users.leftOut === 0 ? "" : ` ${count(run.users.leftOut)} more users are not in this file.`;
  return [h("p", {}, `${count(run.users.count)} users.${left} Arrow keys move through the list.`), place];
}

class Browser {
  private index: UsersIndex = { ids: [], parts: [], has: [] };
  private values: Float32Array = new Float32Array();
  private rows: Int32Array = new Int32Array();
  private metric: string;
  private a: string;
  private b: string;
  private order: Order = "id";
  private filter = "";
  private part = "";
  private shown = -1;
  private readonly detail = h("div", { class: "detail", tabindex: 0, role: "region", "aria-label": "The chosen user" });
  private readonly status = h("p", { class: "note", role: "status" });
  private readonly heads = h("div", { class: "list-head", "aria-hidden": "true" });
  private readonly list = virtualList(
    "Users",
    (place) => this.row(this.rows[place] as number),
    (place) => void this.choose(this.rows[place] as number),
  );

  constructor(
    private readonly run: RunView,
    private readonly place: HTMLElement,
  ) {
    const { arms } = run.users;
    this.metric = run.metrics[0] ?? "";
    this.a = arms.filter((arm) => /^llm-\d+$/.test(arm)).at(-1) ?? arms.at(-1) ?? "";
    this.b = ["metadata", "item-only"].find((arm) => arms.includes(arm)) ?? arms[0] ?? "";
  }

  async open(): Promise<void> {
    const { users } = this.run;
    this.index = await chunk<UsersIndex>(users.index);
    await this.load();
    const options = users.arms.map((arm) => [arm, arm] as const);
    const again = (set: (value: string) => void) => (value: string) => {
      set(value);
      void this.load().then(() => this.refresh());
    };
    const parts = [...new Set(this.index.parts)];
    const search = h("input", {
      type: "search",
      id: "user-search",
      autocomplete: "off",
      spellcheck: "false",
      oninput: () => this.find(search.value),
    });
    const orders: readonly (readonly [Order, string])[] = [
      ["id", "id"],
      ["difference-down", "A − B, largest first"],
      ["difference-up", "A − B, smallest first"],
      ["a-down", "A, largest first"],
      ["a-up", "A, smallest first"],
    ];
    const controls = h(
      "div",
      { class: "controls" },
      h("span", { class: "control" }, h("label", { for: "user-search" }, "User id"), search),
      select(
        "Part",
        [["", "all"], ...parts.map((part) => [part, part] as const)],
        "",
        again((value) => (this.part = value)),
      ),
      select(
        "Metric",
        this.run.metrics.map((metric) => [metric, metricName(metric)]),
        this.metric,
        again((value) => (this.metric = value)),
      ),
      select(
        "A",
        options,
        this.a,
        again((value) => (this.a = value)),
      ),
      select(
        "B",
        options,
        this.b,
        again((value) => (this.b = value)),
      ),
      select(
        "Sort by",
        orders,
        this.order,
        again((value) => (this.order = value as Order)),
      ),
    );
    replace(
      this.place,
      controls,
      this.status,
      h("div", { class: "browser" }, h("div", { class: "side" }, this.heads, this.list.element), this.detail),
    );
    this.refresh();
    const first = this.rows[0];
    if (first !== undefined) await this.choose(first);
  }

  private find(text: string): void {
    this.filter = text.trim().toLowerCase();
    this.refresh();
  }

  private async load(): Promise<void> {
    const number = this.run.users.values[this.metric];
    this.values = number === undefined ? new Float32Array() : floats(await chunk<string>(number));
  }

  private value(arm: string, user: number): number {
    const row = this.run.users.arms.indexOf(arm);
    return row < 0 ? Number.NaN : (this.values[row * this.run.users.count + user] ?? Number.NaN);
  }

  private refresh(): void {
    const { ids, parts } = this.index;
    const rows = ids.flatMap((id, user) =>
      (this.filter === "" || id.toLowerCase().includes(this.filter)) && (this.part === "" || parts[user] === this.part) ? [user] : [],
    );
    if (this.order !== "id") {
      const up = this.order.endsWith("up") ? 1 : -1;
      const keys = Float64Array.from(ids, (_, user) =>
        this.order.startsWith("a") ? this.value(this.a, user) : this.value(this.a, user) - this.value(this.b, user),
      );
      const key = (user: number) => (Number.isNaN(keys[user]) ? Number.POSITIVE_INFINITY : (keys[user] as number) * up); // users without a value last
      rows.sort((x, y) => compared(key(x), key(y)) || x - y);
    }
    this.rows = Int32Array.from(rows);
    replace(
      this.heads,
      h("span", {}, "user"),
      h("span", {}, "part"),
      h("span", {}, "A"),
      h("span", {}, "B"),
      h("span", {}, "A − B"),
      h("span", {}, ""),
    );
    this.status.textContent = `${count(rows.length)} of ${count(ids.length)} users. A is ${this.a}, B is ${this.b}, by ${metricName(this.metric)}.`;
    this.list.show(rows.length, this.rows.indexOf(this.shown));
  }

  private row(user: number): HTMLElement[] {
    const [a, b] = [this.value(this.a, user), this.value(this.b, user)];
    const difference = a - b;
    const bar = h("i", { class: difference < 0 ? "bar minus" : "bar", style: `--share:${Math.min(1, Math.abs(difference)) || 0}` });
    return [
      h("span", { class: "id" }, this.index.ids[user] ?? ""),
      h("span", { class: "part" }, this.index.parts[user] ?? ""),
      h("span", { class: "number" }, fixed(a, 3)),
      h("span", { class: "number" }, fixed(b, 3)),
      h("span", { class: "number difference" }, Number.isNaN(difference) ? "\u2013" : signed(difference, 3)),
      h("span", { class: "axis" }, bar),
    ];
  }

  private async choose(user: number): Promise<void> {
    this.shown = user;
    const { users } = this.run;
    const details = await chunk<readonly UserDetails[]>(users.details[Math.floor(user / users.perChunk)] as number);
    const items = await chunk<ItemsChunk>(users.items);
    const own = details[user % users.perChunk];
    if (this.shown !== user || own === undefined) return; // another was chosen meanwhile
    replace(
      this.detail,
      ...userElement({ id: this.index.ids[user] ?? "", part: this.index.parts[user] ?? "", details: own }, users, items),
    );
    this.detail.scrollTop = 0;
  }
}

/** Infinities are equal to each other. */
function compared(a: number, b: number): number {
  return a === b ? 0 : a < b ? -1 : 1;
}
