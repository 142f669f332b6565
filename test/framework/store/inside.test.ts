import assert from "node:assert/strict";
import { isInside } from "../../../framework/store/inside.js";

describe("isInside", () => {
  it("holds for what lies below the folder, also by names that begin with dots", () => {
    for (const path of ["/a/b/c", "/a/b/c/../d", "/a/b/..c", "/a/b/...", "/a/x/../b/c"]) assert.ok(isInside("/a/b", path), path);
  });

  it("does not hold for the folder, and what lies above or beside it", () => {
    for (const path of ["/a/b", "/a/b/", "/a", "/", "/a/b/..", "/a/b/../c", "/a/bc", "/a/b/../b2/c"])
      assert.ok(!isInside("/a/b", path), path);
  });
});
