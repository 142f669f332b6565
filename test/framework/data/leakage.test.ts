import assert from "node:assert/strict";
import type { Parts, PreparedData, Round } from "../../../framework/contracts/dataset.js";
import { assertNoLeakage } from "../../../framework/data/leakage.js";
import { prepare } from "../../../framework/data/prepare.js";
import { coded, datasetOf, protocolOf, simpleInteractions } from "../../support/dataset.js";

type Lists = { -readonly [K in keyof PreparedData["lists"]]: PreparedData["lists"][K] };

describe("leakage guard", () => {
  let split: PreparedData;
  let folds: PreparedData;
  before(async () => {
    const dataset = datasetOf(simpleInteractions(30, 11, 50));
    split = await prepare(dataset, protocolOf(), { folds: 2 });
    folds = await prepare(dataset, protocolOf({ folds: 3, align: 0.4 }), { folds: 2 });
  });

  it("accepts what prepare makes", () => {
    assertNoLeakage(split);
    assertNoLeakage(folds);
  });

  /** A copy of the data with other lists. */
  function withLists(change: (lists: Lists, data: PreparedData) => void): PreparedData {
    const { lists } = split;
    const copy = {
      ...lists,
      start: lists.start.slice(),
      candidates: lists.candidates.slice(),
      labels: lists.labels.slice(),
      user: lists.user.slice(),
    };
    const data = { ...split, lists: copy };
    change(copy, data);
    return data;
  }
  /** The slot of list 0 that holds an interaction of its user, or one that does not. */
  function slotOf({ lists, sequence }: PreparedData, own: boolean): number {
    const items = new Set(sequence.items.subarray(sequence.offsets[0], sequence.offsets[1]));
    return lists.candidates.subarray(0, lists.length).findIndex((item) => items.has(item) === own);
  }
  const leaks = (data: PreparedData, ...parts: string[]) => assert.throws(() => assertNoLeakage(data), coded("RLRF_DATA_LEAK", ...parts));

  describe("of lists", () => {
    it("catches a list that starts inside the knowledge window", () => {
      leaks(
        withLists((lists) => lists.start.fill(2, 0, 1)),
        "list 0 of user 1",
        "knowledge window",
      );
    });
    it("catches a candidate from the knowledge window", () => {
      leaks(
        withLists((lists, data) => {
          lists.candidates[slotOf(data, false)] = data.sequence.items[0] as number;
        }),
        "list 0",
        "stands in the user's knowledge window",
      );
    });
    it("catches a candidate from the list's own history", () => {
      leaks(
        withLists((lists, data) => {
          const next =
            1 * lists.length +
            lists.candidates.subarray(lists.length, 2 * lists.length).findIndex((_, i) => lists.labels[lists.length + i] === 0);
          lists.candidates[next] = data.sequence.items[lists.start[0] as number] as number;
        }),
        "list 1",
        "history",
      );
    });
    it("catches a negative that the user interacts with later", () => {
      leaks(
        withLists((lists, data) => {
          lists.candidates[slotOf(data, false)] = data.sequence.items[lists.start[1] as number] as number;
        }),
        "list 0",
        "interacts with it later",
      );
    });
    it("catches a history that does not end before the list", () => {
      leaks(
        withLists((lists, data) => lists.start.fill(data.sequence.offsets[1] as number, 0, 1)),
        "list 0",
        "history",
      );
    });
    it("catches lists of a user that overlap", () => {
      leaks(
        withLists((lists) => lists.start.copyWithin(1, 0, 1)),
        "list 0",
        "does not start after it",
      );
    });
    it("catches a wrong label, on an interaction and on a negative", () => {
      leaks(
        withLists((lists, data) => {
          const slot = slotOf(data, true);
          lists.labels[slot] = 1 - (lists.labels[slot] as number);
        }),
        "list 0",
        "is labelled",
      );
      leaks(
        withLists((lists, data) => lists.labels.fill(1, slotOf(data, false), slotOf(data, false) + 1)),
        "list 0",
        "never interacted",
      );
    });
    it("catches a candidate that stands twice, that is padding, or that is missing", () => {
      leaks(
        withLists((lists, data) => {
          const [own, negative] = [slotOf(data, true), slotOf(data, false)];
          lists.candidates[negative] = lists.candidates[own] as number;
          lists.labels[negative] = lists.labels[own] as number;
        }),
        "list 0",
        "twice",
      );
      leaks(
        withLists((lists, data) => lists.candidates.fill(0, slotOf(data, false), slotOf(data, false) + 1)),
        "list 0",
        "padding",
      );
      leaks(
        withLists((lists, data) => {
          const own = new Set(data.sequence.items.subarray(0, data.sequence.offsets[1]));
          const slot = slotOf(data, true);
          const taken = new Set(lists.candidates.subarray(0, lists.length));
          lists.candidates[slot] = data.items.findIndex((_, item) => item > 0 && !own.has(item) && !taken.has(item));
          lists.labels[slot] = 0;
        }),
        "list 0",
        "does not hold all interactions",
      );
    });
    it("catches lists out of their users' order", () => {
      leaks(
        withLists((lists) => lists.user.fill(1, 0, 1)),
        "of user",
      );
      leaks(
        withLists((lists, { users }) => lists.user.fill(users.length - 1, 0, 1)),
        "of user",
      );
    });
  });

  describe("of parts", () => {
    const withParts = (data: PreparedData, change: Partial<Parts>): PreparedData => ({ ...data, parts: { ...data.parts, ...change } });
    const replace = (rounds: readonly Round[], k: number, change: Partial<Round>) =>
      rounds.map((round, i) => (i === k ? { ...round, ...change } : round));
    const plus = (users: Int32Array, user: number | undefined) => Int32Array.from([...users, user as number]).sort();

    it("catches a test user among the train users", () => {
      const [round] = split.parts.evaluate as [Round];
      leaks(
        withParts(split, { evaluate: [{ ...round, train: plus(round.train, round.test[0]) }] }),
        "parts.evaluate[0].train",
        'part "test"',
      );
    });
    it("catches a test user that the LLM is tuned on", () => {
      const [round] = split.parts.evaluate as [Round];
      leaks(withParts(split, { align: plus(split.parts.align, round.test[0]) }), "parts.align", 'part "test"');
      leaks(withParts(folds, { align: plus(folds.parts.align, folds.parts.evaluate[0]?.test[0]) }), "parts.align", 'part "evaluate"');
    });
    it("catches an align user in an evaluation round, and an evaluated one in a reward round", () => {
      const [evaluate, reward] = [folds.parts.evaluate[0] as Round, folds.parts.reward[0] as Round];
      const train = plus(evaluate.train, folds.parts.align[0]);
      leaks(withParts(folds, { evaluate: replace(folds.parts.evaluate, 0, { train }) }), "parts.evaluate[0].train", 'part "align"');
      const valid = plus(reward.valid, evaluate.test[0]);
      leaks(withParts(folds, { reward: replace(folds.parts.reward, 0, { valid }) }), "parts.reward[0].valid", 'part "evaluate"');
    });
    it("catches a reward round that scores a user it was trained or stopped on", () => {
      const { reward } = folds.parts;
      for (const set of ["train", "valid"] as const) {
        const members = plus((reward[0] as Round)[set], reward[0]?.test[0]);
        leaks(withParts(folds, { reward: replace(reward, 0, { [set]: members }) }), "parts.reward[0]", "is in both");
      }
    });
    it("catches valid users among the train users", () => {
      const { evaluate } = folds.parts;
      const train = plus((evaluate[1] as Round).train, evaluate[1]?.valid[0]);
      leaks(withParts(folds, { evaluate: replace(evaluate, 1, { train }) }), "parts.evaluate[1]: train and valid");
    });
    it("catches a user who is evaluated, or scored, by two rounds", () => {
      const { evaluate, reward } = folds.parts;
      const [first, second] = [evaluate[0] as Round, evaluate[1] as Round];
      const user = first.test[0] as number;
      const without = { train: second.train.filter((other) => other !== user), valid: second.valid.filter((other) => other !== user) };
      leaks(
        withParts(folds, { evaluate: replace(evaluate, 1, { ...without, test: plus(second.test, user) }) }),
        "parts.evaluate[1].test",
        "two rounds",
      );
      leaks(withParts(folds, { reward: [...reward, reward[0] as Round] }), "parts.reward[2].test", "two rounds");
    });
    it("catches an align user whom no reward round scores", () => {
      leaks(withParts(folds, { reward: folds.parts.reward.slice(1) }), "is scored by no reward round");
    });
    it("catches users that do not exist, stand twice, or have no part", () => {
      leaks(withParts(split, { align: plus(split.parts.align, 999) }), "no user number 999");
      leaks(withParts(split, { align: plus(split.parts.align, split.parts.align[0]) }), "stands in it twice");
      leaks(withParts(split, { labels: split.parts.labels.slice(1) }), "have a part");
    });
  });
});
