/** The commands as a shell sees them: what they print, and the status they end with. */
import assert from "node:assert/strict";
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";
import { commands } from "../../framework/cli/main.js";
import { packageRoot } from "../../framework/setup/paths.js";
import { baseSpec, fixtureManifest, temporaryFolder, tunedSpec } from "../support/fixtures.js";

const bin = join(packageRoot, "framework", "cli", "rlrf.mjs");

interface Outcome {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

let folder: string;
let environment: NodeJS.ProcessEnv;
before(async () => {
  folder = await temporaryFolder();
  environment = { ...process.env, RLRF_PLUGINS: await fixtureManifest(), RLRF_DEBUG: "", NO_COLOR: "1" };
});

function start(args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, args, { cwd: folder, env: { ...environment, ...env }, stdio: "pipe" });
}

async function outcome(child: ChildProcessWithoutNullStreams, input = ""): Promise<Outcome> {
  child.stdin.on("error", () => {}); // it may end without reading
  child.stdin.end(input);
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { status: await ended, out, err };
}

const rlrf = (...args: string[]) => outcome(start([bin, ...args]));
const rlrfWith = (input: string, ...args: string[]) => outcome(start([bin, ...args]), input);

async function spec(content: unknown, name = "spec.json"): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, typeof content === "string" ? content : JSON.stringify(content, null, 2));
  return path;
}

function fails({ status, err, out }: Outcome, expected: number, pattern: RegExp): void {
  assert.match(err, pattern);
  assert.equal(status, expected, err);
  assert.doesNotMatch(err + out, /\n\s+at .*:\d+:\d+/, "no stack trace");
}

