/** DuckDB with bounded memory: what is larger spills to a temporary folder, which `dispose` removes. */
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import type { Disposable } from "../contracts/plugin.js";
import { RlrfError } from "../errors.js";

export interface DatabaseOptions {
  /** A file, or ":memory:" (the default). */
  readonly path?: string;
  /** DuckDB's buffers, at most; default "1GB". */
  readonly memory?: string;
  /** Default: the machine's cores, 8 at most. */
  readonly threads?: number;
}

export class Database implements Disposable {
  private open = true;

  private constructor(
    private readonly instance: DuckDBInstance,
    readonly connection: DuckDBConnection,
    private readonly spill: string,
  ) {}

  /** @throws RLRF_DATA_DATABASE */
  static async open({
    path = ":memory:",
    memory = "1GB",
    threads = Math.min(8, availableParallelism()),
  }: DatabaseOptions = {}): Promise<Database> {
    const spill = mkdtempSync(join(tmpdir(), "rlrf-duckdb-"));
    try {
      const instance = await DuckDBInstance.create(path, { threads: `${threads}`, memory_limit: memory, temp_directory: spill });
      const connection = await instance.connect();
      await connection.run("SET TimeZone = 'UTC'"); // else a date without a zone would be another time on another machine
      return new Database(instance, connection, spill);
    } catch (cause) {
      rmSync(spill, { recursive: true, force: true });
      throw databaseError(cause, path);
    }
  }

  dispose(): void {
    if (!this.open) return;
    this.open = false;
    this.connection.closeSync();
    this.instance.closeSync();
    rmSync(this.spill, { recursive: true, force: true });
  }
}

/** Coded errors pass unchanged; what DuckDB says otherwise gets a code. */
export function databaseError(cause: unknown, where?: string): RlrfError {
  if (cause instanceof RlrfError) return cause;
  const message = `DuckDB: ${(cause instanceof Error ? cause.message : String(cause)).slice(0, 400)}`;
  const hint = "check the free space of the temporary folder, and the memory of this machine";
  return new RlrfError("RLRF_DATA_DATABASE", { message, hint, ...(where === undefined ? {} : { where }) }, { cause });
}

/** The tables that a dataset fills (contracts/dataset.ts), empty. */
export async function createDatasetTables(connection: DuckDBConnection): Promise<void> {
  await connection.run(`
    CREATE TABLE interactions("user" VARCHAR, item VARCHAR, rating DOUBLE, "time" BIGINT, "row" BIGINT);
    CREATE TABLE items(item VARCHAR, title VARCHAR, fields JSON);
    CREATE TABLE users("user" VARCHAR, fields JSON);
  `);
}

/** A text in SQL quotes. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** Rows of a query, a chunk at a time: `visit` reads column c of row r by `columns[c].getItem(r)`. */
export async function streamColumns(
  connection: DuckDBConnection,
  sql: string,
  visit: (columns: readonly Column[], rows: number) => void,
): Promise<void> {
  const result = await connection.stream(sql);
  for await (const chunk of result) {
    const columns = Array.from({ length: chunk.columnCount }, (_, column) => chunk.getColumnVector(column));
    visit(columns, chunk.rowCount);
  }
}
export interface Column {
  getItem(row: number): unknown;
}

/** The one row of numbers that a query gives, as JavaScript numbers. */
export async function numbersOf(connection: DuckDBConnection, sql: string): Promise<Record<string, number>> {
  const [row = {}] = await (await connection.run(sql)).getRowObjects();
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, Number(value)]));
}
