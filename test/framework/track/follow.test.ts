import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { startTracking } from "../../../framework/track/tracking.js";
import { createListener } from "../../support/faults.js";
import { useFaultyProxies } from "../../support/faulty-proxy.js";
import { useFolder } from "../../support/folder.js";

describe("the end of a run that a server follows", () => {
  const folder = useFolder();
  const proxy = useFaultyProxies();

  async function ended(patience: number, signal: AbortSignal) {
    const server = await proxy();
    server.fault = () => "hang";
    const logger = createListener();
    const tracking = startTracking(folder(), { name: "run", experiment: "test", uri: server.uri }, logger, { patience, signal });
    const begun = performance.now();
    const { complete } = await tracking.finish("FINISHED");
    return { complete, took: performance.now() - begun, logger };
  }

  it("says for how long it waits, and waits no longer", async () => {
    const { complete, took, logger } = await ended(2_000, new AbortController().signal);
    assert.equal(complete, false);
    assert.ok(took > 1_000 && took < 6_000, `${took} ms`);
    assert.match(logger.infos.at(-1) ?? "", /^waiting for MLflow at http.* to take the rest, at most 4 s$/);
    assert.match(logger.warnings.at(-1)?.message ?? "", /did not get everything; .* rlrf sync /);
  });

  it("waits no longer than a signal", async () => {
    const controller = new AbortController();
    void sleep(100).then(() => controller.abort());
    assert.ok((await ended(20_000, controller.signal)).took < 3_000);
  });

  it("leaves little time to a server after a signal", async () => {
    const { took } = await ended(20_000, AbortSignal.abort());
    assert.ok(took < 8_000, `${took} ms`);
  });
});
