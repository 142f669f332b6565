/** Whole runs that meet bad input or bad luck: what they say, the status they end with, and that nothing finished is lost. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs/promises";
import os from "node:os";
import { join } from "node:path";
import { packageRoot } from "../../framework/setup/paths.js";
import { useFaultyProxies } from "../support/faulty-proxy.js";
import { useFolder } from "../support/folder.js";
import { fixtureManifest } from "../support/fixtures.js";
import { command, type Finished, numbersOf, runFolderIn, start, startRun } from "../support/run.js";

const specs = join(packageRoot, "test", "e2e", "specs");
const quick = join(specs, "quick.json");
const tuned = join(specs, "tuned.json");

const sets = (...values: string[]) => values.flatMap((value) => ["--set", value]);
const run = (spec: string, folder: string, ...options: string[]) => startRun(spec, folder, ...options).finished;

function fails({ status, stderr, stdout }: Finished, expected: 1 | 2, pattern: RegExp): void {
  assert.match(stderr, pattern);
  assert.equal(status, expected, stderr);
  assert.doesNotMatch(stderr + stdout, /\n\s+at .*:\d+:\d+|RLRF_INTERNAL/);
}

/** The folder of the run that a failed command named. */
const folderOf = ({ stderr }: Finished) => join(packageRoot, /^run: (.+)$/m.exec(stderr)?.[1] ?? "none");
const statusOf = async (folder: string) =>
  /"status":"(\w+)"/.exec((await fs.readFile(join(folder, "journal.jsonl"), "utf8")).trimEnd().split("\n").at(-1) ?? "")?.[1];
const resultOf = async (folder: string) =>
  JSON.parse(await fs.readFile(join(await runFolderIn(folder), "result.json"), "utf8")) as {
    counts: Record<string, number>;
    warnings: string[];
    hearing: { deaf: boolean }[];
  };

describe("a run that cannot tune", function () {
  this.timeout(5 * 60_000);
  let folder: string;
  const made = async (step: string) => (await fs.readdir(join(folder, "store", "steps", step)).catch(() => [])).length;

  before(async () => {
    folder = await fs.mkdtemp(join(os.tmpdir(), "rlrf-errors-"));
    const { status, stderr } = await run(tuned, folder);
    assert.equal(status, 0, stderr);
  });
  after(() => fs.rm(folder, { recursive: true, force: true }));

  it("goes on with a deaf reward when told to, and says so in the result", async () => {
    const { warnings, hearing } = await resultOf(folder);
    assert.ok(hearing.some(({ deaf }) => deaf));
    assert.ok(warnings.some((warning) => warning.startsWith("RLRF_REWARD_DEAF")));
  });

  it("stops at a deaf reward otherwise, before anything is sampled", async () => {
    const texts = await fs.readFile(join(folder, "store", "logs", "texts.log"), "utf8");
    const outcome = await run(tuned, folder, ...sets("alignment.deaf=stop"));
    fails(outcome, 1, /^RLRF_REWARD_DEAF: [\s\S]*where .*\/reward[\s\S]*to do .*alignment\.deaf = "continue"/m);
    assert.equal(outcome.stderr.match(/RLRF_REWARD_DEAF/g)?.length, 1, "it is said once");
    assert.equal(await fs.readFile(join(folder, "store", "logs", "texts.log"), "utf8"), texts);
    assert.equal(await statusOf(folderOf(outcome)), "FAILED");
  });

  it("says that all rewards are equal, tunes nothing, and keeps what was computed", async () => {
    const before = { tune: await made("tune"), rewards: await made("rewards") };
    const options = sets("sampling.options.temperature=1e-4", "sampling.options.maxTokens=64"); // all texts of a user are the same
    const outcome = await run(tuned, folder, ...options);
    fails(outcome, 1, /^RLRF_REWARD_FLAT: no preference example came from any of the \d+ users: .*ties \(\d+\).*; nothing was tuned/m);
    assert.doesNotMatch(outcome.stderr, /alignment\.(?:structure|warmup)/, "it is off, and warms up");
    assert.equal(await made("tune"), before.tune);
    assert.equal(await made("rewards"), before.rewards + 1);
    await assert.rejects(fs.access(join(folderOf(outcome), "result.json")));
    const again = await run(tuned, folder, ...options);
    fails(again, 1, /RLRF_REWARD_FLAT/);
    assert.equal(await made("rewards"), before.rewards + 1);
  });

  it("stops when tuning diverges, names the step, and keeps the state before it", async () => {
    const outcome = await run(tuned, folder, ...sets("alignment.learningRate=1e38", "alignment.clip=0"));
    fails(outcome, 1, /^RLRF_ALIGN_NAN: [\s\S]*where .*step \d+[\s\S]*to do .*learning rate \(1e\+38\), or clip/m);
    const kept = join(folderOf(outcome), "tuning", "iteration-1");
    const { step, file } = JSON.parse(await fs.readFile(join(kept, "state.json"), "utf8")) as { step: number; file: string };
    assert.match(outcome.stderr, new RegExp(`step ${step}\\b`));
    await fs.access(join(kept, file));
  });

  it("refuses prompts that are longer than the model's context", async () => {
    const outcome = await run(tuned, folder, ...sets("llm.options.context=40"));
    fails(outcome, 2, /^RLRF_LLM_CONTEXT: [\s\S]*expected .*40 tokens[\s\S]*to do .*protocol\.window/m);
  });
});

