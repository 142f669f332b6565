import assert from "node:assert/strict";
import fc from "fast-check";
import type { PreparedData } from "../../../framework/contracts/dataset.js";
import { missingTitles } from "../../../framework/data/interactions.js";
import { assertNoLeakage } from "../../../framework/data/leakage.js";
import { digestOf, prepare, warnOfSkippedRows } from "../../../framework/data/prepare.js";
import { RlrfError } from "../../../framework/errors.js";
import { createListener } from "../../support/faults.js";
import { coded, datasetOf, protocolOf, simpleInteractions, type TestInteraction } from "../../support/dataset.js";

const noReward = { folds: 0 };

/** Three ordinary users beside those under test, so that a split has somebody in each part. */
const others: TestInteraction[] = ["x1", "x2", "x3", "x4"].flatMap((user) =>
  ["1", "2", "3", "4"].map((item, time): TestInteraction => [user, item, 4, time]),
);
const numberOf = (data: PreparedData, id: string) => data.users.findIndex((user) => user.id === id);
const idsOf = (data: PreparedData, numbers: Iterable<number>) => Array.from(numbers, (item) => data.items[item]?.id);

/** A user's lists as sets of raw ids: own interactions, negatives, and relevant ones. */
function listsOf(data: PreparedData, id: string) {
  const user = numberOf(data, id);
  const own = new Set(data.sequence.items.subarray(data.sequence.offsets[user], data.sequence.offsets[user + 1]));
  return Array.from(data.lists.user.keys())
    .filter((list) => data.lists.user[list] === user)
    .map((list) => {
      const slots = Array.from({ length: data.lists.length }, (_, i) => list * data.lists.length + i);
      const pick = (keep: (item: number, slot: number) => boolean) =>
        idsOf(
          data,
          slots.filter((slot) => keep(data.lists.candidates[slot] as number, slot)).map((slot) => data.lists.candidates[slot] as number),
        ).sort();
      return {
        start: (data.lists.start[list] as number) - (data.sequence.offsets[user] as number),
        own: pick((item) => own.has(item)),
        negatives: pick((item) => !own.has(item)),
        relevant: pick((_, slot) => data.lists.labels[slot] === 1),
      };
    });
}

