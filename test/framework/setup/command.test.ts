import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { RlrfError } from "../../../framework/errors.js";
import { runCommand } from "../../../framework/setup/command.js";
import { packageRoot } from "../../../framework/setup/paths.js";
import { useFolder } from "../../support/folder.js";

const failed = (pattern: RegExp) => (error: unknown) =>
  error instanceof RlrfError && error.code === "RLRF_COMMAND_FAILED" && pattern.test(error.message);

const lives = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

describe("runCommand", () => {
  const folder = useFolder();
  const node = (script: string, limit = 10_000) =>
    runCommand(process.execPath, ["-e", script], { limit, purpose: "try it", hint: "do this" });

  it("gives back what was printed, and passes environment and folder", async () => {
    const printed = await runCommand(process.execPath, ["-p", "process.env.GREETING + process.cwd()"], {
      limit: 10_000,
      purpose: "try it",
      cwd: folder(),
      env: { GREETING: "hello " },
    });
    assert.equal(printed.trim(), `hello ${folder()}`);
  });

  it("tells the exit code, the last lines, the command, the purpose and what to do", async () => {
    const script = "for (let i = 0; i < 100; i++) console.error('line ' + i); process.exit(3)";
    await assert.rejects(node(script), failed(/exit code 3; it printed last:[\s\S]*line 99[\s\S]*needed to try it[\s\S]*do this/));
    await assert.rejects(node(script), (error) => !String(error).includes("line 80"));
  });

  it("tells a missing program, and one that was killed", async () => {
    await assert.rejects(runCommand("rlrf-no-such-program", [], { limit: 1_000, purpose: "try it" }), failed(/is not installed/));
    await assert.rejects(node("process.kill(process.pid, 'SIGKILL')"), failed(/SIGKILL/));
  });

  it("ends a program that takes too long, and its children with it", async () => {
    const beat = join(folder(), "beat");
    await writeFile(beat, "");
    const child = `setInterval(() => require("fs").appendFileSync(${JSON.stringify(beat)}, "."), 20)`;
    const script = `require("child_process").spawn(process.execPath, ["-e", ${JSON.stringify(child)}]); setInterval(() => {}, 1000)`;
    await assert.rejects(node(script, 1_000), failed(/did not end within 1 s/));
    await sleep(100);
    const beats = await readFile(beat, "utf8");
    await sleep(200);
    assert.ok(beats.length > 0);
    assert.equal(await readFile(beat, "utf8"), beats);
  });

  it("leaves no attached program behind when its own process is killed", async () => {
    const program = `
      process.env.RLRF_ATTACHED === "1" && process.stdin.on("end", () => process.exit()).resume();
      setInterval(() => {}, 1000);
      console.log(process.pid);`;
    const caller = `
      const { runCommand } = await import(${JSON.stringify(join(packageRoot, "dist", "framework", "setup", "command.js"))});
      const options = { limit: 60_000, purpose: "try it", attached: true, onLine: (line) => console.log(line) };
      await runCommand(process.execPath, ["-e", ${JSON.stringify(program)}], options);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", caller], { stdio: ["ignore", "pipe", "inherit"] });
    const pid = Number(String(((await once(child.stdout, "data")) as [Buffer])[0]));
    assert.ok(lives(pid));
    child.kill("SIGKILL");
    for (const deadline = Date.now() + 10_000; lives(pid) && Date.now() < deadline; ) await sleep(20);
    assert.ok(!lives(pid), "it ended with its caller");
  });
});
