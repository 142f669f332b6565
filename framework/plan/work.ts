/**
 * How much each step of the method does, counted in the units of `Rates`, from a spec and the sizes of its data. The counts follow
 * framework/method step by step: a change there that makes more or fewer texts, fits or scores is a change here.
 */
import type { Registry } from "../kernel/registry.js";
import type { Spec } from "../spec/types.js";
import { type Amounts, amounts, examplesOf, fittedArms, numberOf } from "./estimate.js";
import { type Rankings, rankingsOf } from "./rankings.js";
import type { Sizes, Work } from "./rates.js";

export interface StepWork {
  readonly step: string;
  readonly work: Readonly<Partial<Record<Work, number>>>;
  /** Equal parts that may be worked on at the same time. */
  readonly parts: number;
  /** Times that the parts are gone through one after the other: an iteration needs the one before. */
  readonly rounds: number;
  /** A part begins with the LLM in memory. */
  readonly needsModel: boolean;
  /** It is loading, or training, the LLM once, in the run's own process. */
  readonly loads?: true;
  /** Left in the store and the run folder. */
  readonly bytes: number;
}

/** Users whose texts one worker writes and scores at a time. */
export const usersPerPart = 1000;

const bytesOf = { token: 4, interaction: 9, list: (length: number) => 8 + 5 * length, score: (length: number) => 24 * length, weight: 4 };

/** The steps in their order; each begins when the one before has ended. */
export function workOf(spec: Spec, registry: Registry, users: number, sizes: Sizes): readonly StepWork[] {
  const counted = amounts(spec, users);
  const writes = spec.llm !== undefined;
  const tunes = spec.alignment !== undefined && writes;
  return [
    prepare(spec, users, sizes),
    ...(writes ? [languageModel, infer(users, counted, sizes)] : []),
    ...(tunes ? tuning(spec, counted, sizes, registry) : []),
    encode(spec, users, counted, sizes),
    ...evaluation(spec, users, sizes),
  ];
}

function prepare({ protocol }: Spec, users: number, { interactionsPerUser, listsPerUser }: Sizes): StepWork {
  const bytes = users * (interactionsPerUser * bytesOf.interaction + listsPerUser * bytesOf.list(protocol.listLength));
  return { step: "prepare", work: { interactions: users * interactionsPerUser }, parts: 1, rounds: 1, needsModel: false, bytes };
}

const languageModel: StepWork = { step: "language model", work: {}, parts: 1, rounds: 1, needsModel: false, loads: true, bytes: 0 };

/** Greedy texts of everybody, and what held-out users are judged by, once a policy. */
function infer(users: number, { policies, heldOut, samples }: Amounts, { promptTokens, completionTokens }: Sizes): StepWork {
  const texts = users + heldOut * samples;
  return {
    step: "infer",
    work: { promptTokens: policies * (users + heldOut) * promptTokens, completionTokens: policies * texts * completionTokens },
    parts: parts(users),
    rounds: policies,
    needsModel: true,
    bytes: policies * texts * completionTokens * bytesOf.token,
  };
}

function tuning(spec: Spec, counted: Amounts, sizes: Sizes, registry: Registry): StepWork[] {
  const { alignment, loss, seeds } = spec;
  if (alignment === undefined) return [];
  const { listeners, tuned, iterations, refits, samples } = counted;
  const { promptTokens, completionTokens, listsPerUser } = sizes;
  const once = { parts: 1, needsModel: true };
  const warm = alignment.warmup === null ? null : { ...alignment.warmup, users: Math.min(alignment.warmup.users, tuned) };
  const fits = alignment.rewardFolds * seeds.length;
  const learnt = (listeners * (alignment.rewardFolds - 1)) / alignment.rewardFolds;
  const epochs = numberOf(spec.reranker.options.epochs, 1);
  // The reference's pass has no backward, which costs about twice a forward.
  const passes = alignment.epochs + (loss !== undefined ? 1 / 3 : 0);
  return [
    ...(warm === null
      ? []
      : [
          {
            step: "warm-up",
            work: { trainedTokens: warm.users * warm.epochs * (promptTokens + completionTokens) },
            rounds: 1,
            bytes: 0,
            ...once,
          },
        ]),
    {
      step: "recommend",
      work: {
        ...sequences(spec, learnt * alignment.rewardFolds * seeds.length),
        fittedLists: refits * fits * epochs * learnt * listsPerUser,
      },
      parts: fits,
      rounds: refits,
      needsModel: false,
      bytes: 0,
    },
    {
      step: "sample",
      work: { promptTokens: iterations * tuned * promptTokens, completionTokens: iterations * tuned * samples * completionTokens },
      parts: parts(tuned),
      rounds: iterations,
      needsModel: true,
      bytes: iterations * tuned * samples * completionTokens * bytesOf.token,
    },
    score(spec, counted, sizes, rankingsOf(spec, registry)),
    {
      step: "align",
      work: { trainedTokens: iterations * tuned * examplesOf(spec, registry) * passes * (promptTokens + 2 * completionTokens) },
      rounds: iterations,
      bytes: 0,
      ...once,
    },
  ];
}

