/** Adapters of somebody else's that are no plain LoRA, of another model, or damaged. */
import assert from "node:assert/strict";
import fs from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import type { LoraOptions } from "../../../framework/contracts/llm.js";
import { type ErrorCode, RlrfError } from "../../../framework/errors.js";
import { readAdapter } from "../../../framework/language-model/adapter-files.js";
import { readTensors, type StoredTensor, writeTensors } from "../../../framework/store/tensors.js";
import { shake, testModel } from "../../support/decoder.js";
import { useEngine } from "../../support/engine.js";
import { assertFails } from "../../support/faults.js";
import { useFolder } from "../../support/folder.js";

const lora: LoraOptions = { rank: 3, alpha: 6, dropout: 0.25, targets: ["q_proj", "k_proj", "v_proj", "down_proj"] };

describe("adapters of somebody else's", () => {
  useEngine();
  const folder = useFolder();

  it("are refused when they are not what the model takes, and the policy keeps what it has", async () => {
    const { model, dispose } = testModel();
    shake(model, lora);
    await model.exportAdapter(folder());
    const [configPath, tensorsPath] = [join(folder(), "adapter_config.json"), join(folder(), "adapter_model.safetensors")];
    const config = JSON.parse(await fs.readFile(configPath, "utf8")) as Record<string, unknown>;
    const tensors = await readTensors(tensorsPath);
    const hash = model.adapterHash();
    const refusedConfig = async (change: object, expected: ErrorCode, pattern = /./) => {
      await fs.writeFile(configPath, JSON.stringify({ ...config, ...change }));
      await assertFails(expected, () => model.importAdapter(folder()), pattern);
      assert.equal(model.adapterHash(), hash);
    };
    await refusedConfig({ r: 0 }, "RLRF_ADAPTER_CONFIG", /r is 0/);
    await refusedConfig({ r: 1e9 }, "RLRF_ADAPTER_CONFIG");
    await refusedConfig({ r: 2 }, "RLRF_ADAPTER_MISMATCH", /\[3, ?16\]/);
    await refusedConfig({ lora_alpha: "16" }, "RLRF_ADAPTER_CONFIG");
    await refusedConfig({ peft_type: "IA3" }, "RLRF_ADAPTER_CONFIG", /"IA3"/);
    await refusedConfig({ peft_type: undefined }, "RLRF_ADAPTER_CONFIG");
    await refusedConfig({ use_dora: true }, "RLRF_ADAPTER_CONFIG", /use_dora/);
    await refusedConfig({ use_rslora: true }, "RLRF_ADAPTER_CONFIG");
    for (const init of ["pissa", "pissa_niter_4", "olora", "corda", "lora_ga", "loftq"])
      await refusedConfig({ init_lora_weights: init }, "RLRF_ADAPTER_CONFIG", /path_initial_model_for_weight_conversion/);
    for (const key of ["use_bdlora", "arrow_config", "kasa_config", "monteclora_config", "velora_config"])
      for (const value of [{}, { nblocks: 2 }]) await refusedConfig({ [key]: value }, "RLRF_ADAPTER_CONFIG", new RegExp(key));
    await refusedConfig({ use_qalora: true, qalora_group_size: 16 }, "RLRF_ADAPTER_CONFIG", /use_qalora/);
    await refusedConfig({ alora_invocation_tokens: [1] }, "RLRF_ADAPTER_CONFIG", /alora_invocation_tokens/);
    await refusedConfig({ rank_pattern: { q_proj: 7 } }, "RLRF_ADAPTER_CONFIG");
    await refusedConfig({ target_modules: "all-linear" }, "RLRF_ADAPTER_CONFIG");
    await refusedConfig({ target_modules: ["q_proj", "c_attn"] }, "RLRF_ADAPTER_CONFIG", /"c_attn"/);
    await refusedConfig({ target_modules: ["q_proj"] }, "RLRF_ADAPTER_MISMATCH", /no place for/);
    await refusedConfig({ target_modules: [...lora.targets, "up_proj"] }, "RLRF_ADAPTER_MISMATCH", /up_proj.*is missing/);
    await fs.writeFile(configPath, "{");
    await assertFails("RLRF_ADAPTER_FILE", () => model.importAdapter(folder()), /not JSON/);
    await fs.writeFile(configPath, JSON.stringify(config).padEnd(2 << 20));
    await assertFails("RLRF_ADAPTER_FILE", () => model.importAdapter(folder()), /at most/);
    await fs.writeFile(configPath, JSON.stringify(config));
    const refusedTensors = async (change: Record<string, StoredTensor>, expected: ErrorCode, pattern = /./) => {
      await writeTensors(tensorsPath, { ...tensors, ...change });
      await assertFails(expected, () => model.importAdapter(folder()), pattern);
    };
    const name = Object.keys(tensors)[0] as string;
    const { shape, values } = tensors[name] as StoredTensor;
    await refusedTensors({ [name]: { shape, values: Float32Array.from(values).fill(Number.NaN) } }, "RLRF_ADAPTER_FILE", /finite/);
    await refusedTensors({ [name]: { shape: [...shape].reverse(), values } }, "RLRF_ADAPTER_MISMATCH");
    await refusedTensors({ [name]: { shape, values: Int32Array.from(values) } }, "RLRF_ADAPTER_MISMATCH", /no floats/);
    await refusedTensors({ "lm_head.weight": { shape: [1], values: Float32Array.of(1) } }, "RLRF_ADAPTER_MISMATCH", /lm_head/);
    await refusedTensors({ big: { shape: [1 << 20], values: new Float32Array(1 << 20) } }, "RLRF_ADAPTER_FILE", /at most/);
    await fs.rm(tensorsPath);
    await assertFails("RLRF_ADAPTER_FILE", () => model.importAdapter(folder()), /ENOENT/);
    assert.equal(model.adapterHash(), hash);
    dispose();
  });

  it("get a coded error, and no other, for 2,000 damaged files", async () => {
    const { model, dispose } = testModel({ layers: 1 });
    shake(model, { ...lora, targets: ["v_proj"] });
    await model.exportAdapter(folder());
    const names = ["adapter_config.json", "adapter_model.safetensors"] as const;
    const whole = await Promise.all(names.map((name) => fs.readFile(join(folder(), name))));
    const damage = fc.record({
      file: fc.constantFrom(0, 1),
      cut: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
      bytes: fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), fc.nat(255)), { maxLength: 4 }),
    });
    await fc.assert(
      fc.asyncProperty(damage, async ({ file, cut, bytes }) => {
        const content = Buffer.from(whole[file] as Buffer);
        for (const [at, byte] of bytes) content[Math.floor(at * Math.min(content.length, 600))] = byte;
        await fs.writeFile(
          join(folder(), names[file] as string),
          content.subarray(0, cut === null ? content.length : Math.floor(cut * content.length)),
        );
        try {
          await readAdapter(folder(), model.config);
        } catch (error) {
          assert.ok(error instanceof RlrfError && error.code.startsWith("RLRF_ADAPTER_"), String(error));
        } finally {
          await fs.writeFile(join(folder(), names[file] as string), whole[file] as Buffer);
        }
      }),
      { numRuns: 2000 },
    );
    dispose();
  });
});
