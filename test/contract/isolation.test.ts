import assert from "node:assert/strict";
import type { Suite } from "mocha";

describe("test files", () => {
  it("hook into no tests but their own: what a file sets up around each test stands in a describe", function () {
    let root = this.test?.parent as Suite;
    while (root.parent !== undefined) root = root.parent;
    const hooks = root as unknown as Record<"_beforeEach" | "_afterEach", readonly { readonly fn: () => void }[]>;
    assert.deepEqual([...hooks._beforeEach, ...hooks._afterEach].map(String), []);
  });
});
