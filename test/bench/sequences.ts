/** Leave-one-out on MovieLens-100K: each user's last item is the test, the one before it stops the fit, the rest is learnt. */
import type { PreparedData } from "../../framework/contracts/dataset.js";
import type { SequenceEncoder } from "../../framework/contracts/recommender.js";
import { fitSequences } from "../../framework/method/encoder.js";
import { type NextItems, nextItemNdcg, type Seen } from "../../framework/method/next-item.js";
import { trainingRows } from "../../framework/method/sequences.js";
import { median } from "./figures.js";

/** Items a row at most, the protocol's own: with 200 SASRec and its PyTorch rival both rank worse (test NDCG@10 .08 against .10). */
export const history = 50;

export interface HowFitted {
  /** Items that the encoder sees, at most. */
  readonly history?: number;
  /** Whether the valid items that stop the fit are ranked among what their users have met. */
  readonly seen?: Seen;
  /** Of the training rows (`trainingRows`). */
  readonly stride?: number;
}

export interface Quality {
  readonly epochs: number;
  readonly seconds: number;
  /** NDCG@10 of the last item but one: what stopped the fit. */
  readonly valid: number;
  /** NDCG@10 of the last item, what the user has seen left out of the ranking, and left in it as RecBole does. */
  readonly test: number;
  readonly unmasked: number;
}

/** Fitted until its valid items stop it, then tested once. */
export async function leaveOneOut(data: PreparedData, encoder: SequenceEncoder, seed: number, how: HowFitted = {}): Promise<Quality> {
  const begun = performance.now();
  const { network, parameters, report } = await fitTo(data, encoder, lastItem(data, 2), seed, how);
  const seconds = (performance.now() - begun) / 1000;
  const last = lastItem(data, 1);
  const width = how.history ?? history;
  const [test, unmasked] = [nextItemNdcg(network, last, width, 10), nextItemNdcg(network, last, width, 10, "in")];
  parameters.dispose();
  return { epochs: report?.epochs ?? 0, seconds, valid: report?.metric ?? Number.NaN, test, unmasked };
}

/** Median seconds of some epochs, nothing evaluated in between. */
export async function epochSeconds(data: PreparedData, encoder: SequenceEncoder, seed: number): Promise<number> {
  const nobody: NextItems = {
    histories: { items: new Int32Array(), begin: new Int32Array(), end: new Int32Array() },
    targets: new Int32Array(),
  };
  const { parameters, report } = await fitTo(data, encoder, nobody, seed);
  parameters.dispose();
  return median((report?.history ?? []).map(({ seconds }) => seconds));
}

function fitTo(data: PreparedData, encoder: SequenceEncoder, valid: NextItems, seed: number, how: HowFitted = {}) {
  const { seen, stride, history: width = history } = how;
  const rows = trainingRows(withoutLast(data, 2), Int32Array.from(data.users.keys()), width, stride);
  return fitSequences({ encoder, items: data.items.length - 1, rows, valid, history: width, seed, ...(seen && { seen }) });
}

/** Each user's n-th item from the end, and what came before it. */
function lastItem({ sequence, users }: PreparedData, n: number): NextItems {
  const begin = sequence.offsets.slice(0, users.length);
  const end = Int32Array.from(users, (_, user) => (sequence.offsets[user + 1] ?? 0) - n);
  return { histories: { items: sequence.items, begin, end }, targets: end.map((at) => sequence.items[at] ?? 0) };
}

/** The sequences without their last n items. */
function withoutLast({ sequence, users }: PreparedData, n: number): PreparedData["sequence"] {
  const kept = users.flatMap((_, user) => {
    const [from, to] = [sequence.offsets[user] ?? 0, sequence.offsets[user + 1] ?? 0];
    return Array.from({ length: to - n - from }, (_, i) => from + i);
  });
  return {
    offsets: sequence.offsets.map((offset, user) => offset - n * user),
    items: Int32Array.from(kept, (at) => sequence.items[at] ?? 0),
    ratings: Float32Array.from(kept, (at) => sequence.ratings[at] ?? 0),
    relevant: Uint8Array.from(kept, (at) => sequence.relevant[at] ?? 0),
  };
}
