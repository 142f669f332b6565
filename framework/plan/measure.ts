/** How fast this machine does each kind of work of a spec: a little of each, on the spec's own data and parts. */
import { cpus } from "node:os";
import type { Dataset, Round } from "../contracts/dataset.js";
import type { GeneratedText, GenerationParameters, GenerationRequest, LlmBackend } from "../contracts/llm.js";
import type { FitOptions } from "../contracts/recommender.js";
import type { AlignmentExample } from "../contracts/tuner.js";
import { prepare } from "../data/prepare.js";
import type { Assembly } from "../kernel/assemble.js";
import { mean } from "../metrics/aggregate.js";
import { bootstrapIntervals, pairedRandomisationTests } from "../metrics/statistics.js";
import { settingsOf } from "../method/align.js";
import { mainMetric } from "../method/fits.js";
import { templateTexts } from "../method/infer.js";
import { itemText } from "../method/knowledge.js";
import { loadLanguageModel } from "../method/language-model.js";
import { promptOf } from "../method/prompt.js";
import { fitEncoder, fitRecommender, listsOf } from "../method/recommender.js";
import { type RunContext, Study, type TuningParts } from "../method/study.js";
import { createRng } from "../rng.js";
import type { Spec } from "../spec/types.js";
import { makeFolder } from "../store/files.js";
import { promptTokens as assumedTokens } from "./estimate.js";
import type { Rate, Rates, Sizes, Work } from "./rates.js";

/** Large enough to outweigh what a call costs, small enough for seconds. */
const few = { prompts: 16, texts: 256, users: 512, valid: 32, compared: 20_000, columns: 8, interactions: 500_000 } as const;

/** @param begun seconds since this process began, its engine started: what every worker spends first */
export async function measure(spec: Spec, parts: Assembly, context: RunContext, begun: number): Promise<Omit<Rates, "measured">> {
  const told = new Map<Work, number>();
  const tell = (work: Work, perSecond: number) => {
    told.set(work, perSecond);
    context.logger.info(`${work}: ${perSecond.toPrecision(3)} a second`);
  };
  const data = await prepare(parts.dataset, spec.protocol, { folds: spec.alignment?.rewardFolds ?? 0 }); // once more below, warm
  const times = Math.ceil(few.interactions / data.sequence.items.length);
  const many = await timed(() => prepare(repeated(parts.dataset, times), spec.protocol, { folds: 0 }));
  tell("interactions", many.value.sequence.items.length / many.seconds);
  const study = await Study.prepare(spec, parts, context);
  try {
    const llm = parts.llm === undefined ? null : await measureLlm(study, parts.llm, tell);
    const texts = data.items.slice(1, few.texts + 1).map((item, i) => `${itemText(item)} ${i}`);
    tell("texts", texts.length / (await seconds(() => parts.textEncoder.encode(texts))));
    const width = await measureRecommender(study, tell);
    tell("comparedUsers", await comparedUsers(spec.protocol.seed));
    const sizes: Sizes = {
      items: data.items.length - 1,
      interactionsPerUser: data.sequence.items.length / data.users.length,
      listsPerUser: data.lists.count / data.users.length,
      promptTokens: llm?.promptTokens ?? assumedTokens(spec),
      completionTokens: llm?.completionTokens ?? 0,
      width,
    };
    const device: Rate["device"] = context.engine.devices.some((name) => /gpu/i.test(name)) ? "gpu" : "cpu";
    const onEngine: readonly Work[] = [
      "promptTokens",
      "completionTokens",
      "trainedTokens",
      "fittedLists",
      "fittedSequences",
      "scoredLists",
    ];
    const rates = Object.fromEntries(
      [...told].map(([work, perSecond]) => [work, { perSecond, device: onEngine.includes(work) ? device : "cpu" }]),
    );
    return { sizes, startup: { process: begun, languageModel: llm?.load ?? 0, again: llm?.again ?? 0 }, rates };
  } finally {
    await study.close();
  }
}

/** Its interactions so many times, each time of other users: a small data set takes longer to be opened than to be prepared. */
function repeated(dataset: Dataset, times: number): Dataset {
  const load: Dataset["load"] = async (connection) => {
    const counts = await dataset.load(connection);
    await connection.run(
      `INSERT INTO interactions SELECT "user" || ' ' || copy, item, rating, "time", "row" FROM interactions, range(1, ${times}) AS copies(copy)`,
    );
    return counts;
  };
  return Object.create(dataset, { load: { value: load } });
}

/** What the numbers were measured on, for whoever reads the file later. */
export function machineName(): string {
  const [first] = cpus();
  return `${cpus().length} cores, ${first?.model ?? "unknown processor"}`;
}

type Tell = (work: Work, perSecond: number) => void;

