/** From a dataset's tables to numbered users and items and one flat sequence, in SQL, streamed into typed arrays. */
import type { DuckDBConnection } from "@duckdb/node-api";
import type { Dataset, ItemRecord, PreparedData, UserRecord } from "../contracts/dataset.js";
import { RlrfError } from "../errors.js";
import { createDatasetTables, Database, type DatabaseOptions, databaseError, numbersOf, streamColumns } from "./database.js";

export interface Interactions {
  readonly users: readonly UserRecord[];
  /** Item 0 is padding. */
  readonly items: readonly ItemRecord[];
  readonly sequence: PreparedData["sequence"];
  readonly counts: Readonly<Record<string, number>>;
}

/** @throws RLRF_DATA_EMPTY, RLRF_DATA_TABLES, and what the dataset throws */
export async function readInteractions(dataset: Dataset, relevantAbove: number, options?: DatabaseOptions): Promise<Interactions> {
  const database = await Database.open(options);
  try {
    const { connection } = database;
    await createDatasetTables(connection);
    const loaded = await dataset.load(connection);
    const counts = await checkTables(connection, loaded.badInteractions ?? 0);
    await numberUsersAndItems(connection);
    const unmatched = await countUnmatched(connection);
    const items = await readItems(connection);
    const users = await readUsers(connection);
    const sequence = await readSequence(connection, users.length, counts.interactions as number, relevantAbove);
    return { users, items, sequence, counts: { ...loaded, ...counts, ...unmatched, items: items.length - 1 } };
  } catch (error) {
    throw databaseError(error);
  } finally {
    database.dispose();
  }
}

/** What every dataset promises of its tables: a fault here is the plugin's, and would silently change every later number. */
async function checkTables(connection: DuckDBConnection, skipped: number): Promise<Record<string, number>> {
  const { interactions, invalid } = await numbersOf(
    connection,
    `SELECT count(*) AS interactions, count(*) FILTER (coalesce("user", '') = '' OR coalesce(item, '') = '' OR rating IS NULL
       OR NOT isfinite(rating) OR "time" IS NULL OR "row" IS NULL) AS invalid FROM interactions`,
  );
  const { items, users } = await numbersOf(
    connection,
    `SELECT (SELECT count(*) - count(DISTINCT item) FROM items) AS items, (SELECT count(*) - count(DISTINCT "user") FROM users) AS users`,
  );
  if (interactions === 0)
    throw new RlrfError("RLRF_DATA_EMPTY", {
      message: `the dataset has no interactions${skipped === 0 ? "" : `: all ${skipped} rows were malformed, and skipped`}`,
      hint:
        skipped === 0
          ? "check the file that the dataset's options name"
          : 'set the dataset\'s option onBadRow to "fail": it says what is wrong with the first',
    });
  if (invalid !== 0) throw tableError(`${invalid} interactions lack a user, item, finite rating, time or row`, "interactions");
  if (items !== 0) throw tableError(`${items} items have no id, or one that another has`, "items");
  if (users !== 0) throw tableError(`${users} users have no id, or one that another has`, "users");
  return { interactions: interactions as number };
}

function tableError(message: string, where: string): RlrfError {
  return new RlrfError("RLRF_DATA_TABLES", { message, where: `table ${where}`, expected: "the tables of framework/contracts/dataset.ts" });
}

/** Ids that are whole numbers are ordered as numbers, all others as text: an order that depends on nothing but the ids. */
async function numberUsersAndItems(connection: DuckDBConnection): Promise<void> {
  for (const [table, id, first] of [
    ["user_numbers", "user", 0],
    ["item_numbers", "item", 1],
  ] as const)
    await connection.run(
      `CREATE TABLE ${table} AS SELECT "${id}", (row_number() OVER (ORDER BY try_cast("${id}" AS BIGINT) NULLS LAST, "${id}") + ${first - 1})::INTEGER AS number
         FROM (SELECT DISTINCT "${id}" FROM interactions)`,
    );
}

async function readItems(connection: DuckDBConnection): Promise<ItemRecord[]> {
  const items: ItemRecord[] = [{ id: "", title: "", fields: {} }];
  const sql = `SELECT n.item, coalesce(nullif(i.title, ''), n.item), i.fields::VARCHAR
    FROM item_numbers n LEFT JOIN items i USING (item) ORDER BY n.number`;
  await streamColumns(connection, sql, (columns, rows) => {
    for (let row = 0; row < rows; row++)
      items.push({ id: text(columns[0], row), title: text(columns[1], row), fields: fieldsOf(columns[2], row) });
  });
  return items;
}

