/** Rows that a dataset made in JavaScript, put into its tables. Files of interactions go through interaction-files.ts, which holds none in memory. */
import type { DuckDBAppender, DuckDBConnection } from "@duckdb/node-api";
import type { ItemRecord, UserRecord } from "../contracts/dataset.js";

export interface InteractionRow {
  readonly user: string;
  readonly item: string;
  readonly rating: number;
  /** Seconds. */
  readonly time: number;
}

/** All of them are never held at once. */
export type Rows<Row> = Iterable<Row> | AsyncIterable<Row>;

/** `row` counts from 1. */
export async function appendInteractions(connection: DuckDBConnection, interactions: Rows<InteractionRow>): Promise<void> {
  let row = 0n;
  await append(connection, "interactions", interactions, (appender, { user, item, rating, time }) => {
    appender.appendVarchar(user);
    appender.appendVarchar(item);
    appender.appendDouble(rating);
    appender.appendBigInt(BigInt(time));
    appender.appendBigInt(++row);
  });
}

export async function appendItems(connection: DuckDBConnection, items: Rows<ItemRecord>): Promise<void> {
  await append(connection, "items", items, (appender, { id, title, fields }) => {
    appender.appendVarchar(id);
    appender.appendVarchar(title);
    appender.appendVarchar(JSON.stringify(fields));
  });
}

export async function appendUsers(connection: DuckDBConnection, users: Rows<UserRecord>): Promise<void> {
  await append(connection, "users", users, (appender, { id, fields }) => {
    appender.appendVarchar(id);
    appender.appendVarchar(JSON.stringify(fields));
  });
}

async function append<Row>(
  connection: DuckDBConnection,
  table: string,
  rows: Rows<Row>,
  write: (appender: DuckDBAppender, row: Row) => void,
): Promise<void> {
  const appender = await connection.createAppender(table);
  try {
    const one = (row: Row) => {
      write(appender, row);
      appender.endRow();
    };
    if (Symbol.asyncIterator in rows) for await (const row of rows) one(row);
    else for (const row of rows) one(row);
  } finally {
    appender.closeSync();
  }
}
