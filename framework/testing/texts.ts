/** Contract suites of text encoders and LLM backends. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type {
  ChatMessage,
  CorpusTexts,
  GeneratedText,
  GenerationParameters,
  LlmBackend,
  LoraOptions,
  TunablePolicy,
} from "../contracts/llm.js";
import type { TextEncoder } from "../contracts/recommender.js";
import { takesAdapters, takesWeights } from "../spec/options.js";
import { identityChecks } from "./identity.js";
import { identityOfSubject, type Runner, type Subject, suite, withPlugin } from "./subject.js";
import { finite, noLeak } from "./tensors.js";

/** What an encoder of the run's own LLM is given here: vectors that the text decides. */
const readable: Pick<LlmBackend, "hidden"> = {
  hidden: async (texts) => ({
    width: 4,
    vectors: Float32Array.from(texts.flatMap((text) => [31, 37, 41, 43].map((step) => hashOf(text, step)))),
  }),
};

/** From 1 to 997. */
const hashOf = (text: string, step: number): number =>
  [...text].reduce((hash, letter) => (hash * step + (letter.codePointAt(0) ?? 0)) % 997, step) + 1;

export function textEncoderContract(subject: Subject<TextEncoder>, runner?: Runner): void {
  const texts = ["Genre: Drama", "a film of the 1990s with a long, slow ending", "Genre: Comedy, Romance", ""];
  const row = (of: { width: number; vectors: Float32Array }, i: number) => of.vectors.subarray(i * of.width, (i + 1) * of.width);
  const using = (work: (encoder: TextEncoder) => Promise<void>) =>
    withPlugin(subject, async (encoder) => {
      encoder.useLlm?.(readable);
      await work(encoder);
    });
  const checks = {
    "gives a finite vector for each text, the empty one included": () =>
      using(async (encoder) => {
        const { width, vectors } = await encoder.encode(texts);
        assert.ok(Number.isInteger(width) && width >= 1);
        assert.equal(vectors.length, texts.length * width);
        finite(vectors, "vectors");
      }),
    "gives nothing for no texts": () => using(async (encoder) => assert.equal((await encoder.encode([])).vectors.length, 0)),
    "gives a text the same vector, whatever stands beside it": () =>
      using(async (encoder) => {
        const together = await encoder.encode(texts);
        for (const i of [0, 2]) {
          const alone = await encoder.encode([texts[i] as string]);
          assert.equal(alone.width, together.width);
          const difference = Math.max(...row(together, i).map((value, j) => Math.abs(value - (alone.vectors[j] as number))));
          assert.ok(difference < 0.02, `the vector of a text changes by ${difference} with its batch`); // 8-bit weights scale by batch
        }
        assert.deepEqual(await encoder.encode(texts), together, "the same call gives the same vectors");
      }),
    "tells texts apart": () =>
      using(async (encoder) => {
        const encoded = await encoder.encode(texts);
        assert.notDeepEqual(row(encoded, 0), row(encoded, 2));
      }),
  };
  const declared = {
    "says in its decorator that it reads hidden states, if it does": () =>
      withPlugin(subject, async (encoder) => {
        const { needs = [] } = identityOfSubject(subject);
        assert.equal(needs.includes("hidden"), encoder.useLlm !== undefined);
      }),
  };
  suite(subject, runner, { ...checks, ...declared }, identityChecks(subject));
}

const user = (wanted: string): ChatMessage[] => [{ role: "user", content: `What does ${wanted} prefer?` }];
const people = ["1", "2", "3"];

/** What `prepare` gets here: an answer a user, which `replay`-like backends need not read. */
const corpus: CorpusTexts = {
  dialogues: people.flatMap((person) =>
    ["Drama", "Comedy"].map((genre) => ({ messages: user(person), completion: `Genre: ${genre}\nPeriod: 1990s` })),
  ),
};
const parameters: GenerationParameters = { temperature: 1, topK: 0, topP: 1, minP: 0, maxTokens: 12, stop: [] };
const lora: LoraOptions = { rank: 2, alpha: 4, dropout: 0, targets: ["q_proj", "v_proj"] };

