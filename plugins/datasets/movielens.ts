import type { Dirent } from "node:fs";
import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import {
  type Assets,
  appendItems,
  appendUsers,
  assets,
  type Dataset,
  type DuckDBConnection,
  loadInteractions,
  type OnBadRow,
  options,
  plugin,
  type RatingScale,
  readRows,
  RlrfError,
  uniqueIds,
} from "rlrf4rec";
import { atomic, type Files, type Format, groupLens100k, groupLensCsv, groupLensDat } from "./movielens/formats.js";
import { codedViewer, plainViewer } from "./movielens/records.js";

interface MovieLensOptions {
  readonly size: keyof typeof formats;
  readonly path?: string;
  readonly onBadRow: OnBadRow;
}

/** The first whose ratings are found is taken. */
const formats = {
  "100k": [atomic("ml-100k", plainViewer), groupLens100k],
  "1m": [atomic("ml-1m", codedViewer), groupLensDat("latin-1", true)],
  "10m": [atomic("ml-10m"), groupLensDat("utf-8", false)],
  "20m": [atomic("ml-20m"), groupLensCsv],
  "25m": [atomic("ml-25m"), groupLensCsv],
  "32m": [atomic("ml-32m"), groupLensCsv],
} as const satisfies Record<string, readonly Format[]>;

const sizes = Object.keys(formats) as (keyof typeof formats)[];

@plugin({
  kind: "dataset",
  name: "movielens",
  version: "1.1.0",
  summary: "MovieLens 100K to 32M: ratings of movies with genres and years; up to 1M also the raters' age, gender and occupation",
  source: "Harper & Konstan 2015, doi 10.1145/2827872; files as GroupLens publishes them, or as RecBole's atomic files",
  options: {
    type: "object",
    properties: {
      size: {
        enum: sizes,
        default: "100k",
        description: "Which MovieLens",
        assets: Object.fromEntries(sizes.map((size) => [size, [`movielens-${size}`]])),
      },
      path: {
        type: "string",
        minLength: 1,
        file: "instead",
        description: "A folder that holds the files already, instead of fetching them",
      },
      onBadRow: {
        enum: ["fail", "skip"],
        default: "fail",
        description: "What a malformed line does: end the run, or be skipped and counted",
      },
    },
  },
})
export class MovieLens implements Dataset {
  readonly relevantAbove = 3;
  readonly ratingScale: RatingScale;

  constructor(
    @options() private readonly options: MovieLensOptions,
    @assets() private readonly assets: Assets,
  ) {
    // Half stars came in 2003, after 1M.
    this.ratingScale = { lowest: ["100k", "1m"].includes(options.size) ? 1 : 0.5, highest: 5 };
  }

  async load(connection: DuckDBConnection): Promise<Record<string, number>> {
    const { size, path, onBadRow } = this.options;
    const folder = path === undefined ? await this.assets.folder(`movielens-${size}`) : resolve(path);
    const files = await findFiles(folder, size);
    const { lowest, highest } = this.ratingScale;
    const badInteractions = await loadInteractions(connection, files.interactions, { ratings: [lowest, highest] }, onBadRow);
    const items = await readRows(files.items.file, onBadRow, uniqueIds(files.items.parse));
    await appendItems(connection, items.rows);
    if (files.users === undefined) return { badInteractions, badItems: items.bad };
    const users = await readRows(files.users.file, onBadRow, uniqueIds(files.users.parse));
    await appendUsers(connection, users.rows);
    return { badInteractions, badItems: items.bad, badUsers: users.bad };
  }
}

/** The files lie in the folder itself, or in the one folder that an archive was unpacked to. */
async function findFiles(folder: string, size: MovieLensOptions["size"]): Promise<Files> {
  const entries = await entriesOf(folder);
  const nested = await Promise.all(entries.filter((entry) => entry.isDirectory()).map(({ name }) => entriesOf(join(folder, name))));
  for (const format of formats[size]) {
    const found = [entries, ...nested].flat().find((entry) => entry.isFile() && entry.name === format.ratings);
    if (found !== undefined) return format.files(join(found.parentPath, found.name));
  }
  throw new RlrfError("RLRF_DATA_FILE", {
    message: `no MovieLens ${size} in this folder`,
    where: folder,
    expected: formats[size].map(({ ratings, others }) => `${ratings} with ${others}`).join(", or "),
  });
}

function entriesOf(folder: string): Promise<Dirent[]> {
  return readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    throw new RlrfError(
      "RLRF_DATA_FILE",
      { message: "there is no such folder, or it cannot be read", where: folder, hint: "check the dataset's option `path`" },
      { cause },
    );
  });
}
