/** What the metadata of the three editions say of a product, in one form: title, categories, author or brand or store, price. */
import { type ItemRecord, withoutMarkup } from "rlrf4rec";

export type Metadata = Readonly<Record<string, unknown>>;

/** @param category the data set's own, which all its products share @returns null for a line without an id */
export function productOf(meta: Metadata, category: string): ItemRecord | null {
  const id = textOf(meta.parent_asin) || textOf(meta.asin);
  if (id === "") return null;
  const categories = categoriesOf(meta, category.replaceAll("_", " "));
  const price = priceOf(meta.price);
  return {
    id,
    title: titleOf(meta.title),
    fields: { ...(categories.length === 0 ? {} : { categories }), ...makerOf(meta, category), ...(price === undefined ? {} : { price }) },
  };
}

/** Some pages of 2018 gave their script instead of a title. */
function titleOf(value: unknown): string {
  const title = textOf(value);
  return /getTime\(|^var |<script/.test(title) ? "" : title;
}

/** 2014: `categories`, lists of paths; 2018: `category`, one path; 2023: `categories`, one path. Each name once, the data set's own left out. */
function categoriesOf({ category, categories }: Metadata, own: string): string[] {
  const found = [categories, category].flat(2).map(textOf);
  const longest = 60; // among the categories of 2018 stand descriptions
  return [...new Set(found)].filter((name) => name !== "" && name !== own && name.length <= longest);
}

const books = new Set(["Books", "Kindle_Store", "Magazine_Subscriptions"]);

/** Of books 2018 has the author as brand ("Visit Amazon's Ann Lee Page"), 2023 as author and store ("Ann Lee (Author)"). */
function makerOf({ brand, author, store }: Metadata, category: string): Record<string, string> {
  const name = textOf((author as { readonly name?: unknown } | null | undefined)?.name) || textOf(author);
  const cleanBrand = textOf(brand).replace(/^Visit Amazon's (.*) Page$/, "$1");
  const maker = name || cleanBrand || textOf(store).replace(/ \((?:Author|Editor|Illustrator|Translator)\).*$/, "");
  if (maker === "" || /^(?:unknown|n\/a|none)$/i.test(maker)) return {};
  if (name !== "" || books.has(category)) return { author: maker };
  return cleanBrand === "" ? { store: maker } : { brand: maker };
}

/** In dollars; of a range the lower end. 2018 has "$5.99 - $9.99" and the style sheets of pages, 2023 "from 5.99" and "None". */
function priceOf(value: unknown): number | undefined {
  const digits = /^(?:from )?\$?(\d[\d,]*(?:\.\d+)?)(?![\d.])/.exec(textOf(value))?.[1];
  const price = digits === undefined ? Number.NaN : Number(digits.replaceAll(",", ""));
  return Number.isFinite(price) ? price : undefined;
}

/** "" of what is no text. */
function textOf(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? withoutMarkup(String(value)) : "";
}
