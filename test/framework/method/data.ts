/** Two users of a hand-made movie data set; user 0's window is her first four interactions, the last two are in a list. */
import type { ItemRecord, PreparedData } from "../../../framework/contracts/dataset.js";
import type { Prompt } from "../../../framework/spec/types.js";

function movie(id: string, title: string, year: number, ...genres: string[]): ItemRecord {
  return { id, title, fields: { genres, period: `${Math.floor(year / 10) * 10}s`, year } };
}

export const movies: PreparedData = {
  users: [
    { id: "u0", fields: { age: 24, gender: "F", occupation: "technician" } },
    { id: "u1", fields: { occupation: "other" } },
  ],
  items: [
    { id: "", title: "", fields: {} },
    movie("m1", "Heat", 1995, "Action", "Crime"),
    movie("m2", "Clue", 1985, "Comedy"),
    movie("m3", "Fargo", 1996, "Crime"),
    movie("m4", "Jaws", 1975, "Horror"),
    movie("m5", "Hidden\nGem", 1999, "Drama"),
    { id: "m6", title: "Solo (2001)", fields: { year: 2001 } },
  ],
  ratingScale: { lowest: 1, highest: 5 },
  sequence: {
    offsets: Int32Array.of(0, 6, 8),
    items: Int32Array.of(1, 2, 3, 4, 5, 6, 5, 6),
    ratings: Float32Array.of(5, 4, 4, 1, 5, 2, 3, 1.5),
    relevant: Uint8Array.of(1, 1, 1, 0, 1, 0, 0, 0),
  },
  windows: Int32Array.of(4, 2),
  lists: {
    count: 1,
    length: 2,
    user: Int32Array.of(0),
    start: Int32Array.of(4),
    candidates: Int32Array.of(5, 6),
    labels: Uint8Array.of(1, 0),
  },
  parts: { evaluate: [], align: new Int32Array(), reward: [], labels: [] },
  counts: {},
};

export const moviePrompt: Prompt = {
  aspects: [
    { name: "Genre", from: "genres", of: "liked", top: 3 },
    { name: "Period", from: "year", of: "liked", top: 1 },
    { name: "Avoids", from: "genres", of: "disliked", top: 2 },
  ],
  template: "movies",
  items: "title+genres",
};