describe("the rlrf command", function () {
  this.timeout(60_000);

  it("shows help, and refuses what it does not know, with status 2", async () => {
    const help = await rlrf("--help");
    assert.equal(help.status, 0);
    for (const name of commands) assert.match(help.out, new RegExp(`^ {2}${name}\\b`, "m"));
    fails(await rlrf("lst"), 2, /unknown command 'lst'[\s\S]*Did you mean list/);
    fails(await rlrf("list", "--jsn"), 2, /unknown option/);
    fails(await rlrf("check"), 2, /missing required argument/);
    assert.equal((await rlrf()).status, 2);
    fails(await rlrf("run", "--bogus"), 2, /^RLRF_USAGE: unknown option '--bogus'\n {2}to do {5}rlrf run --help/);
  });

  it("tells its version, what is required and what is not a command; and defaults in the form that an option takes", async () => {
    const { version } = JSON.parse(await readFile(join(packageRoot, "package.json"), "utf8")) as { version: string };
    assert.deepEqual(await rlrf("--version"), { status: 0, out: `${version}\n`, err: "" });
    const words = async (...args: string[]) => (await rlrf(...args)).out.replace(/\s+/g, " ");
    const plan = await words("plan", "--help");
    assert.match(plan, /a file of that form \(required\) --users/);
    assert.match(plan, /--users <counts> [^(]+ \(default: 1000,1000000,100000000\)/);
    assert.match(await words("help", "serve"), /\(default: cache,llm,template\)/);
    assert.match(await words("run", "--help"), /--set <path=value> override one value of the spec \(repeatable\)/);
    for (const args of [
      ["help", "lst"],
      ["lst", "--help"],
    ])
      fails(await rlrf(...args), 2, /unknown command 'lst'[\s\S]*Did you mean list/);
  });

  it("takes no empty text for a folder, nor for anything else", async () => {
    fails(await rlrf("runs", "--runs", ""), 2, /^RLRF_USAGE: --runs is empty[\s\S]*to do .*shell variable/);
    fails(await rlrf("run", "none.json", "--runs", "", "--cache", ""), 2, /^RLRF_USAGE: --runs and --cache are empty/);
    fails(await rlrf("report", ""), 2, /^RLRF_USAGE: an argument is empty/);
    fails(await rlrf("plugin", "pack", "--out="), 2, /^RLRF_USAGE: --out is empty/);
  });

  it("tells programs what is wrong, too: an error object on stdout where --json asks for it", async () => {
    const errorOf = async (...args: string[]) => {
      const { status, out, err } = await rlrf(...args, "--json");
      const { error } = JSON.parse(out) as { error: { code: string; message: string; where?: string; faults?: { code: string }[] } };
      assert.ok(err.includes(error.code) && err.includes(error.message), err);
      return { status, ...error };
    };
    const bad = await spec({ ...baseSpec(), seeds: [], protocl: 1 }, "two.json");
    const { status, code, faults } = await errorOf("run", bad);
    assert.deepEqual([status, code, faults?.map((fault) => fault.code).sort()], [2, "RLRF_SPEC_FAULTS", ["RLRF_SPEC_UNKNOWN_KEY", "RLRF_SPEC_VALUE"]]); // biome-ignore format: one line
    assert.equal((await errorOf("describe", "loss/none")).code, "RLRF_PLUGIN_UNKNOWN");
    assert.match((await errorOf("explain", await spec("{", "cut.json"))).where ?? "", /cut\.json:1:2/);
    assert.equal((await errorOf("list", "--bogus")).code, "RLRF_USAGE");
  });

  it("names the environment variable that is wrong, and what it may be", async () => {
    const plugins = await outcome(start([bin, "list"], { RLRF_PLUGINS: "/nowhere" }));
    fails(plugins, 2, /^RLRF_REGISTRY_FILE: there is no "\/nowhere"\n {2}where {5}environment variable RLRF_PLUGINS/);
    const { out } = await outcome(start([bin, "doctor"], { RLRF_ENGINE: "cuda" }));
    assert.match(out, /there is no tensor engine "cuda"\n\s+set RLRF_ENGINE to one of auto, tensorflow, wasm, cpu, or unset it/);
  });

  it("says so when it is not built", async () => {
    const copy = join(folder, "unbuilt", "framework", "cli");
    await mkdir(copy, { recursive: true });
    await copyFile(bin, join(copy, "rlrf.mjs"));
    fails(await outcome(start([join(copy, "rlrf.mjs"), "list"])), 1, /not built yet: `npm start`/);
  });

  it("gives an unforeseen exception a code, and its stack only when asked", async () => {
    const broken = ["--import", "data:text/javascript,Map.prototype.values = () => { throw new TypeError('unforeseen') }"];
    fails(await outcome(start([...broken, bin, "list"])), 1, /^RLRF_INTERNAL: /);
    assert.match((await outcome(start([...broken, bin, "list"], { RLRF_DEBUG: "1" }))).err, /\n\s+at /);
  });

  it("ends quietly when its reader goes away", async () => {
    const child = start([bin, "list", "--json"]);
    child.stdout.destroy();
    const err = await text(child.stderr);
    assert.doesNotMatch(err, /EPIPE|\n\s+at /);
  });
});

describe("list and describe", function () {
  this.timeout(60_000);

  it("list plugins of one kind or all", async () => {
    const { out, status } = await rlrf("list", "loss");
    assert.equal(status, 0);
    assert.match(out, /^loss {2}@fixture\/margin\s+1\.2\.3 {2}A plugin of the tests$/m);
    assert.doesNotMatch(out, /^reward /m);
    const all = JSON.parse((await rlrf("list", "--json")).out) as { kind: string; name: string }[];
    assert.ok(all.some(({ kind, name }) => kind === "llm" && name === "@fixture/echo"));
    fails(await rlrf("list", "loses"), 2, /RLRF_PLUGIN_KIND[\s\S]*did you mean "loss"/);
  });

  it("describe options with defaults and units", async () => {
    const { out, status } = await rlrf("describe", "loss/@fixture/margin");
    assert.equal(status, 0);
    assert.match(out, /beta: number, > 0 \[1\/nats\]; default 0\.1\n\s+Scale of the log-ratio\./);
    assert.match(out, /link: one of: hinge, square; default "hinge"/);
    const { out: table } = await rlrf("describe", "dataset/table");
    assert.match(table, /^ {2}columns: object; default \{\}\n.*\n {2}columns\.user: string; default "user_id"\n {6}The user's id$/m);
    assert.match((await rlrf("describe", "loss/mix")).out, /^ {2}losses\[\]\.loss: a plugin of kind loss; required\n/m);
    assert.match((await rlrf("describe", "reward/@fixture/doubled")).out, /of: a plugin of kind reward; default/);
    assert.match((await rlrf("describe", "llm/@fixture/echo")).out, /key: a secret: \{"env": "NAME"\}; may be left out/);
    assert.match((await rlrf("describe", "dataset/@fixture/rows")).out, /no options/);
    assert.equal((JSON.parse((await rlrf("describe", "loss/@fixture/margin", "--json")).out) as { version: string }).version, "1.2.3");
    fails(await rlrf("describe", "loss/@fixture/margn"), 2, /RLRF_PLUGIN_UNKNOWN/);
    fails(await rlrf("describe", "loss"), 2, /RLRF_USAGE/);
  });
});

describe("check", function () {
  this.timeout(60_000);

  it("accepts valid specs and shows every fault of the others, with status 2", async () => {
    const good = await spec(tunedSpec(), "good.json");
    const bad = await spec({ ...baseSpec(), seeds: [], protocl: 1, encoder: { plugin: "@fixture/nothin" } }, "bad.json");
    const { out, status } = await rlrf("check", good);
    assert.equal(status, 0);
    assert.match(out, /^ok {2}\S*good\.json {2}fixture {2}[0-9a-f]{12}$/m);
    const both = await rlrf("check", good, bad);
    fails(both, 2, /RLRF_SPEC_FAULTS: 3 faults in bad\.json/);
    for (const part of [
      /RLRF_SPEC_VALUE: seeds is \[\]\n {2}where {5}bad\.json:\d+:\d+ \/seeds/,
      /did you mean "protocol"/,
      /did you mean "@fixture\/nothing"/,
    ])
      assert.match(both.err, part);
    assert.match(both.out, /good\.json/);
    const json = JSON.parse((await rlrf("check", good, bad, "--json")).out) as {
      ok: boolean;
      faults?: { code: string; pointer: string }[];
    }[];
    assert.deepEqual(
      json.map(({ ok }) => ok),
      [true, false],
    );
    assert.deepEqual(json[1]?.faults?.map(({ code, pointer }) => `${code} ${pointer}`).sort(), [
      "RLRF_PLUGIN_UNKNOWN /encoder/plugin",
      "RLRF_SPEC_UNKNOWN_KEY /protocl",
      "RLRF_SPEC_VALUE /seeds",
    ]);
  });

  it("refuses parts that cannot work together, each with its reason and its place, before anything loads", async () => {
    const base = join(packageRoot, "experiments", "quickstart.json");
    const untuned = { alignment: null, loss: null, tuner: null, arms: ["metadata"] };
    const plugin = (name: string, options = {}) => ({ plugin: name, options });
    const many = plugin("multi-negative");
    const combinations: readonly (readonly [change: object, where: string, why: RegExp])[] = [
      [{ loss: plugin("s-dpo") }, "/sampling", /several, but the sampling strategy gives one/],
      [{ loss: plugin("pl-topk"), sampling: plugin("rejection") }, "/sampling", /several, but the sampling strategy gives none/],
      [{ loss: plugin("pl-topk"), sampling: many }, "/sampling", /learns the order of the rejected texts/],
      [{ loss: plugin("aot"), alignment: { batchSize: 1 } }, "/alignment/batchSize", /"aot" compares the pairs of a batch with each other/],
      [{ reward: plugin("contrast", { reward: plugin("contrast") }) }, "/reward/options/reward/plugin", /within "contrast" it is given one of them at a time/],
      [{ sampling: many }, "/loss", /several rejected texts, but the loss takes pairs/],
      [{ sampling: plugin("rejection") }, "/sampling", /with a rejected one, but the sampling strategy gives none/],
      [{ loss: plugin("mix", { losses: [{ loss: plugin("sft") }, { loss: plugin("dmpo") }] }) }, "/sampling", /compares a chosen text with several/],
      [{ loss: plugin("rec-po"), sampling: many, reward: null, arms: ["llm"] }, "/alignment", /needs the section "reward"/],
      [{ loss: plugin("rec-po"), sampling: many, reward: plugin("log-likelihood") }, "/reward/plugin", /margin = "ratio" does not work with the reward "log-likelihood"/],
      [{ loss: plugin("mix", { losses: [{ loss: plugin("rec-po") }] }), sampling: many, reward: plugin("log-likelihood") }, "/reward/plugin", /loss "rec-po" with margin = "ratio" does not work with/],
      [{ reward: plugin("lift", { reward: plugin("judge", { llm: plugin("causal-lm") }) }) }, "/reward/options/reward/plugin", /"judge" looks at the text and not at the recommender's ranking/],
      [{ reward: plugin("judge", { llm: plugin("tiny") }) }, "/reward/options/llm/plugin", /"tiny" learns to write from the run's dialogues/],
      [{ reward: plugin("weighted", { rewards: [{ reward: plugin("learned") }] }) }, "/reward/options/rewards/0/reward/plugin", /"learned" measures a share of the texts/],
      [{ reward: plugin("structure") }, "/alignment/structure", /rewards all of them alike/],
      [{ reward: plugin("structure"), sampling: plugin("crossed"), alignment: { structure: "off" } }, "/reward/plugin", /"crossed" compares what a text is worth to two users/],
      [{ sampling: plugin("best-worst", { samples: 1 }) }, "/sampling/options/samples", /compares the texts of a user with each other, and draws one/],
      [{ sampling: plugin("best-worst", { temperature: 0 }) }, "/sampling/options/temperature", /the same text/],
      [{ sampling: plugin("margin", { topK: 1 }) }, "/sampling/options/topK", /the same text/],
      [{ llm: plugin("replay", { path: "said.jsonl" }) }, "/llm/plugin", /replay writes texts but cannot be tuned/],
      [{ llm: plugin("openai", { baseUrl: "http://127.0.0.1:9/v1", model: "m" }) }, "/llm/plugin", /openai writes texts but cannot be tuned/],
      [{ ...untuned, llm: plugin("openai", { baseUrl: "http://127.0.0.1:9/v1", model: "m" }), textEncoder: plugin("llm-hidden") }, "/textEncoder", /openai runs elsewhere and gives texts alone/],
      [{ ...untuned, llm: null, reward: null, sampling: null, textEncoder: plugin("llm-hidden") }, "/textEncoder", /the spec has none/],
      [{ ...untuned, arms: ["best-of-N"] }, "/arms/0", /"best-of-N" needs the section "alignment"/],
      [{ tuner: plugin("trl"), loss: plugin("sppo", { beta: 0.1 }), sampling: many }, "/loss", /takes pairs/],
      [{ tuner: plugin("trl"), loss: plugin("s-dpo"), sampling: many }, "/loss/plugin", /tuner "trl" does not work with the loss "s-dpo"/],
    ]; // biome-ignore format: one line each
    await writeFile(join(folder, "said.jsonl"), "");
    const paths = await Promise.all(combinations.map(([change], i) => spec({ extends: base, ...change } as never, `pair-${i}.json`)));
    const { out, status } = await rlrf("check", ...paths, "--json");
    assert.equal(status, 2);
    const answers = JSON.parse(out) as { ok: boolean; faults?: { code: string; pointer: string; message: string; expected?: string }[] }[];
    for (const [i, [change, where, why]] of combinations.entries()) {
      const what = JSON.stringify([change, answers[i]]);
      const fault = answers[i]?.faults?.find(({ pointer, message }) => pointer === where && why.test(message));
      assert.ok(fault?.code === "RLRF_SPEC_CONFLICT" && fault.expected !== undefined, what);
      assert.equal(answers[i]?.faults?.length, 1, what);
    }
  });

  it("names files that are not there, and an address that nobody gave, beside all else", async () => {
    const path = await spec({
      ...baseSpec(),
      seeds: [],
      dataset: { plugin: "table", options: { interactions: "nowhere.csv", items: ".", users: "spec.json" } },
      executor: { plugin: "ray" },
    });
    const child = start([bin, "check", path], { RLRF_RAY_ADDRESS: "" });
    const { err, status } = await outcome(child);
    assert.equal(status, 2);
    for (const part of [
      /^RLRF_SPEC_FAULTS: 4 faults/m,
      /^RLRF_SPEC_VALUE: seeds is \[\]$/m,
      /^RLRF_FILE_MISSING: dataset\.options\.interactions: there is no "nowhere\.csv"\n {2}where {5}spec\.json:\d+:\d+ \/dataset\/options\/interactions$/m,
      /^RLRF_FILE_MISSING: dataset\.options\.items: "\." is no file$/m,
      /^RLRF_SPEC_MISSING: executor\.options\.address is null, and the environment variable RLRF_RAY_ADDRESS is not set$/m,
    ])
      assert.match(err, part);
  });

  it("points at malformed JSON, and takes overrides", async () => {
    fails(await rlrf("check", await spec('{\n  "name": oops\n}', "broken.json")), 2, /RLRF_JSON: .*"oops"\n {2}where {5}broken\.json:2:11/);
    fails(await rlrf("check", "nowhere.json"), 2, /RLRF_SPEC_FILE/);
    const good = await spec(tunedSpec(), "good.json");
    assert.equal((await rlrf("check", good, "--set", "loss.options.beta=0.2", "--set", "seeds=[4]")).status, 0);
    fails(
      await rlrf("check", good, "--set", "loss.options.beta=-1"),
      2,
      /RLRF_SPEC_VALUE: loss\.options\.beta is -1\n {2}where {5}--set loss\.options\.beta/,
    );
    fails(await rlrf("check", good, "--set", "nothing"), 2, /path=value/);
    fails(await rlrf("check", good, "--set", "foo.bar=1"), 2, /no key "foo"\n {2}where {5}--set foo\.bar/);
  });
});

describe("explain", function () {
  this.timeout(60_000);

  it("tells values, origins, needs and an estimate", async () => {
    const path = await spec({ ...tunedSpec(), dataset: { plugin: "synthetic", options: { users: 200 } } });
    const { out, status } = await rlrf("explain", path, "--set", "protocol.window=10");
    assert.equal(status, 0);
    assert.match(out, /^protocol\.window\s+10\s+--set protocol\.window=…$/m);
    assert.match(out, /^loss\.options\.link\s+"hinge"\s+default of loss\/@fixture\/margin$/m);
    assert.match(out, /^loss\.options\.beta\s+0\.5\s+spec\.json:\d+:\d+$/m);
    assert.match(out, /at most 128 pairs from 160 of 200 users/); // 0.8 of 200, less a fifth held out
    const json = JSON.parse((await rlrf("explain", path, "--json")).out) as {
      spec: { seeds: number[] };
      estimate: { pairs: number };
      origins: Record<string, string>;
    };
    assert.deepEqual(json.spec.seeds, [1]);
    assert.equal(json.estimate.pairs, 128);
    assert.equal(json.origins["/seeds"], "default of the spec");
  });

  it("tells which assets and files a spec needs, and whether they are there", async () => {
    const path = await spec({
      ...baseSpec(),
      dataset: { plugin: "movielens" },
      llm: { plugin: "replay", options: { path: "texts.jsonl" } },
      sampling: { plugin: "best-worst" },
    });
    const { assets, files } = JSON.parse((await rlrf("explain", path, "--json")).out) as { assets: { id: string }[]; files: object[] };
    assert.deepEqual(
      assets.map(({ id }) => id),
      ["movielens-100k"],
    );
    assert.deepEqual(files, [{ path: "texts.jsonl", pointer: "/llm/options/path", exists: false }]);
    const own = JSON.parse((await rlrf("explain", path, "--json", "--set", "dataset.options.path=.")).out) as { assets: object[] };
    assert.deepEqual(own.assets, []);
  });
});

describe("try", function () {
  this.timeout(120_000);
  const batch = {
    chosen: { logProbs: [-12.3, -8, -20.5], reference: [-13, -8.5, -20] },
    rejected: { logProbs: [[-14.1], [-7.2], [-19]], reference: [[-13.5], [-8.1], [-20.4]] },
  };

  it("feeds a loss: values, mean, and the mean's gradient", async () => {
    const { out, err, status } = await rlrfWith(JSON.stringify(batch), "try", "loss/dpo", "--options", '{"beta": 0.1}', "--input", "-");
    assert.equal(status, 0, err);
    const { loss, mean, gradient } = JSON.parse(out) as {
      loss: number[];
      mean: number;
      gradient: { chosen: number[]; rejected: number[][] };
    };
    // The golden rows of losses.md, and d/du of -log s(bD) = -b s(-bD), over three pairs.
    for (const [i, expected] of [0.630258, 0.713347, 0.792653].entries()) assert.ok(Math.abs((loss[i] ?? 0) - expected) < 1e-6);
    assert.ok(Math.abs(mean - (0.630258 + 0.713347 + 0.792653) / 3) < 1e-6);
    assert.ok(Math.abs((gradient.chosen[0] ?? 0) + (0.1 * (1 - Math.exp(-0.630258))) / 3) < 1e-6);
    for (const [i, value] of gradient.chosen.entries()) assert.ok(Math.abs(value + (gradient.rejected[i]?.[0] ?? 0)) < 1e-9);
  });

  it("feeds a sampling strategy and metric rewards", async () => {
    const samples = {
      samples: [
        { text: "a", reward: 0.1 },
        { text: "b", reward: 0.7 },
      ],
      seed: 1,
    };
    assert.deepEqual(JSON.parse((await rlrfWith(JSON.stringify(samples), "try", "sampling/best-worst", "--input", "-")).out), {
      examples: [{ chosen: 1, rejected: [0] }],
      dropped: null,
    });
    const ndcg = async (input: unknown) =>
      (JSON.parse((await rlrfWith(JSON.stringify(input), "try", "reward/ndcg", "--input", "-")).out) as { rewards: (number | null)[] })
        .rewards;
    const second = 1 / Math.log2(3);
    const [one] = await ndcg({ scores: [0.2, 0.9], labels: [1, 0] });
    assert.ok(Math.abs((one ?? 0) - second) < 1e-9);
    assert.deepEqual(
      await ndcg({
        scores: [
          [1, 2],
          [2, 1],
        ],
        labels: [
          [0, 1],
          [1, 0],
        ],
      }),
      [1, 1],
    );
    assert.deepEqual(
      await ndcg([
        { scores: [1, 2], labels: [0, 1] },
        { scores: [3, 2, 1], labels: [0, 0, 0] },
      ]),
      [1, null],
    );
  });

  it("feeds a reward the same text at other users", async () => {
    const contrast = (input: unknown, ...options: string[]) =>
      rlrfWith(JSON.stringify(input), "try", "reward/contrast", ...options, "--input", "-");
    const own = { scores: [3, 2, 1], labels: [0, 1, 0] };
    const others = [
      { scores: [3, 2, 1], labels: [1, 0, 0] },
      { scores: [1, 2, 3], labels: [1, 0, 0] },
    ];
    const mrr = ["--options", '{"reward": {"plugin": "mrr"}}'];
    const { rewards } = JSON.parse((await contrast({ ...own, others }, ...mrr)).out) as { rewards: number[] };
    assert.ok(Math.abs((rewards[0] as number) - (1 / 2 - (1 + 1 / 3) / 2)) < 1e-9);
    fails(await contrast(own), 2, /RLRF_TRY_INPUT: the reward needs "others"/);
    const short = { scores: [2, 1], labels: [1, 0] };
    fails(await contrast({ ...own, others: [short] }), 2, /there are 2 entries[\s\S]*list 0 others 0 scores/);
    const weighted = JSON.stringify({ rewards: [{ reward: { plugin: "contrast" } }] });
    const unlike = JSON.stringify([{ ...own, others }, own]);
    fails(await rlrfWith(unlike, "try", "reward/weighted", "--options", weighted, "--input", "-"), 2, /list 1 others/);
  });

  it("says where the options of a plugin within are wrong, and which plugin may be meant", async () => {
    const nested = '{"losses": [{"loss": {"plugin": "nope"}}]}';
    const unknown = await rlrfWith(JSON.stringify(batch), "try", "loss/mix", "--options", nested, "--input", "-");
    fails(unknown, 2, /RLRF_PLUGIN_UNKNOWN[\s\S]*where {5}--options:1:33 \/options\/losses\/0\/loss\/plugin/);
    fails(await rlrf("describe", "dpo"), 2, /^RLRF_USAGE: "dpo" names no plugin[\s\S]*did you mean loss\/dpo\?/);
    fails(await rlrf("describe", "loss/dpo/x"), 2, /did you mean "dpo"\?/);
  });

  it("says what is wrong with options, input and plugin", async () => {
    const input = JSON.stringify(batch);
    fails(
      await rlrfWith(input, "try", "loss/dpo", "--options", '{"betta": 1}', "--input", "-"),
      2,
      /RLRF_SPEC_UNKNOWN_KEY[\s\S]*did you mean "beta"/,
    );
    fails(await rlrfWith(input, "try", "loss/dpo", "--options", "{", "--input", "-"), 2, /RLRF_JSON[\s\S]*--options:1:2/);
    fails(await rlrfWith(input, "try", "loss/dpo", "--options", "[]", "--input", "-"), 2, /RLRF_SPEC_TYPE: options is \[\]/);
    fails(await rlrfWith("[1]", "try", "loss/dpo", "--input", "-"), 2, /RLRF_TRY_INPUT: the input is \[1\]/);
    for (const [empty, said] of [
      ['{"scores": [], "labels": []}', /scores is \[\]/],
      ['{"scores": [[]], "labels": [[]]}', /scores\.0 is \[\]/],
      ['{"scores": [1, 2], "labels": [256, 0]}', /labels\.0 is 256/],
      ['{"scores": [1, 2], "labels": [0, -1]}', /labels\.1 is -1/],
      ['{"scores": [1, 2], "labels": [0.5, 0]}', /labels\.0 is 0\.5/],
    ] as const)
      fails(await rlrfWith(empty, "try", "reward/ndcg", "--input", "-"), 2, said);
    fails(await rlrfWith("{]", "try", "loss/dpo", "--input", "-"), 2, /RLRF_JSON[\s\S]*standard input:1:2/);
    fails(await rlrfWith("", "try", "loss/dpo", "--input", "nowhere.json"), 2, /RLRF_TRY_INPUT/);
    const tooMuch = /RLRF_TRY_INPUT: it has more than 67108864 bytes/;
    fails(await rlrfWith("", "try", "loss/dpo", "--input", "/dev/zero"), 2, tooMuch);
    fails(await rlrfWith(" ".repeat((1 << 26) + 1), "try", "loss/dpo", "--input", "-"), 2, tooMuch);
    const mismatched = (theirs: object) => JSON.stringify({ ...batch, mismatched: theirs });
    for (const [theirs, said] of [
      [{ logProbs: [-1], reference: [-1, -2, -3] }, /there are 3 entries/],
      [{ logProbs: [], reference: [] }, /there is no completion/],
      [{ logProbs: [-1], reference: [-1], lengths: [0] }, /lengths\.0 is 0/],
    ] as const)
      fails(await rlrfWith(mismatched(theirs), "try", "loss/kto", "--input", "-"), 2, said);
    fails(
      await rlrfWith('{"chosen": {"logProbs": ["x"]}}', "try", "loss/dpo", "--input", "-"),
      2,
      /RLRF_TRY_INPUT: chosen\.logProbs\.0 is "x"\n {2}where {5}standard input:1:26 \/chosen/,
    );
    fails(
      await rlrfWith('{"chosen": {"logProbs": [-1]}, "rejected": {"logProbs": [[-1]]}}', "try", "loss/dpo", "--input", "-"),
      2,
      /needs "reference"/,
    );
    fails(
      await rlrfWith('{"chosen": {"logProbs": [-1, -2]}, "rejected": {"logProbs": [[-1]]}}', "try", "loss/dpo", "--input", "-"),
      2,
      /there are 1 entries/,
    );
    fails(await rlrfWith('{"scores": [1], "labels": [1, 0]}', "try", "reward/ndcg", "--input", "-"), 2, /there are 2 entries/);
    fails(await rlrfWith(input, "try", "encoder/none", "--input", "-"), 2, /RLRF_TRY_IMPURE/);
  });
});

describe("light commands", function () {
  this.timeout(60_000);

  const small = { ...baseSpec(), dataset: { plugin: "movielens" }, reranker: { plugin: "prm" } };
  const swept = { ...small, sweep: { axes: { "/protocol/window": { values: [3, 4] } }, metric: null } };
  const commands = [
    ["list"],
    ["describe", "loss/dpo"],
    ["check", "SPEC"],
    ["check", "SWEEP"],
    ["explain", "SWEEP"],
    ["runs", "--runs", "."],
  ];
  for (const args of commands)
    it(`${args.slice(0, 2).join(" ")} imports no tensor library and no plugin`, async () => {
      const path = await spec(args.includes("SWEEP") ? swept : small);
      const command = args.map((arg) => (arg === "SPEC" || arg === "SWEEP" ? path : arg));
      const trace = join(folder, `trace-${args.slice(0, 2).join("-").replaceAll("/", "-")}`);
      const hook = pathToFileURL(join(packageRoot, "dist", "test", "support", "import-trace.js")).href;
      const traced = await outcome(start(["--import", hook, bin, ...command], { RLRF_TRACE: trace }));
      assert.equal(traced.status, 0, traced.err);
      const modules = (await readFile(trace, "utf8")).split("\n");
      assert.ok(
        modules.some((url) => url.endsWith(args[0] === "runs" ? "/framework/compare/local-runs.js" : "/framework/kernel/registry.js")),
      );
      for (const heavy of [/@tensorflow/, /duckdb/, /onnxruntime|huggingface/, /\/dist\/plugins\//, /tsyringe/])
        assert.deepEqual(
          modules.filter((url) => heavy.test(url)),
          [],
        );
    });
});

describe("run", function () {
  this.timeout(180_000);
  const small = {
    name: "small",
    dataset: { plugin: "synthetic", options: { users: 30, items: 80 } },
    protocol: { split: [0.5, 0.2, 0.3], metrics: ["ndcg@5"] },
    encoder: { plugin: "none" },
    adaptor: { plugin: "hea" },
    reranker: { plugin: "prm", options: { epochs: 1 } },
    textEncoder: { plugin: "hashing" },
    prompt: { aspects: ["Genre", "Avoids"] },
    arms: ["id-only", "metadata"],
  };

  it("reports the arms that were asked for alone", async () => {
    const { status, out, err } = await rlrf("run", await spec({ ...small, arms: ["id-only", "swapped"] }));
    assert.equal(status, 0, err);
    assert.match(out, /^swapped\s/m);
    assert.doesNotMatch(out, /^metadata\s+0/m);
  });

  it("runs a spec, prints the arms, and keeps the resolved spec", async () => {
    const { status, out, err } = await rlrf("run", await spec(small));
    assert.equal(status, 0, err);
    assert.match(out, /^arm\s+ndcg@5 \[95%\]$/m);
    assert.match(out, /^metadata\s+0\.\d{4} \[0\.\d{4}, 0\.\d{4}\]$/m);
    const run = /run folder\s+(\S+)/.exec(out)?.[1] ?? "";
    assert.match(run, /^runs\/small-[0-9a-f]{8}$/);
    assert.match(out, /npm run mlflow, then npx rlrf sync/);
    const kept = JSON.parse(await readFile(join(folder, run, "spec.json"), "utf8")) as { protocol: { window: number }; loss?: object };
    assert.equal(kept.protocol.window, 15);
    const again = await rlrf("run", join(folder, "spec.json"), "--json", "--quiet");
    const result = JSON.parse(again.out) as { arms: Record<string, object>; specHash: string };
    assert.deepEqual(Object.keys(result.arms), ["id-only", "metadata"]);
    assert.equal(again.err.replace(/^warning RLRF_REWARD_DEAF.*\n {2}to do .*\n/m, ""), "");
  });

  it("ends cleanly on Ctrl-C, with status 130", async () => {
    const child = start([
      bin,
      "run",
      await spec({
        ...small,
        name: "long",
        seeds: [1, 2, 3, 4, 5, 6, 7, 8],
        reranker: { plugin: "prm", options: { epochs: 50, patience: 50 } },
      }),
    ]);
    child.stderr.on("data", (data: Buffer) => {
      if (data.includes("run: ")) setTimeout(() => child.kill("SIGINT"), 1000);
    });
    const { status, err } = await outcome(child);
    assert.equal(status, 130, err);
    assert.match(err, /the same command goes on from here/);
    assert.doesNotMatch(err, /RLRF_INTERNAL|\n\s+at /);
    const name = /run: (\S+)/.exec(err)?.[1] ?? "";
    assert.match(await readFile(join(folder, name, "journal.jsonl"), "utf8"), /"status":"KILLED"/);
  });

  it("refuses a wrong spec before anything is started", async () => {
    const outcomeOf = await rlrf("run", await spec({ ...small, arms: ["llm"] }));
    fails(outcomeOf, 2, /RLRF_SPEC_CONFLICT|RLRF_SPEC_FAULTS/);
    assert.doesNotMatch(outcomeOf.err, /engine:/);
  });
});
