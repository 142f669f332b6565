/**
 * The JSON Schema of a spec, besides the options of its plugins. Every default of a spec stands here and nowhere else.
 * A description says what a property is; a unit what its number counts.
 */
import { type PluginKind, pluginKinds } from "../contracts/kinds.js";
import { metricForm, metricPattern } from "../metrics/ranking.js";
import { sweepSchema } from "./sweep.js";
import type { Aspect } from "./types.js";

/** `"aspects": ["Genre"]` is short for the whole aspect. `year` is answered by decade. */
export const knownAspects: Readonly<Record<string, Aspect>> = {
  Genre: { name: "Genre", from: "genres", of: "liked", top: 3 },
  Period: { name: "Period", from: "year", of: "liked", top: 2 },
  Avoids: { name: "Avoids", from: "genres", of: "disliked", top: 2 },
};

type Schema = Readonly<Record<string, unknown>>;

const seed = { type: "integer", minimum: 0, maximum: 2 ** 31 - 1, unit: "seed" } as const;
const share = { type: "number", minimum: 0, maximum: 1 } as const;
const positive = { type: "integer", minimum: 1 } as const;
const count = { type: "integer", minimum: 0 } as const;

function closed(description: string, properties: Readonly<Record<string, Schema>>, more: Schema = {}): Schema {
  return { type: "object", description, properties, additionalProperties: false, ...more };
}

const protocol = closed("How users are split, and how windows and lists are cut from their interactions.", {
  window: {
    ...positive,
    default: 15,
    unit: "interactions",
    description: "Knowledge window: the first min(ceil(n/2), window) interactions of a user may reach a prompt.",
  },
  history: {
    ...positive,
    default: 50,
    unit: "interactions",
    description: "Interactions before a list that the sequence encoder and the reranker see, at most.",
  },
  listLength: { type: "integer", minimum: 2, default: 10, unit: "items", description: "Candidates in a list." },
  positives: {
    ...positive,
    default: 4,
    unit: "interactions",
    description: "Consecutive interactions that a list is cut from, at most; the rest is negatives.",
  },
  ties: {
    enum: ["expected", "pessimistic", "optimistic"],
    default: "expected",
    description: "Ranking metrics of tied scores: the mean over the orders of the tied items, or the worst or best order.",
  },
  seed: { ...seed, default: 1, description: "Of the split, the negatives and the order of the lists." },
  split: {
    type: "array",
    prefixItems: [share, share, share],
    items: false,
    minItems: 3,
    default: [0.8, 0.1, 0.1],
    unit: "share of users",
    description: "Shares of train, valid and test users; used when `folds` is 0. They sum to 1.",
  },
  align: {
    ...share,
    exclusiveMaximum: 1,
    default: 0,
    unit: "share of users",
    description: "Users whose texts are sampled and tuned on, set apart from those of the folds; used with `folds`.",
  },
  folds: {
    ...count,
    not: { const: 1 },
    maximum: 100,
    default: 0,
    unit: "folds",
    description: "Cross-validation folds over the users outside `align`, so that each is tested once; 0 = one split.",
  },
  metrics: {
    type: "array",
    items: { type: "string", pattern: `^${metricPattern}$`, form: metricForm },
    minItems: 1,
    uniqueItems: true,
    default: [5, 1, 3, 7].flatMap((k) => [`ndcg@${k}`, `map@${k}`]),
    description: "Metrics reported for each arm: ndcg@k and map@k. By the first one fits are stopped early and the hearing test is held.",
  },
  stride: {
    ...positive,
    unit: "interactions",
    description:
      "From the end of one training sequence of the sequence encoder to the end of the next; `history` when left out. With less they overlap: an epoch is longer, and each item is learnt after more of its history, as it is asked for later.",
  },
  relevantAbove: {
    type: "number",
    unit: "rating",
    description: "An interaction is relevant when its rating is above this; the dataset's own threshold when left out.",
  },
});

const aspect = closed(
  "One aspect that the prompt asks for, and the item field that the template (no LLM) answers it from.",
  {
    name: {
      type: "string",
      pattern: "^[A-Za-z][A-Za-z0-9 _-]{0,39}$",
      form: "a letter, then letters, digits, spaces, _ and -, 40 at most",
      description: "What stands before the colon in the answer's line.",
    },
    from: { type: "string", minLength: 1, description: "Field of the items, e.g. genres; a year is answered by its decade." },
    of: {
      enum: ["liked", "disliked"],
      default: "liked",
      description: "Whether the field is counted over relevant or over other items of the window.",
    },
    top: { ...positive, default: 3, unit: "values", description: "How many of the most frequent values the template names." },
  },
  { required: ["name", "from"] },
);

const prompt = closed(
  "What the LLM is asked for each user.",
  {
    aspects: {
      type: "array",
      items: aspect,
      minItems: 1,
      description: `The aspects of the answer, a line each. Short forms: ${Object.keys(knownAspects).join(", ")}.`,
    },
    template: { enum: ["movies", "items"], default: "items", description: "Wording of the prompt." },
    items: { enum: ["title", "title+genres"], default: "title", description: "How an item of the window is written." },
  },
  { required: ["aspects"] },
);

