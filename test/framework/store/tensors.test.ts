import assert from "node:assert/strict";
import fs from "node:fs/promises";
import fc from "fast-check";
import { readTensors, type StoredTensor, valuesOf, writeTensors } from "../../../framework/store/tensors.js";
import { assertFails } from "../../support/faults.js";
import { useFolder } from "../../support/folder.js";

describe("store/tensors", () => {
  const path = useFolder();

  /** A file with this header text (and this claim of its length) before the data. */
  async function craft(header: unknown, data = new Uint8Array(0), claimed?: bigint): Promise<string> {
    const text = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(claimed ?? BigInt(text.length));
    await fs.writeFile(path("x.safetensors"), Buffer.concat([length, text, data]));
    return path("x.safetensors");
  }
  const broken = async (message: RegExp, header: unknown, bytes = 0, claimed?: bigint) =>
    assertFails("RLRF_TENSORS_BROKEN", async () => readTensors(await craft(header, new Uint8Array(bytes), claimed)), message);

  it("writes the published format byte by byte", async () => {
    await writeTensors(path("t"), {
      small: { shape: [3], values: new Uint8Array([1, 2, 3]) },
      wide: { shape: [1, 2], values: new Float32Array([1, -2]) },
    });
    const header = '{"wide":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"small":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}}';
    const padded = header.padEnd(Math.ceil(header.length / 8) * 8);
    const expected = Buffer.concat([
      Buffer.from([padded.length, 0, 0, 0, 0, 0, 0, 0]),
      Buffer.from(padded),
      Buffer.from("0000803f000000c0010203", "hex"),
    ]);
    assert.deepEqual(await fs.readFile(path("t")), expected);
  });

  it("reads back what was written, any shape, dtype and name", async () => {
    const shape = fc.array(fc.nat(4), { maxLength: 4 });
    const tensor = shape.chain((sides) => {
      const size = sides.reduce((a, b) => a * b, 1);
      return fc
        .oneof(
          fc.float32Array({ minLength: size, maxLength: size }),
          fc.float64Array({ minLength: size, maxLength: size }),
          fc.int32Array({ minLength: size, maxLength: size }),
          fc.uint8Array({ minLength: size, maxLength: size }),
        )
        .map((values): StoredTensor => ({ shape: sides, values: values as StoredTensor["values"] }));
    });
    const name = fc.string().filter((text) => text !== "__proto__" && text !== "__metadata__");
    await fc.assert(
      fc.asyncProperty(fc.dictionary(name, tensor), async (tensors) => {
        await writeTensors(path("t"), tensors);
        assert.deepEqual(await readTensors(path("t")), { ...tensors });
      }),
      { numRuns: 60 },
    );
  });

  it("writes a view without its surroundings, and reads metadata of other writers over", async () => {
    await writeTensors(path("t"), { x: { shape: [1], values: new Float32Array([7, 8, 9]).subarray(1, 2) } });
    assert.deepEqual((await readTensors(path("t"))).x?.values, new Float32Array([8]));
    const file = await craft({ __metadata__: { format: "pt" }, x: { dtype: "U8", shape: [1], data_offsets: [0, 1] } }, new Uint8Array([5]));
    assert.deepEqual(await readTensors(file), { x: { shape: [1], values: new Uint8Array([5]) } });
  });

  it("gives values of the promised type, or says what is there", async () => {
    const tensors = { x: { shape: [1], values: new Int32Array([1]) } };
    assert.deepEqual(valuesOf(tensors, "x", Int32Array), new Int32Array([1]));
    await assertFails("RLRF_TENSORS_DTYPE", () => valuesOf(tensors, "x", Float32Array), /Int32Array[\s\S]*Float32Array/);
    await assertFails("RLRF_TENSORS_BROKEN", () => valuesOf(tensors, "toString", Float32Array), /no tensor "toString"/);
  });

  it("refuses to write a shape that does not fit, or a name that cannot be read back", async () => {
    await assertFails(
      "RLRF_INTERNAL",
      () => writeTensors(path("t"), { x: { shape: [2, 2], values: new Float32Array(3) } }),
      /\[2,2\] has 3/,
    );
    await assertFails("RLRF_INTERNAL", () => writeTensors(path("t"), { __metadata__: { shape: [0], values: new Float32Array(0) } }));
    await assertFails("RLRF_FILE_MISSING", () => readTensors(path("t")));
  });

  it("refuses headers that lie about the file", async () => {
    const one = (offsets: unknown, shape: unknown = [1], dtype: unknown = "F32") => ({ x: { dtype, shape, data_offsets: offsets } });
    await broken(/header ends at byte 108 of 10/, "{}", 0, 100n);
    await broken(/a header of 18446744073709551615 bytes/, "{}", 0, 2n ** 64n - 1n);
    await broken(/not JSON/, "{", 0);
    await broken(/not a JSON object/, "[]", 0);
    await broken(/"x" is not a tensor/, { x: 1 });
    await broken(/"__proto__" is not a tensor/, '{"__proto__":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}');
    await broken(/tensors take 4 bytes of data, the file has 3/, one([0, 4]), 3);
    await broken(/tensors take 4 bytes of data, the file has 5/, one([0, 4]), 5);
    await broken(/begins at byte 4/, one([4, 8]), 8);
    await broken(/does not fit bytes 0 to 8/, one([0, 8]), 8);
    await broken(/does not fit/, one([4, 0]), 4);
    await broken(/data_offsets are/, one([-4, 0]), 4);
    await broken(/data_offsets are/, one([0.5, 4.5]), 5);
    await broken(/data_offsets are/, one([0, 4, 8]), 8);
    await broken(/data_offsets are "0-4"/, one("0-4"), 4);
    await broken(/its shape is/, one([0, 4], [-1]), 4);
    await broken(/its shape is/, one([0, 4], ["1"]), 4);
    await broken(/its shape is/, one([0, 4], { length: 1 }), 4);
    await broken(/unknown dtype "constructor"/, one([0, 4], [1], "constructor"), 4);
    await broken(/unknown dtype/, one([0, 4], [1], ["F32"]), 4);
    // 2^26 * 2^27 * 4 bytes is no exact number: it must not be multiplied into one that fits.
    await broken(/does not fit/, one([0, 0], [2 ** 26, 2 ** 27]), 0);
    await broken(/begins at byte 4/, { a: one([0, 4]).x, b: one([4, 8]).x, c: one([4, 8]).x }, 8);
    await broken(/begins at byte 2/, { a: one([0, 4], [4], "U8").x, b: one([2, 6], [4], "U8").x }, 6);
  });

  it("refuses dtypes it cannot give, with their name", async () => {
    for (const dtype of ["I16", "I64"]) {
      const file = await craft({ x: { dtype, shape: [1], data_offsets: [0, 8] } }, new Uint8Array(8));
      await assertFails("RLRF_TENSORS_DTYPE", () => readTensors(file), new RegExp(`"x" has dtype ${dtype}`));
    }
  });

  it("reads 16-bit floats of both kinds as what they are", async () => {
    const bits = { F16: [0x3c00, 0xc000, 0x3555, 0x0001, 0x7bff, 0x8000, 0x7c00], BF16: [0x3f80, 0xc000, 0x3eab, 0x0001, 0x7f7f, 0x8000, 0xff80] }; // biome-ignore format: two rows
    const values = {
      F16: [1, -2, 0.333251953125, 2 ** -24, 65504, -0, Number.POSITIVE_INFINITY],
      BF16: [1, -2, 0.333984375, 2 ** -133, 2 ** 128 - 2 ** 120, -0, Number.NEGATIVE_INFINITY],
    };
    for (const dtype of ["F16", "BF16"] as const) {
      const file = await craft({ x: { dtype, shape: [7], data_offsets: [0, 14] } }, new Uint8Array(Uint16Array.from(bits[dtype]).buffer));
      assert.deepEqual((await readTensors(file)).x, { shape: [7], values: Float32Array.from(values[dtype]) });
    }
  });

  it("refuses what is no file of tensors at all", async () => {
    await fs.writeFile(path("short"), "abc");
    await assertFails("RLRF_TENSORS_BROKEN", () => readTensors(path("short")), /3 bytes/);
    await assertFails("RLRF_TENSORS_BROKEN", () => readTensors("/dev/zero"), /not a regular file/);
    await assertFails("RLRF_TENSORS_BROKEN", () => readTensors(path()), /not a regular file/);
  });

  it("survives any damage: an altered file gives a coded error or whole tensors, and never allocates more than it holds", async () => {
    await writeTensors(path("t"), {
      a: { shape: [2, 3], values: new Float32Array([1, 2, 3, 4, 5, 6]) },
      b: { shape: [4], values: new Uint8Array([1, 2, 3, 4]) },
    });
    const good = await fs.readFile(path("t"));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        fc.nat(good.length),
        async (edits, cut) => {
          const bad = Buffer.from(good.subarray(0, cut % 3 === 0 ? cut : good.length));
          for (const [at, value] of edits) bad[at] = value;
          await fs.writeFile(path("bad"), bad);
          try {
            for (const { shape, values } of Object.values(await readTensors(path("bad")))) {
              assert.equal(
                values.length,
                shape.reduce((a, b) => a * b, 1),
              );
              assert.ok(values.byteLength <= bad.length);
            }
          } catch (error) {
            assert.match((error as Error).message, /^RLRF_TENSORS_(BROKEN|DTYPE)/);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});