describe("a run with bad data or parts", function () {
  this.timeout(3 * 60_000);
  const folder = useFolder();

  /** RecBole's atomic files: a user a line of `lengths`, with so many interactions. */
  async function movielens(lengths: readonly number[], change: (lines: string[]) => string[] = (lines) => lines): Promise<string> {
    const items = Array.from({ length: 60 }, (_, i) => `${i + 1}\tFilm ${i + 1}\t${1960 + (i % 40)}\t${i % 2 ? "Drama" : "Comedy"}`);
    const ratings = lengths.flatMap((length, user) =>
      Array.from({ length }, (_, i) => `${user + 1}\t${((user * 7 + i * 11) % 60) + 1}\t${((user + i) % 5) + 1}\t${1000 + i}`),
    );
    const users = lengths.map((_, user) => `${user + 1}\t30\tF\twriter\t12345`);
    const inter = ["user_id:token\titem_id:token\trating:float\ttimestamp:float", ...ratings];
    const head = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq";
    await fs.mkdir(folder("data"), { recursive: true });
    await fs.writeFile(folder("data", "ml-100k.inter"), `${change(inter).join("\n")}\n`);
    await fs.writeFile(folder("data", "ml-100k.item"), `${[head, ...items].join("\n")}\n`);
    await fs.writeFile(
      folder("data", "ml-100k.user"),
      `${["user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token", ...users].join("\n")}\n`,
    );
    return folder("data");
  }
  const ofMovielens = (path: string, ...more: string[]) => sets("dataset.plugin=movielens", `dataset.options.path=${path}`, ...more);

  it("names file and line of a bad row; skipped ones and users who are too short are counted in the result", async () => {
    const lengths = [...Array.from({ length: 30 }, () => 20), 1, 1];
    const path = await movielens(lengths, (lines) => lines.with(7, "1\t2\tfive\t1000").with(9, "1\t2"));
    const outcome = await run(quick, folder("work"), ...ofMovielens(path));
    fails(outcome, 2, /^RLRF_DATA_ROW: [\s\S]*where .*ml-100k\.inter:8\b/m);
    assert.match(outcome.stderr, /onBadRow/);
    await fs.rm(folder("work"), { recursive: true });
    const { status, stderr } = await run(quick, folder("work"), ...ofMovielens(path, "dataset.options.onBadRow=skip"));
    assert.equal(status, 0, stderr);
    const { counts } = await resultOf(folder("work"));
    assert.equal(counts.badInteractions, 2);
    assert.equal(counts.usersTooShort, 2);
    assert.equal(counts.users, 30);
  });

  it("says that there is no data, no folder, and too few items or users", async () => {
    const path = await movielens([20, 20], ([head]) => [head as string]);
    fails(await run(quick, folder("work"), ...ofMovielens(path)), 2, /^RLRF_DATA_EMPTY: the dataset has no interactions/m);
    fails(
      await run(quick, folder("work"), ...ofMovielens(folder("none"))),
      2,
      /^RLRF_FILE_MISSING: dataset\.options\.path: there is no "\S*none"/m,
    );
    fails(
      await run(quick, folder("work"), ...sets("protocol.listLength=99")),
      2,
      /^RLRF_DATA_EMPTY: no list can be cut[\s\S]*to do .*listLength/m,
    );
    fails(await run(quick, folder("work"), ...sets("dataset.options.users=3")), 2, /^RLRF_DATA_PARTS: 3 users/m);
  });

  it("stops when the recommender diverges, says where, and keeps its last good state", async () => {
    const outcome = await run(quick, folder("work"), ...sets("reranker.options.learningRate=1e35"));
    fails(outcome, 1, /^RLRF_TRAIN_NAN: [\s\S]*where .*recommender, epoch 1/m);
    assert.deepEqual(await fs.readdir(join(folderOf(outcome), "diverged")), ["recommender-evaluate-0-1.safetensors"]);
  });

  it("refuses a text encoder whose vectors change their width", async () => {
    const args = [process.execPath, command, "run", quick, "--runs", folder("runs"), "--cache", folder("store")];
    const { finished } = start([...args, ...sets("textEncoder.plugin=@fixture/widening"), "--no-frozen"], {
      RLRF_PLUGINS: await fixtureManifest(),
    });
    fails(await finished, 2, /^RLRF_TEXT_WIDTH: /m);
  });

  it("names the users whom a replay file lacks", async () => {
    await fs.writeFile(folder("texts.jsonl"), '{"user": "u1", "text": "Genre: Drama"}\n');
    const replay = sets("llm.plugin=replay", `llm.options.path=${folder("texts.jsonl")}`, "sampling.plugin=best-worst", 'arms=["llm"]');
    fails(await run(quick, folder("work"), ...replay), 2, /^RLRF_REPLAY_MISSING: 39 of 40 users [\s\S]*where .*texts\.jsonl/m);
    await fs.appendFile(folder("texts.jsonl"), "oops\n");
    fails(await run(quick, folder("work"), ...replay), 2, /^RLRF_REPLAY_FILE: [\s\S]*texts\.jsonl:2/m);
  });
});

