import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
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
  it("map is ranx's where both divide by the same number", () => assert.equal(compare("map", "mapRanx"), 90));
});
