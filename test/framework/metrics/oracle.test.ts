import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { TiePolicy } from "../../../framework/contracts/feedback.js";
import { metricByName } from "../../../framework/metrics/ranking.js";
import { packageRoot } from "../../../framework/setup/paths.js";

interface Golden {
  readonly length: number;
  readonly cases: readonly {
    readonly scores: readonly number[];
    readonly labels: readonly number[];
    readonly ties: boolean;
    readonly at: Readonly<Record<string, { readonly ndcg: number; readonly ndcgRanx?: number; readonly mapRanx?: number }>>;
  }[];
}

/** Made by test/golden/ranking_oracle.py with scikit-learn and ranx. */
const golden = JSON.parse(readFileSync(join(packageRoot, "test", "golden", "ranking.json"), "utf8")) as Golden;

/** Values of lists that `Draw` makes: float64, little-endian, base64. Made by test/golden/ranking_many.py with scikit-learn and ir-measures. */
interface Many {
  readonly count: number;
  /** Lists in which some items tie. */
  readonly tied: number;
  readonly ndcg: string;
  readonly map: string;
}
const many = JSON.parse(readFileSync(join(packageRoot, "test", "golden", "ranking-many.json"), "utf8")) as Many;
const policies: readonly TiePolicy[] = ["expected", "expected", "optimistic", "pessimistic"];
const cutoffs = [1, 3, 5, 7, 10, 20];
/** Score levels, and how long a list of so many may be. */
const forms: readonly (readonly [number, number])[] = [
  [1, 8],
  [2, 10],
  [4, 12],
  [1000, 20],
];

/** As in ranking_many.py. */
class Draw {
  private state = 20241005;
  below(bound: number): number {
    this.state = (Math.imul(this.state, 1664525) + 1013904223) >>> 0;
    return (this.state >>> 16) % bound;
  }
}

function* manyLists() {
  const draw = new Draw();
  for (let number = 0; number < many.count; number++) {
    const [levels, longest] = forms[draw.below(forms.length)] as readonly [number, number];
    const length = 2 + draw.below(longest - 1);
    const k = cutoffs[draw.below(cutoffs.length)] as number;
    const graded = draw.below(3) === 0;
    const labels = Uint8Array.from({ length }, () => (draw.below(100) < 35 ? (graded ? 1 + draw.below(3) : 1) : 0));
    const scores = Array.from({ length }, () => draw.below(levels));
    yield { length, k, labels, scores, ties: policies[number % policies.length] as TiePolicy };
  }
}

describe("ranking metrics against public implementations", () => {
  const compare = (of: "ndcg" | "map", oracle: "ndcg" | "ndcgRanx" | "mapRanx") => {
    let compared = 0;
    for (const { scores, labels, at } of golden.cases)
      for (const [k, values] of Object.entries(at)) {
        const expected = values[oracle];
        if (expected === undefined) continue;
        const [actual] = metricByName(`${of}@${k}`).measure(scores, Uint8Array.from(labels), golden.length, "expected");
        assert.ok(Math.abs((actual as number) - expected) < 1e-9, `${of}@${k} is ${actual}, ${oracle} ${expected}`);
        compared++;
      }
    return compared;
  };

  it("ndcg is scikit-learn's, with and without ties", () => assert.equal(compare("ndcg", "ndcg"), 300));
  it("ndcg is ranx's", () => assert.equal(compare("ndcg", "ndcgRanx"), 150));
  for (const [of, oracle] of [
    ["ndcg", "scikit-learn's, averaged over ties"],
    ["map", "ir-measures', averaged over every order of the ties"],
  ] as const)
    it(`${of} of 10,000 random lists with ties, by each policy, is ${oracle}`, () => {
      const bytes = Buffer.from(many[of], "base64");
      let [at, tied, empty] = [0, 0, 0];
      for (const { length, k, labels, scores, ties } of manyLists()) {
        const [actual] = metricByName(`${of}@${k}`).measure(scores, labels, length, ties) as ArrayLike<number> as [number];
        const expected = bytes.readDoubleLE(8 * at);
        if (Number.isNaN(expected)) empty++;
        tied += Number(new Set(scores).size < length);
        const same = Number.isNaN(expected) ? Number.isNaN(actual) : Math.abs(actual - expected) < 1e-9;
        assert.ok(same, `list ${at}: ${of}@${k}, ${ties}, is ${actual}, not ${expected}: ${scores} with ${labels}`);
        at++;
      }
      assert.deepEqual([at, tied], [10_000, many.tied]);
      assert.ok(tied > 7_000 && empty > 100 && empty < 2_000, `${tied} with ties, ${empty} without a relevant item`);
    });
  it("map is ranx's where both divide by the same number", () => assert.equal(compare("map", "mapRanx"), 90));
});
