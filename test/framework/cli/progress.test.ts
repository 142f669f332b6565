import assert from "node:assert/strict";
import { createProgress, duration } from "../../../framework/cli/progress.js";
import { table } from "../../../framework/cli/terminal.js";

/** A progress whose clock and output are the test's. */
function recorded(isTTY: boolean) {
  const state = { now: 0, text: "" };
  const output = {
    isTTY,
    columns: 120,
    write: (text: string) => {
      state.text += text;
      return true;
    },
    on: () => output,
    removeListener: () => output,
  };
  return { state, progress: createProgress({ output }, () => state.now) };
}

describe("progress", () => {
  it("says nothing of what takes less than 2 s, or when it is to be quiet", () => {
    const { state, progress } = recorded(false);
    const task = progress.start("reading", 10, "rows");
    state.now = 1900;
    task.advance(10);
    task.end();
    assert.equal(state.text, "");
    const quiet = createProgress({ quiet: true }, () => 1e9).start("x", 1, "y");
    quiet.advance();
    quiet.end();
  });

  it("prints occasional lines with rate and time left where there is no terminal", () => {
    const { state, progress } = recorded(false);
    const task = progress.start("texts", 1000, "users");
    for (let second = 1; second <= 40; second++) {
      state.now = second * 1000;
      task.advance(20);
    }
    task.end();
    assert.deepEqual(state.text.split("\n"), [
      "texts: 40/1,000 users  20/s  48 s left",
      "texts: 340/1,000 users  20/s  33 s left",
      "texts: 640/1,000 users  20/s  18 s left",
      "texts: 800 users in 40 s",
      "",
    ]);
  });

  it("does not speak of a total that is not known", () => {
    const { state, progress } = recorded(false);
    const task = progress.start("rows", 0, "rows");
    state.now = 4000;
    task.advance(2);
    assert.equal(state.text, "rows: 2 rows  0.5/s\n");
  });

  it("promises no time left from the first of many", () => {
    const { state, progress } = recorded(false);
    const task = progress.start("texts", 1000, "prompts");
    state.now = 3000;
    task.advance();
    assert.equal(state.text, "texts: 1/1,000 prompts  0.3/s\n");
  });

  it("tells durations in the unit that fits", () => {
    assert.deepEqual([0.25, 12.3, 100, 4000, 10_000].map(duration), ["0.3 s", "12 s", "1.7 min", "67 min", "2.8 h"]);
    assert.deepEqual([3.25, 89, 600, 7200].map(duration), ["3.3 s", "89 s", "10 min", "2.0 h"]);
  });
});

describe("tables", () => {
  it("align their columns", () => {
    assert.equal(
      table(
        [
          ["a", "n"],
          ["long", "1"],
          ["x", "20"],
        ],
        [1],
      ),
      "a      n\nlong   1\nx     20",
    );
  });
});
