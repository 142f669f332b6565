import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ggufFormats } from "../../../../framework/language-model/checkpoint/number-formats.js";
import { packageRoot } from "../../../../framework/setup/paths.js";
import { close } from "../../../support/tensors.js";

type Golden = Readonly<Record<string, { readonly bytes: string; readonly values: string }>>;
const golden = JSON.parse(readFileSync(join(packageRoot, "test/golden/number-formats.json"), "utf8")) as Golden;
const decoded = (text: string) => new Uint8Array(Buffer.from(text, "base64"));
const floats = (text: string) => new Float32Array(decoded(text).buffer);

describe("number formats of GGUF", () => {
  for (const format of Object.values(ggufFormats))
    it(`${format.name} is read as llama.cpp's own package reads it`, () => {
      if (format.name === "F32") {
        const values = new Float32Array(3);
        format.decode(new Uint8Array(Float32Array.of(1.5, -0, 1e-40).buffer), values);
        assert.deepEqual(values, Float32Array.of(1.5, -0, 1e-40));
        return;
      }
      const { bytes, values } = golden[format.name] as Golden[string]; // of every format but F32
      const from = decoded(bytes);
      const expected = floats(values);
      assert.equal((from.length / format.bytes) * format.block, expected.length);
      assert.ok(new Set(expected).size > 16, "the values differ");
      const found = new Float32Array(expected.length);
      format.decode(from, found);
      close(found, expected, 1e-6 * Math.max(...expected.map(Math.abs)));
    });
});
