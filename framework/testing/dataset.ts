/** Contract suite of datasets. */
import assert from "node:assert/strict";
import { DuckDBInstance } from "@duckdb/node-api";
import type { Dataset } from "../contracts/dataset.js";
import { createDatasetTables } from "../data/database.js";
import { identityChecks } from "./identity.js";
import { type Runner, type Subject, suite, withPlugin } from "./subject.js";

type Row = Readonly<Record<string, unknown>>;
type Query = (sql: string) => Promise<readonly Row[]>;

export function datasetContract(subject: Subject<Dataset>, runner?: Runner): void {
  const loaded =
    <Result>(body: (query: Query, dataset: Dataset, counts: Readonly<Record<string, number>>) => Promise<Result>) =>
    () =>
      withPlugin(subject, async (dataset) => {
        const instance = await DuckDBInstance.create(":memory:");
        const connection = await instance.connect();
        try {
          await createDatasetTables(connection);
          const counts = await dataset.load(connection);
          return await body(async (sql) => (await connection.runAndReadAll(sql)).getRowObjectsJson() as readonly Row[], dataset, counts);
        } finally {
          connection.closeSync();
          instance.closeSync();
        }
      });
  const number = async (query: Query, sql: string) => Number((await query(`SELECT (${sql}) AS n`))[0]?.n);
  const checks = {
    "fills interactions and items": loaded(async (query) => {
      for (const table of ["interactions", "items"])
        assert.ok((await number(query, `SELECT count(*) FROM ${table}`)) > 0, `${table} is empty`);
    }),
    "gives every interaction a user, an item, a finite rating, a time and its line": loaded(async (query) => {
      const broken = await number(
        query,
        'SELECT count(*) FROM interactions WHERE "user" IS NULL OR item IS NULL OR rating IS NULL OR NOT isfinite(rating) OR time IS NULL OR row IS NULL',
      );
      assert.equal(broken, 0);
      assert.equal(
        await number(query, "SELECT count(*) FROM interactions WHERE item NOT IN (SELECT item FROM items)"),
        0,
        "items without a record",
      );
    }),
    "has relevant interactions and others, rated on its scale": loaded(async (query, { relevantAbove, ratingScale }) => {
      const { lowest, highest } = ratingScale;
      assert.ok(
        lowest <= relevantAbove && relevantAbove < highest,
        `relevant above ${relevantAbove} on a scale from ${lowest} to ${highest}`,
      );
      assert.equal(await number(query, `SELECT count(*) FROM interactions WHERE rating NOT BETWEEN ${lowest} AND ${highest}`), 0);
      assert.ok((await number(query, `SELECT count(*) FROM interactions WHERE rating > ${relevantAbove}`)) > 0);
      assert.ok((await number(query, `SELECT count(*) FROM interactions WHERE rating <= ${relevantAbove}`)) > 0);
    }),
    "has each item and user once, with fields that are JSON objects": loaded(async (query) => {
      for (const [table, key] of [
        ["items", "item"],
        ["users", '"user"'],
      ]) {
        assert.equal(await number(query, `SELECT count(*) - count(DISTINCT ${key}) FROM ${table}`), 0, `${table} twice`);
        assert.equal(await number(query, `SELECT count(*) FROM ${table} WHERE json_type(fields) <> 'OBJECT'`), 0, `fields of ${table}`);
      }
    }),
    "counts in whole numbers, and loads the same again": async () => {
      const digest = loaded(async (query, _dataset, counts) => {
        for (const [name, count] of Object.entries(counts)) assert.ok(Number.isInteger(count) && count >= 0, `${name} is ${count}`);
        return query('SELECT * FROM interactions ORDER BY row, "user", item, time');
      });
      assert.deepEqual(await digest(), await digest());
    },
  };
  suite(subject, runner, checks, identityChecks(subject));
}
