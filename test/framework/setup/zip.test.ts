import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { RlrfError } from "../../../framework/errors.js";
import { Zip } from "../../../framework/setup/zip.js";
import { useFolder } from "../../support/folder.js";
import { zipOf } from "../../support/zip.js";

describe("zip", () => {
  const folder = useFolder();
  const text = "what is repeated, what is repeated, what is repeated";

  async function open(data: Buffer): Promise<Zip> {
    const path = join(folder(), "a.zip");
    await writeFile(path, data);
    return Zip.open(path);
  }
  const damaged = (pattern: RegExp) => (error: unknown) =>
    error instanceof RlrfError && error.code === "RLRF_ARCHIVE_BAD" && pattern.test(error.message);
  async function assertDamaged(data: Buffer, pattern: RegExp, limit = 1_000): Promise<void> {
    const target = join(folder(), "out");
    await assert.rejects(async () => {
      const zip = await open(data);
      try {
        await zip.extract("a", target, limit);
      } finally {
        await zip.close();
      }
    }, damaged(pattern));
    await assert.rejects(readFile(target), "nothing is left behind");
  }

  it("reads stored, deflated and empty entries, past a comment", async () => {
    const zip = await open(
      zipOf(
        [
          { name: "d/a.txt", content: text },
          { name: "b", content: text, stored: true },
          { name: "empty", content: "" },
        ],
        "a comment",
      ),
    );
    try {
      assert.deepEqual([...zip.entries.keys()], ["d/a.txt", "b", "empty"]);
      for (const [name, content] of [
        ["d/a.txt", text],
        ["b", text],
        ["empty", ""],
      ] as const) {
        // biome-ignore format: rows
        const hash = await zip.extract(name, join(folder(), "sub", "out"), 1_000);
        assert.equal(await readFile(join(folder(), "sub", "out"), "utf8"), content);
        assert.equal(hash, createHash("sha256").update(content).digest("hex"));
      }
    } finally {
      await zip.close();
    }
  });

  it("refuses what is no zip, cut off, or zip64", async () => {
    await assert.rejects(open(Buffer.from("<html>not found</html>")), damaged(/not a zip/));
    const whole = zipOf([{ name: "a", content: text }]);
    await assert.rejects(open(whole.subarray(0, whole.length - 30)), damaged(/not a zip|cut off/));
    const big = Buffer.from(whole);
    big.writeUInt32LE(0xffffffff, big.length - 6);
    await assert.rejects(open(big), damaged(/zip64/));
    const outside = Buffer.from(whole);
    outside.writeUInt32LE(10_000, outside.length - 6);
    await assert.rejects(open(outside), damaged(/outside/));
    const broken = Buffer.from(whole);
    broken[broken.readUInt32LE(broken.length - 6)] = 0;
    await assert.rejects(open(broken), damaged(/directory is damaged/));
  });

  it("refuses missing, encrypted, doubled and unknown entries", async () => {
    await assertDamaged(zipOf([{ name: "b", content: text }]), /no entry "a"/);
    await assertDamaged(zipOf([{ name: "a", content: text, flags: 1 }]), /encrypted/);
    await assertDamaged(zipOf([{ name: "a", content: text }, { name: "a", content: "x" }]), /twice/); // biome-ignore format: one line
    await assertDamaged(zipOf([{ name: "a", content: text, method: 12 }]), /method 12/);
  });

  it("refuses damaged content", async () => {
    await assertDamaged(zipOf([{ name: "a", content: text, crc: 1 }]), /damaged/);
    await assertDamaged(zipOf([{ name: "a", content: text, size: text.length + 1 }]), /damaged/);
    const flipped = zipOf([{ name: "a", content: text }]);
    flipped.fill(0xff, 31, 40);
    await assertDamaged(flipped, /damaged/);
    const moved = zipOf([{ name: "a", content: text }]);
    moved[0] = 0;
    await assertDamaged(moved, /not where the directory says/);
  });

  it("stops a bomb at the size it declared, and a large entry at the limit", async () => {
    await assertDamaged(zipOf([{ name: "a", content: Buffer.alloc(10_000_000), size: 100 }]), /longer than it says/);
    await assertDamaged(zipOf([{ name: "a", content: Buffer.alloc(2_000) }]), /more than the 1000 allowed/);
  });
});