describe("prepare", () => {
  it("tells of skipped rows, and of nothing else", () => {
    const told = createListener();
    warnOfSkippedRows({ counts: { badInteractions: 0, badItems: 0, users: 3 } }, told);
    warnOfSkippedRows({ counts: { badInteractions: 1, badItems: 2, badUsers: 0 } }, told);
    assert.deepEqual(
      told.warnings.map(({ code, message }) => `${code}: ${message}`),
      ["RLRF_DATA_ROW: malformed rows were skipped, as the dataset's option onBadRow says: 1 interaction, 2 items"],
    );
  });

  it("cuts the window and the lists of method.md from a user's interactions in time order", async () => {
    // n = 8, so h = min(ceil(8 / 2), 3) = 3: d b a | c h, g f, e
    const rows: TestInteraction[] = [
      ["u", "a", 5, 30],
      ["u", "b", 1, 20],
      ["u", "c", 4, 40],
      ["u", "d", 3, 10],
      ["u", "e", 2, 80],
      ["u", "f", 5, 70],
      ["u", "g", 3, 60],
      ["u", "h", 3.5, 50],
      ...others,
    ];
    const data = await prepare(datasetOf(rows), protocolOf(), noReward);
    const user = numberOf(data, "u");
    const [begin, end] = [data.sequence.offsets[user], data.sequence.offsets[user + 1]];
    assert.deepEqual(idsOf(data, data.sequence.items.subarray(begin, end)), ["d", "b", "a", "c", "h", "g", "f", "e"]);
    assert.deepEqual([...data.sequence.ratings.subarray(begin, end)], [3, 1, 5, 4, 3.5, 3, 5, 2]);
    assert.deepEqual([...data.sequence.relevant.subarray(begin, end)], [0, 0, 1, 1, 1, 0, 1, 0]);
    assert.equal(data.windows[user], 3);
    const lists = listsOf(data, "u");
    assert.deepEqual(
      lists.map(({ start, own, relevant }) => ({ start, own, relevant })),
      [
        { start: 3, own: ["c", "h"], relevant: ["c", "h"] },
        { start: 5, own: ["f", "g"], relevant: ["f"] },
        { start: 7, own: ["e"], relevant: [] },
      ],
    );
    for (const [list, negatives] of [2, 2, 3].entries()) {
      assert.equal(lists[list]?.negatives.length, negatives);
      for (const item of lists[list]?.negatives ?? []) assert.ok(["1", "2", "3", "4"].includes(item as string));
    }
    assert.equal(data.counts.lists, data.lists.count);
    assert.equal(data.counts.listsWithoutRelevant, 1);
    assert.equal(data.counts.rowsRead, rows.length);
  });

  it("numbers items from 1 with padding at 0, ids that are numbers in their order", async () => {
    const data = await prepare(datasetOf(simpleInteractions(5, 6, 12)), protocolOf(), noReward);
    assert.deepEqual(data.items[0], { id: "", title: "", fields: {} });
    assert.deepEqual(idsOf(data, data.items.keys()).slice(1), ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"]);
    assert.deepEqual(
      data.users.map(({ id }) => id),
      ["1", "2", "3", "4", "5"],
    );
  });

  it("joins titles and fields, falls back to the id, and counts what has no record or no interaction", async () => {
    const records = {
      items: [
        { id: "1", title: "One", fields: { genres: ["Drama"], year: 1994 } },
        { id: "3", title: "", fields: { year: 2001 } },
        { id: "unused", title: "", fields: {} },
      ],
      users: [{ id: "1", fields: { age: 24 } }],
    };
    const data = await prepare(datasetOf(simpleInteractions(5, 6, 12), records), protocolOf(), noReward);
    assert.deepEqual(data.items[1], { id: "1", title: "One", fields: { genres: ["Drama"], year: 1994 } });
    assert.deepEqual(data.items[2], { id: "2", title: "2", fields: {} });
    assert.deepEqual(data.items[3], { id: "3", title: "3", fields: { year: 2001 } });
    assert.deepEqual(data.users[0], { id: "1", fields: { age: 24 } });
    assert.deepEqual(data.users[1], { id: "2", fields: {} });
    assert.equal(data.counts.itemsWithoutInteractions, 1);
    assert.equal(data.counts.itemsWithoutRecord, 10);
    assert.equal(data.counts.itemsWithoutTitle, 1);
    assert.equal(data.counts.usersWithoutRecord, 4);
    assert.match(missingTitles(data.counts) ?? "", /^11 of 12 items have no record, or no title in it/);
    assert.equal(missingTitles({ items: 12, itemsWithoutRecord: 6 }), null);
    assert.equal(missingTitles({ items: 12, itemsWithoutRecord: 3, itemsWithoutTitle: 3 }), null);
    assert.equal(missingTitles({ items: 12, itemsWithoutRecord: 12 }), null, "none were given");
    assert.match(missingTitles({ items: 12, itemsWithoutTitle: 12 }) ?? "", /^12 of 12/);
  });

  it("refuses records that none of the items or users that interact has", async () => {
    const refused = async (records: Parameters<typeof datasetOf>[1], ...parts: string[]) =>
      assert.rejects(
        prepare(datasetOf(simpleInteractions(5, 6, 12), records), protocolOf(), noReward),
        coded("RLRF_DATA_RECORDS", ...parts),
      );
    const items = ["1.0", "2.0"].map((id) => ({ id, title: id, fields: {} }));
    await refused({ items }, "none of the 12 items", "the 2 records", 'is "1"', 'is "1.0"', "the dataset's items");
    await refused({ users: [{ id: "u1", fields: {} }] }, "none of the 5 users", 'is "u1"', "the dataset's users");
  });

  it("orders ties in time by the row of the file", async () => {
    const rows: TestInteraction[] = ["c", "a", "b", "d"].map((item) => ["u", item, 4, 1]);
    const data = await prepare(datasetOf([...rows, ...others]), protocolOf(), noReward);
    const user = numberOf(data, "u");
    assert.deepEqual(idsOf(data, data.sequence.items.subarray(data.sequence.offsets[user], data.sequence.offsets[user + 1])), [
      "c",
      "a",
      "b",
      "d",
    ]);
  });

  it("takes the threshold of relevance from the protocol before that of the dataset", async () => {
    const rows = simpleInteractions(5, 10, 30);
    const share = async (relevantAbove?: number) => {
      const data = await prepare(datasetOf(rows), protocolOf(relevantAbove === undefined ? {} : { relevantAbove }), noReward);
      return data.sequence.relevant.reduce((sum, label) => sum + label, 0) / data.sequence.relevant.length;
    };
    assert.equal(await share(), 2 / 5);
    assert.equal(await share(4), 1 / 5);
  });

  it("drops users with nothing after their window and users whom too few items are left for, and counts both", async () => {
    const short: TestInteraction[] = [["short", "1", 5, 1]];
    const greedy = ["1", "2", "3", "4", "5", "6", "7"].map((item, time): TestInteraction => ["greedy", item, 5, time]);
    const data = await prepare(datasetOf([...short, ...greedy, ...others]), protocolOf(), noReward);
    assert.deepEqual(
      data.users.map(({ id }) => id),
      ["x1", "x2", "x3", "x4"],
    );
    assert.equal(data.counts.usersTooShort, 1);
    assert.equal(data.counts.usersWithoutNegatives, 1);
    assert.equal(data.counts.users, 4);
    assert.equal(data.sequence.items.length, 16, "the dropped users' interactions are gone");
    assert.equal(data.items.length, 8, "their items stay in the catalogue");
  });

  it("keeps repeated interactions in the sequence, counts them, and never makes them candidates again", async () => {
    const rows: TestInteraction[] = ["a", "b", "c", "d", "a", "e", "d", "f"].map((item, time) => ["u", item, 4, time]);
    const data = await prepare(datasetOf([...rows, ...others]), protocolOf(), noReward);
    const user = numberOf(data, "u");
    assert.equal((data.sequence.offsets[user + 1] as number) - (data.sequence.offsets[user] as number), 8);
    assert.equal(data.counts.repeats, 2);
    // Window a b c; then d (a) e, (d) f
    assert.deepEqual(
      listsOf(data, "u").map(({ start, own }) => ({ start, own })),
      [
        { start: 3, own: ["d", "e"] },
        { start: 7, own: ["f"] },
      ],
    );
  });

  it("says what is wrong when no user remains, or nothing was read", async () => {
    await assert.rejects(prepare(datasetOf([]), protocolOf(), noReward), coded("RLRF_DATA_EMPTY", "no interactions"));
    const single = datasetOf([
      ["a", "1", 5, 1],
      ["b", "2", 5, 1],
    ]);
    await assert.rejects(prepare(single, protocolOf(), noReward), coded("RLRF_DATA_EMPTY", "of 2 users 2 have nothing new"));
  });

  it("says that nothing is relevant, and which ratings there are", async () => {
    const rows = [1, 2, 3, 4].flatMap((item) => [["a", `${item}`, item, item] as const, ["b", `${item + 4}`, 4, item] as const]);
    const dataset = datasetOf(rows.map(([user, item, rating, time]) => [user, item, rating, time]));
    await assert.rejects(
      prepare(dataset, protocolOf({ relevantAbove: 7, window: 2 }), noReward),
      coded("RLRF_DATA_EMPTY", "these go from 1 to 4"),
    );
  });

  it("refuses tables that break the dataset's contract", async () => {
    const nan = datasetOf([["a", "1", Number.NaN, 1]]);
    await assert.rejects(prepare(nan, protocolOf(), noReward), coded("RLRF_DATA_TABLES", "1 interactions", "finite rating"));
    const twice = datasetOf(others, { items: [1, 2].map(() => ({ id: "1", title: "One", fields: {} })) });
    await assert.rejects(prepare(twice, protocolOf(), noReward), coded("RLRF_DATA_TABLES", "table items"));
  });

  it("gives the same data for a seed whatever the threads, and other lists and parts for another", async () => {
    const dataset = datasetOf(simpleInteractions(40, 12, 60));
    const protocol = protocolOf({ folds: 3, align: 0.3 });
    const one = await prepare(dataset, protocol, { folds: 2 }, { threads: 1 });
    const four = await prepare(dataset, protocol, { folds: 2 }, { threads: 4 });
    const other = await prepare(dataset, { ...protocol, seed: 8 }, { folds: 2 });
    assert.equal(digestOf(one), digestOf(four));
    assert.notDeepEqual(one.lists.candidates, other.lists.candidates);
    assert.notDeepEqual(one.parts.align, other.parts.align);
    assert.deepEqual(one.sequence, other.sequence);
  });

  it("pins the lists of a seed: the same on every machine", async () => {
    const data = await prepare(datasetOf(simpleInteractions(6, 8, 20)), protocolOf(), noReward);
    assert.equal(digestOf(data), "686e2ef51f107023109c9171d2388e85f0ff375026ab4344c06f366a27a36082");
  });

  it("draws negatives uniformly from what the user never touched, and shuffles the positions", async () => {
    const rows = simpleInteractions(300, 12, 24);
    const data = await prepare(datasetOf(rows), protocolOf({ listLength: 6 }), noReward);
    const firstSlot = new Float64Array(6);
    const drawn = new Float64Array(data.items.length);
    const possible = new Float64Array(data.items.length);
    for (let list = 0; list < data.lists.count; list++) {
      const user = data.lists.user[list] as number;
      const own = new Set(data.sequence.items.subarray(data.sequence.offsets[user], data.sequence.offsets[user + 1]));
      const candidates = data.lists.candidates.subarray(list * 6, list * 6 + 6);
      const negatives = candidates.filter((item) => !own.has(item));
      for (let item = 1; item < data.items.length; item++)
        if (!own.has(item)) possible[item] = (possible[item] as number) + negatives.length / (data.items.length - 1 - own.size);
      for (const item of negatives) drawn[item] = (drawn[item] as number) + 1;
      candidates.forEach((item, slot) => {
        if (own.has(item)) firstSlot[slot] = (firstSlot[slot] as number) + 1;
      });
    }
    const total = firstSlot.reduce((sum, n) => sum + n, 0);
    for (const n of firstSlot)
      assert.ok(Math.abs(n / total - 1 / 6) < 0.02, `own interactions are at each slot equally often: ${[...firstSlot]}`);
    for (let item = 1; item < data.items.length; item++)
      assert.ok(Math.abs((drawn[item] as number) - (possible[item] as number)) < 5 * Math.sqrt(possible[item] as number), `item ${item}`);
  });

  it("satisfies the leakage guard on random small datasets, or says why there is nothing to prepare", async () => {
    const interaction = fc.tuple(
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 1, max: 25 }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 0, max: 9 }),
    );
    const protocol = fc.record({
      window: fc.integer({ min: 1, max: 5 }),
      listLength: fc.integer({ min: 3, max: 8 }),
      positives: fc.integer({ min: 1, max: 3 }),
      seed: fc.nat(1000),
      folds: fc.constantFrom(0, 2, 3),
      align: fc.constantFrom(0, 0.4),
    });
    let prepared = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(interaction, { minLength: 60, maxLength: 250, size: "max" }), protocol, async (rows, overrides) => {
        const dataset = datasetOf(rows.map(([user, item, rating, time]) => [`${user}`, `${item}`, rating, time]));
        try {
          const data = await prepare(dataset, protocolOf(overrides), { folds: 2 }, { threads: 1 });
          assertNoLeakage(data);
          const distinct = new Set(rows.map(([user, item]) => `${user} ${item}`)).size;
          assert.equal(data.counts.repeats, rows.length - distinct);
          prepared++;
        } catch (error) {
          assert.ok(error instanceof RlrfError && ["RLRF_DATA_EMPTY", "RLRF_DATA_PARTS"].includes(error.code), String(error));
        }
      }),
      { numRuns: 60, seed: 1 },
    );
    assert.ok(prepared > 20, `only ${prepared} of 60 random datasets could be prepared`);
  });
});
