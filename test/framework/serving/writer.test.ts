/** The LLM's process: what it is given time for, and what it is not given at all. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { Writer } from "../../../framework/serving/writer.js";
import { createListener } from "../../support/faults.js";
import { useFolder } from "../../support/folder.js";

describe("a writer", () => {
  const folder = useFolder();
  let writer: Writer | undefined;
  afterEach(() => writer?.close());

  const limits = { queue: 64, timeout: 1200 };
  const start = async (listener = createListener()): Promise<Writer["write"]> => {
    const started = await Writer.start(folder(), limits, listener, new URL("./children/write.js", import.meta.url));
    writer = started;
    return (...order) => started.write(...order);
  };
  const order = (content: string) => ({ user: "u", messages: [{ role: "user", content }] as const });

  const writtenAgain = async (write: Writer["write"]): Promise<string | null> => {
    let text: Promise<string> | null = null;
    for (let tries = 0; text === null && tries < 200; tries++) {
      await sleep(50);
      text = write("a", order("a"));
    }
    return text;
  };

  it("gives a text its time from when it is taken up, however long it has waited", async () => {
    const write = await start();
    const asked = Array.from({ length: limits.queue }, (_, i) => write(`${i}`, order(`${i}`)));
    assert.equal(write("one more", order("one more")), null);
    assert.deepEqual(
      await Promise.all(asked),
      asked.map((_, i) => `about ${i}`),
    );
  });

  it("gives it anew where the texts of a call are written one by one", async () => {
    const write = await start();
    const contents = ["a", "b", "too long", "d", "e"];
    assert.deepEqual(
      await Promise.all(contents.map((content) => write(content, order(content)))),
      contents.map((content) => `about ${content}`),
    );
  });

  it("starts the process again when a text does not end, and hands over nothing until that is ready, however long it loads", async () => {
    const listener = createListener();
    const write = await start(listener);
    await assert.rejects(write("for ever", order("for ever")) as Promise<string>, /SIGKILL/);
    assert.equal(await writtenAgain(write), "about a");
    assert.equal(listener.warnings.length, 1, "it was killed once");
  });

  describe("whose process cannot be started again", () => {
    const { execPath } = process;
    const longerThanAnyEnvironment = "RLRF_TEST_LONG";
    const faults: readonly [name: string, code: string, make: () => void][] = [
      ["when it is spawned", "ENOENT", () => (process.execPath = folder("no such program"))],
      ["at once", "E2BIG", () => (process.env[longerThanAnyEnvironment] = "x".repeat(2 ** 22))],
    ];
    const mend = () => {
      process.execPath = execPath;
      delete process.env[longerThanAnyEnvironment];
    };
    afterEach(mend);

    for (const [name, code, make] of faults)
      it(`tries it until it can: ${name}`, async () => {
        const listener = createListener();
        const write = await start(listener);
        make();
        await assert.rejects(write("for ever", order("for ever")) as Promise<string>, /SIGKILL/);
        while (!listener.warnings.some(({ message }) => message.includes(code))) await sleep(50);
        mend();
        assert.equal(await writtenAgain(write), "about a");
      });
  });
});
