/**
 * What each encoder ranks like on MovieLens-100K, leave-one-out, full ranking, with its own defaults; one process an encoder and seed.
 *   node dist/test/bench/encoders.js gru4rec --seed 2 --set epochs=50 --set objective='"bce"'
 *   node dist/test/bench/encoders.js gru4rec --seen in    stopped by valid items ranked among those their users have met, as RecBole ranks
 *   node dist/test/bench/encoders.js gru4rec --stride 17  rows of 50 items that overlap (protocol.stride): each item is learnt after more of its history
 *   node dist/test/bench/encoders.js gru4rec --history 100 --stride 34    protocol.history
 *   node dist/test/bench/encoders.js gru4rec --epoch      only the seconds of an epoch
 * Writes .rlrf/bench/encoders/NAME-SEED-SEEN.json, and prints it.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { PluginClass } from "../../framework/contracts/plugin.js";
import type { SequenceEncoder } from "../../framework/contracts/recommender.js";
import { loadPlugin } from "../../framework/kernel/load.js";
import { Registry } from "../../framework/kernel/registry.js";
import { writeJson } from "../../framework/store/files.js";
import { startEngine } from "../../framework/tensor/engine.js";
import { withPlugin } from "../../framework/testing/index.js";
import { epochSeconds, leaveOneOut, history as usualHistory } from "./sequences.js";
import { benchFolder, movieLens } from "./workload.js";

const { values, positionals } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    set: { type: "string", multiple: true, default: [] },
    seen: { type: "string", default: "out" },
    history: { type: "string", default: `${usualHistory}` },
    stride: { type: "string" },
    epoch: { type: "boolean", default: false },
  },
  allowPositionals: true,
});
const seed = Number(values.seed);
const seen = values.seen === "in" ? "in" : "out";
const history = Number(values.history);
const stride = Number(values.stride ?? values.history);
const changes = Object.fromEntries(
  values.set.map((each) => {
    const [name = "", value = ""] = each.split("=");
    return [name, JSON.parse(value)] as [string, unknown];
  }),
);

const registry = await Registry.read();
const { name: engine } = await startEngine();
const data = await movieLens();
for (const name of positionals) {
  const plugin = (await loadPlugin(registry.find("encoder", name))) as PluginClass<SequenceEncoder>;
  const options = values.epoch ? { ...changes, epochs: 3, patience: 3 } : changes;
  await withPlugin({ plugin, options }, async (encoder) => {
    if (values.epoch) return console.log(`${name}: ${(await epochSeconds(data, encoder, seed)).toFixed(2)} s an epoch, ${engine}`);
    const result = {
      encoder: name,
      seed,
      seen,
      history,
      stride,
      changes,
      engine,
      ...(await leaveOneOut(data, encoder, seed, { seen, history, stride })),
    };
    await writeJson(join(benchFolder, "encoders", `${name}-${seed}-${seen}.json`), result);
    console.log(JSON.stringify(result));
  });
}