async function readUsers(connection: DuckDBConnection): Promise<UserRecord[]> {
  const users: UserRecord[] = [];
  const sql = `SELECT n."user", u.fields::VARCHAR FROM user_numbers n LEFT JOIN users u USING ("user") ORDER BY n.number`;
  await streamColumns(connection, sql, (columns, rows) => {
    for (let row = 0; row < rows; row++) users.push({ id: text(columns[0], row), fields: fieldsOf(columns[1], row) });
  });
  return users;
}

type Cell = { getItem(row: number): unknown } | undefined;
const text = (column: Cell, row: number): string => column?.getItem(row) as string;

function fieldsOf(column: Cell, row: number): Readonly<Record<string, unknown>> {
  const json = column?.getItem(row);
  const fields: unknown = typeof json === "string" ? JSON.parse(json) : {};
  if (typeof fields !== "object" || fields === null || Array.isArray(fields))
    throw tableError(`fields are ${json as string}, not a JSON object`, "items or users");
  return fields as Record<string, unknown>;
}

/** The order is total up to rows that are equal in everything, so that it is the same on every machine and thread count. */
async function readSequence(
  connection: DuckDBConnection,
  users: number,
  interactions: number,
  relevantAbove: number,
): Promise<PreparedData["sequence"]> {
  const offsets = new Int32Array(users + 1);
  const items = new Int32Array(interactions);
  const ratings = new Float32Array(interactions);
  const relevant = new Uint8Array(interactions);
  const sql = `SELECT u.number, i.number, x.rating, x.rating > ${relevantAbove}
    FROM interactions x JOIN user_numbers u USING ("user") JOIN item_numbers i USING (item)
    ORDER BY u.number, x."time", x."row", i.number, x.rating`;
  let position = 0;
  await streamColumns(connection, sql, ([user, item, rating, isRelevant], rows) => {
    for (let row = 0; row < rows; row++, position++) {
      offsets[(user?.getItem(row) as number) + 1] = position + 1;
      items[position] = item?.getItem(row) as number;
      ratings[position] = rating?.getItem(row) as number;
      relevant[position] = Number(isRelevant?.getItem(row));
    }
  });
  return { offsets, items, ratings, relevant };
}

/** @throws RLRF_DATA_RECORDS where records were given for nothing: every prompt would name items by their ids */
async function countUnmatched(connection: DuckDBConnection): Promise<Record<string, number>> {
  await mustMatch(connection, "items", "item");
  await mustMatch(connection, "users", "user");
  return numbersOf(
    connection,
    `SELECT (SELECT count(*) FROM items ANTI JOIN item_numbers USING (item)) AS "itemsWithoutInteractions",
            (SELECT count(*) FROM item_numbers ANTI JOIN items USING (item)) AS "itemsWithoutRecord",
            (SELECT count(*) FROM item_numbers JOIN items USING (item) WHERE nullif(title, '') IS NULL) AS "itemsWithoutTitle",
            (SELECT count(*) FROM user_numbers ANTI JOIN users USING ("user")) AS "usersWithoutRecord"`,
  );
}

async function mustMatch(connection: DuckDBConnection, table: "items" | "users", id: "item" | "user"): Promise<void> {
  const {
    records = 0,
    matched = 0,
    interacting = 0,
  } = await numbersOf(
    connection,
    `SELECT count(*) AS records, count(*) FILTER ("${id}" IN (SELECT "${id}" FROM ${id}_numbers)) AS matched,
            (SELECT count(*) FROM ${id}_numbers) AS interacting FROM ${table}`,
  );
  if (records === 0 || matched > 0) return;
  const first = async (from: string) => {
    const [row = {}] = await (await connection.run(`SELECT min("${id}") AS id FROM ${from}`)).getRowObjects();
    return JSON.stringify(row.id);
  };
  throw new RlrfError("RLRF_DATA_RECORDS", {
    message: `none of the ${interacting} ${table} that interact is one of the ${records} records: the first id there is ${await first(`${id}_numbers`)}, here it is ${await first(table)}`,
    where: `the dataset's ${table}`,
    expected: "the same ids, to the letter, as the interactions have",
    hint: `name the column of the ids that interactions use, write the ids alike, or leave the ${table} out`,
  });
}

/** @returns what to warn of where most items have no title; null where they have, or where no record was given at all: then nobody expects one */
export function missingTitles(counts: Readonly<Record<string, number>>): string | null {
  const { items = 0, itemsWithoutRecord = 0, itemsWithoutTitle = 0 } = counts;
  const untitled = itemsWithoutRecord + itemsWithoutTitle;
  if (itemsWithoutRecord === items || untitled <= items / 2) return null;
  return `${untitled} of ${items} items have no record, or no title in it: prompts and text encoders call them by their ids`;
}
