/** The protocol of method.md: knowledge windows, and the candidate lists cut from what follows them. */
import type { PreparedData, PreparedLists, UserRecord } from "../contracts/dataset.js";
import { RlrfError } from "../errors.js";
import { createRng } from "../rng.js";
import type { Protocol } from "../spec/types.js";
import type { Interactions } from "./interactions.js";

export type ListProtocol = Pick<Protocol, "window" | "listLength" | "positives" | "seed">;
type Sequence = PreparedData["sequence"];

/** h_u of a user with this many interactions. */
export function windowLength(interactions: number, window: number): number {
  return Math.min(Math.ceil(interactions / 2), window);
}

export interface UsableUsers extends Pick<PreparedData, "users" | "sequence" | "windows"> {
  /** First-time interactions after the window: what lists are cut from. [users] */
  readonly listable: Int32Array;
  readonly counts: Readonly<Record<string, number>>;
}

/**
 * Drops users from whom no list can be cut: nothing new follows their window, or too few items are left to draw negatives from.
 * @throws RLRF_DATA_EMPTY when nobody remains
 */
export function usableUsers({ users, items, sequence }: Interactions, protocol: ListProtocol): UsableUsers {
  const { listable, distinct, repeats } = countFirstTimes(sequence, items.length, protocol.window);
  // A list has at least one interaction, so it never takes more negatives than this.
  const usersTooShort = listable.reduce((count, n) => count + Number(n === 0), 0);
  const enough = (user: number) => items.length - 1 - (distinct[user] as number) >= negativesNeeded(listable[user] as number, protocol);
  const kept = Int32Array.from(users.keys()).filter((user) => (listable[user] as number) > 0 && enough(user));
  if (kept.length === 0)
    throw new RlrfError("RLRF_DATA_EMPTY", {
      message: `no list can be cut: of ${users.length} users ${usersTooShort} have nothing new after their window, the others leave too few of ${items.length - 1} items as negatives`,
      expected: `users with at least 2 interactions, and for a list of ${protocol.listLength} enough items that they never met`,
      hint: "use more data, or a smaller protocol.listLength",
    });
  const compact = kept.length === users.length ? sequence : keepUsers(sequence, kept);
  return {
    users: Array.from(kept, (user) => users[user] as UserRecord),
    sequence: compact,
    windows: Int32Array.from(kept.keys(), (user) => windowLength(lengthOf(compact, user), protocol.window)),
    listable: Int32Array.from(kept, (user) => listable[user] as number),
    counts: { users: kept.length, usersTooShort, usersWithoutNegatives: users.length - usersTooShort - kept.length, repeats },
  };
}

/** The last list may have fewer interactions than the others, and is then filled with more negatives. */
function negativesNeeded(listable: number, { listLength, positives }: ListProtocol): number {
  return listLength - (listable % positives || positives);
}

const lengthOf = ({ offsets }: Sequence, user: number): number => (offsets[user + 1] as number) - (offsets[user] as number);

function countFirstTimes(
  sequence: Sequence,
  items: number,
  window: number,
): { listable: Int32Array; distinct: Int32Array; repeats: number } {
  const users = sequence.offsets.length - 1;
  const listable = new Int32Array(users);
  const distinct = new Int32Array(users);
  const seenBy = new Int32Array(items).fill(-1);
  for (let user = 0; user < users; user++) {
    const begin = sequence.offsets[user] as number;
    const windowEnd = begin + windowLength(lengthOf(sequence, user), window);
    for (let position = begin; position < (sequence.offsets[user + 1] as number); position++) {
      const item = sequence.items[position] as number;
      if (seenBy[item] === user) continue;
      seenBy[item] = user;
      distinct[user] = (distinct[user] as number) + 1;
      if (position >= windowEnd) listable[user] = (listable[user] as number) + 1;
    }
  }
  return { listable, distinct, repeats: sequence.items.length - distinct.reduce((sum, n) => sum + n, 0) };
}

