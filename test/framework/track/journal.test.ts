import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import { join } from "node:path";
import { mock } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import { packageRoot } from "../../../framework/setup/paths.js";
import type { JournalEvent } from "../../../framework/track/events.js";
import { readTold } from "../../../framework/report/provenance.js";
import { JournalReader, readJournal } from "../../../framework/track/journal.js";
import { openTracker, scalarLeaves, type Tracker } from "../../../framework/track/tracker.js";
import { assertFails, createListener } from "../../support/faults.js";
import { useFolder } from "../../support/folder.js";

const schema = JSON.parse(fs.readFileSync(join(packageRoot, "registry", "journal.schema.json"), "utf8")) as object;
const validate = new Ajv2020({ strict: false, allErrors: true }).compile(schema);

describe("track/journal", () => {
  const path = useFolder();
  const run = { name: "quick", experiment: "ml-100k" };
  const read = () =>
    fs
      .readFileSync(path("journal.jsonl"), "utf8")
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as JournalEvent);
  /** Events without what differs from run to run. */
  const told = () => read().map(({ key, time: _, ...event }) => ({ ...event, of: key.split("/").slice(1).join("/") }));
  afterEach(() => mock.restoreAll());

  function session(tell: (tracker: Tracker) => void): void {
    const { tracker, journal } = openTracker(path(), run);
    tell(tracker);
    journal.close();
  }

  it("writes an event a line, in order, with stable keys and times", () => {
    const before = Date.now();
    session((tracker) => {
      tracker.params({ loss: { plugin: "dpo", options: { beta: 0.01 } }, seeds: [1, 2], uri: null, empty: {} });
      const iteration = tracker.child("iteration-1", "iteration");
      iteration.metrics({ loss: 0.69, bad: Number.NaN, high: Number.POSITIVE_INFINITY, low: Number.NEGATIVE_INFINITY }, 3);
      iteration.child("seed-1", "seed").tags({ note: "x" });
      tracker.artifact("pairs/1.jsonl");
      iteration.finish("FINISHED");
    });
    assert.deepEqual(told(), [
      { event: "run", of: "", name: "quick", kind: "experiment", parent: null, experiment: "ml-100k" },
      { event: "params", of: "", params: { "loss.plugin": "dpo", "loss.options.beta": 0.01, seeds: "[1,2]", uri: null } },
      { event: "run", of: "iteration-1", name: "iteration-1", kind: "iteration", parent: read()[0]?.key },
      { event: "metrics", of: "iteration-1", step: 3, metrics: { loss: 0.69, bad: "NaN", high: "Infinity", low: "-Infinity" } },
      { event: "run", of: "iteration-1/seed-1", name: "seed-1", kind: "seed", parent: `${read()[0]?.key}/iteration-1` },
      { event: "tags", of: "iteration-1/seed-1", tags: { note: "x" } },
      { event: "artifact", of: "", path: "pairs/1.jsonl" },
      { event: "finish", of: "iteration-1", status: "FINISHED" },
    ]);
    assert.ok(read().every(({ time }) => time >= before && time <= Date.now()));
  });

  it("appends only news when the run is resumed and tells everything again", () => {
    const firstHalf = (tracker: Tracker) => {
      tracker.params({ a: 1 });
      const child = tracker.child("iteration-1", "iteration");
      for (let step = 0; step < 5; step++) child.metrics({ loss: step / 2, norm: 1 }, step);
    };
    session(firstHalf);
    const { length } = read();
    session((tracker) => {
      firstHalf(tracker);
      tracker.params({ a: 1, b: 2 });
      const child = tracker.child("iteration-1", "iteration");
      child.metrics({ loss: 2, norm: 7 }, 4);
      child.finish("FINISHED");
      tracker.finish("FINISHED");
    });
    assert.deepEqual(told().slice(length), [
      { event: "resume", of: "" },
      { event: "params", of: "", params: { b: 2 } },
      { event: "metrics", of: "iteration-1", step: 4, metrics: { norm: 7 } },
      { event: "finish", of: "iteration-1", status: "FINISHED" },
      { event: "finish", of: "", status: "FINISHED" },
    ]);
    assert.equal(new Set(read().map(({ key }) => key)).size, 2);
    session((tracker) => tracker.finish("FINISHED"));
    assert.deepEqual(
      told()
        .slice(-2)
        .map(({ event }) => event),
      ["resume", "finish"],
    );
  });

  it("keeps its schema, whatever is told", () => {
    const scalars = fc.oneof(fc.string(), fc.double(), fc.boolean(), fc.constant(null));
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.string(), scalars, fc.double(), fc.maxSafeInteger())), (steps) => {
        fs.rmSync(path("journal.jsonl"), { force: true });
        session((tracker) => {
          for (const [name, param, metric, step] of steps) {
            tracker.params({ [name]: param, nested: { [name]: [param, { deep: param }] } });
            tracker.metrics({ [name]: metric }, step);
            tracker.tags({ [name]: String(param) });
            if (name !== "") tracker.child(name, "seed").finish("KILLED");
            tracker.artifact("result.json");
          }
        });
        for (const event of read()) assert.ok(validate(event), JSON.stringify([event, validate.errors]));
      }),
      { numRuns: 50 },
    );
  });

  it("has a schema that refuses what is no event", () => {
    const key = "01234567-89ab-cdef-0123-456789abcdef";
    const good = { event: "metrics", key, time: 1, step: 0, metrics: { a: 1, b: "NaN" } };
    assert.ok(validate(good));
    for (const bad of [
      { ...good, step: 0.5 },
      { ...good, metrics: { a: "1" } },
      { ...good, extra: 1 },
      { ...good, key: "x" },
      { event: "other", key, time: 1 },
    ])
      assert.ok(!validate(bad), JSON.stringify(bad));
  });

  it("leaves out lines that do not hold what their event is of, and no other", async () => {
    const { journal } = openTracker(path(), run);
    const { key } = journal;
    const bad = [
      ...["tags", "params", "metrics", "artifact", "run", "finish", "other", "toString"].map((event) => ({ event, key, time: 1 })),
      { event: "tags", key, time: 1, tags: { a: 1 } },
      { event: "metrics", key, time: 1, metrics: {} },
      { event: "resume", key, time: 9e15 },
      { event: "resume", time: 1 },
    ];
    fs.appendFileSync(path("journal.jsonl"), bad.map((event) => `${JSON.stringify(event)}\n`).join(""));
    journal.close();
    session((tracker) => tracker.tags({ a: "b" }));
    const kept = (await readJournal(path("journal.jsonl"))).map(({ event }) => event);
    assert.deepEqual(kept, ["run", "resume", "tags"]);
    assert.deepEqual((await readTold(path())).tags, { a: "b" });
  });

  it("cuts a torn last line off, wherever it was torn, and tells it again", () => {
    const tell = (tracker: Tracker) => {
      tracker.params({ a: "ü" });
      tracker.metrics({ loss: 1 }, 1);
    };
    session(tell);
    const whole = fs.readFileSync(path("journal.jsonl"));
    const firstEnd = whole.indexOf(10) + 1;
    for (let cut = firstEnd; cut <= whole.length; cut++) {
      fs.writeFileSync(path("journal.jsonl"), whole.subarray(0, cut));
      session(tell);
      const events = told();
      assert.equal(events.filter(({ event }) => event === "params").length, 1, `cut at ${cut}`);
      assert.equal(events.filter(({ event }) => event === "metrics").length, 1, `cut at ${cut}`);
    }
  });

  it("loses nothing of what was told when the process is killed", async function () {
    this.timeout(20_000);
    const child = spawn(process.execPath, [fileURLToPath(new URL("children/tell.js", import.meta.url)), path()], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    await once(child.stdout, "data");
    await sleep(30);
    child.kill("SIGKILL");
    await once(child, "close");
    const said = Number(output.trim().split("\n").at(-1));
    const steps = read().flatMap((event) => (event.event === "metrics" ? [event.step] : []));
    assert.ok(said > 10 && steps.length > said, `${said} said, ${steps.length} written`);
    assert.deepEqual(
      steps,
      Array.from(steps, (_, i) => i),
    );
  });

  it("stays whole when the disk fills up in the middle of a line", async () => {
    const { tracker, journal } = openTracker(path(), run);
    const write = fs.writeSync as (descriptor: number, bytes: Uint8Array, offset?: number, length?: number) => number;
    let calls = 0;
    mock.method(fs, "writeSync", (descriptor: number, bytes: Uint8Array, offset = 0) => {
      if (calls++ === 0) return write(descriptor, bytes, offset, 10);
      throw Object.assign(new Error("ENOSPC"), { code: "ENOSPC" });
    });
    await assertFails("RLRF_DISK_FULL", () => tracker.metrics({ loss: 1 }, 1), /journal\.jsonl/);
    mock.restoreAll();
    tracker.metrics({ loss: 1 }, 1);
    journal.close();
    assert.deepEqual(told().slice(1), [{ event: "metrics", of: "", step: 1, metrics: { loss: 1 } }]);
  });

  it("is read while it is written: whole lines only, the same ones until they are committed", async () => {
    const { tracker, journal } = openTracker(path(), run);
    const listener = createListener();
    const reader = new JournalReader(path("journal.jsonl"), listener);
    for (let step = 0; step < 5; step++) tracker.metrics({ a: step }, step);
    const first = await reader.next(4);
    assert.deepEqual([first.events.length, first.more], [4, true]);
    assert.deepEqual((await reader.next(4)).events, first.events);
    first.commit();
    const rest = await reader.next(4);
    assert.deepEqual([rest.events.length, rest.more], [2, false]);
    rest.commit();
    fs.appendFileSync(path("journal.jsonl"), 'not an event\n{"event":"me');
    const none = await reader.next(4);
    assert.deepEqual(none.events, []);
    none.commit();
    fs.appendFileSync(path("journal.jsonl"), `trics","key":"${journal.key}","time":5,"step":9,"metrics":{}}\n`);
    assert.equal((await reader.next(4)).events.length, 1);
    assert.deepEqual(
      listener.warnings.map(({ code }) => code),
      ["RLRF_JOURNAL_BROKEN"],
    );
    journal.close();
  });

  it("takes artifacts inside the run folder only", async () => {
    const { tracker, journal } = openTracker(path(), run);
    tracker.artifact(path("scores", "a.jsonl"));
    assert.deepEqual(told().at(-1), { event: "artifact", of: "", path: "scores/a.jsonl" });
    await assertFails("RLRF_INTERNAL", () => tracker.artifact("../other/spec.json"));
    journal.close();
  });

  it("takes whole steps only", async () => {
    const { tracker, journal } = openTracker(path(), run);
    for (const step of [0.5, Number.NaN, 2 ** 60])
      await assertFails("RLRF_INTERNAL", () => tracker.metrics({ a: 1 }, step), /whole number/);
    journal.close();
  });

  it("flattens to scalar leaves", () => {
    const value = { a: { b: [1, "x"], c: [{ d: true }, { d: false }] }, e: undefined, f: null, g: Number.NaN, h: [], i: "" };
    assert.deepEqual(Object.fromEntries(scalarLeaves(value)), {
      "a.b": '[1,"x"]',
      "a.c.0.d": true,
      "a.c.1.d": false,
      f: null,
      g: "NaN",
      h: "[]",
      i: "",
    });
  });

  it("costs a training step little", () => {
    session((tracker) => {
      const start = performance.now();
      for (let step = 0; step < 5_000; step++)
        tracker.metrics({ loss: step * 0.1, norm: 1 / (step + 1), margin: step, accuracy: 0.5 }, step);
      const each = ((performance.now() - start) / 5_000) * 1000;
      assert.ok(each < 1_000, `${each} us`); // measured: about 20 us; the bound is for a busy machine
    });
  });
});
