/** `rlrf bench` and `rlrf plan` as a shell sees them: what one writes the other counts with. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Plan } from "../../../framework/plan/plan.js";
import { type Rates, readPlanFile, works } from "../../../framework/plan/rates.js";
import { packageRoot } from "../../../framework/setup/paths.js";
import { temporaryFolder } from "../../support/fixtures.js";

const specs = join(packageRoot, "test", "e2e", "specs");

async function rlrf(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  const bin = join(packageRoot, "framework", "cli", "rlrf.mjs");
  return promisify(execFile)(process.execPath, [bin, ...args]).then(
    ({ stdout, stderr }) => ({ status: 0, out: stdout, err: stderr }),
    (error: { code: number; stdout: string; stderr: string }) => ({ status: error.code, out: error.stdout, err: error.stderr }),
  );
}

describe("rlrf bench and rlrf plan", function () {
  this.timeout(120_000);
  let folder: string;
  let rates: string;
  before(async () => {
    folder = await temporaryFolder();
    rates = join(folder, "rates.json");
    const { status, out, err } = await rlrf("bench", join(specs, "small.json"), "--out", rates, "--set", "llm.options.dialogues=200");
    assert.equal(status, 0, err);
    for (const work of works) assert.match(out, new RegExp(`^${work} +[0-9.e+]+  cpu$`, "m"));
  });

  it("measures every kind of work of a run that tunes, in the form of registry/rates.schema.json", async () => {
    const measured = await readPlanFile<Rates>(rates, "rates");
    assert.deepEqual(Object.keys(measured.rates).sort(), [...works].sort());
    for (const work of works) assert.ok((measured.rates[work]?.perSecond ?? 0) > 0);
    assert.equal(measured.sizes.items, 120);
    // 1,500 interactions take less time to be prepared than DuckDB to start
    assert.ok((measured.rates.interactions?.perSecond ?? 0) > 10_000, "measured on enough of them");
    assert.ok(measured.sizes.completionTokens >= 1 && measured.sizes.completionTokens <= 24);
    const { process: begun, languageModel, again } = measured.startup;
    assert.ok(begun > 0 && again > 0 && languageModel > again, "tiny is trained once, and then taken from the store");
  });

  it("plans with what was measured, at any size", async () => {
    const { status, out } = await rlrf("plan", join(specs, "small.json"), "--rates", rates, "--users", "1000,1000000", "--json");
    assert.equal(status, 0);
    const { plans } = JSON.parse(out) as { plans: readonly Plan[] };
    assert.deepEqual(
      plans.map(({ users }) => users),
      [1000, 1_000_000],
    );
    const growth = (plans[1]?.total.wallSeconds ?? 0) / (plans[0]?.total.wallSeconds ?? 1);
    assert.ok(growth > 500 && growth <= 1000, `${growth} times as long for 1,000 times the users`);
    const text = await rlrf("plan", join(specs, "small.json"), "--rates", rates, "--users", "1000");
    assert.match(text.out, /^bottleneck /m);
  });

  it("tells work without a rate as unknown, and the total as incomplete", async () => {
    const some = JSON.parse(await readFile(rates, "utf8"));
    for (const work of ["interactions", "texts", "comparedUsers"]) delete some.rates[work];
    const path = join(folder, "some.json");
    await writeFile(path, JSON.stringify(some));
    const { out } = await rlrf("plan", join(specs, "small.json"), "--rates", path, "--users", "1000");
    assert.match(out, /^prepare +[0-9.]+ .?B +\? +\?$/m);
    assert.match(out, /^evaluate +[0-9.]+ .?B +> [0-9.e-]+ +> .+$/m);
    assert.match(out, /^all +[0-9.]+ .? +[0-9.]+ .?B +> .+ +> .+$/m);
    assert.match(out, /% of the known time/);
    assert.match(out, /^incomplete no rate of interactions, texts, comparedUsers/m);
  });

  it("refuses files that are not in their form, with the place", async () => {
    const broken = JSON.parse(await readFile(rates, "utf8"));
    broken.rates.texts.perSecond = 0;
    broken.startup = { process: "soon" };
    const path = join(folder, "broken.json");
    await writeFile(path, JSON.stringify(broken));
    const { status, err } = await rlrf("plan", join(specs, "small.json"), "--rates", path);
    assert.equal(status, 2);
    assert.match(err, /RLRF_PLAN_FILE/);
    assert.match(err, /\/rates\/texts\/perSecond/);
    assert.match(err, /^ {4}\/startup\/process/m, "a line each");
    const other = await rlrf("plan", join(specs, "small.json"), "--rates", join(specs, "small.json"));
    assert.match(other.err, /^RLRF_PLAN_FILE: it is no file of rates:\n( {4}\/.+\n){5} {4}and \d+ more$/m);
    const none = await rlrf("plan", join(specs, "small.json"), "--rates", join(folder, "none.json"));
    assert.deepEqual([none.status, /RLRF_FILE_MISSING/.test(none.err)], [2, true]);
    const endless = await rlrf("plan", join(specs, "small.json"), "--rates", "/dev/zero");
    assert.match(endless.err, /^RLRF_PLAN_FILE: it has more than 1048576 bytes/);
    const users = await rlrf("plan", join(specs, "small.json"), "--rates", rates, "--users", "many");
    assert.deepEqual([users.status, /whole numbers/.test(users.err)], [2, true]);
  });
});
