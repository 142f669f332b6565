/**
 * Proof, before anything learns, that the prepared data do not give the answers away. It believes nothing that `prepare`
 * says of itself: everything is derived again from the sequence.
 */
import type { Parts, PreparedData, Round } from "../contracts/dataset.js";
import { RlrfError } from "../errors.js";

/** @throws RLRF_DATA_LEAK that names the list or the user */
export function assertNoLeakage(data: PreparedData): void {
  checkLists(data);
  checkRoles(data.parts, data.users.length);
  checkRounds(data.parts);
}

function leak(where: string, message: string): RlrfError {
  return new RlrfError("RLRF_DATA_LEAK", {
    message,
    where,
    expected: "data prepared by the protocol of docs/method.md",
    hint: "prepare the data again; if it stays, report it",
  });
}

function checkLists(data: PreparedData): void {
  const { lists, users, items, sequence, windows } = data;
  const firstAt = new Int32Array(items.length);
  const owner = new Int32Array(items.length).fill(-1);
  const seenIn = new Int32Array(items.length).fill(-1);
  for (let list = 0, indexed = -1; list < lists.count; list++) {
    const user = lists.user[list] as number;
    const start = lists.start[list] as number;
    const where = `list ${list} of user ${users[user]?.id ?? user}`;
    const [begin, end] = [sequence.offsets[user] as number, sequence.offsets[user + 1] as number];
    if (indexed !== user) {
      if (user < indexed) throw leak(where, "lists are not in the order of their users");
      for (let position = end - 1; position >= begin; position--) {
        firstAt[sequence.items[position] as number] = position;
        owner[sequence.items[position] as number] = user;
      }
      indexed = user;
    }
    if (!(start >= begin + (windows[user] as number))) throw leak(where, "it starts inside the user's knowledge window");
    if (!(start < end)) throw leak(where, "it starts after the user's last interaction: its history does not end before it");
    const hasNext = lists.user[list + 1] === user && list + 1 < lists.count;
    const next = hasNext ? (lists.start[list + 1] as number) : end;
    if (next <= start) throw leak(where, "the next list of the user does not start after it");
    checkCandidates(data, list, where, { owner, firstAt, seenIn, next });
  }
}

interface Index {
  /** Whose interactions `firstAt` speaks of, by item. */
  readonly owner: Int32Array;
  /** Position of the first interaction with an item. */
  readonly firstAt: Int32Array;
  /** The list in which an item was last met as a candidate. */
  readonly seenIn: Int32Array;
  /** Where the list's own interactions end. */
  readonly next: number;
}

function checkCandidates(
  { lists, items, sequence, windows }: PreparedData,
  list: number,
  where: string,
  { owner, firstAt, seenIn, next }: Index,
): void {
  const user = lists.user[list] as number;
  const start = lists.start[list] as number;
  const windowEnd = (sequence.offsets[user] as number) + (windows[user] as number);
  let own = 0;
  for (let slot = list * lists.length; slot < (list + 1) * lists.length; slot++) {
    const item = lists.candidates[slot] as number;
    if (!(item >= 1 && item < items.length)) throw leak(where, `candidate ${item} is padding or unknown`);
    const name = `candidate ${items[item]?.id}`;
    if (seenIn[item] === list) throw leak(where, `${name} stands in it twice`);
    seenIn[item] = list;
    if (owner[item] !== user) {
      if (lists.labels[slot] !== 0) throw leak(where, `${name} is labelled relevant, but the user never interacted with it`);
      continue;
    }
    const position = firstAt[item] as number;
    if (position < windowEnd) throw leak(where, `${name} stands in the user's knowledge window`);
    if (position < start) throw leak(where, `${name} stands in the list's history`);
    if (position >= next) throw leak(where, `${name} is a negative, but the user interacts with it later`);
    if (lists.labels[slot] !== sequence.relevant[position])
      throw leak(where, `${name} is labelled ${lists.labels[slot]}, its interaction ${sequence.relevant[position]}`);
    own++;
  }
  if (own === 0) throw leak(where, "none of its candidates is an interaction of the user");
  if (own !== firstTimes(sequence.items, firstAt, start, next)) throw leak(where, "it does not hold all interactions up to the next list");
}

function firstTimes(items: Int32Array, firstAt: Int32Array, from: number, to: number): number {
  let count = 0;
  for (let position = from; position < to; position++) if (firstAt[items[position] as number] === position) count++;
  return count;
}

type Part = Parts["labels"][number]["part"];
type Role = "align" | `${"evaluate" | "reward"}.${keyof Round}`;

/** Where a user of each part may appear. Nobody who is evaluated is where the LLM or the reward learns. */
const allowedRoles: Readonly<Record<Part, readonly Role[]>> = {
  train: ["align", "evaluate.train", "reward.train", "reward.test"],
  valid: ["evaluate.valid", "reward.valid"],
  test: ["evaluate.test"],
  align: ["align", "reward.train", "reward.valid", "reward.test"],
  evaluate: ["evaluate.train", "evaluate.valid", "evaluate.test"],
};

function checkRoles(parts: Parts, users: number): void {
  if (parts.labels.length !== users) throw leak("parts", `${parts.labels.length} of ${users} users have a part`);
  const check = (members: Int32Array, role: Role, where: string) => {
    for (const [i, user] of members.entries()) {
      const part = parts.labels[user]?.part;
      if (part === undefined) throw leak(where, `there is no user number ${user}`);
      if (i > 0 && user <= (members[i - 1] as number)) throw leak(where, `user number ${user} stands in it twice, or out of order`);
      if (!allowedRoles[part].includes(role)) throw leak(where, `user number ${user} is of the part "${part}"`);
    }
  };
  check(parts.align, "align", "parts.align");
  for (const kind of ["evaluate", "reward"] as const)
    for (const [k, round] of parts[kind].entries())
      for (const set of ["train", "valid", "test"] as const) check(round[set], `${kind}.${set}`, `parts.${kind}[${k}].${set}`);
}

function checkRounds({ evaluate, reward, align }: Parts): void {
  for (const [kind, rounds] of Object.entries({ evaluate, reward }))
    for (const [k, { train, valid, test }] of rounds.entries()) {
      assertDisjoint(train, test, `parts.${kind}[${k}]: train and test`);
      assertDisjoint(train, valid, `parts.${kind}[${k}]: train and valid`);
      assertDisjoint(valid, test, `parts.${kind}[${k}]: valid and test`);
    }
  assertOnce(evaluate, "evaluate");
  const scored = assertOnce(reward, "reward");
  const unscored = reward.length === 0 ? undefined : align.find((user) => !scored.has(user));
  if (unscored !== undefined) throw leak("parts.reward", `align user number ${unscored} is scored by no reward round`);
}

function assertDisjoint(a: Int32Array, b: Int32Array, where: string): void {
  const members = new Set(a);
  const both = b.find((user) => members.has(user));
  if (both !== undefined) throw leak(where, `user number ${both} is in both`);
}

/** Nobody is tested, or scored, by two rounds. */
function assertOnce(rounds: readonly Round[], kind: string): Set<number> {
  const tested = new Set<number>();
  for (const [k, { test }] of rounds.entries())
    for (const user of test) {
      if (tested.has(user)) throw leak(`parts.${kind}[${k}].test`, `user number ${user} is in the test users of two rounds`);
      tested.add(user);
    }
  return tested;
}
