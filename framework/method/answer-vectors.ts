/** What a recommender hears of texts. */

/** Each text's answer to each aspect, as a row of a table in which the vector of every distinct answer stands once, however many texts give it. */
export interface AnswerVectors {
  readonly aspects: number;
  /** Of a vector. */
  readonly width: number;
  /** [texts * aspects]; 0 = silent */
  readonly rows: Int32Array;
  /** [(answers + 1) * width]; row 0 is zeros */
  readonly table: Float32Array;
}

/** Texts that say nothing. */
export function silentTexts(texts: number, { aspects, width }: Pick<AnswerVectors, "aspects" | "width">): AnswerVectors {
  return { aspects, width, rows: new Int32Array(texts * aspects), table: new Float32Array(width) };
}

export function countOf({ rows, aspects }: AnswerVectors): number {
  return rows.length / aspects;
}

/** Some of the texts, in this order. */
export function textsAt({ rows, ...shared }: AnswerVectors, texts: ArrayLike<number>): AnswerVectors {
  const { aspects } = shared;
  const some = new Int32Array(texts.length * aspects);
  for (let place = 0; place < texts.length; place++) {
    const from = (texts[place] as number) * aspects;
    some.set(rows.subarray(from, from + aspects), place * aspects);
  }
  return { ...shared, rows: some };
}

/** The vectors themselves. @returns [texts * aspects * width] */
export function written({ rows, table, width }: AnswerVectors): Float32Array {
  const vectors = new Float32Array(rows.length * width);
  for (const [place, row] of rows.entries()) vectors.set(table.subarray(row * width, (row + 1) * width), place * width);
  return vectors;
}
