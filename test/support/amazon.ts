/** Two categories of Amazon reviews by hand, in the forms of the three editions. */

export const asins = Array.from({ length: 12 }, (_, i) => `B00000000${String.fromCharCode(65 + i)}`);

/** Five users, six ratings each of twelve products, in seconds. */
export const rated = Array.from({ length: 30 }, (_, i) => {
  const user = Math.floor(i / 6);
  return { user: `A${user}USER`, item: asins[(user * 2 + i) % 12] as string, rating: (i % 5) + 1, time: 1_400_000_000 + i * 86_400 };
});

/** Both quotes, a line end and a comma, as reviews have them. */
const said = `It's "great",\nreally`;

export const reviews2014 = rated.map(({ user, item, rating, time }) => ({
  reviewerID: user,
  asin: item,
  reviewerName: "J. O'Neil",
  helpful: [2, 3],
  reviewText: said,
  overall: rating,
  summary: "'asin': 'NONE'",
  unixReviewTime: time,
  reviewTime: "05 13, 2014",
}));
export const reviews2018 = rated.map(({ user, item, rating, time }) => ({
  overall: rating,
  verified: true,
  reviewTime: "05 13, 2014",
  reviewerID: user,
  asin: item,
  style: { "Format:": " Hardcover" },
  reviewText: said,
  unixReviewTime: time,
}));
export const reviews2023 = rated.map(({ user, item, rating, time }) => ({
  rating,
  title: "Great",
  text: said,
  images: [],
  asin: `${item}-variant`,
  parent_asin: item,
  user_id: user,
  timestamp: time * 1000 + 123,
  helpful_vote: 0,
  verified_purchase: true,
}));

export const metadata2014 = [
  {
    asin: asins[0],
    title: "Les Misérables &amp; More",
    price: 12.99,
    imUrl: "http://x/y.jpg",
    brand: "",
    categories: [
      ["Books", "Fiction"],
      ["Books", "French"],
    ],
  },
  { asin: asins[1], title: 'The "Best" of Ann\'s', categories: [["Books"]], salesRank: { Books: 3 }, brand: "Penguin" },
];
export const metadata2018 = [
  {
    asin: asins[0],
    title: "Les Misérables",
    category: ["Books", "Literature &amp; Fiction", "x".repeat(80)],
    brand: "Visit Amazon's Victor Hugo Page",
    price: "$7.50 - $9.99",
  },
  {
    asin: asins[1],
    title: "var aPageStart = (new Date()).getTime();",
    category: [],
    brand: "",
    price: ".a-box-inner{background-color:#fff}",
  },
  { asin: asins[0], title: "Described twice", category: [], brand: "" },
];
export const metadata2023 = [
  {
    main_category: "Books",
    title: "Les Misérables",
    price: "from 7.50",
    store: "Victor Hugo (Author)",
    categories: ["Books", "Literature & Fiction"],
    author: { name: "Victor Hugo" },
    parent_asin: asins[0],
  },
  { main_category: "Books", title: "Other", price: null, store: "Ann Lee (Author)", categories: [], author: null, parent_asin: asins[1] },
];

export const jsonLines = (rows: readonly object[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join("");

/** As Python's `repr` writes a dictionary: what the 2014 edition calls loose JSON. */
export function pythonLines(rows: readonly object[]): string {
  return rows.map((row) => `${python(row)}\n`).join("");
}

function python(value: unknown): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "string") {
    const quote = value.includes("'") && !value.includes('"') ? '"' : "'";
    const escaped = value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("é", "\\xe9").replaceAll(quote, `\\${quote}`);
    return quote + escaped + quote;
  }
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  if (typeof value === "object")
    return `{${Object.entries(value)
      .map(([key, entry]) => `${python(key)}: ${python(entry)}`)
      .join(", ")}}`;
  return String(value);
}
