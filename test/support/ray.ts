/** One Ray for all tests of a process, started when the first of them needs it. */
import { RayCluster } from "./ray-cluster.js";

const cluster = new RayCluster();
let started: Promise<void> | undefined;

/** For the tests of the enclosing `describe`, which is told to the executor `ray` by RLRF_RAY_ADDRESS. */
export function useRay(): RayCluster {
  let before_: string | undefined;
  before(async function () {
    this.timeout(20 * 60_000); // it may have to be installed
    started ??= cluster.start();
    await started;
    before_ = process.env.RLRF_RAY_ADDRESS;
    process.env.RLRF_RAY_ADDRESS = cluster.address;
  });
  after(() => {
    if (before_ === undefined) delete process.env.RLRF_RAY_ADDRESS;
    else process.env.RLRF_RAY_ADDRESS = before_;
  });
  return cluster;
}

// In no `describe`: after the last test of all files.
after(async function () {
  this.timeout(60_000);
  if (started !== undefined) await cluster.stop();
});
