import assert from "node:assert/strict";
import type { TunablePolicy } from "../../../framework/contracts/llm.js";
import type { Tuner, TuningTask } from "../../../framework/contracts/tuner.js";
import { type Lesson, tunedOnce } from "../../../framework/method/align.js";
import { Study, type TuningParts } from "../../../framework/method/study.js";
import { Store } from "../../../framework/store/store.js";
import { silentTracker } from "../../../framework/track/tracker.js";
import { createListener } from "../../support/faults.js";
import { useFolder } from "../../support/folder.js";

const lesson = { name: "iteration-1", settings: {}, examples: [] } as unknown as Lesson;
const failure = new Error("killed");

describe("a tuning of a run", () => {
  const folder = useFolder();

  /** What the tuner was given, and the progress tasks that were left open when it failed. */
  async function givenTo(loss: string): Promise<{ readonly task: TuningTask; readonly open: number }> {
    const given: TuningTask[] = [];
    const align = (task: TuningTask) => {
      given.push(task);
      return Promise.reject(failure);
    };
    const llm = { identity: () => "weights", policy: {} as TunablePolicy };
    let open = 0;
    const start = () => {
      open++;
      return { advance: () => {}, end: () => void open-- };
    };
    const context = {
      store: new Store(folder("store"), createListener()),
      folder: { id: "run", path: folder },
      tracker: silentTracker,
      progress: { start },
      engine: { name: "wasm" },
    };
    const made = { context, parts: { llm, identities: { llm: "llm", loss }, executor: { parallel: 1 } }, spec: {} };
    const study = Object.assign(Object.create(Study.prototype) as Study, made);
    const tuning = { llm, policy: llm.policy, alignment: { lora: {} }, tuner: { align } as unknown as Tuner } as unknown as TuningParts;
    await assert.rejects(tunedOnce(study, tuning, lesson), failure);
    return { task: given[0] ?? assert.fail(), open };
  }

  it("has the key of its step: what a mended loss left in its folder is not gone on from", async () => {
    const [before, again, mended] = [await givenTo("loss"), await givenTo("loss"), await givenTo("mended loss")];
    assert.equal(before.task.key, again.task.key);
    assert.notEqual(before.task.key, mended.task.key);
    assert.equal(before.task.folder, mended.task.folder);
  });

  it("leaves no progress behind when it fails", async () => {
    assert.equal((await givenTo("loss")).open, 0);
  });
});
