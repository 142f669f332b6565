/** Who learns, who is looked at, who is reported: the splits of method.md, all by user. */
import type { Parts, Round } from "../contracts/dataset.js";
import { RlrfError } from "../errors.js";
import { createRng } from "../rng.js";
import type { Protocol } from "../spec/types.js";

export type PartsProtocol = Pick<Protocol, "seed" | "split" | "align" | "folds">;
export interface RewardFolds {
  /** K of the cross-fit; 0 = no reward. */
  readonly folds: number;
}

/** Share of a round's training users that it stops early on. */
const validShare = 0.1;

/** @throws RLRF_DATA_PARTS when there are too few users for the shares and folds asked for */
export function makeParts(users: number, protocol: PartsProtocol, reward: RewardFolds): Parts {
  if (reward.folds === 1 || protocol.folds === 1)
    throw partsError(
      "one fold has no other to learn from",
      protocol.folds === 1 ? "protocol.folds" : "alignment.rewardFolds",
      "0, or at least 2",
    );
  const shuffled = createRng("parts", protocol.seed).shuffle(Int32Array.from({ length: users }, (_, user) => user));
  return protocol.folds === 0 ? splitParts(shuffled, protocol, reward) : foldParts(shuffled, protocol, reward);
}

function splitParts(shuffled: Int32Array, { split }: PartsProtocol, { folds }: RewardFolds): Parts {
  const users = shuffled.length;
  const total = split[0] + split[1] + split[2];
  const trainEnd = Math.round((users * split[0]) / total);
  const validEnd = Math.round((users * (split[0] + split[1])) / total);
  const train = shuffled.subarray(0, trainEnd);
  const valid = shuffled.subarray(trainEnd, validEnd);
  const test = shuffled.subarray(validEnd);
  if ([train, valid, test].some((part) => part.length === 0) || train.length < folds)
    throw partsError(
      `${users} users make ${train.length} train, ${valid.length} valid and ${test.length} test users`,
      "protocol.split",
      "users in each part, and as many train users as reward folds",
    );
  const labels: Parts["labels"][number][] = new Array(users);
  for (const [part, members] of Object.entries({ train, valid, test } as const))
    for (const user of members) labels[user] = { part: part as "train" };
  const rewardRounds = deal(train, folds).map((fold, k, all) => round(others(all, k), valid, fold));
  return { evaluate: [round(train, valid, test)], align: sorted(train), reward: rewardRounds, labels };
}

/** The LLM and the reward see align users alone, the evaluation rounds the others alone: no text is judged on a user that shaped it. */
function foldParts(shuffled: Int32Array, { align: share, folds, seed }: PartsProtocol, reward: RewardFolds): Parts {
  const alignEnd = Math.round(shuffled.length * share);
  const align = shuffled.subarray(0, alignEnd);
  const evaluated = deal(shuffled.subarray(alignEnd), folds);
  const rng = createRng("valid", seed);
  const evaluate = evaluated.map((fold, k) => roundWithValid(others(evaluated, k), fold, rng.derive("evaluate", k)));
  const dealt = align.length === 0 ? [] : deal(align, reward.folds);
  const rewardRounds = dealt.map((fold, k) => roundWithValid(others(dealt, k), fold, rng.derive("reward", k)));
  if ([...evaluate, ...rewardRounds].some(({ train, valid, test }) => train.length === 0 || valid.length === 0 || test.length === 0))
    throw partsError(
      `${shuffled.length} users are too few for ${folds} folds with ${align.length} align users`,
      "protocol.folds",
      "at least one train, valid and test user in every round",
    );
  const labels: Parts["labels"][number][] = new Array(shuffled.length);
  for (const user of align) labels[user] = { part: "align" };
  for (const [fold, members] of evaluated.entries()) for (const user of members) labels[user] = { part: "evaluate", fold };
  return { evaluate, align: sorted(align), reward: rewardRounds, labels };
}

/** Round robin: fold sizes differ by one at most. */
function deal(users: Int32Array, folds: number): Int32Array[] {
  return Array.from({ length: folds }, (_, fold) => users.filter((_, position) => position % folds === fold));
}

function others(folds: readonly Int32Array[], k: number): Int32Array {
  return Int32Array.from(folds.filter((_, fold) => fold !== k).flatMap((fold) => [...fold]));
}

function roundWithValid(learners: Int32Array, test: Int32Array, rng: ReturnType<typeof createRng>): Round {
  // Sorted first, so that who is valid depends on who the learners are, not on how they were dealt.
  const shuffled = rng.shuffle(sorted(learners));
  const valid = Math.max(1, Math.round(shuffled.length * validShare));
  return round(shuffled.subarray(valid), shuffled.subarray(0, valid), test);
}

function round(train: Int32Array, valid: Int32Array, test: Int32Array): Round {
  return { train: sorted(train), valid: sorted(valid), test: sorted(test) };
}

const sorted = (users: Int32Array): Int32Array => users.slice().sort();

function partsError(message: string, where: string, expected: string): RlrfError {
  return new RlrfError("RLRF_DATA_PARTS", { message, where, expected, hint: "use more users, or fewer folds and larger shares" });
}
