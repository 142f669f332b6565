/** A SASRec epoch against PyTorch's, and what both rank like when their fits have stopped. */
import { join } from "node:path";
import type { PreparedData } from "../../framework/contracts/dataset.js";
import { writeTensors } from "../../framework/store/tensors.js";
import { SasRec, type SasRecOptions } from "../../plugins/encoders/sasrec.js";
import { type Figure, inTurn, median, timeFigure } from "./figures.js";
import { Rival } from "./rival.js";
import { epochSeconds, history, leaveOneOut } from "./sequences.js";
import { benchFolder, defaultsOf } from "./workload.js";

const seed = 1;

export async function benchSasRec(data: PreparedData, { rounds, fits }: { rounds: number; fits: boolean }): Promise<Figure[]> {
  const options = defaultsOf(SasRec) as SasRecOptions;
  const path = join(benchFolder, "sequences.safetensors");
  const { items, offsets } = data.sequence;
  await writeTensors(path, { items: { shape: [items.length], values: items }, offsets: { shape: [offsets.length], values: offsets } });
  const rival = await Rival.start("sasrec.py", path, { ...options, history, seed });
  try {
    await rival.ask("epoch");
    const epochs = (count: number) => epochSeconds(data, new SasRec({ ...options, epochs: count, patience: count }), seed);
    await epochs(1);
    const pairs = await inTurn(
      rounds,
      () => epochs(3),
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

/** Both fitted until their valid items stop them, then tested once. */
async function quality(data: PreparedData, options: SasRecOptions, path: string): Promise<Figure> {
  const { test: ours, epochs } = await leaveOneOut(data, new SasRec(options), seed);
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
    note: `leave-one-out, full ranking, seen items out; ${epochs} and ${theirs.epochs} epochs`,
  };
}
