import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { canonicalJson, hashOf } from "../../../framework/store/hash.js";
import { assertFails } from "../../support/faults.js";

describe("store/hash", () => {
  it("sorts keys by code unit, at every depth, and leaves undefined out", () => {
    assert.equal(canonicalJson({ b: [1, { d: null, c: "x" }], a: undefined, B: true }), '{"B":true,"b":[1,{"c":"x","d":null}]}');
    assert.equal(hashOf({ b: 1, a: [] }), createHash("sha256").update('{"a":[],"b":1}').digest("hex"));
  });

  it("does not depend on the order of keys, and is JSON", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        const reversed = Object.fromEntries(Object.entries(value).reverse());
        assert.equal(hashOf(reversed), hashOf(value));
        assert.equal(canonicalJson(JSON.parse(canonicalJson(value))), canonicalJson(value));
      }),
    );
  });

  it("tells different values apart", () => {
    const values = [0, 1, "0", "1", null, false, [], {}, [[]], { a: 1 }, { a: "1" }, [1], new Float32Array([1]), new Int32Array([1])];
    assert.equal(new Set(values.map(hashOf)).size, values.length);
    assert.equal(hashOf(-0), hashOf(0));
  });

  it("takes typed arrays by content, also as views", () => {
    const whole = new Float32Array([9, 1, 2]);
    assert.equal(hashOf(whole.subarray(1)), hashOf(new Float32Array([1, 2])));
  });

  it("refuses what JSON would silently change", async () => {
    const cycle: Record<string, unknown> = {};
    cycle.self = cycle;
    const shared = { x: 1 };
    assert.doesNotThrow(() => hashOf([shared, shared]));
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, () => 1, 1n, new Map(), new Date(), cycle, undefined])
      await assertFails("RLRF_INTERNAL", () => hashOf({ inputs: [value] }), /\/inputs\/0/);
  });
});
