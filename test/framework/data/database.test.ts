import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Database, numbersOf } from "../../../framework/data/database.js";
import { coded, inTemporaryFolder } from "../../support/dataset.js";

const spills = () => readdirSync(tmpdir()).filter((name) => name.startsWith("rlrf-duckdb-")).length;

describe("Database", () => {
  it("keeps to its memory and threads, and leaves no folder behind", async () => {
    const before = spills();
    const database = await Database.open({ memory: "100MB", threads: 2 });
    const { connection } = database;
    const { threads } = await numbersOf(connection, "SELECT current_setting('threads') AS threads");
    assert.equal(threads, 2);
    // 4 million rows to be sorted, each a value and a key, are more than that: they spill.
    const { n } = await numbersOf(
      connection,
      "SELECT count(*) AS n FROM (SELECT random() AS x FROM range(4000000) ORDER BY x LIMIT 3900000)",
    );
    assert.equal(n, 3_900_000);
    assert.equal(spills(), before + 1);
    database.dispose();
    database.dispose();
    assert.equal(spills(), before);
  }).timeout(60_000);

  it("keeps a database in a file", async () =>
    inTemporaryFolder(async (folder) => {
      const path = join(folder, "some.duckdb");
      const first = await Database.open({ path });
      await first.connection.run("CREATE TABLE t AS SELECT 42 AS answer");
      first.dispose();
      const second = await Database.open({ path });
      assert.deepEqual(await numbersOf(second.connection, "SELECT answer FROM t"), { answer: 42 });
      second.dispose();
    }));

  it("reads a date without a zone as UTC, whatever the machine's zone", async () => {
    const child = fileURLToPath(new URL("children/epoch.js", import.meta.url));
    const env = { ...process.env, TZ: "America/New_York" };
    const { stdout } = await promisify(execFile)(process.execPath, [child, "2024-07-01 12:00"], { env });
    assert.equal(stdout, `${Date.UTC(2024, 6, 1, 12) / 1000}\n`);
  });

  it("says so when it cannot be opened, and leaves no folder behind", async () => {
    const before = spills();
    await assert.rejects(Database.open({ path: "/no/such/folder/x.duckdb" }), coded("RLRF_DATA_DATABASE", "/no/such/folder/x.duckdb"));
    assert.equal(spills(), before);
  });
});
