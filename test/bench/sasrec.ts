/** A SASRec epoch against PyTorch's, and what both rank like when their fits have stopped. */
import { join } from "node:path";
import type { PreparedData } from "../../framework/contracts/dataset.js";
import type { SequenceEncoder } from "../../framework/contracts/recommender.js";
import { fitSequences } from "../../framework/method/encoder.js";
import { type NextItems, nextItemNdcg } from "../../framework/method/next-item.js";
import { trainingRows } from "../../framework/method/sequences.js";
import { writeTensors } from "../../framework/store/tensors.js";
import { SasRec, type SasRecOptions } from "../../plugins/encoders/sasrec.js";
import { type Figure, inTurn, median, timeFigure } from "./figures.js";
import { Rival } from "./rival.js";
import { benchFolder, defaultsOf } from "./workload.js";

/** Items a row at most, the protocol's own: with 200 both sides rank worse (test NDCG@10 .08 against .10). */
const history = 50;
const seed = 1;

export async function benchSasRec(data: PreparedData, { rounds, fits }: { rounds: number; fits: boolean }): Promise<Figure[]> {
  const options = defaultsOf(SasRec) as SasRecOptions;
  const path = join(benchFolder, "sequences.safetensors");
  const { items, offsets } = data.sequence;
  await writeTensors(path, { items: { shape: [items.length], values: items }, offsets: { shape: [offsets.length], values: offsets } });
  const rival = await Rival.start("sasrec.py", path, { ...options, history, seed });
  try {
    await rival.ask("epoch");
    await epochSeconds(data, options, 1);
    const pairs = await inTurn(
      rounds,
      () => epochSeconds(data, options, 3),
      async () => median([await rival.ask("epoch"), await rival.ask("epoch"), await rival.ask("epoch")].map(({ seconds }) => seconds)),
    );
    const epoch = timeFigure(
      "SASRec epoch",
      pairs,
      { text: ">= 1.0x", met: (_, ratio) => ratio >= 1 },
      `${data.users.length} whole sequences, at most ${history} items a row; medians of 3 epochs`,
    );
    return fits ? [epoch, await quality(data, options, path)] : [epoch];
  } finally {
    await rival.stop();
  }
}

/** Median seconds of some epochs, nothing evaluated in between. */
async function epochSeconds(data: PreparedData, options: SasRecOptions, epochs: number): Promise<number> {
  const nobody: NextItems = {
    histories: { items: new Int32Array(), begin: new Int32Array(), end: new Int32Array() },
    targets: new Int32Array(),
  };
  const { parameters, report } = await fitTo(data, { ...options, epochs, patience: epochs }, nobody);
  parameters.dispose();
  return median((report?.history ?? []).map(({ seconds }) => seconds));
}

/** Both fitted until their valid items stop them, then tested once. */
async function quality(data: PreparedData, options: SasRecOptions, path: string): Promise<Figure> {
  const { network, parameters, report } = await fitTo(data, options, lastItem(data, 2));
  const ours = nextItemNdcg(network, lastItem(data, 1), history, 10);
  parameters.dispose();
  const rival = await Rival.start("sasrec.py", path, { ...options, history, seed });
  const theirs = await rival.ask("fit");
  await rival.stop();
  const ndcg = theirs.test ?? Number.NaN;
  return {
    name: "SASRec test NDCG@10",
    unit: "NDCG@10",
    ours,
    rival: ndcg,
    ratio: ours / ndcg,
    ratios: [ours / ndcg],
    mark: ">= 0.09",
    met: ours >= 0.09,
    note: `leave-one-out, full ranking, seen items out; ${report?.epochs} and ${theirs.epochs} epochs`,
  };
}

function fitTo(data: PreparedData, options: SasRecOptions, valid: NextItems) {
  const encoder: SequenceEncoder = new SasRec(options);
  const sequence = withoutLast(data, 2);
  const rows = trainingRows(sequence, Int32Array.from(data.users.keys()), history);
  return fitSequences({ encoder, items: data.items.length - 1, rows, valid, history, seed });
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
