import assert from "node:assert/strict";
import { join } from "node:path";
import { Registry } from "../../../framework/kernel/registry.js";
import { packageRoot } from "../../../framework/setup/paths.js";
import { readSpec } from "../../../framework/spec/read.js";
import { resolveSpec } from "../../../framework/spec/resolve.js";
import { readJsonLines } from "../../../framework/store/files.js";
import { assertNoLeak, useEngine } from "../../support/engine.js";
import { useFolder } from "../../support/folder.js";
import { runHere } from "../../support/run-here.js";

const registry = await Registry.read();

describe("the loop", function () {
  this.timeout(120_000);
  useEngine();
  const folder = useFolder();

  /** Steps so small that no text changes: every iteration is rejected. */
  const still = ["alignment.iterations=2", "alignment.accept=if-better", "alignment.learningRate=1e-9"];

  it("rewards other users' texts beside a user's own, for a strategy that sets them against each other", async () => {
    const path = join(packageRoot, "test", "e2e", "specs", "tuned.json");
    const changes = [
      "name=crossed",
      "llm.options.dialogues=400",
      "sampling.plugin=crossed",
      "sampling.options.partners=4",
      "alignment.iterations=1",
    ];
    const { spec } = resolveSpec(await readSpec(path, changes), registry);
    await assertNoLeak(() => runHere(spec, { registry, cache: folder("store"), runs: folder("runs") }));
    interface Side {
      readonly text: string;
      readonly reward: number;
    }
    interface Pair {
      readonly user: string;
      readonly teaches: string;
      readonly chosen: Side;
      readonly rejected: readonly [Side];
    }
    const pairs = await readJsonLines<Pair>(folder("runs", spec.name, "pairs", "1.jsonl"));
    const crossed = pairs.filter(({ teaches }) => teaches === "reward");
    assert.ok(crossed.length > 0);
    for (const { user, chosen, rejected } of crossed) {
      assert.ok(rejected[0].reward < chosen.reward);
      const partner = crossed.filter((other) => other.chosen.text === rejected[0].text && other.rejected[0].text === chosen.text);
      assert.ok(
        partner.some((other) => other.user !== user),
        "the other user of the pair chooses what this one rejects, and rejects what it chooses",
      );
    }
  });

  it("after a rejected iteration still knows the policy before the one that it goes on from", async () => {
    const path = join(packageRoot, "test", "e2e", "specs", "tuned.json");
    const changes = ["llm.options.dialogues=400", "sampling.plugin=self-play", "alignment.warmup.learningRate=0.01", ...still];
    const { spec } = resolveSpec(await readSpec(path, changes), registry);
    const { iterations } = await assertNoLeak(() => runHere(spec, { registry, cache: folder("store"), runs: folder("runs") }));
    assert.deepEqual(iterations.map(({ accepted }) => accepted), [false, false]); // biome-ignore format: one line
    interface Row {
      readonly user: string;
      readonly text: string;
    }
    const written = await readJsonLines<Row>(folder("runs", spec.name, "texts", "llm-0.jsonl"));
    const byUser = new Map(written.map(({ user, text }) => [user, text]));
    for (const iteration of [1, 2]) {
      const pairs = await readJsonLines<{ user: string; rejected: readonly Row[] }>(
        folder("runs", spec.name, "pairs", `${iteration}.jsonl`),
      );
      assert.ok(pairs.length > 0);
      for (const { user, rejected } of pairs) assert.equal(rejected[0]?.text, byUser.get(user), `iteration ${iteration}`);
    }
  });
});
