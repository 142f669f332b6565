import assert from "node:assert/strict";
import { promptOf } from "../../../framework/method/prompt.js";
import type { Catalogue } from "../../../framework/serving/catalogue.js";
import { readerOf, type Told } from "../../../framework/serving/reader.js";
import { movies, moviePrompt } from "../method/data.js";

const catalogue: Catalogue = { items: movies.items, numbers: new Map(movies.items.slice(1).map(({ id }, i) => [id, i + 1])) };
const scale = { ratingScale: movies.ratingScale, relevantAbove: 3, window: 4 };
const told = (history: Told["history"], more: Partial<Told> = {}) => readerOf(catalogue, { history, fields: {}, ...more }, scale);

describe("a reader, as a request tells of one", () => {
  const six = [
    { item: "m1", rating: 5 },
    { item: "m2", rating: 4 },
    { item: "m3", rating: 4 },
    { item: "m4", rating: 1 },
    { item: "m5", rating: 5 },
    { item: "m6", rating: 2 },
  ];

  it("is the user of the prepared data: the same prompt, the same history, the same relevance", () => {
    const reader = told(six, { fields: movies.users[0]?.fields ?? {} });
    assert.deepEqual(promptOf(0, reader.data, moviePrompt), promptOf(0, movies, moviePrompt));
    assert.deepEqual([...reader.history], [1, 2, 3, 4, 5, 6]);
    assert.deepEqual([...reader.data.sequence.relevant], [...movies.sequence.relevant.subarray(0, 6)]);
  });

  it("is put in the order of its times, equal ones as they stand; without times as it stands", () => {
    const timed = (...times: number[]) => six.slice(0, times.length).map((entry, i) => ({ ...entry, time: times[i] as number }));
    assert.deepEqual([...told(timed(3, 1, 2)).history], [2, 3, 1]);
    assert.deepEqual([...told(timed(1, 1, 0)).history], [3, 1, 2]);
    assert.deepEqual([...told(six.toReversed()).history], [6, 5, 4, 3, 2, 1]);
  });

  it("has a window of its first interactions, at most those of the protocol, unless the request says so", () => {
    assert.deepEqual([...told(six).data.windows], [4]);
    assert.deepEqual([...told(six.slice(0, 3)).data.windows], [3]);
    assert.deepEqual([...told(six, { window: 2 }).data.windows], [2]);
    assert.deepEqual([...told([]).data.windows], [0]);
  });

  it("is without what is not known: it counts in the window, and is named", () => {
    const reader = told([{ item: "x", rating: 3 }, ...six, { item: "y", rating: 3 }]);
    assert.deepEqual([[...reader.data.windows], reader.unknown, reader.history.length], [[3], ["x", "y"], 6]);
  });
});
