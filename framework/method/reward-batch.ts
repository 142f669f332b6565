/** What a reward head is given: the texts of some users, the recommender's scores of their lists, and whatever else it needs. */
import * as tf from "@tensorflow/tfjs-core";
import type { Round } from "../contracts/dataset.js";
import type { Reward, RewardBatch, TextFeatures } from "../contracts/feedback.js";
import type { Progress } from "../contracts/plugin.js";
import { hasRelevant, labelsOf } from "../data/labels.js";
import { createRng } from "../rng.js";
import { type AnswerVectors, silentTexts, textsAt, written } from "./answer-vectors.js";
import { promptOf } from "./prompt.js";
import type { Adapted, FittedEncoder, Knowledge, Recommender } from "./recommender.js";
import type { UserText } from "./structure.js";
import type { Study } from "./study.js";

/** What reward models hear, and have learnt to hear. */
export interface Heard {
  /** Of the study's users. */
  readonly knowledge: Knowledge;
  /** A text a user. */
  readonly texts: readonly UserText[];
}

export interface RewardListener {
  /** Whose `test` users it may score. */
  readonly round: Round;
  readonly recommender: Recommender;
  readonly encoder: FittedEncoder;
}

export class RewardBatches {
  private readonly listsOf: ReadonlyMap<number, readonly number[]>;

  constructor(
    private readonly study: Study,
    private readonly reward: Reward,
  ) {
    this.listsOf = relevantLists(study);
  }

  /**
   * The model's scores of all lists of the texts' users, each list once a text.
   * @param texts [texts] @param vectors what is heard of them @param rows the texts of the batch
   */
  async of(
    model: RewardListener,
    texts: readonly UserText[],
    vectors: AnswerVectors,
    rows: readonly number[],
    { measureAll = false } = {},
  ): Promise<RewardBatch> {
    const { data, spec } = this.study;
    const { needs } = this.reward;
    const own = rows.map((row) => texts[row] as UserText);
    const heard = textsAt(vectors, rows);
    const unmeasured = measureAll ? null : this.unmeasured(own);
    return {
      texts: own.map(({ user, text, parsed: { structureRate } }) => ({ user, text, structureRate })),
      lists: await this.ranked(model.recommender, own, this.told(heard), unmeasured, this.study.context.progress),
      ties: spec.protocol.ties,
      ...(unmeasured && { unmeasured }),
      ...(needs.includes("vectors") && { vectors: { width: heard.aspects * heard.width, values: written(heard) } }),
      ...(needs.includes("states") && { states: this.states(model.encoder, own) }),
      ...(needs.includes("others") && { others: { [Symbol.asyncIterator]: () => this.others(model, own, heard, unmeasured) } }),
      ...(needs.includes("prompts") && {
        prompts: own.map(({ user }) => ({ user: data.users[user]?.id ?? "", messages: promptOf(user, data, spec.prompt) })),
      }),
    };
  }

  /** What a list is ranked by: the texts, and silence where the head compares with it. */
  private told(heard: AnswerVectors): readonly AnswerVectors[] {
    return [heard, ...(this.reward.needs.includes("neutral") ? [silentTexts(1, heard)] : [])];
  }

  /** The texts as if each were another user's: of one user after another who can have a reward. */
  private async *others(
    { recommender, round }: RewardListener,
    texts: readonly UserText[],
    heard: AnswerVectors,
    unmeasured: Uint8Array | null,
  ): AsyncGenerator<RewardBatch> {
    if (texts.length === 0) return;
    const { protocol } = this.study.spec;
    const users = round.test.filter((user) => this.listsOf.has(user));
    const told = this.told(heard).map((voice) => recommender.adapt(voice));
    const shown = this.study.context.progress.start("other users", 0, "users"); // as many as the head asks for
    try {
      for (const user of createRng(protocol.seed, "other users").shuffle(users)) {
        const theirs = texts.map((text) => ({ ...text, user }));
        const lists = await this.ranked(recommender, theirs, told, unmeasured);
        shown.advance();
        yield { texts: theirs.map(({ text, parsed: { structureRate } }) => ({ user, text, structureRate })), lists, ties: protocol.ties };
      }
    } finally {
      shown.end();
      for (const adapted of told) adapted?.dispose();
    }
  }

  /** @param told of `told`, or what the recommender's `adapt` made of it */
  private async ranked(
    recommender: Recommender,
    texts: readonly UserText[],
    [heard = null, silence]: readonly (AnswerVectors | Adapted | null)[],
    unmeasured: Uint8Array | null,
    progress?: Progress,
  ): Promise<RewardBatch["lists"]> {
    const { lists } = this.study.data;
    const { signal } = this.study.context;
    const pairs = texts.flatMap(({ user }, text) =>
      this.reward.reads !== undefined || unmeasured?.[text] === 1 ? [] : (this.listsOf.get(user) ?? []).map((list) => ({ list, text })),
    );
    const numbers = Int32Array.from(pairs, ({ list }) => list);
    const text = Int32Array.from(pairs, ({ text }) => text);
    const empty = { text, length: lists.length, scores: new Float32Array(), labels: new Uint8Array() };
    if (pairs.length === 0) return empty;
    const score = (heard: AnswerVectors | Adapted | null, of: Int32Array) => recommender.score(numbers, heard, of, { progress, signal });
    const scores = await score(heard, text);
    const neutral = silence && (await score(silence, new Int32Array(numbers.length)));
    return { ...empty, scores, labels: labelsOf(lists, numbers), ...(neutral && { neutral }) };
  }

  /** Which of the texts that can have a reward, by relevant lists or by themselves, go unmeasured; null where all are measured. */
  private unmeasured(texts: readonly UserText[]): Uint8Array | null {
    const { measures, reads } = this.reward;
    if (measures === undefined) return null;
    const rewarded = texts.flatMap(({ user }, text) => (reads !== undefined || this.listsOf.has(user) ? [text] : []));
    const keep = Math.max(measures.least, Math.ceil(measures.share * rewarded.length));
    const left = new Uint8Array(texts.length);
    const order = createRng(this.study.spec.protocol.seed, "measured texts").shuffle(rewarded);
    for (const text of order.slice(keep)) left[text] = 1;
    return left;
  }

  private states(encoder: FittedEncoder, texts: readonly UserText[]): TextFeatures {
    const { width } = encoder;
    const byUser = new Map<number, Float32Array>();
    const values = new Float32Array(texts.length * width);
    for (const [text, { user }] of texts.entries()) {
      const lists = this.listsOf.get(user);
      if (lists === undefined || width === 0) continue;
      const state = byUser.get(user) ?? tf.tidy(() => tf.mean(encoder.features(Int32Array.from(lists)), [0, 1]).dataSync<"float32">());
      byUser.set(user, state);
      values.set(state, text * width);
    }
    return { width, values };
  }
}

/** By user. Lists without a relevant item have no ideal order: they reward nothing. */
function relevantLists({ data: { lists } }: Study): ReadonlyMap<number, readonly number[]> {
  const byUser = new Map<number, number[]>();
  for (let list = 0; list < lists.count; list++) {
    if (!hasRelevant(lists, list)) continue;
    const user = lists.user[list] as number;
    byUser.get(user)?.push(list) ?? byUser.set(user, [list]);
  }
  return byUser;
}
