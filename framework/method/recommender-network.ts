/** The network of R: learned item vector, frozen encoder features and adapted texts, joined for each candidate and reranked. */
import * as tf from "@tensorflow/tfjs-core";
import type { PreparedData } from "../contracts/dataset.js";
import type { Rng } from "../contracts/plugin.js";
import type { Adaptor, AdaptorNetwork, ListHistory, Mode, Reranker, RerankerNetwork } from "../contracts/recommender.js";
import { labelsOf } from "../data/labels.js";
import { realOf } from "../recommender/index.js";
import { type Embedding, embedding, evaluating } from "../tensor/nn/index.js";
import { Parameters } from "../tensor/parameters.js";
import { type AnswerVectors, countOf, textsAt, written } from "./answer-vectors.js";
import { chunks, Distinct } from "./batches.js";
import { candidatesOf, type FittedEncoder } from "./encoder.js";
import { listHistories, paddedBatch, type Sequences } from "./sequences.js";

/** What texts say, as the text encoder's vectors. */
export interface Knowledge {
  /** A text a user. */
  readonly users: AnswerVectors;
  /** [(items + 1) * width], as wide as an answer; item 0 is padding */
  readonly items: Float32Array;
}

/** What a recommender is made of. */
export interface RecommenderParts {
  readonly data: PreparedData;
  readonly encoder: FittedEncoder;
  readonly adaptor: Adaptor;
  readonly reranker: Reranker;
  /** null = neither texts of users nor of items (`id-only`). */
  readonly knowledge: Knowledge | null;
}

/** Texts and all items after their experts. */
export interface AdaptedTexts {
  readonly users: tf.Tensor3D; // [texts, voices, adapted]
  readonly items: tf.Tensor2D; // [items + 1, adapted]
}
export interface Adapted extends AdaptedTexts {
  dispose(): void;
}

/** Items of lists, what came before them for a reranker that asks, and what the sequence encoder says of them. */
interface Items {
  readonly candidates: tf.Tensor2D; // [batch, list]
  readonly history: tf.Tensor2D | null; // [batch, length], left-padded with 0
  readonly features: tf.Tensor3D | null; // [batch, list, encoder's width]; null when it says nothing
}

/** Lists that no prepared data holds: row r of `histories` is what came before row r of `candidates`. */
export interface OtherLists {
  readonly histories: Sequences;
  readonly candidates: Int32Array; // [lists * length]
  readonly length: number;
}

/** What the texts add to the items: joined with the user's for candidates, by themselves for the history. */
interface ItemTexts {
  readonly candidates: tf.Tensor3D; // [batch, list, features]
  readonly history: tf.Tensor3D | null; // [batch, length, adapted]
}

/** Texts adapted at once. */
const adaptBatch = 1024;

export class RecommenderNetwork {
  readonly parameters: Parameters;
  private readonly items: Embedding;
  private readonly reranker: RerankerNetwork;
  private readonly heard: HeardTexts | undefined;
  private readonly histories: Sequences | undefined;

  constructor(
    private readonly parts: RecommenderParts,
    rng: Rng,
  ) {
    const { data, encoder, knowledge, reranker } = parts;
    this.parameters = new Parameters(rng);
    this.items = embedding(this.parameters.scope("items"), { count: data.items.length, width: reranker.embedding });
    this.heard = knowledge ? new HeardTexts(parts.adaptor, this.parameters.scope("adaptor"), knowledge, data) : undefined;
    this.histories = reranker.history ? listHistories(data) : undefined;
    this.reranker = reranker.build(this.parameters.scope("reranker"), {
      width: reranker.embedding + encoder.width + (this.heard?.features ?? 0),
      list: data.lists.length,
      historyWidth: this.histories ? reranker.embedding + (this.heard?.adapted ?? 0) : 0,
    });
  }

  /** Training loss of a batch of lists, each user heard with its own text. */
  loss(lists: Int32Array, mode: Mode): tf.Scalar {
    const { lists: all } = this.parts.data;
    const items = this.itemsOf(lists);
    const scores = this.score(items, this.heard?.ofBatch(lists, items, mode), mode);
    const labels = tf.tensor2d(Float32Array.from(labelsOf(all, lists)), [lists.length, all.length]);
    return this.reranker.loss(scores, labels);
  }

  /** @param texts to hear; the caller disposes the result */
  adapt(texts: AnswerVectors | null): Adapted | null {
    if (this.heard === undefined) return null;
    if (texts === null) throw new Error("a recommender with knowledge scores no lists without texts");
    const [users, items] = [this.heard.adaptUsers(texts), this.heard.adaptItems()];
    return { users, items, dispose: () => tf.dispose([users, items]) };
  }

  /** What never changes of `Adapted`; the caller disposes the result. @returns null without knowledge */
  adaptItems(): tf.Tensor2D | null {
    return this.heard?.adaptItems() ?? null;
  }

