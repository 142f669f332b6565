import type { DuckDBConnection } from "@duckdb/node-api";

export type { DuckDBConnection };

/**
 * Fills three tables of a DuckDB connection, which are there and empty (`users` may stay so where nothing is told of them):
 *   interactions(user VARCHAR, item VARCHAR, rating DOUBLE, time BIGINT)       time in seconds; order of ties = order of `row`
 *   items(item VARCHAR, title VARCHAR, fields JSON)                            fields: aspect-like attributes, e.g. {"genres": ["Drama"], "year": 1994}
 *   users(user VARCHAR, fields JSON)                                           e.g. {"age": 24, "gender": "M", "occupation": "technician"}
 * `interactions` has a further column `row BIGINT`, the line of the source file, for ties in time and for error messages.
 */
export interface Dataset {
  /** What the ratings go from and to, as prompts say it; interactions hold no others. */
  readonly ratingScale: RatingScale;
  /** An interaction is relevant when its rating is above this (method.md: 3 for MovieLens, 4 for Amazon). */
  readonly relevantAbove: number;
  /** @throws RLRF_DATA_… with file and line; @returns what was counted on the way (rows read, bad rows skipped, …). */
  load(connection: DuckDBConnection): Promise<Readonly<Record<string, number>>>;
}

export interface RatingScale {
  readonly lowest: number;
  readonly highest: number;
}

export interface ItemRecord {
  readonly id: string;
  /** "" where none is told: the item then goes by its id. */
  readonly title: string;
  readonly fields: Readonly<Record<string, unknown>>;
}
export interface UserRecord {
  readonly id: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/**
 * The prepared data of a run: numbers and typed arrays, as the tensors want them.
 * Users are numbered 0..U-1; items 1..I, 0 is padding (`items[0]` is an empty record).
 */
export interface PreparedData {
  readonly users: readonly UserRecord[];
  readonly items: readonly ItemRecord[];
  readonly ratingScale: RatingScale;
  /** Every interaction by user and time; user u's are at [offsets[u], offsets[u + 1]). */
  readonly sequence: {
    readonly offsets: Int32Array; // [users + 1]
    readonly items: Int32Array; // [interactions]
    readonly ratings: Float32Array; // [interactions]
    readonly relevant: Uint8Array; // [interactions]
  };
  /** h_u: how many first interactions of a user may reach a prompt. [users] */
  readonly windows: Int32Array;
  readonly lists: PreparedLists;
  readonly parts: Parts;
  /** Rows, users, items, lists kept and dropped, and why. */
  readonly counts: Readonly<Record<string, number>>;
}

export interface PreparedLists {
  readonly count: number;
  /** Candidates a list (protocol.listLength). */
  readonly length: number;
  readonly user: Int32Array; // [lists], ascending
  /** Position in `sequence` of the list's first interaction: what lies before it (same user) is its history. */
  readonly start: Int32Array; // [lists]
  readonly candidates: Int32Array; // [lists * length], shuffled
  readonly labels: Uint8Array; // [lists * length], 1 = relevant
}

/** One way of learning on some users and looking at others. All are user numbers, ascending. */
export interface Round {
  readonly train: Int32Array;
  readonly valid: Int32Array;
  readonly test: Int32Array;
}

export interface Parts {
  /** Rounds whose test users are reported: one under `protocol.split`, `protocol.folds` many otherwise. */
  readonly evaluate: readonly Round[];
  /** Users whose texts are sampled, scored and tuned on: train users, or the share `protocol.align`. */
  readonly align: Int32Array;
  /** Cross-fitted reward models: `test` = the align users a model may score; it has seen none of their lists. */
  readonly reward: readonly Round[];
  /** For every user the part it is in: what `rlrf lists` prints. */
  readonly labels: readonly { readonly part: "train" | "valid" | "test" | "align" | "evaluate"; readonly fold?: number }[];
}
