import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { type ListLine, listLines } from "../../framework/data/list-lines.js";
import { digestOf, prepare } from "../../framework/data/prepare.js";
import { packageRoot } from "../../framework/setup/paths.js";
import { readJsonLines } from "../../framework/store/files.js";
import { Synthetic } from "../../plugins/datasets/synthetic.js";
import { inTemporaryFolder, protocolOf } from "../support/dataset.js";

const rlrf = (...args: string[]) =>
  promisify(execFile)(process.execPath, [join(packageRoot, "framework", "cli", "rlrf.mjs"), ...args], { cwd: packageRoot });

describe("rlrf lists", function () {
  this.timeout(30_000);
  const spec = "experiments/synthetic-tiny-none-dpo.json";
  const options = { users: 40, items: 100, interactions: [20, 30], genres: 8, genresPerItem: 2, noise: 0.3, seed: 1 } as const;
  const sets = [
    `dataset.options=${JSON.stringify(options)}`,
    "protocol.seed=7",
    "protocol.window=12",
    "protocol.history=20",
    "protocol.split=[0.5,0.1,0.4]",
  ];
  const args = sets.flatMap((set) => ["--set", set]);

  it("writes the lists that a run of the spec is prepared with, and prints their digest and counts", async () =>
    inTemporaryFolder(async (folder) => {
      const out = join(folder, "deeper", "lists.jsonl");
      const { stdout } = await rlrf("lists", spec, "--out", out, "--json", ...args);
      const protocol = protocolOf({ window: 12, history: 20, listLength: 10, positives: 4, seed: 7, split: [0.5, 0.1, 0.4] });
      const data = await prepare(new Synthetic(options), protocol, { folds: 0 });
      assert.deepEqual(await readJsonLines<ListLine>(out), [...listLines(data, 20)]);
      assert.deepEqual(JSON.parse(stdout), {
        file: out,
        digest: digestOf(data),
        counts: data.counts,
        fields: ["genres", "period", "year"],
      });
    }));

  it("ends with status 2 on a wrong spec and writes nothing", async () =>
    inTemporaryFolder(async (folder) => {
      const out = join(folder, "lists.jsonl");
      await assert.rejects(rlrf("lists", "no-such.json", "--out", out), { code: 2 });
      await assert.rejects(rlrf("lists", spec), { code: 2 });
      await assert.rejects(rlrf("lists", spec, "--out", out, "--set", "dataset.options.users=3"), { code: 2 });
      await assert.rejects(readJsonLines(out), /RLRF_FILE_MISSING/);
    }));
});
