import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { RlrfError } from "../../framework/errors.js";
import { findPython, pythonEnvironment } from "../../framework/setup/python.js";
import { useEnvironment } from "../support/environment.js";
import { useFolder } from "../support/folder.js";
import { wheelOf } from "../support/zip.js";

describe("Python", () => {
  const folder = useFolder();
  useEnvironment(() => ({ RLRF_HOME: folder(), PIP_NO_INDEX: "1", PIP_FIND_LINKS: folder() }));

  it("is found, or its absence explained", async () => {
    assert.match(await findPython(), /python/);
    process.env.RLRF_PYTHON = "/no/such/python";
    try {
      await assert.rejects(
        findPython(),
        (error) => error instanceof RlrfError && error.code === "RLRF_COMMAND_FAILED" && /RLRF_PYTHON/.test(error.message),
      );
    } finally {
      delete process.env.RLRF_PYTHON;
    }
  });

  it("makes an environment once, also when two ask for it", async function () {
    this.timeout(90_000);
    const module = { name: "rlrf_test_module.py", content: "answer = 42\n" };
    await writeFile(join(folder(), "rlrf_test_module-1.0-py3-none-any.whl"), wheelOf("rlrf_test_module", "1.0", [module]));
    const make = () => pythonEnvironment("test", ["rlrf-test-module==1.0"]);
    const [python, same] = await Promise.all([make(), make()]);
    assert.equal(python, same);
    const { stdout } = await promisify(execFile)(python, ["-c", "import rlrf_test_module as m; print(m.answer)"]);
    assert.equal(stdout.trim(), "42");
    const start = performance.now();
    assert.equal(await make(), python);
    assert.ok(performance.now() - start < 5_000);
  });

  it("tells what could not be installed, and does not take the rest for an environment", async function () {
    this.timeout(90_000);
    const make = () => pythonEnvironment("broken", ["rlrf-no-such-package==1.0"]);
    for (let i = 0; i < 2; i++)
      await assert.rejects(make(), (error) => error instanceof RlrfError && /rlrf-no-such-package==1.0[\s\S]*"broken"/.test(error.message));
    const made = (await readdir(join(folder(), "python"))).find((name) => name.startsWith("broken") && !name.endsWith(".lock"));
    assert.ok(made !== undefined && !(await readdir(join(folder(), "python", made))).includes("requirements.txt"));
  });
});