describe("a run on a bad disk", function () {
  this.timeout(3 * 60_000);
  const folder = useFolder();

  it("says at once that it cannot write its folder or its store", async () => {
    await fs.writeFile(folder("file"), "");
    const args = (runs: string, cache: string) => [process.execPath, command, "run", quick, "--runs", runs, "--cache", cache];
    const badRuns = await start(args(folder("file", "x"), folder("store"))).finished;
    fails(badRuns, 1, /^RLRF_RUN_UNWRITABLE: .*a part of its path is a file[\s\S]*to do .*--runs/m);
    const badStore = await start(args(folder("runs"), folder("file", "x"))).finished;
    fails(badStore, 1, /^RLRF_STORE_UNWRITABLE: .*a part of its path is a file[\s\S]*to do .*--cache/m);
    await assert.rejects(fs.access(folder("runs")), "no run was begun");
  });

  it("says that the disk is full, keeps what was finished, and goes on when there is room", async () => {
    const undisturbed = folder("undisturbed");
    assert.equal((await run(quick, undisturbed)).status, 0);
    const small = folder("small");
    await fs.mkdir(small);
    const disk = mount(small);
    const args = [process.execPath, command, "run", quick, "--runs", join(small, "runs"), "--cache", join(small, "store")];
    try {
      // Where no disk can be mounted, the system's limit on the size of a file says no in its place.
      const outcome = await start(disk === null ? ["bash", "-c", 'ulimit -f 60; exec "$@"', "bash", ...args] : args).finished;
      fails(outcome, 1, /^RLRF_DISK_FULL: no space left to write [\s\S]*to do .*the same command again/m);
      disk?.grow();
      const { status, stderr } = await run(quick, small);
      assert.equal(status, 0, stderr);
      assert.deepEqual(await numbersOf(small), await numbersOf(undisturbed));
    } finally {
      disk?.unmount();
    }
  });

  it("discards a corrupted result with a warning, and ends with the same numbers", async () => {
    assert.equal((await run(quick, folder())).status, 0);
    const before = await numbersOf(folder());
    for (const [step, file] of [
      ["recommender", "state.safetensors"],
      ["scores", "scores.safetensors"],
    ] as const) {
      // biome-ignore format: a table
      const results = folder("store", "steps", step);
      const path = join(results, (await fs.readdir(results))[0] as string, file);
      const bytes = await fs.readFile(path);
      bytes[bytes.length - 3] = (bytes.at(-3) as number) ^ 1;
      await fs.writeFile(path, bytes);
    }
    const { status, stderr } = await run(quick, folder());
    assert.equal(status, 0, stderr);
    assert.match(
      stderr,
      /RLRF_STORE_CORRUPT: .*steps\/(recommender|scores).*does not match its checksum; the result is discarded and made again/,
    );
    assert.deepEqual(await numbersOf(folder()), before);
  });

  it("is refused while another process has the same run", async () => {
    const long = sets("reranker.options.epochs=500", "reranker.options.patience=500");
    const first = startRun(quick, folder(), ...long);
    await new Promise<void>((resolve) => first.process.stderr?.on("data", (data: Buffer) => data.includes("run: ") && resolve()));
    fails(await run(quick, folder(), ...long), 1, /^RLRF_RUN_BUSY: .*process \d+/m);
    first.process.kill("SIGINT");
    assert.equal((await first.finished).status, 130);
  });
});

