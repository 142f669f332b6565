import assert from "node:assert/strict";
import fc from "fast-check";
import { mlflowKey, paramValue, tagValue } from "../../../framework/track/names.js";

describe("track/names", () => {
  it("keeps names that MLflow allows, and reads @ as MLflow does", () => {
    for (const name of ["loss", "llm-1/ndcg", "a.b_c d", "Größe"]) assert.equal(mlflowKey(name), name);
    assert.equal(mlflowKey("ndcg@5"), "ndcg_at_5");
  });

  it("changes all others into allowed ones", () => {
    assert.match(mlflowKey("a/../b"), /^a\/_\/b_[0-9a-f]{8}$/);
    assert.match(mlflowKey("/a//b/"), /^_\/a\/_\/b\/__[0-9a-f]{8}$/);
    assert.match(mlflowKey("p<0.01"), /^p_0.01_[0-9a-f]{8}$/);
    assert.match(mlflowKey(""), /^__[0-9a-f]{8}$/);
    assert.equal(mlflowKey("x".repeat(300)).length, 250);
  });

  it("never makes one name of two, and always an allowed one", () => {
    const allowed = /^[\p{L}\p{N}_.\- /]{1,250}$/u;
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.string({ unit: "grapheme" }), (a, b) => {
        assert.match(mlflowKey(a), allowed);
        assert.ok(
          mlflowKey(a)
            .split("/")
            .every((part) => part !== "" && part !== "." && part !== ".."),
        );
        assert.equal(a.replaceAll("@", "_at_") === b.replaceAll("@", "_at_"), mlflowKey(a) === mlflowKey(b));
      }),
      { examples: [["a:b", "a;b"]] },
    );
  });

  it("shortens long values and tells them apart by their digest", () => {
    const [a, b] = [`${"x".repeat(7000)}a`, `${"x".repeat(7000)}b`];
    assert.equal(paramValue(a).length, 6000);
    assert.match(paramValue(a), /… \(7001 characters, sha256 [0-9a-f]{16}\)$/);
    assert.notEqual(paramValue(a), paramValue(b));
    assert.equal(tagValue(a), a);
    assert.equal(tagValue("x".repeat(9000)).length, 8000);
    assert.deepEqual([paramValue(null), paramValue(true), paramValue(0.1), paramValue("")], ["null", "true", "0.1", ""]);
    assert.doesNotMatch(paramValue("😀".repeat(4000)), /[\uD800-\uDBFF](?![\uDC00-\uDFFF])/);
  });
});
