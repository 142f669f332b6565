/** What the report's page computes; how it looks and is worked stands in test/e2e/report.test.ts. */
import assert from "node:assert/strict";
import { axisNames } from "../../../framework/report/page/axis-names.js";
import type { SweepView, TrialView } from "../../../framework/report/page/data.js";
import { counted, figureName, fixed, metricName, percent, probability, signed, stars } from "../../../framework/report/page/format.js";
import { axesOf, axis } from "../../../framework/report/page/sweep-axes.js";
import { firstShown, listed, partsOf } from "../../../framework/report/page/user-order.js";

describe("the report's page", () => {
  it("writes numbers as papers do", () => {
    assert.deepEqual(
      [fixed(-0.5), fixed(Number.NaN), fixed(null), signed(0.25, 2), signed(-0.25, 2)],
      ["\u22120.5000", "\u2013", "\u2013", "+0.25", "\u22120.25"],
    );
    assert.deepEqual(
      [probability(0.00099), probability(0.0123), stars(0.0001), stars(0.009), stars(0.04), stars(0.05)],
      ["< 0.001", "0.012", "***", "**", "*", ""],
    );
    assert.deepEqual([signed(null), signed(Number.NaN), percent(null), percent(Number.NaN)], new Array(4).fill("\u2013"));
    assert.deepEqual([percent(0.123, 1), counted(1, "value"), counted(1234, "value")], ["12.3%", "1 value", "1,234 values"]);
    assert.deepEqual(
      [metricName("ndcg@5"), metricName("reward"), figureName("learningRate"), figureName("kl")],
      ["NDCG@5", "sampled reward", "learning rate", "KL"],
    );
  });

  it("lists users by id, part, pairs, and the difference of two arms, those without a value last", () => {
    const index = { ids: ["u1", "u2", "U3", "u10"], parts: ["train", "test", "test", "align"], has: [0, 1, 1, 2] };
    const values = { a: (user: number) => [Number.NaN, 0.2, 0.9, Number.NaN][user] as number, b: () => 0.5 };
    const of = (wanted: Partial<Parameters<typeof listed>[2]>) => [
      ...listed(index, values, { text: "", part: "", order: "id", ...wanted }),
    ];
    assert.deepEqual(of({}), [0, 1, 2, 3]);
    assert.deepEqual(of({ text: " u1 " }), [0, 3]);
    assert.deepEqual(of({ text: "u3" }), [2]);
    assert.deepEqual(of({ part: "test" }), [1, 2]);
    assert.deepEqual(of({ part: "pairs" }), [3]);
    assert.deepEqual(of({ order: "difference-down" }), [2, 1, 0, 3]);
    assert.deepEqual(of({ order: "difference-up" }), [1, 2, 0, 3]);
    assert.deepEqual(of({ order: "a-up", part: "test" }), [1, 2]);
    assert.equal(firstShown(index, listed(index, values, { text: "", part: "", order: "id" })), 1);
    assert.deepEqual(
      partsOf(index).map(([value]) => value),
      ["", "train", "test", "align", "pairs"],
    );
  });

  it("lays numbers on an axis by value, or by logarithm over a hundredfold, and everything else in order", () => {
    const trial = (values: Record<string, unknown>, selection: number | null = null): TrialView => {
      return { id: "", rung: 1, values, state: "done", selection, arms: {}, error: null };
    };
    const trials = [
      trial({ rate: 1e-4, size: 8, loss: "dpo" }, 0.5),
      trial({ rate: 1e-3, size: 32, loss: "ipo" }),
      trial({ rate: 1e-2, size: 16, loss: "dpo" }, 0.7),
    ];
    const places = (key: string) => {
      const { place } = axis(key, trials, ({ values }) => values[key]);
      return trials.map((one) => Number(place(one)?.toFixed(6)));
    };
    assert.deepEqual(
      [places("rate"), places("size"), places("loss")],
      [
        [0, 0.5, 1],
        [0, 1, 0.333333],
        [0, 1, 0],
      ],
    );
    const sweep: SweepView = { name: "", strategy: "grid", metric: "reward", axes: ["/a/rate", "/loss"], trials, best: null };
    const drawn = axesOf(sweep, "llm-1", "ndcg@5");
    assert.deepEqual(
      drawn.map(({ name }) => name),
      ["by sampled reward"],
    ); // neither the pointers nor the arm have values here
    assert.deepEqual(
      trials.map((one) => drawn[0]?.place(one)),
      [0, null, 1],
    );
  });

  it("cuts names to the room beside a figure", () => {
    assert.deepEqual([axisNames(["llm-0"], 500).margin, axisNames(["llm-0"], 500).text("llm-0")], [44, "llm-0"]);
    const { margin, text } = axisNames(["an arm with a very long name indeed"], 200);
    assert.equal(margin, 84);
    assert.match(text("an arm with a very long name indeed"), /^an arm.*\u2026$/);
  });
});
