import assert from "node:assert/strict";
import type { AdapterFiles, LlmBackend, Probe } from "../../../framework/contracts/llm.js";
import { prepareSampler, writeWith } from "../../../framework/method/sampler.js";
import type { Study } from "../../../framework/method/study.js";
import { assertFails } from "../../support/faults.js";
import { moviePrompt, movies } from "./data.js";

const tolerance = 0.25;
const adapter: AdapterFiles = { folder: "/runs/a/adapters/iteration-1", identity: "values 1" };

/** Reads a text letter by letter; `shift` is how far its log-probabilities are off. */
class Reader {
  shift = 0;
  /** What each log-probability changes by with an adapter; a backend that does not load it stays where it was. */
  adapted = -1;
  prepared = 0;
  private files: AdapterFiles | null = null;

  constructor(readonly tells: "all" | "tokens" | "nothing" = "all") {}

  prepare(): Promise<void> {
    this.prepared++;
    return Promise.resolve();
  }
  identity(): string {
    return `reader ${this.files?.identity ?? ""}`;
  }
  useAdapter(files: AdapterFiles | null): Promise<void> {
    this.files = files;
    return Promise.resolve();
  }
  tokensOf(text: string): number[] {
    return Array.from(text, (letter) => letter.codePointAt(0) as number);
  }
  probe(messages: readonly { readonly content: string }[], completion: string): Promise<Probe> {
    const tokens = this.tokensOf(messages.map(({ content }) => content).join("\n") + completion);
    const value = -2 + this.shift + (this.files === null ? 0 : this.adapted);
    const logProbs = Array.from(completion, () => value);
    return Promise.resolve({ tokens: this.tells === "nothing" ? null : tokens, logProbs: this.tells === "all" ? logProbs : null });
  }
}

function studyOf(llm: Reader, sampler: Reader | undefined) {
  const told = { tags: {}, metrics: [] as object[], warnings: [] as string[], lines: [] as string[] };
  const study = {
    parts: { llm: llm as unknown as LlmBackend, ...(sampler && { sampler: sampler as unknown as LlmBackend }) },
    data: movies,
    spec: { prompt: moviePrompt, llm: { plugin: "trainer", sampler: { plugin: "server", tolerance } } },
    context: {
      tracker: { tags: (tags: object) => Object.assign(told.tags, tags), metrics: (metrics: object) => told.metrics.push(metrics) },
      logger: { info: (line: string) => told.lines.push(line) },
    },
    warn: (code: string) => told.warnings.push(code),
  };
  return { study: study as unknown as Study, told };
}

describe("what samples in the place of the LLM", () => {
  it("is prepared once, shown to be the same model, and told of", async () => {
    const sampler = new Reader();
    sampler.shift = 0.1;
    const { study, told } = studyOf(new Reader(), sampler);
    await prepareSampler(study);
    assert.equal(sampler.prepared, 1);
    assert.deepEqual(told.tags, { sampler: "reader " });
    assert.ok(Math.abs((told.metrics[0] as { sampler_difference: number }).sampler_difference - 0.1) < 1e-12);
    assert.match(told.lines[0] ?? "", /server writes as trainer would: \d+ tokens alike, log-probabilities 0\.1000 nats a token apart/);
  });

  it("may differ by what quantisation does, and no further", async () => {
    const sampler = new Reader();
    sampler.shift = tolerance - 0.01;
    await prepareSampler(studyOf(new Reader(), sampler).study);
    sampler.shift = -tolerance - 0.01;
    const { study } = studyOf(new Reader(), sampler);
    await assertFails(
      "RLRF_LLM_SAMPLER",
      () => prepareSampler(study),
      /server is not the model that trainer is: .*0\.260 nats a token apart/,
    );
    sampler.shift = Number.NaN;
    await assertFails("RLRF_LLM_SAMPLER", () => prepareSampler(study), /NaN nats/);
  });

  it("has the same tokens, in number and kind", async () => {
    const other = new Reader();
    other.tokensOf = (text) => Array.from(text, (letter) => (letter === "🎬" ? 0 : (letter.codePointAt(0) as number)));
    await assertFails(
      "RLRF_LLM_SAMPLER",
      () => prepareSampler(studyOf(new Reader(), other).study),
      /from token \d+ .* is 127916 .* and 0 /,
    );
    other.tokensOf = (text) => [...new Reader().tokensOf(text), 7];
    await assertFails("RLRF_LLM_SAMPLER", () => prepareSampler(studyOf(new Reader(), other).study), /is nothing here and 7 there/);
  });

  it("is warned of where it cannot tell", async () => {
    for (const tells of ["tokens", "nothing"] as const) {
      const { study, told } = studyOf(new Reader(), new Reader(tells));
      await prepareSampler(study);
      assert.deepEqual(told.warnings, ["RLRF_LLM_SAMPLER"]);
    }
  });

  it("writes with each adapter as the LLM does, or ends the run: an adapter may be ignored in silence", async () => {
    const [llm, sampler] = [new Reader(), new Reader()];
    const { study, told } = studyOf(llm, sampler);
    await llm.useAdapter(adapter);
    await writeWith(study, adapter);
    assert.equal(sampler.identity(), "reader values 1");
    await writeWith(study, adapter); // it has it: nothing to be compared
    assert.equal(told.metrics.length, 1);
    await llm.useAdapter(null);
    await writeWith(study, null);
    assert.equal(sampler.identity(), "reader ");
    sampler.adapted = 0;
    await llm.useAdapter(adapter);
    await assertFails("RLRF_LLM_SAMPLER", () => writeWith(study, adapter), /with the adapter \/runs\/a\/adapters\/iteration-1/);
  });

  it("is nobody where the LLM writes itself", async () => {
    const { study, told } = studyOf(new Reader(), undefined);
    await prepareSampler(study);
    await writeWith(study, adapter);
    assert.deepEqual(told, { tags: {}, metrics: [], warnings: [], lines: [] });
  });
});
