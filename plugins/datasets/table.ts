import { existsSync } from "node:fs";
import { resolve } from "node:path";
import {
  appendItems,
  appendUsers,
  type Dataset,
  type DuckDBConnection,
  type Encoding,
  type GoodRows,
  type InteractionMeaning,
  keepCore,
  loadInteractions,
  missingColumns,
  type OnBadRow,
  options,
  plugin,
  type RatingScale,
  RlrfError,
  uniqueIds,
} from "rlrf4rec";
import { type Form, formOf, interactionsOf, recordsOf, type TableFile, type TableRecord } from "./table/forms.js";

interface TableOptions {
  readonly interactions: string;
  readonly items?: string;
  readonly users?: string;
  readonly format: Form | "auto";
  readonly encoding: Encoding;
  readonly separator?: string;
  readonly columns: { readonly user: string; readonly item: string; readonly rating: string | null; readonly time: string | null };
  readonly itemColumns: Described & { readonly title: string };
  readonly userColumns: Described;
  readonly lists: Readonly<Record<string, string>>;
  readonly ratings: readonly [number, number];
  readonly relevantAbove: number;
  readonly timeUnit: NonNullable<InteractionMeaning["timeUnit"]>;
  readonly core: number;
  readonly onBadRow: OnBadRow;
}
interface Described {
  readonly id: string;
  readonly fields?: readonly string[];
}

const file = { type: "string", minLength: 1, file: true } as const;
const column = { type: "string", minLength: 1 } as const;
const fields = { type: "array", items: column, uniqueItems: true, description: "Columns to keep besides these; absent: all" } as const;

/** Your own data: one file of interactions, and one of items and of users where there are any. */
@plugin({
  kind: "dataset",
  name: "table",
  version: "1.0.0",
  summary: "Interactions, items and users from your own files: CSV, TSV, JSON, Parquet, or RecBole's atomic files, by a map of columns",
  source: "RFC 4180; RFC 8259 and JSON lines; Apache Parquet; RecBole's atomic files (Zhao et al. 2021, arXiv 2011.01731)",
  options: {
    type: "object",
    required: ["interactions"],
    properties: {
      interactions: { ...file, description: "The file of interactions, gzipped or not" },
      items: { ...file, description: "The file of items; of RecBole's the .item beside the .inter, if it is there" },
      users: { ...file, description: "The file of users; of RecBole's the .user beside the .inter, if it is there" },
      format: {
        enum: ["auto", "csv", "tsv", "json", "parquet", "recbole"],
        default: "auto",
        description: "Of all files; auto: each by its name. json: an object a line, or one array",
      },
      encoding: { enum: ["utf-8", "latin-1"], default: "utf-8", description: "Of texts" },
      separator: { type: "string", minLength: 1, maxLength: 1, description: "Of cells; absent: a comma in CSV, a tab in TSV" },
      columns: {
        type: "object",
        default: {},
        description: "Where an interaction stands",
        properties: {
          user: { ...column, default: "user_id", description: "The user's id" },
          item: { ...column, default: "item_id", description: "The item's id" },
          rating: { type: ["string", "null"], default: "rating", description: "null: every interaction has the highest rating" },
          time: { type: ["string", "null"], default: "timestamp", description: "null: the order of the rows is that of time" },
        },
      },
      itemColumns: {
        type: "object",
        default: {},
        description: "What describes an item",
        properties: {
          id: { ...column, default: "item_id", description: "The item's id" },
          title: { ...column, default: "title", description: "How prompts call it" },
          fields,
        },
      },
      userColumns: {
        type: "object",
        default: {},
        description: "What describes a user",
        properties: { id: { ...column, default: "user_id", description: "The user's id" }, fields },
      },
      lists: {
        type: "object",
        default: {},
        additionalProperties: { type: "string", minLength: 1 },
        description: 'Columns whose cells hold several values, and what stands between them: {"genres": "|"}',
      },
      ratings: {
        type: "array",
        items: { type: "number" },
        minItems: 2,
        maxItems: 2,
        ascending: true,
        default: [1, 5],
        description: "Lowest and highest rating that is possible: what prompts say, and what others are bad rows by",
      },
      relevantAbove: {
        type: "number",
        default: 3,
        splits: "ratings",
        description: "An interaction is relevant when its rating is above this",
      },
      timeUnit: {
        enum: ["seconds", "milliseconds", "date"],
        default: "seconds",
        description: "Of the times, since 1970; date: ISO 8601, UTC where no zone stands",
      },
      core: {
        type: "integer",
        minimum: 0,
        default: 0,
        unit: "interactions",
        description: "Users and items with fewer are left out, until none is left (k-core); 0 or 1 = all stay",
      },
      onBadRow: {
        enum: ["fail", "skip"],
        default: "fail",
        description: "What a malformed row does: end the run, or be skipped and counted",
      },
    },
  },
})
export class Table implements Dataset {
  readonly relevantAbove: number;
  readonly ratingScale: RatingScale;

  constructor(@options() private readonly options: TableOptions) {
    const [lowest, highest] = options.ratings;
    this.relevantAbove = options.relevantAbove;
    this.ratingScale = { lowest, highest };
  }

