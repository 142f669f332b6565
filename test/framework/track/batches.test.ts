import assert from "node:assert/strict";
import fc from "fast-check";
import { RlrfError } from "../../../framework/errors.js";
import { batchesOf, type Entry, logEntries, RunGone, refusalLines } from "../../../framework/track/batches.js";
import { type Batch, batchLimits, type MlflowClient } from "../../../framework/track/mlflow.js";

const metric = (key: string): Entry => ({ kind: "metrics", value: { key, value: 1, timestamp: 1, step: 0 } });
const param = (key: string, value = "v"): Entry => ({ kind: "params", value: { key, value } });
const tag = (key: string, value = "v"): Entry => ({ kind: "tags", value: { key, value } });

describe("track/batches", () => {
  it("cuts at each limit", () => {
    const sizes = (entries: Entry[]) => [...batchesOf(entries)].map(({ length }) => length);
    assert.deepEqual(sizes([]), []);
    assert.deepEqual(sizes(Array.from({ length: 2500 }, (_, i) => metric(`m${i}`))), [1000, 1000, 500]);
    assert.deepEqual(sizes(Array.from({ length: 201 }, (_, i) => param(`p${i}`))), [100, 100, 1]);
    assert.deepEqual(sizes(Array.from({ length: 150 }, (_, i) => tag(`t${i}`))), [100, 50]);
    const full = [...Array.from({ length: 100 }, (_, i) => param(`p${i}`)), ...Array.from({ length: 1000 }, (_, i) => metric(`m${i}`))];
    assert.deepEqual(sizes(full), [1000, 100]);
  });

  it("keeps every limit and every entry in order, whatever their sizes", () => {
    const entry = fc.oneof(
      fc.string().map(metric),
      fc.tuple(fc.string(), fc.nat(6000)).map(([key, size]) => param(key, "ü".repeat(size))),
      fc.tuple(fc.string(), fc.nat(8000)).map(([key, size]) => tag(key, "x".repeat(size))),
    );
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 400, size: "max" }), (entries) => {
        const batches = [...batchesOf(entries)];
        assert.deepEqual(batches.flat(), entries);
        for (const batch of batches) {
          for (const kind of ["metrics", "params", "tags"] as const)
            assert.ok(batch.filter((one) => one.kind === kind).length <= batchLimits[kind]);
          assert.ok(batch.length <= batchLimits.total);
          assert.ok(Buffer.byteLength(JSON.stringify(batch.map(({ value }) => value))) <= batchLimits.bytes);
        }
      }),
      { numRuns: 30 },
    );
  });

  /** A server that refuses batches with these names in them. */
  function refusing(bad: readonly string[], gone = false): { client: MlflowClient; logged: string[]; calls: () => number } {
    const logged: string[] = [];
    let calls = 0;
    const client = {
      async logBatch(_id: string, { metrics, params, tags }: Batch) {
        calls++;
        const names = [...metrics, ...params, ...tags].map(({ key }) => key);
        if (gone || names.some((name) => bad.includes(name))) throw new RlrfError("RLRF_TRACK_REFUSED", { message: "400 no" });
        logged.push(...names);
      },
      getRun: async () => ({ info: { lifecycle_stage: gone ? "deleted" : "active" } }),
    } as unknown as MlflowClient;
    return { client, logged, calls: () => calls };
  }

  it("logs all but the refused entries, and names those", async () => {
    const { client, logged, calls } = refusing(["m77", "p3"]);
    const entries = [...Array.from({ length: 10 }, (_, i) => param(`p${i}`)), ...Array.from({ length: 200 }, (_, i) => metric(`m${i}`))];
    const refused = await logEntries(client, { id: "r", key: "root" }, entries);
    assert.deepEqual(
      refused.map(({ kind, name }) => `${kind} ${name}`),
      ["params p3", "metrics m77"],
    );
    assert.equal(logged.length, 208);
    assert.equal(new Set(logged).size, 208);
    assert.ok(calls() < 40, `${calls()} calls`);
    assert.deepEqual(refusalLines(refused), ['param "p3" of root: 400 no', 'metric "m77" of root: 400 no']);
  });

  it("tells a run that is gone from an entry that is refused", async () => {
    const { client, calls } = refusing([], true);
    await assert.rejects(logEntries(client, { id: "r", key: "root" }, [metric("a"), metric("b")]), RunGone);
    assert.equal(calls(), 1);
  });

  it("passes other failures on", async () => {
    const client = {
      logBatch: async () => Promise.reject(new RlrfError("RLRF_TRACK_UNREACHABLE", { message: "away" })),
    } as unknown as MlflowClient;
    await assert.rejects(logEntries(client, { id: "r", key: "root" }, [metric("a")]), /away/);
  });
});
