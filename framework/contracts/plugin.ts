import type { PluginKind } from "./kinds.js";

/** A JSON Schema (draft 2020-12 as ajv reads it) of one plugin's options; see docs/plugin-guide.md for the extra keywords. */
export interface OptionsSchema {
  readonly type: "object";
  readonly properties?: Readonly<Record<string, OptionSchema>>;
  readonly required?: readonly string[];
}

/** One option. Its default and unit live here and nowhere else. */
export interface OptionSchema {
  readonly description?: string;
  readonly default?: unknown;
  /** Physical or statistical unit, for `rlrf describe` ("nats", "tokens", "milliseconds"). */
  readonly unit?: string;
  /** The option is itself a plugin reference of this kind; the plugin receives the built instance in its place. */
  readonly pluginKind?: PluginKind;
  /** The value is a secret: `{"env": "NAME"}` is the only form allowed, and it is redacted everywhere. */
  readonly secret?: boolean;
  /** Which entries of registry/assets.json the option needs: the value itself, or a list for each value. */
  readonly assets?: "value" | Readonly<Record<string, readonly string[]>>;
  /** The value is the path of a file of the user's; "instead": of a file or folder that stands in for all of the plugin's assets. */
  readonly file?: true | "instead";
  /** What `pattern` asks for, in words: "ndcg@K". */
  readonly form?: string;
  /** With null, this environment variable stands in for it. */
  readonly fromEnvironment?: string;
  /** The number divides that of the option of this name beside it. */
  readonly divides?: string;
  /** The number divides half of that of the option of this name beside it. */
  readonly dividesHalf?: string;
  /** The number, or each of the list, is at most that of the option of this name beside it, or (a number alone) at this JSON pointer into the spec. */
  readonly atMost?: string;
  /** The numbers of the list rise, or stay. */
  readonly ascending?: true;
  /** The number is at least the lowest of the list of this name beside it, and below the highest. */
  readonly splits?: string;
  /** Not every entry of the list has 0 under this name. */
  readonly notAllZero?: string;
  /** What a value works with, where that depends on it: as the plugin's own `worksWith`, by value. */
  readonly worksWith?: Readonly<Record<string, Partners>>;
  readonly [keyword: string]: unknown;
}

/** Plugins of other sections by kind and name, each with schemas of the options that matter. */
export type Partners = Readonly<Partial<Record<PluginKind, Readonly<Record<string, Readonly<Record<string, OptionSchema>>>>>>>;

/** Everything a plugin says of itself; the decorator carries it, `npm run registry` writes it into registry/plugins.json. */
export interface PluginIdentity {
  readonly kind: PluginKind;
  /** kebab-case, unique in its kind, equal to the file's name. */
  readonly name: string;
  /** Semantic version; part of every cache key. */
  readonly version: string;
  /** One line. */
  readonly summary: string;
  /** Paper and equation, or the public definition that the plugin follows. */
  readonly source: string;
  /** No schema means no options. */
  readonly options?: OptionsSchema;
  /**
   * The plugins of another section that it works with, by kind and name, each with schemas of those of its options that matter; absent: any.
   * `rlrf check` holds specs to it, before anything is loaded.
   */
  readonly worksWith?: Partners;
  /** `rlrf try` can feed it JSON: it is a pure function of its input. */
  readonly pure?: boolean;
  /**
   * What its class says it `needs`, at most: so that `rlrf check` knows without importing it. text-encoder: "hidden", the states of the run's
   * LLM. llm: "dialogues" to learn from, without which it cannot be prepared.
   */
  readonly needs?: readonly string[];
  /** sampling: how many rejected texts an example has. loss: 0 where the chosen text is enough. As the class says. */
  readonly rejected?: 0 | 1 | "many" | "ranked";
  /** sampling: the options whose product is how many examples a user makes at most; absent: one. */
  readonly examples?: readonly string[];
  /** reward: it looks at the text alone, or at its structure alone. As the class says. */
  readonly reads?: "text" | "structure";
  /** A reward that measures a share of the texts and predicts the others (its class has `measures`). */
  readonly measures?: true;
  /** An LLM that can be tuned (it has a `policy`). */
  readonly tunable?: true;
  /** An LLM whose hidden states can be asked for (`hidden`), as a text encoder that needs "hidden" does. */
  readonly hidden?: true;
  /** An LLM that can write with adapters tuned elsewhere (`useAdapter`): always, or when its options have these values. */
  readonly takesAdapters?: true | Readonly<Record<string, unknown>>;
  /** The values of its options with which an LLM writes with the weights of the one that it samples for (`useModel`), having none of its own. */
  readonly takesWeights?: Readonly<Record<string, unknown>>;
  /** An LLM whose texts are on record: what it is asked makes no difference. */
  readonly recorded?: true;
}

/** What can be injected into a plugin's constructor: nothing else is reachable. */
export type Injectable = "options" | "logger" | "rng" | "assets" | "store" | "progress" | "engine";

export type PluginClass<Product = object> = new (...injected: never[]) => Product;

/** Products that hold tensors, handles or processes free them here; the kernel calls it in reverse order of creation. */
export interface Disposable {
  dispose(): void | Promise<void>;
}

export interface Logger {
  info(message: string): void;
  warn(code: string, message: string): void;
}

/** Reports progress of one task; shown with rate and time left on a terminal, as plain lines elsewhere. */
export interface Progress {
  start(label: string, total: number, unit: string): ProgressTask;
}
export interface ProgressTask {
  advance(by?: number): void;
  end(): void;
}

/** Finds (and fetches, when it must) the files of an entry of registry/assets.json. */
export interface Assets {
  /** @returns the folder that holds the verified files of the asset, or a Python environment (bin/python). @throws RLRF_ASSET_…, RLRF_COMMAND_FAILED */
  folder(id: string): Promise<string>;
  /** What a Python environment is made of: pinned requirements, as pip takes them. */
  requirements(id: string): Promise<readonly string[]>;
}

/** Seeded random numbers. The same seed gives the same stream on every machine. */
export interface Rng {
  /** Uniform in [0, 1). */
  uniform(): number;
  /** Uniform integer in [0, bound). */
  below(bound: number): number;
  /** Standard normal. */
  normal(): number;
  /** Shuffles in place (Fisher-Yates) and returns its argument. */
  shuffle<T extends { length: number; [index: number]: unknown }>(items: T): T;
  /** An independent stream named by labels; the parent's own stream is not consumed. */
  derive(...labels: readonly (string | number)[]): Rng;
  /** A 31-bit integer, for libraries that take a seed. */
  seed(): number;
}