/** The rewards of sampled and held-out texts, the hearing test's two texts of each listener, and the upper reference. */
function score({ seeds, arms }: Spec, counted: Amounts, { listsPerUser }: Sizes, rankings: Rankings): StepWork {
  const { listeners, tuned, heldOut, iterations, refits, policies, samples, partners } = counted;
  // The first reward models score every policy's held-out texts, those of a later fit the texts before and after their iteration.
  const judged = policies + 2 * (refits - 1);
  const rewarded = (iterations * tuned * (samples + partners) + judged * heldOut * samples) * rankings.scored;
  const calibrated = (iterations * (partners > 0 ? 2 : 1) + judged) * listeners * rankings.calibration;
  const best = arms.includes("best-of-N") ? tuned : 0;
  return {
    step: "score",
    work: { scoredLists: seeds.length * listsPerUser * (rewarded + calibrated + 2 * iterations * listeners + best) },
    parts: parts(tuned),
    rounds: iterations,
    needsModel: false,
    bytes: iterations * tuned * (samples + partners) * 8,
  };
}

/** An upper bound: an aspect's text that several users share is encoded once. */
function encode({ prompt, sampling, llm }: Spec, users: number, counted: Amounts, { items, width }: Sizes): StepWork {
  const { policies, tuned, heldOut, iterations, samples } = counted;
  const written = llm === undefined || sampling === undefined ? 0 : policies * (users + heldOut * samples) + iterations * tuned * samples;
  const texts = items + prompt.aspects.length * (users + written);
  return { step: "encode", work: { texts }, parts: parts(users), rounds: 1, needsModel: false, bytes: texts * width * bytesOf.weight };
}

function evaluation(spec: Spec, users: number, { listsPerUser }: Sizes): StepWork[] {
  const { protocol, seeds, arms } = spec;
  const { folds, align, split } = protocol;
  const rounds = Math.max(1, folds);
  const tested = folds > 0 ? users * (1 - align) : users * split[2];
  const learnt = folds > 0 ? users * (1 - align) * (1 - 1 / folds) * 0.9 : users * split[0];
  const fitted = fittedArms(spec);
  const scored = fitted + (arms.includes("swapped") ? 1 : 0);
  const comparisons = protocol.metrics.length * (scored + (scored * (scored - 1)) / 2);
  return [
    {
      step: "fit arms",
      work: {
        ...sequences(spec, learnt * rounds * seeds.length),
        fittedLists: numberOf(spec.reranker.options.epochs, 1) * fitted * rounds * seeds.length * learnt * listsPerUser,
      },
      parts: fitted * rounds * seeds.length,
      rounds: 1,
      needsModel: false,
      bytes: 0,
    },
    {
      step: "evaluate",
      work: { scoredLists: scored * seeds.length * tested * listsPerUser, comparedUsers: tested * comparisons },
      parts: 1,
      rounds: 1,
      needsModel: false,
      bytes: scored * seeds.length * tested * listsPerUser * bytesOf.score(protocol.listLength),
    },
  ];
}

/** @param learnt sequences of all fits together, an epoch */
function sequences({ encoder }: Spec, learnt: number): Partial<Record<Work, number>> {
  const epochs = numberOf(encoder.options.epochs, 0);
  return epochs === 0 ? {} : { fittedSequences: epochs * learnt };
}

function parts(users: number): number {
  return Math.max(1, Math.ceil(users / usersPerPart));
}