function keepUsers(sequence: Sequence, kept: Int32Array): Sequence {
  const offsets = new Int32Array(kept.length + 1);
  for (const [number, user] of kept.entries()) offsets[number + 1] = (offsets[number] as number) + lengthOf(sequence, user);
  const size = offsets[kept.length] as number;
  const compact = { offsets, items: new Int32Array(size), ratings: new Float32Array(size), relevant: new Uint8Array(size) };
  for (const [number, user] of kept.entries()) {
    const [begin, end] = [sequence.offsets[user], sequence.offsets[user + 1]];
    for (const name of ["items", "ratings", "relevant"] as const) compact[name].set(sequence[name].subarray(begin, end), offsets[number]);
  }
  return compact;
}

/**
 * Up to `positives` first-time interactions after the window, then the next ones; filled with uniform negatives and shuffled.
 * Repeated interactions stay in the history and never become candidates: their rating has been seen before.
 * A user's lists depend on (seed, user id) and the item catalogue alone, not on who else is in the data.
 */
export function cutLists({ users, sequence, windows, listable }: UsableUsers, items: number, protocol: ListProtocol): PreparedLists {
  const { listLength: length, positives } = protocol;
  const count = listable.reduce((sum, n) => sum + Math.ceil(n / positives), 0);
  const lists = {
    count,
    length,
    user: new Int32Array(count),
    start: new Int32Array(count),
    candidates: new Int32Array(count * length),
    labels: new Uint8Array(count * length),
  };
  const draw = new ListDraw(items, length);
  let list = 0;
  for (const [user, { id }] of users.entries()) {
    const [begin, end] = [sequence.offsets[user] as number, sequence.offsets[user + 1] as number];
    const rng = createRng("lists", protocol.seed, id);
    draw.beginUser(sequence.items.subarray(begin, end));
    for (let position = begin + (windows[user] as number), left = listable[user] as number; left > 0; list++) {
      lists.user[list] = user;
      let taken = 0;
      for (; taken < Math.min(positives, left); position++) {
        if (!draw.isFirstTime(position - begin)) continue;
        if (taken === 0) lists.start[list] = position;
        draw.place(taken++, sequence.items[position] as number, sequence.relevant[position] as number);
      }
      left -= taken;
      draw.fill(taken, rng);
      draw.write(lists, list);
    }
  }
  return lists;
}

/** One list being made; its arrays are reused for all of them. */
class ListDraw {
  /** candidate * 2 + label, so that one shuffle moves both. */
  private readonly slots: Int32Array;
  /** Where in the current user's interactions an item first stands, if `owner` says that the entry is this user's. */
  private readonly first: Int32Array;
  private readonly owner: Int32Array;
  private readonly drawnIn: Int32Array;
  private user = 0;
  private list = 0;
  private own: Int32Array = new Int32Array(0);

  /** @param items catalogue size with padding */
  constructor(
    private readonly items: number,
    length: number,
  ) {
    this.slots = new Int32Array(length);
    this.first = new Int32Array(items);
    this.owner = new Int32Array(items);
    this.drawnIn = new Int32Array(items);
  }

  beginUser(own: Int32Array): void {
    this.user++;
    this.own = own;
    for (let i = own.length - 1; i >= 0; i--) {
      this.first[own[i] as number] = i;
      this.owner[own[i] as number] = this.user;
    }
  }

  isFirstTime(index: number): boolean {
    return this.first[this.own[index] as number] === index;
  }

  place(slot: number, item: number, label: number): void {
    this.slots[slot] = item * 2 + label;
  }

  /** Rejection is uniform over the items left; usableUsers made sure that enough are. */
  fill(from: number, rng: ReturnType<typeof createRng>): void {
    this.list++;
    for (let slot = from; slot < this.slots.length; ) {
      const item = 1 + rng.below(this.items - 1);
      if (this.owner[item] === this.user || this.drawnIn[item] === this.list) continue;
      this.drawnIn[item] = this.list;
      this.slots[slot++] = item * 2;
    }
    rng.shuffle(this.slots);
  }

  write({ candidates, labels, length }: { candidates: Int32Array; labels: Uint8Array; length: number }, list: number): void {
    for (let slot = 0; slot < length; slot++) {
      const packed = this.slots[slot] as number;
      candidates[list * length + slot] = packed >> 1;
      labels[list * length + slot] = packed & 1;
    }
  }
}
