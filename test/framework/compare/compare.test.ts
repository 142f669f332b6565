import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { compareRuns } from "../../../framework/compare/compare.js";
import { readRun } from "../../../framework/compare/read-run.js";
import { specDifferences } from "../../../framework/compare/spec-differences.js";
import { coded } from "../../support/dataset.js";
import { command, start } from "../../support/run.js";

interface Line {
  readonly seed: number;
  readonly user: string;
  readonly candidates: readonly string[];
  readonly labels: readonly number[];
  readonly scores: readonly number[];
}

/** A list of two candidates, the first relevant: NDCG@1 is 1 where it scores higher, 0 where lower, 1/2 where they tie. */
const list = (user: string, score: number, seed = 1, name = "a"): Line => ({
  seed,
  user,
  candidates: [`${name}1`, `${name}2`],
  labels: [1, 0],
  scores: [score, 0.5],
});
const users = Array.from({ length: 12 }, (_, i) => `u${i}`);
const spec = (more: object = {}) => ({
  name: "x",
  protocol: { metrics: ["ndcg@1"], seed: 7, ties: "expected", ...more },
  loss: { plugin: "dpo" },
});

describe("comparing runs", () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "rlrf-test-"));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  async function run(name: string, arms: Readonly<Record<string, readonly Line[] | string>>, content: unknown = spec()): Promise<string> {
    const folder = join(root, name);
    await mkdir(join(folder, "scores"), { recursive: true });
    await writeFile(join(folder, "spec.json"), typeof content === "string" ? content : JSON.stringify(content));
    for (const [arm, lines] of Object.entries(arms)) {
      const text = typeof lines === "string" ? lines : lines.map((line) => `${JSON.stringify({ split: "test", ...line })}\n`).join("");
      await writeFile(join(folder, "scores", `${arm}.jsonl`), text);
    }
    return folder;
  }
  const right = users.map((user) => list(user, 1));
  const wrong = users.map((user) => list(user, 0));
  const compare = async (...folders: string[]) => compareRuns(await Promise.all(folders.map((folder) => readRun(folder))));

  it("gives each run's figures and the paired test of what is between them", async () => {
    // The second run is right for nine users of twelve, tied for two, wrong for one.
    const mixed = users.map((user, i) => list(user, i < 9 ? 1 : i < 11 ? 0.5 : 0));
    const { users: shared, arms, tests } = await compare(await run("a", { llm: wrong, "id-only": right }), await run("b", { llm: mixed }));
    assert.equal(shared, 12);
    assert.equal(arms["ndcg@1"]?.llm?.[0]?.mean, 0);
    assert.ok(Math.abs((arms["ndcg@1"]?.llm?.[1]?.mean as number) - 10 / 12) < 1e-12);
    assert.deepEqual([arms["ndcg@1"]?.["id-only"]?.[0]?.mean, arms["ndcg@1"]?.["id-only"]?.[1]], [1, null]);
    const [test] = tests;
    assert.equal(tests.length, 1);
    assert.deepEqual([test?.arm, test?.run, test?.against, test?.users], ["llm", 1, 0, 12]);
    assert.ok(Math.abs((test?.difference as number) - 10 / 12) < 1e-12);
    // Signs of eleven equal-sided differences: as far as observed only when all agree, 2 in 2^11.
    assert.ok((test?.p as number) < 0.004 && (test?.p as number) > 1e-4, `p is ${test?.p}`);
    assert.equal(test?.p, test?.pHolm);
  });

  it("corrects over all tests of a metric, each pair of runs once", async () => {
    const arms = { llm: right, "id-only": wrong };
    const { tests } = await compare(await run("a", { llm: wrong, "id-only": wrong }), await run("b", arms), await run("c", arms));
    assert.deepEqual(
      tests.map(({ arm, run: later, against }) => [arm, later, against]).sort(),
      ["id-only", "llm"].flatMap((arm) => [
        [arm, 1, 0],
        [arm, 2, 0],
        [arm, 2, 1],
      ]),
    );
    const same = tests.filter(({ difference }) => difference === 0);
    assert.ok(same.length === 4 && same.every(({ p, pHolm }) => p === 1 && pHolm === 1));
    const smallest = Math.min(...tests.map(({ p }) => p));
    assert.ok(tests.some(({ p, pHolm }) => p === smallest && Math.abs(pHolm - Math.min(1, 6 * smallest)) < 1e-12));
  });

  it("averages over a user's lists, then over seeds, whatever their order and that of candidates", async () => {
    const [first, second] = [list("u", 1, 1, "a"), list("u", 0, 1, "b")];
    const turned = { ...second, seed: 2, candidates: ["b2", "b1"], labels: [0, 1], scores: [0.5, 1] };
    const folder = await run("a", { llm: [second, first, turned, { ...first, seed: 2 }] });
    const { arms, runs } = await compare(folder, await run("b", { llm: [first, second] }));
    assert.deepEqual(
      arms["ndcg@1"]?.llm?.map((interval) => interval?.mean),
      [0.75, 0.5],
    );
    assert.deepEqual(runs[0]?.seeds, [1, 2]);
  });

  it("matches users by their ids, and counts those that a run alone has", async () => {
    const { users: shared, runs } = await compare(
      await run("a", { llm: right }),
      await run("b", { llm: [...wrong.slice(0, 5), list("alone", 1)] }),
    );
    assert.equal(shared, 5);
    assert.deepEqual(
      runs.map(({ usersLeftOut }) => usersLeftOut),
      [7, 1],
    );
  });

  it("refuses runs that scored other lists, or other users", async () => {
    const a = await run("a", { llm: right });
    for (const other of [
      wrong.map((line, i) => (i === 3 ? { ...line, candidates: ["a1", "other"] } : line)),
      wrong.map((line, i) => (i === 3 ? { ...line, labels: [0, 1] } : line)),
      [...wrong, list("u3", 1, 1, "more")],
    ])
      await assert.rejects(
        compare(a, await run("b", { llm: other })),
        coded("RLRF_COMPARE_LISTS", 'for 1 of 12 users, the first "u3"', "one protocol"),
      );
    await assert.rejects(
      compare(a, await run("c", { llm: [list("x", 1)] })),
      coded("RLRF_COMPARE_LISTS", "no user was tested by all of a and c"),
    );
  });

  it("says what differs between the specs", async () => {
    const { differences } = await compare(
      await run("a", { llm: right }, { ...spec(), tracking: { run: "s/t1" } }),
      await run(
        "b",
        { llm: right },
        { ...spec({ seed: 8 }), tracking: { run: "s/t2" }, "a/b~": 1, loss: { plugin: "ipo", options: { beta: 0.1 } } },
      ),
    );
    assert.deepEqual(differences, [
      { pointer: "/protocol/seed", values: [7, 8] },
      { pointer: "/loss/plugin", values: ["dpo", "ipo"] },
      { pointer: "/loss/options", values: [undefined, { beta: 0.1 }] },
      { pointer: "/a~1b~0", values: [undefined, 1] },
    ]);
  });

  it("finds no difference between equal specs, and one where they were made to differ", () => {
    const anything = fc.dictionary(fc.string(), fc.jsonValue());
    fc.assert(
      fc.property(anything, (value) => {
        assert.deepEqual(specDifferences([value, JSON.parse(JSON.stringify(value))].map((copy) => JSON.parse(JSON.stringify(copy)))), []);
        assert.deepEqual(
          specDifferences([value, { ...value, "new key": 1 }]).map(({ pointer }) => pointer),
          ["new key" in value && value["new key"] === 1 ? "" : "/new key"].filter(Boolean),
        );
      }),
    );
  });

  describe("hostile files", () => {
    const line = JSON.stringify({ split: "test", ...list("u0", 1) });
    const cases: readonly (readonly [string, string, string])[] = [
      ["no JSON", "{", "not JSON"],
      ["no object", "[]", "the line"],
      ["another form", '{"seed": 1}', "missing"],
      ["an unknown key", line.replace('"seed"', '"x":1,"seed"'), "x"],
      ["a label of 2", line.replace("[1,0]", "[1,2]"), "/labels/1"],
      ["a score too few", line.replace("[1,0.5]", "[1]"), "2 candidates, 2 labels and 1 scores"],
      ["a score beyond numbers", line.replace("[1,0.5]", "[1e999,0.5]"), "score"],
      ["an empty list", line.replace('["a1","a2"]', "[]").replace("[1,0]", "[]").replace("[1,0.5]", "[]"), "0 candidates"],
      [
        "another length",
        `${line}\n${line.replace("u0", "u1").replace('["a1","a2"]', '["a1"]').replace("[1,0]", "[1]").replace("[1,0.5]", "[1]")}`,
        "a list of 1 among lists of 2",
      ],
      ["a list twice", `${line}\n${line}`, "stands twice"],
      ["nothing", "\n", "the file is empty"],
      ["seeds that scored other lists", `${line}\n${line.replace('"seed":1', '"seed":2').replace("a2", "b2")}`, "are not those of"],
    ];
    for (const [what, text, message] of cases)
      it(`${what}: a coded error with file and line`, async () => {
        const folder = await run("a", { llm: text });
        await assert.rejects(readRun(folder), coded("RLRF_COMPARE_FILE", message, join(folder, "scores", "llm.jsonl")));
      });

    it("arms of other lists, names that are none, folders without scores, specs that are none", async () => {
      await assert.rejects(readRun(await run("a", { x: right, y: right.slice(1) })), coded("RLRF_COMPARE_FILE", '"u0"', "y.jsonl"));
      await assert.rejects(readRun(await run("b", { "\u001b[31m": right })), coded("RLRF_COMPARE_FILE", "no name of an arm"));
      await assert.rejects(readRun(await run("c", {})), coded("RLRF_COMPARE_FILE", "there are no scores"));
      await assert.rejects(readRun(await run("d", { x: right }, "[]")), coded("RLRF_COMPARE_FILE", "a spec is a JSON object"));
      await assert.rejects(readRun(await run("e", { x: right }, "[".repeat(1000))), coded("RLRF_JSON", "nested deeper"));
      await assert.rejects(readRun(await run("f", { x: right }, '{"__proto__": {}}')), coded("RLRF_JSON"));
      await assert.rejects(readRun(join(root, "none")), coded("RLRF_RUN_UNENDED", "spec.json"));
      const loop = await run("g", {});
      await symlink("x.jsonl", join(loop, "scores", "x.jsonl"));
      await assert.rejects(readRun(loop), coded("RLRF_FILE_IO", "x.jsonl"));
    });

    it("bears a spec that says nothing", async () => {
      const empty = { llm: right };
      const { metrics } = await compare(
        await run("a", empty, {}),
        await run("b", empty, { protocol: { metrics: [5, {}], seed: "x", ties: 1 } }),
      );
      assert.deepEqual(metrics, ["ndcg@5"]);
    });
  });

  describe("rlrf compare", () => {
    const rlrf = (...args: string[]) => start([process.execPath, command, "compare", "--runs", root, ...args], { NO_COLOR: "1" }).finished;

    it("prints arms side by side, tests, and the specs' differences", async () => {
      await run("first", { llm: wrong });
      await run("second", { llm: right, "id-only": wrong }, spec({ seed: 8 }));
      const { status, stdout, stderr } = await rlrf("first", join(root, "second"));
      assert.equal(status, 0, stderr);
      assert.match(stdout, /^A {2}first {3}seeds 1$/m);
      assert.match(stdout, /12 users tested by all/);
      assert.match(stdout, /^ndcg@1 \[95%\] +A +B$/m);
      assert.match(stdout, /^id-only +- +0\.0000 \[0\.0000, 0\.0000\]$/m);
      assert.match(stdout, /^llm +B - A +\+1\.0000 +0\.\d{4} +0\.\d{4}$/m);
      assert.match(stdout, /^\/protocol\/seed +7 +8$/m);
    });

    it("gives the same as JSON, with the metrics asked for", async () => {
      await run("first", { llm: wrong });
      await run("second", { llm: right });
      const { status, stdout } = await rlrf("first", "second", "--json", "--metrics", "map@2, ndcg@2");
      assert.equal(status, 0);
      const { metrics, arms, tests, differences } = JSON.parse(stdout);
      assert.deepEqual([metrics, differences, tests.length], [["map@2", "ndcg@2"], [], 2]);
      assert.deepEqual(
        arms["map@2"].llm.map((interval: { mean: number }) => interval.mean),
        [0.5, 1],
      );
    });

    it("refuses what cannot be compared, with status 2", async () => {
      await run("first", { llm: wrong });
      await run("second", { llm: "nonsense" });
      for (const [args, code] of [
        [["first"], "RLRF_USAGE"],
        [["first", "first"], "RLRF_USAGE"],
        [["first", "none"], "RLRF_RUN_UNKNOWN"],
        [["first", "second"], "RLRF_COMPARE_FILE"],
        [[], "RLRF_USAGE"],
      ] as const) {
        const { status, stderr } = await rlrf(...args);
        assert.equal(status, 2, stderr);
        assert.match(stderr, new RegExp(code));
        assert.doesNotMatch(stderr, /\n\s+at .*:\d+:\d+/);
      }
      await run("third", { llm: right });
      for (const arms of ["llm-9", "llm,llm 1", ","]) {
        const { status, stderr, stdout } = await rlrf("first", "third", "--arms", arms);
        assert.deepEqual([status, stdout], [2, ""]);
        assert.match(stderr, /^RLRF_USAGE: none of the runs has an arm [\s\S]*some of llm/);
      }
      const { status, stderr } = await rlrf("first", "third", "--metrics", "auc");
      assert.equal(status, 2);
      assert.match(stderr, /RLRF_METRIC_NAME/);
    });
  });
});