/** The subject must be able to answer for users "1", "2" and "3". */
export function llmContract(subject: Subject<LlmBackend>, runner?: Runner): void {
  const prepared = (body: (llm: LlmBackend) => Promise<void>) => () =>
    withPlugin(subject, async (llm) => {
      await llm.prepare(corpus);
      await body(llm);
    });
  const tuned = (body: (policy: TunablePolicy) => Promise<void>) =>
    prepared(async (llm) => {
      if (llm.policy !== undefined) await body(llm.policy);
    });
  const requests = people.map((person, i) => ({ user: person, messages: user(person), samples: 2, seed: i + 1 }));
  const example = (policy: TunablePolicy) =>
    policy.tokenize(user("1"), [
      { text: "Genre: Drama", ended: true },
      { text: "Genre: Comedy", ended: false },
    ]);
  const checks = {
    "writes the samples asked for, in order, within the limit": prepared(async (llm) => {
      const done = new Map<number, readonly GeneratedText[]>();
      const texts = await llm.generate(requests, parameters, (request, own) => {
        assert.ok(!done.has(request), `request ${request} is done twice`);
        done.set(request, own);
      });
      assert.deepEqual(
        texts.map((samples) => samples.length),
        [2, 2, 2],
      );
      assert.deepEqual(
        texts.map((_, request) => done.get(request)),
        texts,
        "each request's texts are told when they are there",
      );
      for (const { text, tokens, finish } of texts.flat()) {
        assert.equal(typeof text, "string");
        assert.ok(Number.isInteger(tokens) && tokens >= 0, `${tokens} tokens`);
        assert.ok(finish === "stop" || finish === "length");
      }
    }),
    "writes a request's texts by its seed alone, whatever it is batched with": prepared(async (llm) => {
      const together = await llm.generate(requests, parameters);
      const [alone] = await llm.generate(requests.slice(1, 2), parameters);
      assert.deepEqual(
        alone?.map(({ text }) => text),
        together[1]?.map(({ text }) => text),
      );
    }),
    "has an identity that generation does not change": prepared(async (llm) => {
      const before = llm.identity();
      assert.ok(before.length > 0);
      await llm.generate(requests.slice(0, 1), parameters);
      assert.equal(llm.identity(), before);
    }),
    "takes adapters as its identity says": prepared(async (llm) => {
      assert.equal(typeof llm.useAdapter === "function", takesAdapters(identityOfSubject(subject), subject.options ?? {}));
    }),
    "takes another's weights as its identity says": () =>
      withPlugin(subject, (llm) => {
        assert.equal(typeof llm.useModel === "function", takesWeights(identityOfSubject(subject), subject.options ?? {}));
      }),
    "has to learn from dialogues where its decorator says so, and nowhere else": () =>
      withPlugin(subject, async (llm) => {
        const { needs = [] } = identityOfSubject(subject);
        const unschooled = llm.prepare({ dialogues: [] });
        await (needs.includes("dialogues") ? assert.rejects(unschooled) : unschooled);
      }),
    "gives the same whatever it is asked, where its decorator says that its texts are on record": prepared(async (llm) => {
      if (identityOfSubject(subject).recorded !== true) return;
      const asked = (content: string) =>
        llm.generate([{ user: "1", messages: [{ role: "user", content }], samples: 1, seed: 1 }], parameters);
      assert.deepEqual(await asked("What does 1 prefer?"), await asked("Which answer is better, A or B?"));
    }),
    "tells how it reads a chat, where it can: the same twice, likelihoods of the completion's tokens alone": prepared(async (llm) => {
      const [first, again, longer] = [await llm.probe?.(user("1"), "Genre: Drama"), await llm.probe?.(user("1"), "Genre: Drama"), await llm.probe?.(user("12"), "Genre: Drama")]; // biome-ignore format: one line
      assert.deepEqual(first, again);
      assert.ok(first?.tokens?.every((token) => Number.isInteger(token) && token >= 0) ?? true);
      if (!first?.logProbs) return;
      assert.ok(first.logProbs.length > 0 && first.logProbs.every((value) => value <= 0), `${first.logProbs}`);
      assert.equal(longer?.logProbs?.length, first.logProbs.length, "the completion's tokens alone are scored");
      assert.ok(first.logProbs.length < (first.tokens?.length ?? Number.POSITIVE_INFINITY));
    }),
    "shows hidden states of the frozen model, where its decorator says so": prepared(async (llm) => {
      assert.equal(llm.hidden !== undefined, identityOfSubject(subject).hidden === true);
      if (llm.hidden === undefined) return;
      const texts = ["Genre: Drama", "", "Genre: Comedy\nPeriod: 1990s"];
      for (const pooling of ["mean", "last"] as const) {
        const { width, vectors } = await llm.hidden(texts, pooling);
        assert.equal(vectors.length, texts.length * width);
        finite(vectors, "vectors");
        const alone = await llm.hidden(texts.slice(0, 1), pooling);
        for (const [i, value] of alone.vectors.entries())
          assert.ok(Math.abs(value - (vectors[i] as number)) < 1e-4, "a vector depends on what stands beside its text");
      }
    }),
    "leaves no tensors behind, in generation or after its disposal": () =>
      noLeak(
        prepared(async (llm) => {
          const generate = async () => void (await llm.generate(requests, parameters));
          await generate(); // tables of positions and the like may be kept from the first time on
          await noLeak(generate);
        }),
      ),
    "says in its decorator that it can be tuned, if it can": prepared(async (llm) => {
      assert.equal(llm.policy !== undefined, identityOfSubject(subject).tunable === true);
    }),
    "gives log-probabilities that an attached adapter does not change at first, where it can be tuned": tuned(async (policy) => {
      const values = () => tf.tidy(() => policy.logProbs([example(policy)]).dataSync());
      const before = values();
      assert.equal(before.length, 2);
      finite(before, "log-probability");
      assert.ok(before.every((value) => value <= 0));
      policy.attach(lora, 1);
      for (const [i, value] of values().entries())
        assert.ok(Math.abs(value - (before[i] as number)) < 1e-3, `${before[i]} became ${value}`);
    }),
    "gives rows with fewer completions 0 where they have none, and the others what they have alone": tuned(async (policy) => {
      const full = example(policy);
      const [first = new Int32Array()] = full.completions;
      const short = { prompt: full.prompt, completions: [first, new Int32Array()] };
      const values = tf.tidy(() => policy.logProbs([full, short]).dataSync());
      assert.equal(values[3], 0);
      assert.ok(Math.abs((values[2] as number) - (values[0] as number)) < 1e-3, `${values}`);
    }),
    "sends gradients to the adapter, and keeps and restores it": tuned(async (policy) => {
      policy.attach(lora, 1);
      const trainable = [...policy.trainable()];
      assert.ok(trainable.length > 0);
      const saved = await policy.adapter();
      tf.tidy(() => policy.logProbs([example(policy)]).dataSync()); // what the first time leaves is not counted
      await noLeak(() =>
        tf.tidy(() => {
          const { grads } = tf.variableGrads(() => tf.neg(tf.sum(policy.logProbs([example(policy)]))) as tf.Scalar, trainable);
          for (const variable of trainable) finite(grads[variable.name]?.dataSync() ?? [Number.NaN], `gradient of ${variable.name}`);
          for (const variable of trainable) variable.assign(tf.add(variable, 0.1));
        }),
      );
      const moved = tf.tidy(() => policy.logProbs([example(policy)]).dataSync());
      policy.restore(saved);
      const restored = tf.tidy(() => policy.logProbs([example(policy)]).dataSync());
      assert.notDeepEqual(moved, restored);
      assert.deepEqual(await policy.adapter(), saved);
    }),
  };
  suite(subject, runner, checks, identityChecks(subject));
}