async function measureLlm(study: Study, llm: LlmBackend, tell: Tell) {
  const load = await seconds(() => loadLanguageModel(study, llm));
  // An encoder of the LLM's own states opens with it, and opens once.
  const again = study.parts.textEncoder.useLlm === undefined ? await seconds(() => loadLanguageModel(study, llm)) : load;
  const { data, spec, generation } = study;
  const samples = study.parts.sampling?.samples ?? 1;
  const requests = data.users
    .slice(0, few.prompts)
    .map((record, user): GenerationRequest => ({ user: record.id, messages: promptOf(user, data, spec.prompt), samples, seed: user }));
  const write = (parameters: GenerationParameters) => timed(() => study.writer.generate(requests, parameters));
  await write({ ...generation, maxTokens: 1 });
  const first = await write({ ...generation, maxTokens: 1 });
  const whole = await write(generation);
  const tuning = study.tuning;
  const lengths = requests.map(({ messages }) => tuning?.policy.tokenize(messages, []).prompt.length ?? assumedTokens(spec));
  const completions = whole.value.flat();
  const written = completions.reduce((sum, { tokens }) => sum + tokens, 0);
  tell("promptTokens", sum(lengths) / first.seconds);
  tell("completionTokens", Math.max(1, written - completions.length) / Math.max(1e-3, whole.seconds - first.seconds));
  const [promptTokens, completionTokens] = [mean(lengths), written / completions.length];
  if (tuning !== null) tell("trainedTokens", await trainedTokens(study, tuning, requests, whole.value, promptTokens, completionTokens));
  return { load, again, promptTokens, completionTokens };
}

/** One pass over a pair a prompt, the reference's pass counted as a third. */
async function trainedTokens(
  study: Study,
  { policy, tuner, loss, alignment }: TuningParts,
  requests: readonly GenerationRequest[],
  texts: readonly (readonly GeneratedText[])[],
  promptTokens: number,
  completionTokens: number,
): Promise<number> {
  const side = ({ text, finish }: GeneratedText, reward: number) => ({ text, ended: finish === "stop", reward });
  const examples = requests.map(({ messages }, i): AlignmentExample => {
    const [chosen, other] = [texts[i]?.[0], texts[i]?.[1] ?? texts[i]?.[0]] as [GeneratedText, GeneratedText];
    return { messages, chosen: side(chosen, 1), rejected: loss.loss.rejected === 0 ? [] : [side(other, 0)] };
  });
  const folder = study.context.folder.path("tuning", "measured");
  await makeFolder(folder);
  const settings = { ...settingsOf(alignment), epochs: 1 };
  const task = { policy, lora: alignment.lora, settings, seed: 1, key: "measured", folder, shared: study.context.folder.path("tuning") };
  const spent = await seconds(() => tuner.align(task, examples, loss));
  return (examples.length * (4 / 3) * (promptTokens + 2 * completionTokens)) / spent;
}

/** @returns the width of a text vector */
async function measureRecommender(study: Study, tell: Tell): Promise<number> {
  const { data, parts, spec, context } = study;
  const { encoder, adaptor, reranker } = parts;
  const round = someOf(data.parts.evaluate[0] as Round); // every protocol has one
  const knowledge = await study.knowledge(templateTexts(study).texts);
  const shared = { data, round, seed: 1, signal: context.signal };
  const { history, stride } = spec.protocol;
  const fitted = await fitEncoder({ ...shared, encoder: withEpochs(encoder, 2), history, stride });
  const [, sequenceEpoch] = fitted.report?.history ?? [];
  if (sequenceEpoch !== undefined) tell("fittedSequences", round.train.length / sequenceEpoch.seconds);
  const request = { ...shared, encoder: fitted, adaptor, reranker: withEpochs(reranker, 2), knowledge };
  const recommender = await fitRecommender({ ...request, metric: mainMetric(study), ties: spec.protocol.ties });
  const [, epoch] = recommender.report?.history ?? [];
  if (epoch !== undefined) tell("fittedLists", listsOf(data, round.train).length / epoch.seconds);
  const lists = listsOf(data, round.train);
  const heard = lists.map((list) => data.lists.user[list] as number);
  tell("scoredLists", lists.length / (await seconds(() => recommender.score(lists, knowledge.users, heard))));
  recommender.dispose();
  fitted.dispose();
  return knowledge.users.width;
}

function someOf({ train, valid, test }: Round): Round {
  return { train: train.slice(0, few.users), valid: valid.slice(0, few.valid), test };
}

/** The same part, fitted for so many epochs: the first of them warms up what the second is timed by. */
function withEpochs<Part extends { readonly fit?: FitOptions }>(part: Part, epochs: number): Part {
  return part.fit === undefined ? part : Object.create(part, { fit: { value: { ...part.fit, epochs, patience: epochs } } });
}

async function comparedUsers(seed: number): Promise<number> {
  const rng = createRng("plan", seed);
  const columns = Array.from({ length: few.columns }, () => Float64Array.from({ length: few.compared }, () => rng.uniform()));
  const pairs = columns.map((column, i) => [column, columns[(i + 1) % few.columns] as Float64Array] as const);
  const spent = await seconds(async () => [bootstrapIntervals(columns, { seed }), pairedRandomisationTests(pairs, { seed })]);
  return (2 * few.columns * few.compared) / spent;
}

async function timed<Value>(work: () => Promise<Value>): Promise<{ readonly value: Value; readonly seconds: number }> {
  const begun = performance.now();
  const value = await work();
  return { value, seconds: (performance.now() - begun) / 1000 };
}
async function seconds(work: () => Promise<unknown>): Promise<number> {
  return (await timed(work)).seconds;
}
function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
