import assert from "node:assert/strict";
import fs from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { compareRuns } from "../../framework/compare/compare.js";
import { readRun } from "../../framework/compare/read-run.js";
import { linked } from "../../framework/report/link.js";
import { writeReport } from "../../framework/report/write.js";
import { ranksOf } from "../../framework/report/users.js";
import { escapedJson } from "../../framework/report/html.js";
import { type OpenedPage, useBrowser } from "../support/browser.js";
import { assertFails } from "../support/faults.js";
import { useFolder } from "../support/folder.js";
import { makeRun, makeSweep } from "../support/made-run.js";

const malice = '</script><script>window.harm=1</script><!-- <img src="http://127.0.0.1:9/x.png" onerror="window.harm=1">\u2028"\'&lt;';
const axeSource = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

/** Keeps the lengths of tasks over 50 ms, in the browser. */
const longTasks =
  'globalThis.tasks = []; new PerformanceObserver((list) => tasks.push(...list.getEntries().map((task) => task.duration))).observe({ type: "longtask", buffered: true });';

interface AxeResults {
  readonly violations: readonly { readonly id: string; readonly impact: string; readonly nodes: readonly { readonly html: string }[] }[];
}

/** What axe-core finds serious or worse. */
async function seriousFaults({ page }: OpenedPage): Promise<string[]> {
  const source = await fs.readFile(axeSource, "utf8");
  await page.evaluate(source);
  const { violations } = await page.evaluate(() => (globalThis as unknown as { axe: { run(): Promise<AxeResults> } }).axe.run());
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(
      ({ id, nodes }) =>
        `${id}: ${nodes
          .slice(0, 3)
          .map(({ html }) => html.slice(0, 200))
          .join(" | ")}`,
    );
}

describe("the linker of the page's modules", () => {
  const from = (modules: Readonly<Record<string, string>>) => linked("main.js", (path) => modules[path] ?? assert.fail(path));

  it("gives one script that runs modules in the order in which they need each other", () => {
    const script = from({
      "main.js":
        'import { a, b as c } from "./x.js";\nimport {\n    d,\n} from "./inner/y.js";\nout.push(a, c(), d);\nexport {};\n//# sourceMappingURL=main.js.map',
      "x.js": 'import { d } from "./inner/y.js";\nexport const a = d + 1;\nexport function b() {\n    return "b";\n}',
      "inner/y.js": "export class Unused {\n}\nexport const d = 1;",
    });
    const out: unknown[] = [];
    new Function("out", script)(out);
    assert.deepEqual(out, [2, "b", 1]);
  });

  it("refuses what it does not know", async () => {
    await assertFails("RLRF_REPORT_PAGE", () => from({ "main.js": 'import * as all from "./x.js";' }), /no form that is known/);
    await assertFails("RLRF_REPORT_PAGE", () => from({ "main.js": 'import { a } from "./main.js";' }), /imports itself/);
  });
});

describe("a report's data", () => {
  it("give tied candidates the mean of their ranks", () => {
    assert.deepEqual([...ranksOf([0.5, 0.9, 0.5, 0.1])], [2.5, 1, 2.5, 4]);
  });

  it("stand in a script element whatever their strings hold", () => {
    const text = escapedJson({ malice });
    assert.doesNotMatch(text, /[<>&\u2028]/);
    assert.deepEqual(JSON.parse(text), { malice });
  });
});

