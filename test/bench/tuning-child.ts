/**
 * Tunes on DPO pairs in a process of its own, whose memory is the tuning's alone. Speaks as the rivals do (rivals/serve.py):
 * `{"do": "tune", "pairs": 4}` on standard input is answered by `{"seconds", "processor", "bytes"}`.
 */
import { createInterface } from "node:readline";
import { startEngine } from "../../framework/tensor/engine.js";
import { tuneOnPreferences } from "../../framework/tuning/preference.js";
import { Dpo } from "../../plugins/losses/dpo.js";
import { loadSmolLm2 } from "./language-work.js";
import { peakMemory } from "./peak-memory.js";
import { beta, lora, preferencePairs, settings } from "./tuning-work.js";

const { model } = await loadSmolLm2(await startEngine());
console.log(JSON.stringify({ ready: true }));
for await (const line of createInterface({ input: process.stdin })) {
  const { pairs } = JSON.parse(line) as { readonly pairs: number };
  const examples = preferencePairs(model.codec, pairs);
  model.restore({}); // a new adapter each time
  const [begun, spent] = [performance.now(), process.cpuUsage()];
  await tuneOnPreferences({ policy: model, lora, settings, seed: 1 }, examples, new Dpo({ beta, labelSmoothing: 0 }));
  const seconds = (performance.now() - begun) / 1000;
  const { user, system } = process.cpuUsage(spent);
  console.log(JSON.stringify({ seconds, processor: (user + system) / 1e6, bytes: peakMemory() }));
}
