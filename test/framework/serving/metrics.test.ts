import assert from "node:assert/strict";
import { Metrics } from "../../../framework/serving/metrics.js";

/** A line of Prometheus' text form: a comment, or a name, labels in quotes, a number. */
const line = /^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z]+="([^"\\\n]|\\.)*"(,[a-z]+="([^"\\\n]|\\.)*")*\})? [0-9.e+-]+)$/;

describe("a server's metrics", () => {
  const metrics = new Metrics(
    () => ({ name: 'a "name"\nof\\two lines' }),
    () => ({ rlrf_tensors: 42 }),
  );
  metrics.answered("/rerank", 200, 0.0015);
  metrics.answered("/rerank", 200, 0.3);
  metrics.answered("/rerank", 422, 99);
  metrics.failed("RLRF_SERVE_ITEM");
  metrics.heard("cache");
  const lines = metrics.text({ rlrf_requests_pending: 1 }).trimEnd().split("\n");

  it("are in Prometheus' form, each series once", () => {
    for (const text of lines) assert.match(text, line);
    const series = lines.filter((text) => !text.startsWith("#")).map((text) => text.slice(0, text.lastIndexOf(" ")));
    assert.equal(new Set(series).size, series.length);
    assert.ok(lines.includes(String.raw`rlrf_model_info{name="a \"name\"\nof\\two lines"} 1`));
  });

  it("count requests, errors and texts, and sum up the histogram's buckets", () => {
    const value = (series: string) =>
      Number(
        lines
          .find((text) => text.startsWith(`${series} `))
          ?.split(" ")
          .at(-1),
      );
    assert.equal(value('rlrf_requests_total{route="/rerank",status="200"}'), 2);
    assert.equal(value('rlrf_errors_total{code="RLRF_SERVE_ITEM"}'), 1);
    assert.equal(value('rlrf_texts_total{from="cache"}'), 1);
    const bucket = (bound: string) => value(`rlrf_request_seconds_bucket{route="/rerank",le="${bound}"}`);
    assert.deepEqual([bucket("0.001"), bucket("0.002"), bucket("0.2"), bucket("0.5"), bucket("30"), bucket("+Inf")], [0, 1, 1, 2, 2, 3]);
    assert.equal(value('rlrf_request_seconds_count{route="/rerank"}'), 3);
    assert.ok(Math.abs(value('rlrf_request_seconds_sum{route="/rerank"}') - 99.3015) < 1e-9);
    assert.deepEqual([value("rlrf_tensors"), value("rlrf_requests_pending")], [42, 1]);
  });
});
