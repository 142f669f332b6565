import type { ItemRecord, PreparedData } from "../contracts/dataset.js";
import type { ChatMessage } from "../contracts/llm.js";
import type { Prompt } from "../spec/types.js";

/** The words in which a template speaks of its domain. */
const templates = {
  movies: { person: "viewer", things: "movies" },
  items: { person: "user", things: "items" },
} as const satisfies Record<Prompt["template"], { person: string; things: string }>;

const genders: Readonly<Record<string, string>> = { M: "male", F: "female" };

/** What is read of users before anything is said of them. */
export type ReaderData = Pick<PreparedData, "users" | "items" | "ratingScale" | "sequence" | "windows">;

/**
 * What the LLM is asked about a user: who it is, the rated items of the knowledge window in time order, the aspects to answer.
 * One user message, since some chat templates know no system role and others put a system message of their own before it.
 */
export function promptOf(user: number, data: ReaderData, prompt: Prompt): ChatMessage[] {
  const { person, things } = templates[prompt.template];
  const { lowest, highest } = data.ratingScale;
  const aspects = prompt.aspects;
  const lines = aspects.length === 1 ? "this line" : `these ${aspects.length} lines`;
  const personal = personalFields(data.users[user]?.fields ?? {});
  const content = [
    `A ${person}${personal.length === 0 ? "" : ` (${personal.join(", ")})`} rated these ${things} from ${lowest} to ${highest}:`,
    ...windowLines(user, data, prompt.items),
    "",
    `Describe the taste of this ${person} in exactly ${lines}, and write nothing else:`,
    ...aspects.map(({ name }) => `${name}: …`),
  ];
  return [{ role: "user", content: content.join("\n") }];
}

/** Positions in `data.sequence` of a user's knowledge window: all that may be said of the user. */
export function windowOf(user: number, data: Pick<ReaderData, "sequence" | "windows">): { readonly from: number; readonly to: number } {
  const from = data.sequence.offsets[user] ?? 0;
  return { from, to: from + (data.windows[user] ?? 0) };
}

function personalFields({ age, gender, occupation }: Readonly<Record<string, unknown>>): string[] {
  return [
    ...(known(age) ? [`aged ${plain(age)}`] : []),
    ...(known(gender) ? [genders[String(gender)] ?? plain(gender)] : []),
    ...(known(occupation) && !/^(other|none)$/i.test(String(occupation)) ? [plain(occupation)] : []),
  ];
}

function windowLines(user: number, data: ReaderData, items: Prompt["items"]): string[] {
  const { from, to } = windowOf(user, data);
  return Array.from({ length: to - from }, (_, i) => {
    const item = data.items[data.sequence.items[from + i] ?? 0];
    const rating = Number((data.sequence.ratings[from + i] ?? 0).toFixed(1));
    return item === undefined ? "" : `${titleOf(item)}${items === "title" ? "" : genresOf(item)}: ${rating}`;
  });
}

/** "Heat (1995)"; titles of some sources carry their year already. */
export function titleOf({ title, fields }: ItemRecord): string {
  const name = plain(title);
  const year = fields.year;
  return known(year) && !/\(\d{4}\)$/.test(name) ? `${name} (${plain(year)})` : name;
}

/** Each after a comma and a space, as in the answer: to a tokenizer of subwords a genre is then the same token wherever it stands. */
function genresOf({ fields }: ItemRecord): string {
  const genres = textsOf(fields.genres ?? fields.categories);
  return genres.map((genre) => `, ${genre}`).join("");
}

/** A field's values as texts: of a list each entry, of a scalar itself, of nothing none. */
export function textsOf(field: unknown): string[] {
  return (Array.isArray(field) ? field : [field]).filter(known).map(plain);
}

function known(value: unknown): value is string | number | boolean {
  return (typeof value === "string" && value.trim() !== "") || typeof value === "number" || typeof value === "boolean";
}

/** On one line, so that no title can pass for a line of the prompt's own. */
function plain(value: string | number | boolean): string {
  return String(value)
    .replace(/[\s\u0085]+/gu, " ")
    .trim();
}
