/** One Ray for all tests of a process, started when the first of them needs it. */
import { setEnvironment } from "./environment.js";
import { RayCluster } from "./ray-cluster.js";

const cluster = new RayCluster();
let started: Promise<void> | undefined;

/** For the tests of the enclosing `describe`, which is told to the executor `ray` by RLRF_RAY_ADDRESS; its nodes have a core each. */
export function useRay(): RayCluster {
  let putBack = () => {};
  before(async function () {
    this.timeout(20 * 60_000); // it may have to be installed
    started ??= cluster.start();
    await started;
    putBack = setEnvironment({ RLRF_RAY_ADDRESS: cluster.address, RLRF_THREADS: "1" });
  });
  after(() => putBack());
  return cluster;
}

// In no `describe`: after the last test of all files.
after(async function () {
  this.timeout(60_000);
  if (started !== undefined) await cluster.stop();
});
