import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Store } from "../../../framework/store/store.js";
import { createListener } from "../../support/faults.js";
import { useFolder } from "../../support/folder.js";

describe("store, killed at any moment", () => {
  const path = useFolder();
  const child = fileURLToPath(new URL("children/make-step.js", import.meta.url));

  /** @returns how many turns the child reported before it was killed */
  async function killAfter(milliseconds: number): Promise<number> {
    const process_ = spawn(process.execPath, [child, path()], { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    process_.stdout.on("data", (chunk) => (output += chunk));
    await once(process_.stdout, "data"); // from here on it is in the middle of something
    await sleep(milliseconds);
    process_.kill("SIGKILL");
    await once(process_, "close");
    return Number(output.trim().split("\n").at(-1)) + 1;
  }

  it("has whole results or none, and every record that was put", async function () {
    this.timeout(60_000);
    for (const milliseconds of [0, 3, 7, 12, 21]) {
      const turns = await killAfter(milliseconds);
      for (const name of await fs.readdir(path("steps", "kill"))) {
        const files = await fs.readdir(path("steps", "kill", name));
        assert.equal(files.length, 21, "a result without its manifest or some of its files is in place");
      }
      const listener = createListener();
      const store = new Store(path(), listener);
      const log = await store.log<number>("texts");
      for (let version = 0; version < turns; version++) {
        const result = await store.step({ step: "kill", version, inputs: null }, async () => assert.fail("a finished step is made again"));
        assert.equal(await fs.readFile(join(result.folder, "3.txt"), "utf8"), `file 3 of ${version} `.repeat(500));
        for (let i = 0; i < 20; i++) assert.equal(log.get(`${version}/${i}`), version * 20 + i);
      }
      assert.deepEqual(await fs.readdir(path("tmp")), [], "what the dead process left is swept");
      assert.deepEqual(
        listener.warnings.filter(({ message }) => message.includes("steps")),
        [],
      );
      await log.close();
    }
  });
});