  /** @returns [texts, voices, adapted]; null without knowledge */
  adaptUsers(texts: AnswerVectors): tf.Tensor3D | null {
    return this.heard?.adaptUsers(texts) ?? null;
  }

  /** @param heard rows of `adapted.users`, [lists]; @returns [lists * length] */
  scores(lists: Int32Array, heard: Int32Array | null, adapted: Adapted | null): Float32Array {
    return tf.tidy(() => this.scoresOf(this.itemsOf(lists), heard, adapted));
  }

  /** The same of lists that are not in the prepared data. */
  scoresOfOthers(lists: OtherLists, heard: Int32Array | null, adapted: AdaptedTexts | null): Float32Array {
    return tf.tidy(() => this.scoresOf(this.itemsOfOthers(lists), heard, adapted));
  }

  private scoresOf(items: Items, heard: Int32Array | null, adapted: AdaptedTexts | null): Float32Array {
    const texts = adapted && heard ? this.heard?.ofAdapted(adapted, heard, items) : undefined;
    return this.score(items, texts, evaluating).dataSync<"float32">();
  }

  private itemsOf(lists: Int32Array): Items {
    const { data, encoder } = this.parts;
    const history = this.histories ? this.seen(this.histories, lists) : null;
    return { candidates: candidatesOf(data.lists, lists), history, features: encoder.width > 0 ? encoder.features(lists) : null };
  }

  private itemsOfOthers({ histories, candidates: items, length }: OtherLists): Items {
    const { encoder } = this.parts;
    const rows = Int32Array.from(histories.end.keys());
    const candidates = tf.tensor2d(items, [rows.length, length], "int32");
    const history = this.histories ? this.seen(histories, rows) : null;
    return { candidates, history, features: encoder.width > 0 ? encoder.featuresAfter(histories, rows, candidates) : null };
  }

  /** What the reranker looks at of these histories: no more than the protocol lets it. */
  private seen(histories: Sequences, rows: Int32Array): tf.Tensor2D {
    const { encoder, reranker } = this.parts;
    return paddedBatch(histories, rows, Math.min(reranker.history ?? 0, encoder.history));
  }

  private score({ candidates, history, features: said }: Items, texts: ItemTexts | undefined, mode: Mode): tf.Tensor2D {
    const [own, past] = history ? this.lookUpBoth(candidates, history) : [this.items(candidates) as tf.Tensor3D, null];
    const features = joined([own, ...(said ? [said] : []), ...(texts ? [texts.candidates] : [])]);
    if (history === null || past === null) return this.reranker.score(features, mode);
    const before: ListHistory = { items: joined([past, ...(texts?.history ? [texts.history] : [])]), real: realOf(history) };
    return this.reranker.score(features, mode, before);
  }

  /** One lookup, so that its gradient is one sum over the table. */
  private lookUpBoth(candidates: tf.Tensor2D, history: tf.Tensor2D): [tf.Tensor3D, tf.Tensor3D] {
    const vectors = this.items(tf.concat([candidates, history], 1));
    return tf.split(vectors, [candidates.shape[1], history.shape[1]], 1) as [tf.Tensor3D, tf.Tensor3D];
  }

  dispose(): void {
    this.parameters.dispose();
    this.heard?.dispose();
  }
}

/** The adaptor with the texts it is trained on, which lie on the engine. */
class HeardTexts {
  private readonly network: AdaptorNetwork;
  private readonly userTexts: UserTexts;
  private readonly itemTexts: tf.Tensor2D; // [items + 1, width]
  private readonly distinctItems: Distinct;

  constructor(
    adaptor: Adaptor,
    scope: Parameters,
    private readonly knowledge: Knowledge,
    private readonly data: PreparedData,
  ) {
    const { aspects, width } = knowledge.users;
    const items = data.items.length;
    this.network = adaptor.build(scope, { aspects, width });
    this.userTexts = new UserTexts(knowledge.users, this.network.aspectByAspect ?? false);
    this.itemTexts = tf.keep(tf.tensor2d(knowledge.items, [items, width]));
    this.distinctItems = new Distinct(items);
  }

  get features(): number {
    return this.network.features;
  }

  /** Width of an item's adapted text. */
  get adapted(): number {
    return tf.tidy(() => this.network.items(tf.zeros([1, this.knowledge.users.width]), evaluating).shape[1]);
  }

  /** What texts add to a training batch: its distinct texts and items go through the experts once. */
  ofBatch(lists: Int32Array, { candidates, history }: Items, mode: Mode): ItemTexts {
    const users = this.userTexts.of(lists.map((list) => this.data.lists.user[list] as number));
    const ids = history ? (tf.concat([candidates, history], 1) as tf.Tensor2D) : candidates;
    const items = this.distinctItems.of(ids.dataSync<"int32">());
    const voices = this.network.users(users.texts, mode); // [texts, voices, adapted]
    const [, each, adapted] = voices.shape;
    const said: tf.Tensor3D = tf.reshape(rowsOf(voices, users.index), [lists.length, (users.index.length / lists.length) * each, adapted]);
    const all = this.lookUp(this.network.items(rowsOf(this.itemTexts, items.distinct), mode), tf.tensor2d(items.index, ids.shape, "int32"));
    if (history === null) return { candidates: this.network.join(said, all), history };
    const [now, before] = tf.split(all, [candidates.shape[1], history.shape[1]], 1) as [tf.Tensor3D, tf.Tensor3D];
    return { candidates: this.network.join(said, now), history: before };
  }

