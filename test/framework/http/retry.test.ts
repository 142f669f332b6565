import assert from "node:assert/strict";
import fc from "fast-check";
import { backoff, failureText, retryAfter, saidIn } from "../../../framework/http/index.js";

describe("http/retry", () => {
  it("reads Retry-After as seconds or as a date, and nothing else", () => {
    const now = Date.parse("2026-03-01T12:00:00Z");
    assert.equal(retryAfter("0", now), 0);
    assert.equal(retryAfter("120", now), 120_000);
    assert.equal(retryAfter("1.5", now), 1_500);
    assert.equal(retryAfter("Sun, 01 Mar 2026 12:00:30 GMT", now), 30_000);
    assert.equal(retryAfter("Sun, 01 Mar 2026 11:00:00 GMT", now), 0, "a date that has passed asks for no wait");
    for (const header of [undefined, "", "soon", "-5", "1e9", "NaN"]) assert.equal(retryAfter(header, now), undefined, header);
  });

  it("waits anywhere between nothing and the doubled limit", () => {
    const limits = { first: 100, longest: 1000 };
    assert.deepEqual(
      [1, 2, 3, 4, 5, 50].map((attempt) => backoff(attempt, limits, () => 1)),
      [100, 200, 400, 800, 1000, 1000],
    );
    assert.equal(
      backoff(3, limits, () => 0),
      0,
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2000 }), fc.double({ min: 0, max: 1, noNaN: true }), (attempt, random) => {
        const wait = backoff(attempt, limits, () => random);
        assert.ok(wait >= 0 && wait <= 1000);
      }),
    );
  });

  it("shows what a server said on one line, without markup, control characters or an end", () => {
    assert.equal(saidIn("<html><style>p { x }</style><h1>Bad\n Gateway</h1>\u001b[31m</html>"), "Bad Gateway [31m");
    assert.equal(saidIn(Buffer.from("x".repeat(1000))), `${"x".repeat(300)}…`);
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => assert.doesNotMatch(saidIn(text), /\p{Cc}/u)));
  });

  it("finds the reason of a failure that has no message", () => {
    assert.equal(failureText(new Error("x")), "x");
    assert.equal(failureText(Object.assign(new AggregateError([]), { code: "ECONNREFUSED" })), "ECONNREFUSED");
  });
});