const lora = closed(
  "The adapter that is trained on the frozen LLM (arXiv 2106.09685).",
  {
    rank: { ...positive, default: 8, unit: "dimensions", description: "Rank of the two factors." },
    alpha: {
      type: "number",
      exclusiveMinimum: 0,
      default: 16,
      unit: "factor",
      description: "The adapter's output is scaled by alpha / rank.",
    },
    dropout: { ...share, exclusiveMaximum: 1, default: 0, unit: "probability", description: "Dropout on the adapter's input." },
    targets: {
      type: "array",
      items: { enum: ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"] },
      minItems: 1,
      uniqueItems: true,
      default: ["q_proj", "k_proj", "v_proj", "o_proj"],
      description: "Projections that get an adapter.",
    },
  },
  { default: {} },
);

const epochs = { ...positive, unit: "epochs" } as const;
const learningRate = { type: "number", exclusiveMinimum: 0, unit: "step size" } as const;

const warmup = closed(
  "Supervised stage before iteration 1: metadata texts of train users, written in the structure. null = none, as in the paper.",
  {
    epochs: { ...epochs, default: 1, description: "Passes over the texts." },
    learningRate: { ...learningRate, default: 2e-4, description: "Peak learning rate of AdamW." },
    batchSize: { ...positive, default: 8, unit: "texts", description: "Texts in a step." },
    users: { ...positive, default: 240, unit: "users", description: "Train users whose texts are learnt from, at most." },
  },
  { type: ["object", "null"], default: null },
);

const alignment = closed("The loop of sampling, pairing and preference tuning; without it nothing is tuned.", {
  iterations: { ...positive, default: 2, unit: "iterations", description: "T: how often the loop runs." },
  epochs: { ...epochs, default: 1, description: "Passes over the pairs of an iteration." },
  batchSize: {
    ...positive,
    default: 2,
    unit: "pairs",
    description: "Pairs in one forward and backward pass; of those that one user has, the prompt is computed once.",
  },
  accumulate: { ...positive, default: 8, unit: "batches", description: "Batches whose gradients are added before one step." },
  learningRate: { ...learningRate, default: 5e-5, description: "Peak learning rate of AdamW." },
  weightDecay: { type: "number", minimum: 0, default: 0, unit: "share per step", description: "Decoupled weight decay of AdamW." },
  clip: { type: "number", minimum: 0, default: 1, unit: "norm", description: "Global gradient norm at most; 0 = off." },
  schedule: { enum: ["constant", "linear", "cosine"], default: "cosine", description: "How the learning rate falls after its rise." },
  rise: { ...share, default: 0.1, unit: "share of steps", description: "Steps in which the learning rate rises." },
  lora,
  structure: {
    enum: ["gate", "reward", "off"],
    default: "gate",
    description: "How the asked structure is taught: pairs of its own beside gated reward pairs, as a part of the reward, or not.",
  },
  structureWeight: {
    ...share,
    default: 0.2,
    unit: "weight",
    description: "w in (1 - w) * reward + w * structure rate; used with structure = reward.",
  },
  structureShare: {
    ...share,
    exclusiveMaximum: 1,
    default: 0.2,
    unit: "share of pairs",
    description: "Structure pairs at most; used with structure = gate.",
  },
  accept: {
    enum: ["if-better", "always"],
    default: "if-better",
    description: "Whether an iteration is kept only when the held-out users' mean sampled reward rises, and the structure stands.",
  },
  structureFloor: {
    ...share,
    default: 0.9,
    unit: "share of the conforming",
    description:
      "With structure = gate and accept = if-better: an iteration that leaves less than this share of the held-out users' conforming texts is not kept, whatever its reward.",
  },
  onReject: {
    enum: ["continue", "stop"],
    default: "continue",
    description: "After an iteration that was not accepted: go on from the previous policy, or stop.",
  },
  hears: {
    enum: ["policy", "template"],
    default: "policy",
    description:
      "Texts that the reward models learn to hear: those of the policy that is being tuned, as the paper, or the fixed template's, for a policy whose own texts say too little to learn from.",
  },
  deaf: {
    enum: ["stop", "continue"],
    default: "stop",
    description: "When the hearing test fails, that is the recommender's ranking does not depend on the text.",
  },
  rewardFolds: {
    type: "integer",
    minimum: 2,
    default: 2,
    unit: "folds",
    description: "Cross-fitting: into how many parts the align users are dealt; each is scored by a reward model of the others.",
  },
  heldOut: {
    type: "number",
    exclusiveMinimum: 0,
    exclusiveMaximum: 1,
    default: 0.2,
    unit: "share of align users",
    description: "Align users that make no pairs: the iteration is judged on them.",
  },
  users: { ...count, default: 0, unit: "users", description: "Align users that are sampled, at most; 0 = all." },
  warmup,
});

const sectionDescriptions: Readonly<Record<PluginKind, string>> = {
  dataset: "Where the interactions come from.",
  encoder: "Sequence encoder: what the interactions before a list say. `none` leaves the word to the texts.",
  adaptor: "Joins the user's text to the items' texts.",
  reranker: "Scores the candidates of a list in each other's presence.",
  "text-encoder": "Turns texts into vectors.",
  llm: "Writes the users' texts.",
  reward: "Turns the recommender's ranking into one number a text.",
  sampling: "How N texts are drawn for a user, and which pairs they make.",
  loss: "Preference loss.",
  tuner: "Tunes the LLM on the pairs: in this process, or with another program.",
  executor: "Where the work is done: on this machine, or on a cluster. It changes no result and is no part of a run's identity.",
};

/** Kinds that a spec need not speak of. */
const defaultPlugins: Readonly<Partial<Record<PluginKind, string>>> = { executor: "local" };

function section(kind: PluginKind, more: Readonly<Record<string, Schema>> = {}): Schema {
  const usual = defaultPlugins[kind];
  const plugin = { type: "string", minLength: 1, description: `Name of the ${kind} (rlrf list ${kind}).` };
  const properties = {
    plugin: usual === undefined ? plugin : { ...plugin, default: usual },
    version: { type: "string", description: "Range of versions, e.g. ^1.2; whatever is registered when left out." },
    options: { type: "object", default: {}, description: `Options of the plugin (rlrf describe ${kind}/NAME).` },
    ...more,
  };
  return closed(sectionDescriptions[kind], properties, usual === undefined ? { required: ["plugin"] } : { default: {} });
}

const llmSettings = {
  seed: { ...seed, default: 1, description: "Of the LLM's sampling." },
  sampler: {
    ...section("llm", {
      tolerance: {
        type: "number",
        exclusiveMinimum: 0,
        default: 0.25,
        unit: "nats per token",
        description:
          "How far its log-probabilities may lie from the LLM's in the mean, so that it counts as the same model: 0.002 is another engine, 0.07 eight bits a number, four bits of a small model may be 0.7.",
      },
    }),
    type: ["object", "null"],
    description:
      "Writes the texts in the place of the LLM, which is tuned: the same model in a faster backend, with each tuned adapter loaded.",
  },
};

const textEncoderSettings = {
  centre: {
    type: "boolean",
    description:
      "Takes the mean of all items' vectors from each of them (arXiv 1702.01417): what every item's text says tells no item from another, and a reranker that attends to the history (mir) hears little else.",
  },
};

/** What a section says besides its plugin, the plugin's version and its options. */
const settings: Readonly<Partial<Record<PluginKind, Readonly<Record<string, Schema>>>>> = {
  llm: llmSettings,
  "text-encoder": textEncoderSettings,
};

const kinds = Object.entries(pluginKinds) as [PluginKind, (typeof pluginKinds)[PluginKind]][];

export const envelope = closed(
  "An experiment of rlrf4rec.",
  {
    $schema: { type: "string", description: "Where an editor finds this schema; not read otherwise." },
    name: {
      type: "string",
      pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
      form: "a letter or digit, then letters, digits, dots, _ and -, 100 at most",
      description: "Names the run's folder and its MLflow run.",
    },
    seeds: {
      type: "array",
      items: seed,
      minItems: 1,
      uniqueItems: true,
      default: [1],
      unit: "seeds",
      description: "Of the recommender: every arm is trained and tested once for each.",
    },
    engine: {
      enum: ["auto", "tensorflow", "wasm", "cpu"],
      default: "auto",
      description: "Tensor engine; auto takes the fastest that works here.",
    },
    ...Object.fromEntries(kinds.map(([kind, { section: name }]) => [name, section(kind, settings[kind])])),
    protocol,
    prompt,
    alignment,
    arms: {
      type: "array",
      items: { enum: ["id-only", "item-only", "metadata", "llm", "best-of-N", "shuffled", "swapped"] },
      minItems: 1,
      uniqueItems: true,
      description: "What is compared: who speaks for the user, and the controls.",
    },
    store: closed(
      "Where computed steps are kept: like the executor no part of a run's identity.",
      {
        path: {
          type: ["string", "null"],
          minLength: 1,
          default: null,
          description: "A folder that all machines of an executor see under this path; --cache goes before it, null = .rlrf.",
        },
      },
      { default: {} },
    ),
    tracking: closed(
      "Where the run is tracked besides its own folder.",
      {
        experiment: { type: "string", minLength: 1, default: "rlrf4rec", description: "MLflow experiment." },
        uri: {
          type: ["string", "null"],
          pattern: "^https?://",
          form: "an address such as http://127.0.0.1:5000, or null",
          default: null,
          description: "MLflow server; null = the journal only, for rlrf sync.",
        },
        run: {
          type: "string",
          pattern: "^[0-9a-f-]{36}(?:/[A-Za-z0-9._-]+)+$",
          form: "the key of a run, and names below it: KEY/NAME",
          description: "Which run this is below another one, PARENT/NAME: a sweep says so to its trials.",
        },
      },
      { default: {} },
    ),
    sweep: sweepSchema,
  },
  { required: ["name", "protocol", "prompt", "arms", ...kinds.filter(([, kind]) => kind.required).map(([, kind]) => kind.section)] },
);
