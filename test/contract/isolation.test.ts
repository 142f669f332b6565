import assert from "node:assert/strict";
import type { Suite } from "mocha";
import { startEngine } from "../../framework/tensor/engine.js";

describe("test files", () => {
  it("hook into no tests but their own: what a file sets up around each test stands in a describe", function () {
    let root = this.test?.parent as Suite;
    while (root.parent !== undefined) root = root.parent;
    const hooks = root as unknown as Record<"_beforeEach" | "_afterEach", readonly { readonly fn: () => void }[]>;
    assert.deepEqual([...hooks._beforeEach, ...hooks._afterEach].map(String), []);
  });

  it("leave the engine as it is while they are loaded: another one would serve all tests of the process", async () => {
    assert.match((await startEngine()).reason, /^the fastest that starts here|^RLRF_ENGINE/);
  });
});
