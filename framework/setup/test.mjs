/**
 * `npm test`: sets up what is missing, runs every test with coverage, and ends with the line "N passed, N failed".
 *   npm test -- --unit            without the end-to-end tests (test/e2e), and without the coverage threshold
 *   npm test -- --grep dpo        any further option or path is mocha's; a part of the tests has no threshold either
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bootstrap, root } from "./bootstrap.mjs";

const minimumCoverage = 90; // per cent of lines

await bootstrap();
const args = process.argv.slice(2);
const unit = args.includes("--unit");
const rest = args.filter((arg) => arg !== "--unit");
const scratch = mkdtempSync(join(tmpdir(), "rlrf4rec-test-"));
const counts = join(scratch, "counts.json");
process.env.RLRF_TEST_COUNTS = counts;

const mocha = [
  join(root, "node_modules", "mocha", "bin", "mocha.js"),
  ...["--reporter", join(root, "test", "support", "reporter.cjs"), "--forbid-only", "--forbid-pending"],
  ...(process.stdout.isTTY ? [] : ["--no-color"]), // mocha takes CI=true for a terminal
  ...(unit ? ["--ignore", "dist/test/e2e/**"] : []),
  ...(rest.some((arg) => arg.endsWith(".test.js")) ? rest : [...rest, "dist/test/**/*.test.js"]),
];
const coverage = [
  join(root, "node_modules", "c8", "bin", "c8.js"),
  ...["--include", "dist/framework/**", "--include", "dist/plugins/**", "--include", "framework/**/*.ts", "--include", "plugins/**/*.ts"],
  ...["--exclude", "**/*.d.ts"],
  ...["--exclude", "dist/framework/report/page/**", "--exclude", "framework/report/page/**"], // run in a browser
  ...typesOnly().flatMap((file) => ["--exclude", file]),
  ...["--all", "--src", "dist/framework", "--src", "dist/plugins", "--exclude-after-remap"],
  ...[
    "--reporter",
    "text-summary",
    "--reporter",
    "lcovonly",
    "--reports-dir",
    join(root, "coverage"),
    "--temp-directory",
    join(scratch, "v8"),
  ],
  "--merge-async", // one report at a time: each process that tests start leaves one, and together they are larger than the heap
  ...["--check-coverage", "--lines", String(minimumCoverage), "--branches", "0", "--functions", "0", "--statements", "0"],
];
const whole = !unit && rest.length === 0;
const status = await run(whole ? [...coverage, process.execPath, ...mocha] : mocha);
const { passes, failures } = readCounts();
rmSync(scratch, { recursive: true, force: true });
// Status 1 with every test passed: the coverage is under the threshold, or the process crashed after them.
const failed = failures === 0 && status !== 0 ? 1 : failures;
console.log(`\n${passes} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

function run(parameters) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, parameters, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
    child.on("close", (code) => resolve(code ?? 1));
    for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
  });
}

/** Written by test/support/reporter.cjs; missing when mocha itself did not start. */
function readCounts() {
  try {
    return JSON.parse(readFileSync(counts, "utf8"));
  } catch {
    return { passes: 0, failures: 0 };
  }
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
