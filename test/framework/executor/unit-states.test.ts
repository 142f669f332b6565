import assert from "node:assert/strict";
import { relative } from "node:path";
import { unitPrefix } from "../../../framework/executor/unit-states.js";
import { useFolder } from "../../support/folder.js";

describe("states of units", () => {
  const path = useFolder();

  it("are of units whose ids tell the run and its store, however the store is named", () => {
    const own = unitPrefix(path("store"), "run-1");
    assert.match(own, /^run-1\.[0-9a-f]{8}\.$/);
    assert.equal(unitPrefix(relative(process.cwd(), path("store")), "run-1"), own);
    assert.notEqual(unitPrefix(path("other"), "run-1"), own);
  });
});