  async load(connection: DuckDBConnection): Promise<Record<string, number>> {
    const { interactions, columns, ratings, timeUnit, core, onBadRow, itemColumns, userColumns } = this.options;
    const named = { user: columns.user, item: columns.item, rating: columns.rating ?? undefined, time: columns.time ?? undefined };
    const rows = await naming("columns", this.file(interactions), () => interactionsOf(connection, this.file(interactions), named));
    const badInteractions = await loadInteractions(connection, rows, { ratings, timeUnit, advice: adviceOn(timeUnit) }, onBadRow);
    const outsideCore = await keepCore(connection, core);
    const items = await this.records(connection, "items", itemColumns, ({ id, title, values }) => ({
      id,
      title,
      fields: this.fieldsOf(values, [itemColumns.id, itemColumns.title], itemColumns.fields),
    }));
    await appendItems(connection, items.rows);
    const users = await this.records(connection, "users", userColumns, ({ id, values }) => ({
      id,
      fields: this.fieldsOf(values, [userColumns.id], userColumns.fields),
    }));
    await appendUsers(connection, users.rows);
    this.listsMustBeAmong([...items.columns, ...users.columns]);
    return { badInteractions, badItems: items.bad, badUsers: users.bad, outsideCore };
  }

  private file(path: string): TableFile {
    const { format, encoding, separator } = this.options;
    return { path: resolve(path), form: format === "auto" ? formOf(path) : format, encoding, separator };
  }

  private async records<Row extends { readonly id: string }>(
    connection: DuckDBConnection,
    of: "items" | "users",
    { fields: others = [], ...named }: Described & { readonly title?: string },
    parse: (record: TableRecord) => Row,
  ): Promise<GoodRows<Row> & { readonly columns: ReadonlySet<string> }> {
    const columns = new Set<string>();
    const path = this.options[of] ?? this.sibling(of);
    if (path === undefined) return { rows: [], bad: 0, columns };
    const noted = (record: TableRecord) => {
      for (const name of Object.keys(record.values)) columns.add(name);
      return parse(record);
    };
    const file = this.file(path);
    const wanted = [...Object.values(named), ...others];
    return naming(of === "items" ? "itemColumns" : "userColumns", file, async () => {
      const records = await recordsOf(connection, file, { ...named, others }, this.options.onBadRow, uniqueIds(noted));
      // Objects have no header: a column is missing when none of them has it.
      const missing = wanted.filter((name) => !columns.has(name));
      if (records.rows.length > 0 && missing.length > 0) throw missingColumns(file.path, missing, [...columns]);
      return { ...records, columns };
    });
  }

  private listsMustBeAmong(columns: readonly string[]): void {
    const missing = Object.keys(this.options.lists).filter((name) => !columns.includes(name));
    if (missing.length === 0) return;
    throw new RlrfError("RLRF_DATA_COLUMNS", {
      message: `no item or user has a column ${missing.join(" or ")}`,
      where: "dataset.options.lists",
      expected: columns.length === 0 ? "a file of items or users" : `some of ${columns.join(", ")}`,
      hint: "name the columns as the file does",
    });
  }

  /** RecBole's data sets are three files of one name. */
  private sibling(of: "items" | "users"): string | undefined {
    const { path, form } = this.file(this.options.interactions);
    const beside = path.replace(/\.inter$/, of === "items" ? ".item" : ".user");
    return form === "recbole" && beside !== path && existsSync(beside) ? beside : undefined;
  }

  private fieldsOf(
    values: TableRecord["values"],
    taken: readonly string[],
    names: readonly string[] = Object.keys(values).filter((name) => !taken.includes(name)),
  ): Record<string, unknown> {
    const present = names.map((name) => [name, this.listOf(name, values[name])] as const);
    return Object.fromEntries(present.filter(([, value]) => value !== undefined && value !== null && value !== ""));
  }

  private listOf(name: string, value: unknown): unknown {
    const between = Object.hasOwn(this.options.lists, name) ? this.options.lists[name] : undefined;
    if (between === undefined || typeof value !== "string") return value;
    return value
      .split(between)
      .map((part) => part.trim())
      .filter((part) => part !== "");
  }
}

/** Where a file lacks columns, the option is told by which they are named. */
async function naming<Result>(
  option: "columns" | "itemColumns" | "userColumns",
  { form }: TableFile,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof RlrfError) || error.code !== "RLRF_DATA_COLUMNS") throw error;
    const name = `name them in dataset.options.${option}`;
    const cells = ", and what stands between cells in dataset.options.separator; a file without a header needs one as its first line";
    const hint = `${error.fault.hint}; ${name}${form === "json" || form === "parquet" ? "" : cells}`;
    throw new RlrfError(error.code, { ...error.fault, hint }, { cause: error });
  }
}

/** Which option makes sense of values that have none otherwise. */
function adviceOn(timeUnit: TableOptions["timeUnit"]): InteractionMeaning["advice"] {
  return {
    id: "name the columns of users and items in dataset.options.columns",
    rating: "set dataset.options.ratings to the lowest and highest rating there is, e.g. [1, 10], and relevantAbove to fit",
    time:
      timeUnit === "date"
        ? "give dates in the form of ISO 8601, e.g. 2014-05-13T18:00:00Z"
        : 'set dataset.options.timeUnit to "date" where times are dates such as 2014-05-13',
  };
}
