/** One user: history, lists with every arm's ranks, what each policy wrote, and the pairs made of its texts. */
import type { ItemsChunk, ListDetails, PairDetails, RewardedText, SampleDetails, UserDetails, UsersView } from "./data.js";
import { type Child, h } from "./dom.js";
import { count, fixed } from "./format.js";

export interface ShownUser {
  readonly id: string;
  readonly part: string;
  readonly details: UserDetails;
}

export function userElement({ id, part, details }: ShownUser, view: UsersView, items: ItemsChunk): HTMLElement[] {
  return [
    h("h4", { class: "user-head" }, `User ${id}`, " ", h("span", { class: "tag" }, part)),
    ...listElements(details.lists, view, items),
    ...textsElement(details, view),
    ...pairsElement(details.pairs),
    ...samplesElement(details.samples),
    ...historyElement("Knowledge window: what prompts may show", details.window, items),
    ...historyElement("Later, before the lists", details.later, items),
  ];
}

function section(title: string, ...content: readonly Child[]): HTMLElement {
  return h("section", { class: "block" }, h("h5", {}, title), ...content);
}

const openLists = 2;

/** The first stand open; there may be a dozen. */
function listElements(lists: readonly ListDetails[], view: UsersView, items: ItemsChunk): HTMLElement[] {
  const made = lists.map((list, i) => listElement(list, view, items, lists.length > 1 ? `List ${i + 1}` : "Candidates"));
  const more = made.slice(openLists);
  if (more.length === 0) return made;
  return [
    ...made.slice(0, openLists),
    h("details", { class: "block" }, h("summary", {}, `${more.length} more of this user's lists`), ...more),
  ];
}

function listElement(list: ListDetails, { arms }: UsersView, items: ItemsChunk, title: string): HTMLElement {
  const shown = arms.map((arm, row) => ({ arm, ranks: list.ranks[row] ?? [] })).filter(({ ranks }) => ranks.length > 0);
  const order = list.items.map((_, slot) => slot).sort((a, b) => (list.labels[b] ?? 0) - (list.labels[a] ?? 0) || a - b);
  const head = h(
    "tr",
    {},
    h("th", { scope: "col" }, "candidate"),
    ...shown.map(({ arm }) => h("th", { scope: "col", class: "number" }, arm)),
  );
  const rows = order.map((slot) => {
    const relevant = list.labels[slot] === 1;
    return h(
      "tr",
      { class: relevant ? "relevant" : undefined },
      h(
        "th",
        { scope: "row" },
        h("span", { class: "mark" }, relevant ? "\u25cf" : "\u25cb"),
        itemName(list.items[slot], items),
        relevant ? h("span", { class: "sr" }, " (relevant)") : null,
      ),
      ...shown.map(({ ranks }) =>
        h("td", { class: "number", "data-top": (ranks[slot] ?? 0) <= 500 ? "" : undefined }, rankText(ranks[slot])),
      ),
    );
  });
  const table = h("table", { class: "ranks", "aria-label": title }, h("thead", {}, head), h("tbody", {}, ...rows));
  return section(
    `${title}: ranks under each arm, the best is 1`,
    h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": title }, table),
    h("p", { class: "note" }, "\u25cf relevant. Mean over seeds; the first five are set in bold."),
  );
}

function rankText(hundredths: number | undefined): string {
  if (hundredths === undefined) return "\u2013";
  return hundredths % 100 === 0 ? String(hundredths / 100) : (hundredths / 100).toFixed(1);
}

function itemName(number: number | undefined, { titles }: ItemsChunk): string {
  return number === undefined ? "" : (titles[number] ?? "");
}

/** Lines that the policy before did not write are marked. */
function textsElement({ texts }: UserDetails, { policies }: UsersView): HTMLElement[] {
  const written = policies.flatMap((policy, i) => {
    const text = texts[i];
    return text === null || text === undefined ? [] : [{ policy, text }];
  });
  if (written.length === 0) return [];
  const cards = written.map(({ policy, text }, i) => {
    const before = new Set(i === 0 || policy === "llm-0" ? text.split("\n") : written[i - 1]?.text.split("\n"));
    const lines = text.split("\n").map((line) => h(before.has(line) ? "span" : "mark", { class: "line" }, line === "" ? "\u00a0" : line));
    return h("div", { class: "card" }, h("h6", {}, policy), h("div", { class: "text" }, ...lines));
  });
  return [
    section(
      "Texts, policy by policy",
      h("div", { class: "cards" }, ...cards),
      h("p", { class: "note" }, "Marked: lines that the policy before did not write."),
    ),
  ];
}

function pairsElement(pairs: readonly PairDetails[]): HTMLElement[] {
  if (pairs.length === 0) return [];
  const side = (title: string, kind: string, { text, reward, tokens }: RewardedText) =>
    h(
      "div",
      { class: `card ${kind}` },
      h("h6", {}, title, " ", h("span", { class: "figure" }, `reward ${fixed(reward)}, ${count(tokens)} tokens`)),
      h("div", { class: "text" }, ...text.split("\n").map((line) => h("span", { class: "line" }, line === "" ? "\u00a0" : line))),
    );
  return [
    section(
      "Preference pairs",
      ...pairs.map(({ iteration, teaches, chosen, rejected }) =>
        h(
          "div",
          { class: "pair" },
          h("p", { class: "note" }, `Iteration ${iteration}, teaches ${teaches}`),
          h("div", { class: "cards" }, side("Chosen", "chosen", chosen), ...rejected.map((text) => side("Rejected", "rejected", text))),
        ),
      ),
    ),
  ];
}

function samplesElement(samples: readonly SampleDetails[]): HTMLElement[] {
  if (samples.length === 0) return [];
  const sets = samples.map(({ iteration, users, when, policy, texts }) => {
    const rewards = texts.flatMap(({ reward }) => (reward === null ? [] : [reward]));
    const range = rewards.length === 0 ? "no reward" : `reward ${fixed(Math.min(...rewards), 3)} to ${fixed(Math.max(...rewards), 3)}`;
    const title = `${texts.length} by ${policy}, ${when} iteration ${iteration} (${users}): ${range}`;
    return h(
      "details",
      {},
      h("summary", {}, title),
      h(
        "ol",
        { class: "samples" },
        ...texts.map(({ text, reward, tokens }) =>
          h(
            "li",
            {},
            h("span", { class: "figure" }, `${fixed(reward)} `),
            h("span", { class: "text" }, text.split("\n").join(" / ")),
            h("span", { class: "rating" }, `${tokens} tokens`),
          ),
        ),
      ),
    );
  });
  return [section("Sampled texts, the best first", ...sets)];
}

function historyElement(title: string, interactions: readonly (readonly [number, number])[], items: ItemsChunk): HTMLElement[] {
  if (interactions.length === 0) return [];
  const entries = interactions.map(([item, rating]) =>
    h("li", {}, itemName(item, items), " ", h("span", { class: "rating" }, String(rating))),
  );
  return [section(`${title} (${interactions.length})`, h("ol", { class: "history" }, ...entries))];
}
