/** What remains when users and items with few interactions are left out. */
import type { DuckDBConnection } from "@duckdb/node-api";
import { RlrfError } from "../errors.js";
import { numbersOf } from "./database.js";

/**
 * Keeps the k-core of `interactions`: users and items of at least k interactions each, among those kept (leaving out some
 * may bring others below k, so it goes on until nothing changes).
 * @returns the number of interactions left out @throws RLRF_DATA_EMPTY when that is all of them
 */
export async function keepCore(connection: DuckDBConnection, k: number): Promise<number> {
  if (k <= 1) return 0;
  const size = async () => (await numbersOf(connection, "SELECT count(*) AS n FROM interactions")).n as number;
  const before = await size();
  let kept = before;
  for (let last = Number.POSITIVE_INFINITY; kept < last; kept = await size()) {
    last = kept;
    for (const side of ['"user"', "item"])
      await connection.run(
        `DELETE FROM interactions WHERE ${side} IN (SELECT ${side} FROM interactions GROUP BY ${side} HAVING count(*) < ${k})`,
      );
  }
  if (before > 0 && kept === 0)
    throw new RlrfError("RLRF_DATA_EMPTY", {
      message: `a core of ${k} leaves none of the ${before} interactions: too few users and items have ${k} of each other`,
      where: "dataset.options.core",
      hint: "choose a smaller core, or 0 to keep all",
    });
  return before - kept;
}

/** Drops interactions that are equal in user, item, rating and time to an earlier one. @returns how many */
export async function dropDuplicates(connection: DuckDBConnection): Promise<number> {
  const { n = 0 } = await numbersOf(connection, "SELECT count(*) AS n FROM interactions");
  await connection.run(
    `DELETE FROM interactions WHERE "row" NOT IN (SELECT min("row") FROM interactions GROUP BY "user", item, rating, "time")`,
  );
  const { n: left = 0 } = await numbersOf(connection, "SELECT count(*) AS n FROM interactions");
  return n - left;
}
