/** PRM with hybrid experts on knowledge vectors: an epoch, and the scoring of ten texts a user, against PyTorch's. */
import { join } from "node:path";
import type { PreparedData } from "../../framework/contracts/dataset.js";
import { type AnswerVectors, textsAt, written } from "../../framework/method/answer-vectors.js";
import { fitEncoder } from "../../framework/method/encoder.js";
import { fitRecommender, type Knowledge, type Recommender } from "../../framework/method/recommender.js";
import { writeTensors } from "../../framework/store/tensors.js";
import { HybridExperts, type HeaOptions } from "../../plugins/adaptors/hea.js";
import { NoEncoder } from "../../plugins/encoders/none.js";
import { Prm, type PrmOptions } from "../../plugins/rerankers/prm.js";
import { type Figure, inTurn, median, timeFigure } from "./figures.js";
import { Rival } from "./rival.js";
import { benchFolder, defaultsOf, everyoneTrains } from "./workload.js";

const seed = 1;
/** Texts a user. */
const samples = 10;
/** The rival scores the first two of the ten texts, and its time is taken five times. */
const rivalShare = 0.2;

interface Workload {
  readonly data: PreparedData;
  readonly knowledge: Knowledge;
  /** Ten texts a user: those of ten others. */
  readonly texts: AnswerVectors;
  readonly path: string;
}

export async function benchPrm(data: PreparedData, knowledge: Knowledge, rounds: number): Promise<Figure[]> {
  const texts = tenTexts(data.users.length, knowledge);
  const path = join(benchFolder, "lists.safetensors");
  await writeLists(path, data, knowledge, texts);
  const work = { data, knowledge, texts, path };
  return [...(await benchJoin(work, "aspects", rounds)), ...(await benchJoin(work, "concat", rounds))];
}

async function benchJoin(work: Workload, join: "aspects" | "concat", rounds: number): Promise<Figure[]> {
  const { data, path } = work;
  const hea: HeaOptions = { ...defaultsOf(HybridExperts), join };
  const prm: PrmOptions = defaultsOf(Prm);
  const { hidden: expertHidden, dropout: expertDropout, adapted, shared, specific } = hea;
  const rival = await Rival.start("prm.py", path, {
    ...prm,
    join,
    expertHidden,
    expertDropout,
    adapted,
    shared,
    specific,
    seed,
    scoreBatch: 1024,
  });
  try {
    (await train(work, hea, { ...prm, epochs: 1, patience: 1 })).dispose();
    const epochs = await inTurn(
      rounds,
      async () => {
        const recommender = await train(work, hea, { ...prm, epochs: 2, patience: 2 });
        recommender.dispose();
        return median((recommender.report?.history ?? []).map(({ seconds }) => seconds));
      },
      async () => (await rival.ask("epoch")).seconds,
    );
    const epoch = timeFigure(
      `PRM + HEA epoch, ${join}`,
      epochs,
      { text: "< 4 s", met: (ours) => ours < 4 },
      `${data.lists.count} lists of ${data.lists.length}, ${work.knowledge.users.aspects} aspects of ${work.knowledge.users.width}`,
    );
    if (join === "concat") return [epoch];
    const recommender = await train(work, hea, { ...prm, epochs: 1, patience: 1 });
    const scoring = await inTurn(
      rounds,
      () => scoreSeconds(work, recommender),
      async () => (await rival.ask("score", { share: rivalShare })).seconds / rivalShare,
    );
    recommender.dispose();
    const scored = timeFigure(
      `scoring ${samples} texts a user`,
      scoring,
      { text: "< 10 s", met: (ours) => ours < 10 },
      `${data.lists.count * samples} lists; the rival's time is ${1 / rivalShare} times that of ${samples * rivalShare} texts`,
    );
    return [epoch, scored];
  } finally {
    await rival.stop();
  }
}

async function train({ data, knowledge }: Workload, hea: HeaOptions, prm: PrmOptions): Promise<Recommender> {
  const round = everyoneTrains(data);
  const encoder = await fitEncoder({ data, round, encoder: new NoEncoder(), history: 50, seed });
  const parts = { data, encoder, adaptor: new HybridExperts(hea), reranker: new Prm(prm), knowledge };
  return fitRecommender({ ...parts, round, seed, metric: "ndcg@5", ties: "expected" });
}

async function scoreSeconds({ data, texts }: Workload, recommender: Recommender): Promise<number> {
  const lists = Int32Array.from({ length: data.lists.count * samples }, (_, i) => Math.floor(i / samples));
  const textOf = lists.map((list, i) => (data.lists.user[list] ?? 0) * samples + (i % samples));
  const begun = performance.now();
  await recommender.score(lists, texts, textOf);
  return (performance.now() - begun) / 1000;
}

function tenTexts(users: number, { users: own }: Knowledge): AnswerVectors {
  const others = { length: users * samples };
  return textsAt(
    own,
    Int32Array.from(others, (_, text) => (Math.floor(text / samples) + 97 * (text % samples)) % users),
  );
}

async function writeLists(path: string, { lists, users, items }: PreparedData, knowledge: Knowledge, texts: AnswerVectors): Promise<void> {
  const { aspects, width } = texts;
  await writeTensors(path, {
    listUser: { shape: [lists.count], values: lists.user },
    candidates: { shape: [lists.count, lists.length], values: lists.candidates },
    labels: { shape: [lists.count, lists.length], values: lists.labels },
    users: { shape: [users.length, aspects, width], values: written(knowledge.users) },
    items: { shape: [items.length, width], values: knowledge.items },
    texts: { shape: [users.length * samples, aspects, width], values: written(texts) },
  });
}
