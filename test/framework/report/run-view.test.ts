/** What a report takes from a run's folder; how it is shown stands in page.test.ts and test/e2e/report.test.ts. */
import assert from "node:assert/strict";
import { readFile, rm, writeFile } from "node:fs/promises";
import type { Result } from "../../../framework/method/result.js";
import { Chunks } from "../../../framework/report/chunks.js";
import { readRunView } from "../../../framework/report/run-view.js";
import { writeJson } from "../../../framework/store/files.js";
import { useFolder } from "../../support/folder.js";
import { makeRun } from "../../support/made-run.js";

describe("a run's view", () => {
  const folder = useFolder();

  it("has no figures of policies where no user was held out to judge them by", async () => {
    await makeRun(folder(), { users: 30 });
    const path = folder("result.json");
    const result = JSON.parse(await readFile(path, "utf8")) as Result;
    const none = { mean: Number.NaN, low: Number.NaN, high: Number.NaN };
    const policies = Object.entries(result.llm).map(([name, figures]) => [
      name,
      Object.fromEntries(Object.keys(figures).map((figure) => [figure, Number.NaN])),
    ]);
    await writeJson(path, {
      ...result,
      tests: result.tests.map((test) => (test.metric === "reward" ? { ...test, difference: Number.NaN } : test)),
      llm: Object.fromEntries(policies),
      iterations: result.iterations.map((iteration) => ({ ...iteration, gain: none, conforming: Number.NaN, kl: Number.NaN })),
    });
    const { view } = await readRunView(folder(), new Chunks(), 100);
    assert.deepEqual(
      [view.llm["llm-1"]?.reward, view.iterations[0]?.gain.mean, view.iterations[0]?.kl],
      [Number.NaN, Number.NaN, Number.NaN],
    );
  });

  it("shows the users of whom a large run has told more, and counts the others; all where it has told of none", async () => {
    await makeRun(folder(), { users: 30 });
    const path = folder("users.jsonl");
    const lines = (await readFile(path, "utf8")).trim().split("\n");
    const whole = (await readRunView(folder(), new Chunks(), 100)).view.users;
    assert.deepEqual([whole.count, whole.leftOut], [lines.length, 0]);
    await writeFile(path, `${lines.slice(0, 7).join("\n")}\n`);
    const some = (await readRunView(folder(), new Chunks(), 100)).view;
    const withPairs = some.users.count;
    assert.ok(withPairs >= 7 && withPairs < lines.length, `${withPairs}`);
    assert.equal(some.users.count + some.users.leftOut, lines.length);
    await rm(path);
    const all = (await readRunView(folder(), new Chunks(), 5)).view.users;
    assert.deepEqual([all.count, all.leftOut], [5, lines.length - 5]);
  });
});