describe("rlrf report", function () {
  this.timeout(5 * 60_000); // seconds on a quiet machine
  const browser = useBrowser();
  const path = useFolder();
  let shared = "";
  let url = ""; // a report of one run

  before(async () => {
    shared = await fs.mkdtemp(join(tmpdir(), "rlrf4rec-report-"));
    await makeRun(join(shared, "made"), { users: 40 });
    await writeReport([join(shared, "made")], join(shared, "report.html"));
    url = pathToFileURL(join(shared, "report.html")).href;
  });
  after(() => fs.rm(shared, { recursive: true, force: true }));

  it("shows arms, tests and users of a run, asks nothing of any network, and runs nothing that stands in its data", async () => {
    await makeRun(path("made"), { users: 40, malice });
    await writeReport([path("made")], path("report.html"));
    const opened = await browser.open(pathToFileURL(path("report.html")).href);
    const { page, requests, faults, close } = opened;
    assert.equal(await page.locator("h1").textContent(), `made${malice}`);
    assert.match((await page.locator("table").first().textContent()) ?? "", /llm-1/);
    await page.locator("#users").scrollIntoViewIfNeeded();
    await page.locator(".detail h4").waitFor();
    assert.match((await page.locator(".detail").textContent()) ?? "", /The Made Film \d+<\/script>/);
    assert.deepEqual(requests, []);
    assert.deepEqual(faults, []);
    assert.equal(await page.evaluate(() => (globalThis as { harm?: number }).harm), undefined);
    await assert.rejects(
      page.evaluate(() => fetch("http://127.0.0.1:9/")),
      "the policy lets nothing out",
    );
    await assert.rejects(
      page.evaluate('document.body.insertAdjacentHTML("beforeend", "<i></i>")'),
      /TrustedHTML/,
      "the policy lets no text become HTML",
    );
    await close();
  });

  it("is worked by keyboard alone", async () => {
    const { page, close } = await browser.open(url);
    await page.locator("#users").scrollIntoViewIfNeeded();
    const head = page.locator(".detail .user-head");
    await head.waitFor();
    assert.match((await head.textContent()) ?? "", /^User u1 /);
    const list = page.locator(".list");
    for (let presses = 0; !(await list.evaluate((element) => element === element.ownerDocument.activeElement)); presses++) {
      assert.ok(presses < 60, "the list is not reached by Tab");
      await page.keyboard.press("Tab");
    }
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("End");
    await page.locator(".user-head", { hasText: "User u40" }).waitFor();
    await page.locator(".detail summary", { hasText: "8 by llm-1, after iteration 1 (held-out)" }).press("Enter");
    assert.equal(await page.locator(".detail details[open] li").count(), 8);
    assert.match((await page.locator(".detail details[open] li").first().textContent()) ?? "", /^0\.\d{4} Genre: \w+ \/ Period: 1990s/);
    assert.equal(await page.locator('[aria-selected="true"] .id').textContent(), "u40");
    await page.locator("#user-search").fill("u7");
    assert.equal(await page.locator(".row").count(), 1);
    await page.getByLabel("Sort by").selectOption("difference-down");
    await page.locator("#user-search").fill("");
    const shown = await page.locator(".row .difference").allTextContents();
    const numbers = shown.map((text) => Number(text.replace("\u2212", "-"))).filter((value) => !Number.isNaN(value));
    assert.ok(numbers.length > 10);
    assert.deepEqual(
      numbers,
      [...numbers].sort((a, b) => b - a),
    );
    await close();
  });

  for (const [colorScheme, width] of [
    ["light", 1440],
    ["dark", 390],
  ] as const)
    it(`has no serious fault of accessibility in ${colorScheme}, and nothing wider than its ${width} pixels`, async () => {
      const opened = await browser.open(url, { colorScheme, bypassCSP: true, viewport: { width, height: 900 } });
      await opened.page.locator("#users").scrollIntoViewIfNeeded();
      await opened.page.locator(".detail h4").waitFor();
      assert.deepEqual(await seriousFaults(opened), []);
      assert.equal(await opened.page.evaluate("document.documentElement.scrollWidth - innerWidth"), 0);
      await opened.close();
    });

  it("holds 10,000 users without freezing", async () => {
    await makeRun(path("made"), { users: 10_000 });
    const begun = performance.now();
    const { bytes, users } = await writeReport([path("made")], path("report.html"));
    const written = performance.now() - begun;
    assert.equal(users, 10_000);
    assert.ok(bytes < 40e6, `${bytes} bytes`);
    const opened = await browser.open("about:blank");
    await opened.page.addInitScript({ content: longTasks });
    await opened.page.goto(pathToFileURL(path("report.html")).href);
    await opened.page.locator("#users").scrollIntoViewIfNeeded();
    await opened.page.locator(".detail h4").waitFor();
    await opened.page.locator(".list").focus();
    await opened.page.keyboard.press("End");
    await opened.page.locator(".user-head", { hasText: "User u10000" }).waitFor();
    await opened.page.getByLabel("Sort by").selectOption("difference-down");
    await opened.page.locator("#user-search").fill("u99");
    await opened.page.waitForFunction('document.querySelector(".users [role=status]").textContent.startsWith("111 of")');
    const rows = await opened.page.locator(".row").count();
    assert.ok(rows < 60, `${rows} rows in the page`);
    const { paint, longest } = await opened.page.evaluate(() => ({
      paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? Number.NaN,
      longest: Math.max(0, ...(globalThis as unknown as { tasks: number[] }).tasks),
    }));
    console.log(
      `      10,000 users: ${(bytes / 1e6).toFixed(1)} MB written in ${(written / 1000).toFixed(1)} s; first paint ${paint.toFixed(0)} ms, longest task ${longest.toFixed(0)} ms`,
    );
    assert.ok(longest < 1000 && paint < 5000, `first paint ${paint}, longest task ${longest}`);
    await opened.close();
  });

  it("shows runs side by side with rlrf compare's tests, and one of them below", async () => {
    const folders = ["first", "second"].map((name) => path(name));
    for (const [i, folder] of folders.entries()) await makeRun(folder, { users: 60, name: `run-${i}`, lead: 0.3 * i });
    await writeReport(folders, path("report.html"));
    const { page, faults, close } = await browser.open(pathToFileURL(path("report.html")).href);
    const tests = page.getByRole("table", { name: "Paired tests between runs" });
    const [test] = compareRuns(await Promise.all(folders.map((folder) => readRun(folder)))).tests;
    const row = tests.locator("tbody tr").first();
    const shown = await row.locator("th, td").allTextContents();
    assert.deepEqual(shown.slice(0, 5), [test?.arm, "B", "A", "NDCG@5", `+${test?.difference.toFixed(4)}`]);
    await tests.getByRole("button", { name: "difference" }).click();
    assert.equal(await tests.locator('th[aria-sort="descending"]').textContent(), "difference");
    assert.equal(await page.locator(".run-title").textContent(), "run-0");
    await page.getByLabel("Run", { exact: true }).selectOption("1");
    assert.equal(await page.locator(".run-title").textContent(), "run-1");
    assert.match((await page.getByRole("table", { name: "Differences between the specs" }).textContent()) ?? "", /"run-1"/);
    assert.deepEqual(faults, []);
    await close();
  });

  it("says why runs of other lists stand side by side without tests", async () => {
    await makeRun(path("first"), { users: 30 });
    await makeRun(path("second"), { users: 40 });
    await writeReport([path("first"), path("second")], path("report.html"));
    const { page, close } = await browser.open(pathToFileURL(path("report.html")).href);
    assert.match((await page.locator("#runs").textContent()) ?? "", /cannot be tested against each other: .*other lists/);
    await close();
  });

  it("shows a sweep: its trials across the axes, a table that sorts, and the best of them whole", async () => {
    await makeSweep(path("sweep"));
    await writeReport([path("sweep")], path("report.html"));
    const opened = await browser.open(pathToFileURL(path("report.html")).href, { bypassCSP: true });
    const { page, faults, close } = opened;
    const trials = page.getByRole("table", { name: "Trials" });
    assert.equal(await trials.locator("tbody tr").count(), 4);
    await page.locator("#sweep svg").first().waitFor(); // drawn when the page knows its width
    assert.equal(await page.locator("#sweep svg g[aria-label]").count(), 0, "the picture has one name of its own");
    await trials.getByRole("button", { name: "selection" }).click();
    assert.deepEqual(await trials.locator("tbody th").allTextContents(), ["trial-4", "trial-2", "trial-1", "trial-3"]);
    const thick = page.locator("#sweep svg [stroke-width='4'] path");
    assert.equal(await thick.count(), 0);
    await trials.getByRole("button", { name: "trial-2" }).focus();
    await thick.waitFor({ state: "attached" });
    assert.equal(await thick.count(), 1);
    assert.match((await page.locator("#sweep .warnings").textContent()) ?? "", /trial-3: RLRF_ALIGN_NAN/);
    assert.deepEqual(await page.locator(".keys").first().locator("li").allTextContents(), ["A  trial-4", "B  trial-2", "C  trial-1"]);
    assert.deepEqual(await seriousFaults(opened), []);
    assert.deepEqual(faults, []);
    await close();
    await makeRun(path("alone"), { users: 30 });
    await assertFails("RLRF_USAGE", () => writeReport([path("sweep"), path("alone")], path("report.html")), /one sweep/);
  });

  it("says which file is not in its form, with its line", async () => {
    await makeRun(path("made"), { users: 20 });
    await fs.appendFile(path("made", "users.jsonl"), '{"user": 1}\n');
    await assertFails("RLRF_REPORT_FILE", () => writeReport([path("made")], path("report.html")), /users\.jsonl:21/);
    await assert.rejects(fs.stat(path("report.html")));
  });
});
