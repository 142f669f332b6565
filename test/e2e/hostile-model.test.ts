/** Models that were damaged, or lie: every one is refused with a code, or does what an honest one does; nothing is left on the engine. */
import assert from "node:assert/strict";
import fs from "node:fs/promises";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { RlrfError } from "../../framework/errors.js";
import { Registry } from "../../framework/kernel/registry.js";
import { createRng } from "../../framework/rng.js";
import { mustScoreAsPromoted } from "../../framework/serving/agreement.js";
import { type ModelDescription, openModel, sealModel } from "../../framework/serving/model.js";
import { ServedModel } from "../../framework/serving/served-model.js";
import { readJson } from "../../framework/store/files.js";
import { Store } from "../../framework/store/store.js";
import { startEngine } from "../../framework/tensor/engine.js";
import { assertFails } from "../support/faults.js";
import { silent, temporaryFolder } from "../support/fixtures.js";
import { promote, servedRun } from "../support/served.js";

describe("a model of somebody else's", function () {
  this.timeout(10 * 60_000);
  let folder: string;
  let honest: string;
  let copy: string;
  let registry: Registry;

  before(async () => {
    folder = await temporaryFolder();
    [honest, copy] = [join(folder, "honest"), join(folder, "copy")];
    const { status, stderr } = await promote((await servedRun()).folder, "--out", honest);
    assert.equal(status, 0, stderr);
    registry = await Registry.read();
    await startEngine();
  });
  beforeEach(async () => {
    await fs.rm(copy, { recursive: true, force: true });
    await fs.cp(honest, copy, { recursive: true });
  });
  after(() => fs.rm(folder, { recursive: true }));

  async function load(): Promise<void> {
    const services = { ...silent, engine: await startEngine(), store: new Store(join(folder, "unused"), silent.logger) };
    const before = tf.memory().numTensors;
    try {
      const served = await ServedModel.load(await openModel(copy), registry, services);
      try {
        await mustScoreAsPromoted(served);
      } finally {
        await served.dispose();
      }
    } finally {
      assert.equal(tf.memory().numTensors, before, "tensors are left");
    }
  }

  /** Changes a file and what model.json says of it. */
  async function forge(name: string, change: (bytes: Buffer) => Buffer | string): Promise<void> {
    await fs.writeFile(join(copy, name), change(await fs.readFile(join(copy, name))));
    const { files: _, ...description } = await readJson<ModelDescription>(join(copy, "model.json"));
    await sealModel(copy, description);
  }

  async function describedAs(change: (description: Record<string, unknown>) => object): Promise<void> {
    const path = join(copy, "model.json");
    await fs.writeFile(path, JSON.stringify(change(await readJson<Record<string, unknown>>(path))));
  }

  it("is refused when any of its files was changed, cut, lengthened, deleted or replaced by a link", async () => {
    const { files } = await readJson<ModelDescription>(join(honest, "model.json"));
    for (const name of Object.keys(files)) {
      const path = join(copy, name);
      const bytes = await fs.readFile(path);
      const flipped = Buffer.from(bytes);
      flipped[bytes.length >> 1] = (flipped[bytes.length >> 1] as number) ^ 1;
      for (const other of [flipped, bytes.subarray(1), Buffer.concat([bytes, bytes.subarray(0, 1)])]) {
        await fs.writeFile(path, other);
        await assertFails("RLRF_MODEL_BROKEN", () => openModel(copy), new RegExp(name.replaceAll(".", "\\.")));
      }
      await fs.rm(path);
      await assertFails("RLRF_MODEL_BROKEN", () => openModel(copy), /missing/);
      await fs.symlink(join(honest, name), path);
      await assertFails("RLRF_MODEL_BROKEN", () => openModel(copy), /no regular file/);
      await fs.rm(path);
      await fs.writeFile(path, bytes);
    }
    await load();
  });

  it("is refused when its description names files outside of it, or is none", async () => {
    for (const name of ["../model/spec.json", "/etc/passwd", "a/../../b", ".hidden", "a//b", "C:\\x"]) {
      await describedAs((description) => ({ ...description, files: { [name]: { bytes: 1, sha256: "0".repeat(64) } } }));
      await assertFails("RLRF_MODEL_BROKEN", () => openModel(copy));
    }
    for (const text of ["", "null", "[]", "{}", '{"form": 2}', "{".repeat(1000), " ".repeat(5 << 20)]) {
      await fs.writeFile(join(copy, "model.json"), text);
      const error = await openModel(copy).then(() => assert.fail("it was opened"), (thrown: unknown) => thrown); // biome-ignore format: one call
      assert.ok(error instanceof RlrfError && error.exit === 2, String(error));
    }
    await assertFails("RLRF_MODEL_UNKNOWN", () => openModel(join(folder, "nowhere")), /rlrf promote/);
  });

  it("is refused when its parts do not fit each other, whatever its checksums say", async () => {
    const lies: [() => Promise<unknown>, RegExp][] = [
      [() => describedAs((description) => ({ ...description, textWidth: 63 })), /values/],
      [() => describedAs((description) => ({ ...description, textWidth: null })), /does not fit|values|differ/],
      [() => describedAs((description) => ({ ...description, seeds: [2] })), /recommenders\/2/],
      [() => forge("items.jsonl", (bytes) => bytes.toString().replace(/^.*\n/, "")), /values/],
      [() => forge("items.jsonl", (bytes) => bytes.toString().replace('"i2"', '"i1"')), /stands twice/],
      [() => forge("items.jsonl", () => "[]\n"), /no item/],
      [() => forge("texts.jsonl", (bytes) => `${bytes}{"window": "${"0".repeat(64)}", "text": "Genre: Unheard of"}\n`), /answers/],
      [() => forge("texts.jsonl", () => '{"window": 1}\n'), /no text of a window/],
      [() => forge("recommenders/1.safetensors", (bytes) => bytes.fill(255, bytes.length - 8)), /finite/],
      [() => forge("recommenders/1.safetensors", () => Buffer.from("0000000000000000")), /RLRF_TENSORS_BROKEN|RLRF_MODEL_BROKEN/],
      [() => forge("recommenders/1.safetensors", (bytes) => bytes.fill(0, bytes.length - 200_000)), /RLRF_MODEL_DIFFERS/],
      [() => forge("spec.json", (bytes) => bytes.toString().replace('"hidden": 16', '"hidden": 8')), /does not fit/],
      [() => forge("spec.json", (bytes) => bytes.toString().replace('"plugin": "hea"', '"plugin": "nea"')), /RLRF_PLUGIN_UNKNOWN/],
      [() => forge("spec.json", () => "{}"), /RLRF_SPEC/],
      [() => forge("probes.json", () => "[1]"), /no probes/],
      [() => forge("probes.json", (bytes) => bytes.toString().replace(/"item": "i\d+"/, '"item": 7')), /no probes/],
    ];
    for (const [lie, pattern] of lies) {
      await fs.rm(copy, { recursive: true });
      await fs.cp(honest, copy, { recursive: true });
      await lie();
      const error = await load().then(() => assert.fail(`it was loaded: ${pattern}`), (thrown: unknown) => thrown); // biome-ignore format: one call
      assert.ok(error instanceof RlrfError && error.code !== "RLRF_INTERNAL", String(error));
      assert.match(error.message, pattern);
    }
  });

  it("is refused with a code, or loads, after any of 200 random mutations of its description", async () => {
    const path = join(copy, "model.json");
    const text = await fs.readFile(path, "utf8");
    const rng = createRng("mutations");
    const pieces = ['"', "{", "}", "[", "]", ",", ":", "null", "-1", "1e999", "\u0000", "\\u0000", "__proto__", "../", "999999999999999"];
    for (let i = 0; i < 200; i++) {
      const at = rng.below(text.length);
      const piece = pieces[rng.below(pieces.length)] as string;
      await fs.writeFile(path, text.slice(0, at) + piece + text.slice(at + rng.below(40)));
      const error = await openModel(copy).then(() => null, (thrown: unknown) => thrown); // biome-ignore format: one call
      assert.ok(error === null || (error instanceof RlrfError && error.exit === 2), String(error));
    }
  });
});
