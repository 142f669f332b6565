import assert from "node:assert/strict";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { start } from "../../support/run.js";

const child = fileURLToPath(new URL("./children/compute.js", import.meta.url));

describe("interruption", function () {
  this.timeout(40_000);

  /** The child, once it has begun. */
  async function begun(how: "computing" | "waiting") {
    const { process: child_, finished } = start([process.execPath, child, how]);
    await once(child_.stdout as NodeJS.ReadableStream, "data");
    const heard = new Promise<void>((resolve) => child_.stderr?.on("data", () => resolve()));
    return { child: child_, finished, heard };
  }

  for (const signal of ["SIGINT", "SIGTERM"] as const)
    it(`tells of ${signal} while the main thread computes, and ends at once at the second`, async () => {
      const { child, finished, heard } = await begun("computing");
      child.kill(signal);
      await heard;
      const second = Date.now();
      child.kill(signal);
      const { stderr } = await finished;
      assert.equal(stderr, `${signal}: ending cleanly; again to end at once\n`);
      assert.equal(child.signalCode, "SIGKILL");
      assert.ok(Date.now() - second < 15_000);
    });

  it("leaves the first to a main thread that waits, and says it once", async () => {
    const { child, finished } = await begun("waiting");
    child.kill("SIGINT");
    const { status, stderr } = await finished;
    assert.deepEqual([status, stderr], [7, "SIGINT: ending cleanly; again to end at once\n"]);
  });
});
