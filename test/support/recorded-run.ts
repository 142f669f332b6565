/** What `rlrf run` leaves of a run with a package: its spec, its lock, the package's tarball; nothing is trained. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Registry } from "../../framework/kernel/registry.js";
import { addPackage } from "../../framework/sharing/install.js";
import { projectAt } from "../../framework/sharing/project.js";
import { recordLock, runSpecName } from "../../framework/sharing/run-lock.js";
import { specFromValue } from "../../framework/spec/read.js";
import { resolveSpec } from "../../framework/spec/resolve.js";
import { writeJson } from "../../framework/store/files.js";
import { RunFolder } from "../../framework/store/run-folder.js";
import { lossPackage, tarballOf } from "./packages.js";

export interface RecordedRun {
  readonly folder: string;
  /** What was recorded, besides the spec. */
  readonly artifacts: readonly string[];
}

/** @param at an empty folder: it gets a tarball, a project in `maker` and a run in `runs` */
export async function recordedRun(at: string): Promise<RecordedRun> {
  const project = projectAt(join(at, "maker"));
  await mkdir(project.folder);
  await writeFile(join(at, "losses.tgz"), tarballOf(lossPackage({ encoder: true })));
  await addPackage(project, "../losses.tgz", { trust: true });
  const registry = await Registry.ofProject(project);
  const spec = {
    name: "recorded",
    dataset: { plugin: "movielens" },
    protocol: {},
    encoder: { plugin: "none" },
    adaptor: { plugin: "none" },
    reranker: { plugin: "prm" },
    textEncoder: { plugin: "@team-a/losses/lengths", version: "^1" },
    prompt: { aspects: ["Genre"] },
    arms: ["id-only"],
  };
  const resolved = resolveSpec(specFromValue(spec), registry);
  const folder = await RunFolder.open(join(at, "runs"), `recorded-${resolved.hash.slice(0, 8)}`);
  await writeJson(folder.path(runSpecName), resolved.spec);
  const artifacts = await recordLock(folder, resolved.spec, registry);
  await folder.close();
  return { folder: folder.folder, artifacts };
}
