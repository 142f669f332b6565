/**
 * Step 0 for a model that the run trains itself: what it learns its language from. The readers are invented — a taste by lot,
 * items by lot, ratings by taste — so that no item or rating of any real user, of whatever
 * part, is in the untuned model; only the lengths of windows and the personal fields are drawn from theirs.
 */
import type { PreparedData, RatingScale } from "../contracts/dataset.js";
import type { CorpusTexts } from "../contracts/llm.js";
import type { Rng } from "../contracts/plugin.js";
import { createRng } from "../rng.js";
import type { Aspect, Prompt } from "../spec/types.js";
import { fieldValues, metadataText } from "./metadata.js";
import { promptOf } from "./prompt.js";

/** Most readers have rated few items: looking up a value is learnt from short prompts in a fraction of the time, and carries over to long ones. */
const shortWindows = 0.9;
const longestShort = 5;

/** Share of a reader's items that are sought out for the taste, and not met by lot. */
const soughtOut = 0.25;

/**
 * Dialogues of readers that never were, in the prompt's own form, answered by the fixed template. They are invented when they are first asked for:
 * most LLMs have learnt their language elsewhere.
 */
export function inventedDialogues(data: PreparedData, prompt: Prompt, readers: number, seed: number, relevantAbove: number): CorpusTexts {
  const invent = () => {
    const invented = inventReaders(data, prompt, readers, seed, relevantAbove);
    return Array.from({ length: readers }, (_, reader) => ({
      messages: promptOf(reader, invented, prompt),
      completion: metadataText(reader, invented, prompt),
    }));
  };
  let dialogues: CorpusTexts["dialogues"] | undefined;
  return {
    get dialogues() {
      dialogues ??= invent();
      return dialogues;
    },
  };
}

/** Prepared data of invented readers; only what prompts and templates read of it is made. */
function inventReaders(data: PreparedData, prompt: Prompt, readers: number, seed: number, relevantAbove: number): PreparedData {
  const catalogue = new Catalogue(data, prompt.aspects);
  const users: { id: string; fields: Readonly<Record<string, unknown>> }[] = [];
  const items: number[] = [];
  const ratings: number[] = [];
  const offsets = new Int32Array(readers + 1);
  for (let reader = 0; reader < readers; reader++) {
    const rng = createRng(seed, "invented reader", reader);
    const window = rng.uniform() < shortWindows ? 1 + rng.below(longestShort) : (data.windows[rng.below(data.windows.length)] as number);
    const taste = catalogue.taste(rng);
    for (let i = 0; i < window; i++) {
      const item = rng.uniform() < soughtOut ? taste.sought(rng) : 1 + rng.below(data.items.length - 1);
      items.push(item);
      ratings.push(taste.rate(item, rng));
    }
    offsets[reader + 1] = items.length;
    users.push({ id: `invented ${reader}`, fields: data.users[rng.below(data.users.length)]?.fields ?? {} });
  }
  return {
    ...data,
    users,
    windows: Int32Array.from({ length: readers }, (_, reader) => (offsets[reader + 1] as number) - (offsets[reader] as number)),
    sequence: {
      offsets,
      items: Int32Array.from(items),
      ratings: Float32Array.from(ratings),
      relevant: Uint8Array.from(ratings, (rating) => (rating > relevantAbove ? 1 : 0)),
    },
  };
}

interface Taste {
  /** An item with a liked value. */
  sought(rng: Rng): number;
  /** One of five steps of the data set's scale. */
  rate(item: number, rng: Rng): number;
}

/** The items of one value, each once. */
interface Items {
  readonly list: readonly number[];
  readonly set: ReadonlySet<number>;
}

/** The items by the values of the fields that aspects ask for. */
class Catalogue {
  private readonly byValue: readonly { readonly aspect: Aspect; readonly values: readonly Items[] }[];

  constructor(
    private readonly data: PreparedData,
    aspects: readonly Aspect[],
  ) {
    this.byValue = aspects.map((aspect) => {
      const items = new Map<string, Set<number>>();
      for (const [item, record] of data.items.entries())
        for (const value of fieldValues(record, aspect.from)) items.set(value, (items.get(value) ?? new Set()).add(item));
      return { aspect, values: Array.from(items.values(), (set) => ({ list: [...set], set })) };
    });
  }

  /** One value by lot of each aspect, liked or disliked as the aspect asks. */
  taste(rng: Rng): Taste {
    const drawn = { liked: [] as Items[], disliked: [] as Items[] };
    for (const { aspect, values } of this.byValue) {
      const items = values[rng.below(values.length)];
      if (items !== undefined) drawn[aspect.of].push(items);
    }
    let sought: readonly number[] | undefined; // readers of few items often seek none
    return {
      sought: (draw) => {
        sought ??= union(drawn.liked);
        return sought[draw.below(sought.length)] ?? 1 + draw.below(this.data.items.length - 1);
      },
      rate: (item, draw) => {
        const liked = isIn(drawn.liked, item);
        if (isIn(drawn.disliked, item) && !liked) return rating(draw.below(2), this.data.ratingScale);
        return rating(liked ? 3 + draw.below(2) : 1 + draw.below(3), this.data.ratingScale);
      },
    };
  }
}

function isIn(values: readonly Items[], item: number): boolean {
  return values.some(({ set }) => set.has(item));
}

/** Each item once, in the order of the values. */
function union(values: readonly Items[]): readonly number[] {
  return values.reduce<readonly number[]>((all, { list }, i) => {
    const before = values.slice(0, i);
    return i === 0 ? list : all.concat(list.filter((item) => !isIn(before, item)));
  }, []);
}

/** The rating at a step from 0 to 4 of the way from the lowest to the highest, in whole or half stars as the scale begins. */
function rating(step: number, { lowest, highest }: RatingScale): number {
  const unit = Number.isInteger(lowest) ? 1 : 0.5;
  return Math.round((lowest + (step / 4) * (highest - lowest)) / unit) * unit;
}
