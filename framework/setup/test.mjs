/**
 * `npm test`: sets up what is missing, runs every test with coverage, and ends with the line "N passed, N failed".
 *   npm test -- --unit            without the end-to-end tests (test/e2e), and without the coverage threshold
 *   npm test -- --grep dpo        any further option or path is mocha's; a part of the tests has no threshold either
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { bootstrap, root } from "./bootstrap.mjs";

const minimumCoverage = 90; // per cent of lines
/** Test files at once; each process loads TensorFlow. */
const jobs = Math.min(8, availableParallelism());

await bootstrap();
const args = process.argv.slice(2);
const unit = args.includes("--unit");
const rest = args.filter((arg) => arg !== "--unit");
const whole = !unit && rest.length === 0;
const scratch = mkdtempSync(join(tmpdir(), "rlrf4rec-test-"));
const reports = join(scratch, "v8"); // of every process that tests start, too

const tally = { passes: 0, failures: 0 };
let running; // the child of this moment
let stopped = false;
for (const signal of ["SIGINT", "SIGTERM"])
  process.on(signal, () => {
    stopped = true;
    running?.kill(signal);
  });

if (rest.some((arg) => arg.endsWith(".test.js"))) await mocha(rest);
else {
  await mocha([...rest, "--parallel", "--jobs", String(jobs), "--ignore", "dist/test/e2e/**", "dist/test/**/*.test.js"]);
  // One by one: they start servers and clusters, and kill them.
  if (!unit && !stopped) await mocha([...rest, "dist/test/e2e/**/*.test.js"]);
}
if (whole && !stopped && (await coverage()) !== 0 && tally.failures === 0) tally.failures = 1;
rmSync(scratch, { recursive: true, force: true });
console.log(`\n${tally.passes} passed, ${tally.failures} failed`);
process.exit(tally.failures === 0 ? 0 : 1);

/** @param parameters mocha's; its counts are added to the tally, and a process that fails beside its tests is a failure */
async function mocha(parameters) {
  const counts = join(scratch, "counts.json");
  const status = await run(
    [
      join(root, "node_modules", "mocha", "bin", "mocha.js"),
      ...["--reporter", join(root, "test", "support", "reporter.cjs"), "--forbid-only", "--forbid-pending"],
      ...(process.stdout.isTTY ? [] : ["--no-color"]), // mocha takes CI=true for a terminal
      ...parameters,
    ],
    { RLRF_TEST_COUNTS: counts, ...(whole && { NODE_V8_COVERAGE: reports }) },
  );
  const { passes, failures } = existsSync(counts) ? JSON.parse(readFileSync(counts, "utf8")) : { passes: 0, failures: 0 };
  rmSync(counts, { force: true });
  tally.passes += passes;
  tally.failures += failures === 0 && status !== 0 ? 1 : failures;
}

/** @returns 0 where enough lines were covered */
function coverage() {
  return run([
    join(root, "node_modules", "c8", "bin", "c8.js"),
    "report",
    ...["--include", "dist/framework/**", "--include", "dist/plugins/**", "--include", "framework/**/*.ts", "--include", "plugins/**/*.ts"],
    ...["--exclude", "**/*.d.ts"],
    ...["--exclude", "dist/framework/report/page/**", "--exclude", "framework/report/page/**"], // run in a browser
    ...typesOnly().flatMap((file) => ["--exclude", file]),
    ...["--all", "--src", "dist/framework", "--src", "dist/plugins", "--exclude-after-remap"],
    ...["--reporter", "text-summary", "--reporter", "lcovonly", "--reports-dir", join(root, "coverage"), "--temp-directory", reports],
    "--merge-async", // one report at a time: together they are larger than the heap
    ...["--check-coverage", "--lines", String(minimumCoverage), "--branches", "0", "--functions", "0", "--statements", "0"],
  ]);
}

function run(parameters, env = {}) {
  return new Promise((resolve) => {
    const options = { cwd: root, stdio: ["ignore", "inherit", "inherit"], env: { ...process.env, ...env } };
    running = spawn(process.execPath, parameters, options).on("close", (code) => resolve(code ?? 1));
  });
}

/** Files that compile to nothing: there is nothing in them to run, and c8 would count all their lines as missed. */
function typesOnly() {
  return ["framework", "plugins"].flatMap((folder) => {
    const compiled = join(root, "dist", folder);
    if (!existsSync(compiled)) return [];
    return readdirSync(compiled, { recursive: true })
      .filter((name) => name.endsWith(".js") && !/[^\s]/.test(codeOf(readFileSync(join(compiled, name), "utf8"))))
      .flatMap((name) => [`dist/${folder}/${name}`, `${folder}/${name.replace(/\.js$/, ".ts")}`]);
  });
}

function codeOf(text) {
  return text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$|export \{\s*\};/gm, "");
}