/** A disk of its own, too small for a run; null where this user may not mount one. */
function mount(folder: string): { grow(): void; unmount(): void } | null {
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=120k", "tmpfs", folder], { stdio: "ignore" });
  } catch {
    return null;
  }
  return {
    grow: () => void execFileSync("mount", ["-o", "remount,size=64m", folder]),
    unmount: () => void execFileSync("umount", ["-l", folder]),
  };
}

describe("a run and its MLflow server", function () {
  this.timeout(3 * 60_000);
  const folder = useFolder();
  const openProxy = useFaultyProxies();

  /** As much of MLflow as a run needs to believe in it. */
  function answer(url: string): string {
    const info = { run_id: "r1", experiment_id: "1", status: "RUNNING", artifact_uri: "mlflow-artifacts:/1/r1/artifacts" };
    if (url.includes("experiments/get-by-name")) return JSON.stringify({ experiment: { experiment_id: "1", lifecycle_stage: "active" } });
    if (url.includes("runs/create") || url.includes("runs/get")) return JSON.stringify({ run: { info, data: {} } });
    return "{}";
  }
  async function endsWell({ status, stderr, stdout }: Finished): Promise<void> {
    assert.equal(status, 0, stderr);
    assert.match(stdout, /in MLflow +not all of it: npx rlrf sync \S+ --to http/);
    assert.equal(await statusOf(await runFolderIn(folder())), "FINISHED");
    await fs.access(join(await runFolderIn(folder()), "result.json"));
  }

  it("goes on when nobody is there, and says how to replay the journal", async () => {
    const outcome = await run(quick, folder(), ...sets("tracking.uri=http://127.0.0.1:9"));
    assert.match(outcome.stderr, /RLRF_TRACK_UNREACHABLE: .*the run goes on/);
    assert.match(outcome.stderr, /Replay it with: rlrf sync \S+ --to http:\/\/127\.0\.0\.1:9/);
    await endsWell(outcome);
  });

  it("goes on when it vanishes in the middle", async () => {
    const proxy = await openProxy();
    proxy.fault = ({ url }) => {
      if (url.includes("log-batch")) setImmediate(() => void proxy.down());
      return { status: 200, body: answer(url) };
    };
    const outcome = await run(quick, folder(), ...sets(`tracking.uri=${proxy.uri}`));
    assert.ok(proxy.seen.some(({ url }) => url.includes("runs/create")));
    assert.match(outcome.stderr, /RLRF_TRACK_UNREACHABLE/);
    await endsWell(outcome);
  });

  it("goes on when it refuses a batch, and says what was refused", async () => {
    const proxy = await openProxy();
    const refusal = JSON.stringify({ error_code: "INVALID_PARAMETER_VALUE", message: "no metrics today" });
    proxy.fault = ({ url, body }) =>
      url.includes("log-batch") && /"metrics":\[\{/.test(body) ? { status: 400, body: refusal } : { status: 200, body: answer(url) };
    const outcome = await run(quick, folder(), ...sets(`tracking.uri=${proxy.uri}`));
    assert.equal(outcome.status, 0, outcome.stderr);
    assert.match(outcome.stderr, /RLRF_TRACK_REFUSED: .*no metrics today/);
    assert.equal(await statusOf(await runFolderIn(folder())), "FINISHED");
    assert.match(await fs.readFile(join(await runFolderIn(folder()), "journal.jsonl"), "utf8"), /"metrics":\{"id-only\/ndcg@5"/);
  });
});