  ofAdapted({ users, items }: AdaptedTexts, heard: Int32Array, { candidates, history }: Items): ItemTexts {
    return {
      candidates: this.network.join(rowsOf(users, heard), this.lookUp(items, candidates)),
      history: history && this.lookUp(items, history),
    };
  }

  /** @returns [batch, list, adapted] */
  private lookUp(items: tf.Tensor2D, index: tf.Tensor2D): tf.Tensor3D {
    return tf.gather(items, index) as tf.Tensor as tf.Tensor3D;
  }

  /** @returns [items + 1, adapted] */
  adaptItems(): tf.Tensor2D {
    return tf.tidy(() => this.network.items(this.itemTexts, evaluating));
  }

  /** Where an adaptor takes aspects one by one each distinct answer is adapted once. @returns [texts, voices, adapted] */
  adaptUsers({ rows, table, aspects, width }: AnswerVectors): tf.Tensor3D {
    const byAspect = this.network.aspectByAspect ?? false;
    const answers = table.length / width;
    return tf.tidy(() => {
      const vectors = tf.tensor2d(table, [answers, width]);
      const [asked, each] = byAspect ? [Int32Array.from({ length: answers }, (_, row) => row), 1] : [rows, aspects];
      const pieces = chunks(asked, adaptBatch * each).map((piece) =>
        tf.tidy(() => this.network.users(tf.reshape(rowsOf(vectors, piece), [piece.length / each, each, width]), evaluating)),
      );
      const adapted = tf.concat(pieces, 0);
      if (!byAspect) return adapted;
      const [, voices, heard] = adapted.shape;
      return tf.reshape(rowsOf(adapted, rows), [rows.length / aspects, aspects * voices, heard]);
    });
  }

  dispose(): void {
    this.userTexts.dispose();
    this.itemTexts.dispose();
  }
}

/**
 * The users' texts on the engine, each distinct one once: a text of all aspects, or one of one aspect where an adaptor takes them
 * one by one, and then hardly anybody's period is their own.
 */
class UserTexts {
  private readonly table: tf.Tensor3D; // [texts, aspects or 1, width]
  /** Row of `table` of each user's texts. [users * perUser] */
  private readonly rows: Int32Array;
  private readonly perUser: number;
  private readonly distinct: Distinct;

  constructor(users: AnswerVectors, aspectByAspect: boolean) {
    const { aspects, width } = users;
    this.perUser = aspectByAspect ? aspects : 1;
    const whole = aspectByAspect ? undefined : distinctTexts(users);
    this.rows = whole?.rows ?? users.rows;
    const values = whole ? written(whole.texts) : users.table;
    const height = aspectByAspect ? 1 : aspects;
    this.table = tf.keep(tf.tensor3d(values, [values.length / (height * width), height, width]));
    this.distinct = new Distinct(this.table.shape[0]);
  }

  /** @returns the distinct texts of these users, and where each user's are among them, [users * perUser] */
  of(users: Int32Array): { readonly texts: tf.Tensor3D; readonly index: Int32Array } {
    const rows = new Int32Array(users.length * this.perUser);
    for (const [i, user] of users.entries()) rows.set(this.rows.subarray(user * this.perUser, (user + 1) * this.perUser), i * this.perUser);
    const { distinct, index } = this.distinct.of(rows);
    return { texts: rowsOf(this.table, distinct), index };
  }

  dispose(): void {
    this.table.dispose();
  }
}

/** @returns the distinct ones among texts, and which of them each text is */
function distinctTexts(all: AnswerVectors): { readonly texts: AnswerVectors; readonly rows: Int32Array } {
  const known = new Map<string, number>();
  const kept: number[] = [];
  const rows = Int32Array.from({ length: countOf(all) }, (_, text) => {
    const content = all.rows.subarray(text * all.aspects, (text + 1) * all.aspects).join();
    const row = known.get(content) ?? kept.push(text) - 1;
    known.set(content, row);
    return row;
  });
  return { texts: textsAt(all, kept), rows };
}

function joined(parts: readonly tf.Tensor3D[]): tf.Tensor3D {
  return parts.length === 1 ? (parts[0] as tf.Tensor3D) : tf.concat([...parts], 2);
}

function rowsOf<Rank extends tf.Tensor>(table: Rank, rows: Int32Array): Rank {
  return tf.gather(table, tf.tensor1d(rows, "int32")) as Rank;
}
