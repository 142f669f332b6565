import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import fs from "node:fs/promises";
import { join } from "node:path";
import { mock } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import fc from "fast-check";
import {
  fileError,
  linesOf,
  makeFolder,
  readJson,
  readJsonLines,
  writeAtomic,
  writeJson,
  writeJsonLines,
} from "../../../framework/store/files.js";
import { assertFails } from "../../support/faults.js";
import { useFolder } from "../../support/folder.js";

const run = promisify(execFile);

async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe("store/files", () => {
  const path = useFolder();
  afterEach(() => mock.restoreAll());

  it("writes JSON indented, with its folders, and leaves no temporary file", async () => {
    await writeJson(path("a", "b.json"), { x: [1, "ü"] });
    assert.equal(await fs.readFile(path("a", "b.json"), "utf8"), '{\n  "x": [\n    1,\n    "ü"\n  ]\n}\n');
    assert.deepEqual(await fs.readdir(path("a")), ["b.json"]);
    assert.deepEqual(await readJson(path("a", "b.json")), { x: [1, "ü"] });
  });

  it("replaces a file as a whole", async () => {
    await writeAtomic(path("x"), "a long first content");
    await writeAtomic(path("x"), new Uint8Array([65, 66]));
    assert.equal(await fs.readFile(path("x"), "utf8"), "AB");
    await writeAtomic(path("x"), []);
    assert.equal(await fs.readFile(path("x"), "utf8"), "");
  });

  it("keeps the old content when the producer of the new one fails", async () => {
    await writeAtomic(path("x"), "old");
    async function* failing() {
      yield "half of the n";
      throw new Error("producer");
    }
    await assertFails("RLRF_FILE_IO", () => writeAtomic(path("x"), failing()), /producer/);
    assert.equal(await fs.readFile(path("x"), "utf8"), "old");
    assert.deepEqual(await fs.readdir(path()), ["x"]);
  });

  it("reads back any JSON lines, whatever separators their strings hold", async () => {
    const value = fc.jsonValue();
    await fc.assert(
      fc.asyncProperty(fc.array(value), async (rows) => {
        const expected = JSON.parse(JSON.stringify(rows)) as unknown[];
        await writeJsonLines(path("rows.jsonl"), rows);
        assert.deepEqual(await readJsonLines(path("rows.jsonl")), expected);
      }),
      { numRuns: 50, examples: [[["\u2028 \u2029 \r \u0085"]]] },
    );
  });

  it("splits lines longer than a chunk, and gives where each ends", async () => {
    const long = "é".repeat(700_000); // 1.4 MB: over two chunks, which cut a character
    await writeAtomic(path("x"), [`a\n${long}\n\n`, "torn"]);
    const lines = await collect(linesOf(path("x")));
    assert.deepEqual(
      lines.map(({ number, text, ended, end }) => [number, text.length, ended, end]),
      [
        [1, 1, true, 2],
        [2, 700_000, true, 1_400_003],
        [3, 0, true, 1_400_004],
        [4, 4, false, 1_400_008],
      ],
    );
    const rest = await collect(linesOf(path("x"), 1_400_003));
    assert.deepEqual(
      rest.map(({ text, end }) => [text, end]),
      [
        ["", 1_400_004],
        ["torn", 1_400_008],
      ],
    );
  });

  it("names the line that is not JSON, and the file that is missing", async () => {
    await writeAtomic(path("x.jsonl"), '{"a":1}\n\n{"a":\n');
    await assertFails("RLRF_FILE_BROKEN", () => readJsonLines(path("x.jsonl")), /x\.jsonl:3/);
    await writeAtomic(path("x.json"), "{");
    await assertFails("RLRF_FILE_BROKEN", () => readJson(path("x.json")), /x\.json/);
    const missing = await assertFails("RLRF_FILE_MISSING", () => readJson(path("none.json")), /none\.json/);
    assert.equal(missing.exit, 2);
    await assertFails("RLRF_FILE_MISSING", () => readJsonLines(path("none.jsonl")));
  });

  it("says so when the disk is full, and keeps the old content", async () => {
    await writeAtomic(path("x"), "old");
    const open = fs.open;
    mock.method(fs, "open", async (...args: Parameters<typeof open>) => {
      const handle = await open(...args);
      mock.method(handle, "writeFile", async () => {
        throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC", errno: -28, syscall: "write" });
      });
      return handle;
    });
    await assertFails("RLRF_DISK_FULL", () => writeAtomic(path("x"), "new"), /free some space/);
    mock.restoreAll();
    assert.equal(await fs.readFile(path("x"), "utf8"), "old");
    assert.deepEqual(await fs.readdir(path()), ["x"]);
  });

  it("meets a really full file: the limit on file size, as set by a shell", async () => {
    const child = fileURLToPath(new URL("children/write-large.js", import.meta.url));
    const { stdout } = await run("bash", ["-c", 'ulimit -f 64; exec "$@"', "bash", process.execPath, child, path("large"), "as-root"]);
    assert.match(stdout, /^RLRF_DISK_FULL/);
    assert.deepEqual(await fs.readdir(path()), []);
  });

  it("says so when a folder cannot be written", async () => {
    await writeAtomic(path("file"), "");
    await assertFails(
      "RLRF_FILE_DENIED",
      () => writeAtomic(join(path("file"), "below", "x"), ""),
      /a part of its path is a file[\s\S]*choose another path/,
    );
    // A folder without permission stops everyone but root: the child becomes another user first.
    await fs.mkdir(path("closed"));
    await fs.chmod(path("closed"), 0o555);
    await fs.chmod(path(), 0o755);
    const child = fileURLToPath(new URL("children/write-large.js", import.meta.url));
    const { stdout } = await run(process.execPath, [child, path("closed", "x")]);
    assert.match(stdout, /^RLRF_FILE_DENIED/);
  });

  it("says that a folder is there, by its own name and not by the temporary one", async () => {
    await fs.mkdir(path("folder"));
    const { fault } = await assertFails("RLRF_FILE_DENIED", () => writeAtomic(path("folder"), "x"), /cannot write folder: it is a folder/);
    assert.deepEqual([fault.where, /name a file in it/.test(fault.hint ?? "")], [path("folder"), true]);
  });

  it("says so where a folder takes no others, as /proc, and does not try for ever", async () => {
    await fs.writeFile(path("file"), "");
    await assertFails("RLRF_FILE_DENIED", () => writeAtomic(path("file", "x"), ""), /a part of its path is a file/);
    if (process.platform === "linux")
      await assertFails("RLRF_FILE_DENIED", () => writeAtomic("/proc/rlrf/x/y", ""), /no folder can be made there/);
  });

  it("makes a folder that another process deletes at that moment, and none where a link leads nowhere", async () => {
    const gone = Object.assign(new Error("EEXIST: file already exists"), { code: "EEXIST" });
    const once = mock.method(fs, "mkdir", () => Promise.reject(gone), { times: 1 });
    await makeFolder(path("deleted"));
    assert.equal(once.mock.callCount(), 1);
    assert.ok((await fs.stat(path("deleted"))).isDirectory());
    await fs.symlink(path("nowhere"), path("link"));
    await assert.rejects(makeFolder(path("link")), /EEXIST/);
  });

  it("leaves coded errors as they are", async () => {
    const inner = await assertFails("RLRF_FILE_MISSING", () => readJson(path("none")));
    assert.equal(fileError(inner, "elsewhere", "write"), inner);
  });
});
