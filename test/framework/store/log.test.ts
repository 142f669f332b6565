import assert from "node:assert/strict";
import fs from "node:fs";
import { mock } from "node:test";
import fc from "fast-check";
import { Store } from "../../../framework/store/store.js";
import { assertFails, createListener } from "../../support/faults.js";
import { useFolder } from "../../support/folder.js";

describe("store/log", () => {
  const path = useFolder();
  const file = () => path("logs", "texts.log");
  const reopened = async <Value = unknown>() => {
    const listener = createListener();
    return { log: await new Store(path(), listener).log<Value>("texts"), warnings: listener.warnings };
  };
  afterEach(() => mock.restoreAll());

  it("keeps the last value of each key, across openings", async () => {
    const { log } = await reopened<string>();
    log.put("a", "1");
    log.put("b", "2");
    log.put("a", "3");
    assert.deepEqual([log.get("a"), log.get("b"), log.get("c"), log.size], ["3", "2", undefined, 2]);
    await log.close();
    log.put("c", "after close");
    await log.close();
    const again = await reopened<string>();
    assert.deepEqual([again.log.get("a"), again.log.get("b"), again.log.get("c"), again.log.size], ["3", "2", "after close", 3]);
    assert.deepEqual(again.warnings, []);
  });

  it("keeps any key and JSON value", async () => {
    await fc.assert(
      fc.asyncProperty(fc.dictionary(fc.string({ unit: "binary" }), fc.jsonValue()), async (entries) => {
        fs.rmSync(path("logs"), { recursive: true, force: true });
        const { log } = await reopened();
        for (const [key, value] of Object.entries(entries)) log.put(key, value);
        await log.close();
        const again = await reopened();
        assert.equal(again.log.size, Object.keys(entries).length);
        for (const [key, value] of Object.entries(entries)) assert.deepEqual(again.log.get(key), JSON.parse(JSON.stringify(value)));
      }),
      { numRuns: 50, examples: [[{ "line\nbreak \u2028": ["\u2029\r\n"], __proto__: 1 } as never]] },
    );
  });

  it("gives everyone in a process the same log", async () => {
    const store = new Store(path());
    const [a, b] = await Promise.all([store.log("texts"), store.log("texts")]);
    assert.equal(a, b);
  });

  it("loses nothing but the torn record, wherever the file was cut, and says so once", async () => {
    const { log } = await reopened<number>();
    for (let i = 0; i < 3; i++) log.put(`k${i}`, i);
    await log.close();
    const whole = fs.readFileSync(file());
    const ends = [...whole.toString("latin1").matchAll(/\n/g)].map(({ index }) => index).concat(whole.length);
    for (let cut = 0; cut <= whole.length; cut++) {
      fs.writeFileSync(file(), whole.subarray(0, cut));
      const complete = Math.max(0, ends.filter((end) => end <= cut).length - 1);
      const cleanCut = cut === 0 || ends.some((end) => end === cut || end + 1 === cut);
      const first = await reopened<number>();
      assert.equal(first.log.size, complete, `cut at ${cut}`);
      assert.equal(first.warnings.length, cleanCut ? 0 : 1, `cut at ${cut}`);
      first.log.put("next", 7);
      await first.log.close();
      const second = await reopened<number>();
      assert.deepEqual([second.log.size, second.log.get("next"), second.warnings], [complete + 1, 7, []], `cut at ${cut}`);
    }
  });

  it("drops altered lines with a warning and keeps all others", async () => {
    const { log } = await reopened<string>();
    for (const key of ["a", "b", "c"]) log.put(key, `text of ${key}`);
    await log.close();
    const lines = fs.readFileSync(file(), "utf8").split("\n");
    fs.writeFileSync(file(), [lines[0], lines[1], lines[2]?.replace("text of b", "text 0f b"), lines[3], "rubbish", ""].join("\n"));
    const again = await reopened<string>();
    assert.deepEqual([again.log.get("a"), again.log.get("b"), again.log.get("c")], ["text of a", undefined, "text of c"]);
    assert.deepEqual(
      again.warnings.map(({ code }) => code),
      ["RLRF_STORE_CORRUPT"],
    );
    assert.match(again.warnings[0]?.message ?? "", /texts\.log: 2 torn or altered/);
  });

  it("lets two openings append to the same file at once", async () => {
    const [a, b] = [await reopened<number>(), await reopened<number>()];
    for (let i = 0; i < 50; i++) {
      a.log.put(`a${i}`, i);
      b.log.put(`b${i}`, i);
    }
    await a.log.close();
    await b.log.close();
    assert.equal((await reopened()).log.size, 100);
  });

  it("takes up what others have put, but no half of a record", async () => {
    const [a, b] = [await reopened<number>(), await reopened<number>()];
    await b.log.refresh();
    a.log.put("x", 1);
    await b.log.refresh();
    assert.deepEqual([b.log.get("x"), b.log.size], [1, 1]);
    b.log.put("y", 2);
    const before = fs.readFileSync(file());
    a.log.put("z", 3);
    const whole = fs.readFileSync(file());
    for (let cut = before.length; cut < whole.length; cut++) {
      fs.writeFileSync(file(), whole.subarray(0, cut));
      await b.log.refresh();
      assert.deepEqual([b.log.get("x"), b.log.get("y"), b.log.get("z")], [1, 2, undefined], `cut at ${cut}`);
    }
    fs.writeFileSync(file(), whole);
    await b.log.refresh();
    assert.equal(b.log.get("z"), 3);
    assert.deepEqual([...a.warnings, ...b.warnings], []);
    await a.log.close();
    await b.log.close();
  });

  it("says so when the disk is full, and goes on when there is room again", async () => {
    const { log } = await reopened<string>();
    log.put("a", "before");
    const write = fs.writeSync as (descriptor: number, bytes: Uint8Array, offset?: number, length?: number) => number;
    let calls = 0;
    mock.method(fs, "writeSync", (descriptor: number, bytes: Uint8Array, offset = 0) => {
      if (calls++ === 0) return write(descriptor, bytes, offset, 9); // the disk takes a part of it first
      throw Object.assign(new Error("ENOSPC"), { code: "ENOSPC", errno: -28, syscall: "write" });
    });
    await assertFails("RLRF_DISK_FULL", () => log.put("b", "lost"));
    assert.equal(log.get("b"), undefined);
    mock.restoreAll();
    log.put("c", "after");
    await log.close();
    const again = await reopened<string>();
    assert.deepEqual([again.log.get("a"), again.log.get("b"), again.log.get("c")], ["before", undefined, "after"]);
    assert.equal(again.warnings.length, 1);
  });

  it("can be read on a full disk, torn or not", async () => {
    const { log } = await reopened<string>();
    log.put("a", "kept");
    await log.close();
    fs.appendFileSync(file(), "\ntorn");
    mock.method(fs, "writeSync", () => {
      throw Object.assign(new Error("ENOSPC"), { code: "ENOSPC" });
    });
    const again = await reopened<string>();
    assert.deepEqual([again.log.get("a"), again.warnings.length], ["kept", 1]);
  });

  it("refuses a value that JSON does not have, and a name that is no file", async () => {
    const { log } = await reopened();
    await assertFails("RLRF_INTERNAL", () => log.put("a", undefined));
    await assertFails("RLRF_INTERNAL", () => new Store(path()).log("../texts"));
  });
});
