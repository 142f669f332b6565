import { appendInteractions, appendItems, appendUsers, type Dataset, type DuckDBConnection, options, plugin } from "rlrf4rec";

interface TemplateOptions {
  readonly users: number;
  readonly items: number;
}

const genres = ["Drama", "Comedy", "Action"];

/** Stands in for your own data: read a file, a table or a service here instead. */
@plugin({
  kind: "dataset",
  name: "@team/package/name",
  version: "1.0.0",
  summary: "Users who like every third film, by its genre",
  source: "rating = 5 for the user's genre, else 2",
  options: {
    type: "object",
    properties: {
      users: { type: "integer", minimum: 1, default: 30, description: "Users" },
      items: { type: "integer", minimum: 3, default: 60, description: "Items, all of which every user rates" },
    },
  },
})
export class Template implements Dataset {
  readonly relevantAbove = 3;
  readonly ratingScale = { lowest: 1, highest: 5 };

  constructor(@options() private readonly options: TemplateOptions) {}

  /** @returns counts of what was left out, for the result */
  async load(connection: DuckDBConnection): Promise<Record<string, number>> {
    const { users, items } = this.options;
    const genreOf = (number: number): string => genres[number % genres.length] as string;
    const records = Array.from({ length: items }, (_, i) => ({ id: `i${i}`, title: `Film ${i}`, fields: { genres: [genreOf(i)] } }));
    await appendItems(connection, records);
    await appendUsers(
      connection,
      Array.from({ length: users }, (_, user) => ({ id: `u${user}`, fields: { age: 20 + user } })),
    );
    const ratings = Array.from({ length: users * items }, (_, n) => {
      const [user, item] = [Math.floor(n / items), n % items];
      return { user: `u${user}`, item: `i${item}`, rating: genreOf(user) === genreOf(item) ? 5 : 2, time: 1_000_000_000 + n * 3600 };
    });
    await appendInteractions(connection, ratings);
    return {};
  }
}
