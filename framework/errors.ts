/**
 * Every coded error of the framework. docs/errors.md is tested against this table.
 * `exit`: 2 when the user's input is wrong, 1 when the run failed for another reason.
 */
export const errorCodes = {
  RLRF_INTERNAL: { exit: 1, summary: "A fault of rlrf4rec itself; please report it." },
  RLRF_DISK_FULL: { exit: 1, summary: "No space is left where a file had to be written; what was finished is kept." },
  RLRF_FILE_MISSING: { exit: 2, summary: "A file that was to be read is not there." },
  RLRF_FILE_DENIED: { exit: 1, summary: "A file or folder cannot be read or written by this user." },
  RLRF_FILE_BROKEN: { exit: 1, summary: "A JSON or JSONL file does not parse." },
  RLRF_FILE_IO: { exit: 1, summary: "The operating system failed to read or write a file." },
  RLRF_TENSORS_BROKEN: { exit: 1, summary: "A safetensors file is damaged or contradicts itself." },
  RLRF_TENSORS_DTYPE: { exit: 1, summary: "A tensor on disk has another type than the reader can use." },
  RLRF_STORE_CORRUPT: { exit: 1, summary: "Warning: a cached file does not match its checksum; it was discarded and is made again." },
  RLRF_STORE_UNWRITABLE: { exit: 1, summary: "The folder of computed steps cannot be made or written." },
  RLRF_RUN_NAME: { exit: 2, summary: "A run's name cannot be the name of a folder." },
  RLRF_RUN_BUSY: { exit: 1, summary: "Another living process writes the same run." },
  RLRF_RUN_UNWRITABLE: { exit: 1, summary: "The folder of the run cannot be made or written." },
  RLRF_RUN_UNKNOWN: { exit: 2, summary: "There is no run of that name, or it has no journal." },
  RLRF_RUN_UNENDED: { exit: 2, summary: "What is asked for is made at the end of a run, and this one has not ended; says how it stands." },
  RLRF_JOURNAL_BROKEN: { exit: 1, summary: "Warning: lines of a journal do not parse; they were left out." },
  RLRF_TRACK_URI: { exit: 2, summary: "The tracking URI is missing, or is not that of an MLflow server." },
  RLRF_TRACK_UNREACHABLE: { exit: 1, summary: "The MLflow server cannot be reached or keeps failing; the journal has everything." },
  RLRF_TRACK_AUTH: { exit: 1, summary: "The MLflow server does not accept the credentials." },
  RLRF_TRACK_SERVER: { exit: 1, summary: "What answers at the tracking URI does not speak MLflow's REST API as expected." },
  RLRF_TRACK_REFUSED: { exit: 1, summary: "The MLflow server refused entries; they are named, all others were logged." },
  RLRF_TRACK_EXPERIMENT: { exit: 1, summary: "The MLflow experiment of that name was deleted there." },
  RLRF_TRACK_ARTIFACTS: { exit: 1, summary: "The MLflow server does not take artifacts over HTTP." },
  RLRF_RUN_TAKEN: { exit: 1, summary: "The lock of the run was taken over by another process while this one was stalled." },
  RLRF_RUN_GONE: { exit: 1, summary: "The folder of a run, or the lock in it, was deleted while the run was writing it." },
  RLRF_PROMOTE_RUN: {
    exit: 2,
    summary: "A run cannot be promoted: it has not ended, or its data set or plugins are not those of the run any more.",
  },
  RLRF_PROMOTE_CHOICE: { exit: 2, summary: "A run has no recommender of the arm, seed or fold that was to be promoted." },
  RLRF_PROMOTE_TARGET: { exit: 2, summary: "A model cannot be put where it was to go: a folder is there already, or the name is none." },
  RLRF_MODEL_UNKNOWN: { exit: 2, summary: "There is no model in the folder, or none of that name, version or alias in MLflow's registry." },
  RLRF_MODEL_BROKEN: { exit: 2, summary: "A file of a model is missing, damaged, or not what its model.json or its spec says." },
  RLRF_MODEL_DIFFERS: { exit: 1, summary: "A model does not score here as it did where it was promoted." },
  RLRF_SERVE_REQUEST: {
    exit: 2,
    summary: "Over HTTP, status 400: a request is malformed, or not in the form of registry/rerank-request.schema.json.",
  },
  RLRF_SERVE_ROUTE: { exit: 2, summary: "Over HTTP, status 404: there is nothing under the path, or not with this method." },
  RLRF_SERVE_SLOW: { exit: 2, summary: "Over HTTP, status 408: a request did not arrive in time." },
  RLRF_SERVE_SIZE: { exit: 2, summary: "Over HTTP, status 413: a request is larger than the server takes." },
  RLRF_SERVE_MEDIA: { exit: 2, summary: "Over HTTP, status 415: a request is no JSON by its content-type." },
  RLRF_SERVE_ITEM: { exit: 2, summary: "Over HTTP, status 422: candidates that the model does not know, or as many as it cannot rank." },
  RLRF_SERVE_BUSY: { exit: 1, summary: "Over HTTP, status 503: as many requests are being answered as the server takes at once." },
  RLRF_SERVE_UNREADY: { exit: 1, summary: "Over HTTP, status 503: the model is being loaded, or the server is ending." },
  RLRF_SERVE_LATE: {
    exit: 1,
    summary: "Over HTTP, status 504: a request was not answered in time, as when a text encoder elsewhere does not answer.",
  },
  RLRF_SERVE_LLM: {
    exit: 1,
    summary: "The process in which a served model's LLM writes ended or was too slow; requests go on with the next source of texts.",
  },
  RLRF_SERVE_ADDRESS: { exit: 1, summary: "The address that was to be served on is taken, or is none of this machine's." },
  RLRF_USAGE: { exit: 2, summary: "A command was called with arguments that it cannot use." },
  RLRF_SPEC_FILE: { exit: 2, summary: "A spec cannot be read, or is too large." },
  RLRF_JSON: { exit: 2, summary: "Malformed JSON, a forbidden or repeated key, or nesting that is too deep; with line and column." },
  RLRF_SPEC_EXTENDS: { exit: 2, summary: "`extends` runs in a circle, or is not the path of a spec." },
  RLRF_SPEC_SET: { exit: 2, summary: "A `--set path=value` does not fit the spec." },
  RLRF_SPEC_FAULTS: { exit: 2, summary: "Several faults in one spec; each is listed with a code of its own." },
  RLRF_SPEC_UNKNOWN_KEY: { exit: 2, summary: "A key that the spec or a plugin's options do not have." },
  RLRF_SPEC_MISSING: { exit: 2, summary: "A section or option that has to be there is missing." },
  RLRF_SPEC_TYPE: { exit: 2, summary: "A value of the wrong type." },
  RLRF_SPEC_VALUE: { exit: 2, summary: "A value of the right type that is not allowed." },
  RLRF_SPEC_CONFLICT: { exit: 2, summary: "Sections that do not fit each other." },
  RLRF_SWEEP_HERE: { exit: 2, summary: "A spec with a sweep was given where one experiment is asked for." },
  RLRF_SWEEP_FAILED: { exit: 1, summary: "Trials of a sweep failed; each is listed with its own error, all others were done." },
  RLRF_SWEEP_FILE: { exit: 2, summary: "A sweep's sweep.json is not in its form." },
  RLRF_RESULT_FILE: { exit: 1, summary: "A run's result.json is missing, or is not in its form." },
  RLRF_SPEC_SECRET: { exit: 2, summary: "A secret stands in the spec, or the environment variable that it names is not set." },
  RLRF_REGISTRY_FILE: { exit: 2, summary: "A manifest of plugins cannot be read or is not in its form." },
  RLRF_PLUGIN_UNKNOWN: { exit: 2, summary: "No plugin of this kind has this name." },
  RLRF_PLUGIN_KIND: { exit: 2, summary: "There is no such kind of plugin." },
  RLRF_PLUGIN_VERSION: { exit: 2, summary: "The registered version of a plugin is not in the range asked for, or the range is malformed." },
  RLRF_PLUGIN_DUPLICATE: { exit: 2, summary: "Two manifests register a plugin of the same kind and name." },
  RLRF_PLUGIN_SCHEMA: { exit: 2, summary: "A plugin's options schema is not a valid JSON Schema." },
  RLRF_PLUGIN_IMPORT: { exit: 1, summary: "A plugin's module cannot be imported." },
  RLRF_PLUGIN_STALE: { exit: 1, summary: "The registry does not describe the plugin as it is: compile it and run `npm run registry`." },
  RLRF_PLUGIN_INJECTION: { exit: 1, summary: "A plugin's constructor asks for something that the kernel does not give." },
  RLRF_PLUGIN_CONSTRUCTOR: { exit: 1, summary: "A plugin's constructor threw." },
  RLRF_PLUGIN_DISPOSE: { exit: 1, summary: "Plugins failed while they were disposed of." },
  RLRF_PACKAGE_LOCK: { exit: 2, summary: "registry/lock.json, or what a run recorded of it, cannot be read or is not in its form." },
  RLRF_PACKAGE_UNKNOWN: { exit: 2, summary: "The project uses no package of this name, or a registry has none." },
  RLRF_PACKAGE_FETCH: { exit: 1, summary: "A package could not be had: from npm, git, a registry, a folder or a tarball." },
  RLRF_PACKAGE_ARCHIVE: { exit: 2, summary: "A package's tarball is damaged, too large, or holds links." },
  RLRF_PACKAGE_FORM: { exit: 2, summary: "A package is not in the form that packages of plugins have." },
  RLRF_PACKAGE_PATH: { exit: 2, summary: "A package names a path outside its own folder." },
  RLRF_PACKAGE_NAME: { exit: 2, summary: "A package declares a plugin under a name that is not its own, and would shadow another." },
  RLRF_PACKAGE_FRAMEWORK: { exit: 2, summary: "A package is made for another version of the framework." },
  RLRF_PACKAGE_UNTRUSTED: { exit: 2, summary: "registry/trust.json has no rule that lets a package be loaded." },
  RLRF_PACKAGE_SIGNATURE: { exit: 2, summary: "A package has to be signed, and is not, or not by a key that counts." },
  RLRF_PACKAGE_INTEGRITY: { exit: 2, summary: "A package is not, to the byte, what was locked; none of its code was loaded." },
  RLRF_PACKAGE_MISSING: { exit: 2, summary: "A locked package is not in this folder yet." },
  RLRF_PACKAGE_UNLOCKED: { exit: 2, summary: "`--frozen`: a plugin of the spec comes from nothing that is locked." },
  RLRF_TRUST_FILE: { exit: 2, summary: "registry/trust.json cannot be read or is not in its form." },
  RLRF_KEY_FILE: { exit: 2, summary: "A private key to sign packages with cannot be read, or would be overwritten." },
  RLRF_TRY_IMPURE: { exit: 2, summary: "`rlrf try` takes pure plugins: losses, sampling strategies and metric rewards." },
  RLRF_TRY_INPUT: { exit: 2, summary: "The input of `rlrf try` is not of the form that the plugin's kind takes." },
  RLRF_ENGINE_UNKNOWN: { exit: 2, summary: "The tensor engine asked for is none of auto, tensorflow, wasm and cpu." },
  RLRF_ENGINE_UNAVAILABLE: { exit: 1, summary: "The tensor engine that was forced cannot start on this machine." },
  RLRF_ENGINE_THREADS: { exit: 2, summary: "RLRF_THREADS is no number of threads." },
  RLRF_ENGINE_MEMORY: { exit: 1, summary: "A model needs more tensor memory than the engine can hold." },
  RLRF_ENGINE_SETUP: { exit: 1, summary: "TensorFlow could not be bound to this Node; what was tried is listed." },
  RLRF_PLAN_FILE: { exit: 2, summary: "A file of rates or prices for `rlrf plan` is not in its form." },
  RLRF_ASSET_CATALOGUE: { exit: 1, summary: "registry/assets.json does not follow its schema." },
  RLRF_ASSET_UNKNOWN: { exit: 2, summary: "No asset of that name is in registry/assets.json." },
  RLRF_ASSET_DAMAGED: { exit: 1, summary: "Warning: a file of an asset is missing or changed on disk; the asset is fetched again." },
  RLRF_ASSET_UNAVAILABLE: { exit: 1, summary: "An asset could not be had from any of its sources; what was tried is listed." },
  RLRF_LOCK_TIMEOUT: { exit: 1, summary: "Another process held a set-up lock for too long." },
  RLRF_COMMAND_FAILED: { exit: 1, summary: "A program that the set-up needs (python, pip, g++, …) failed, is missing or took too long." },
  RLRF_ARCHIVE_BAD: { exit: 1, summary: "A downloaded zip or wheel is damaged, or is not what it should be." },
  RLRF_TEXT_WIDTH: { exit: 2, summary: "A text encoder's vectors are not all of one width." },
  RLRF_TEXT_NOT_FINITE: { exit: 1, summary: "A text encoder gave a vector with NaN or infinity in it." },
  RLRF_TEXT_MODEL: { exit: 2, summary: "The files of a text encoder's model are missing or cannot be read." },
  RLRF_CHECKPOINT_MISSING: { exit: 2, summary: "There is no checkpoint of a language model at the path, or a file of it is missing." },
  RLRF_CHECKPOINT_BROKEN: { exit: 2, summary: "A checkpoint of a language model is damaged or contradicts itself; says where." },
  RLRF_CHECKPOINT_UNSUPPORTED: {
    exit: 2,
    summary:
      "A checkpoint has an architecture, number format, tokenizer or RoPE scaling that is not computed here, or is a GGUF file of several.",
  },
  RLRF_CHAT_TEMPLATE: { exit: 2, summary: "A checkpoint's chat template is missing, too long, fails, or does not come to an end." },
  RLRF_LLM_CONTEXT: { exit: 2, summary: "A prompt with its completion is longer than the language model's context." },
  RLRF_LLM_UNPREPARED: { exit: 1, summary: "A language model was asked for texts before it was prepared." },
  RLRF_LLM_CORPUS: { exit: 2, summary: "There are no texts that a language model could learn its language from." },
  RLRF_LLAMA_CPP: { exit: 1, summary: "llama.cpp does not start here, cannot load a model or an adapter, or fails at a batch." },
  RLRF_PEER_MISSING: { exit: 2, summary: "A plugin needs a package that users install themselves, and it is not there." },
  RLRF_PEER_VERSION: {
    exit: 2,
    summary: "A package that a plugin works with is installed in another version than the plugin was written for.",
  },
  RLRF_PEER_BROKEN: { exit: 1, summary: "A package that a plugin works with is installed, but cannot be imported." },
  RLRF_LLM_SAMPLER: {
    exit: 2,
    summary: "What samples in the place of the LLM is another model than the one that is tuned, or does not write with its adapter.",
  },
  RLRF_LORA_TARGET: { exit: 2, summary: "An adapter is asked for on projections that the decoder does not have, or on none." },
  RLRF_ADAPTER_NONE: { exit: 1, summary: "An adapter was to be exported where none is attached." },
  RLRF_ADAPTER_FILE: { exit: 2, summary: "A file of an adapter is missing, damaged or larger than any adapter of the model." },
  RLRF_ADAPTER_CONFIG: { exit: 2, summary: "An adapter's adapter_config.json says that it is something else than plain LoRA." },
  RLRF_ADAPTER_MISMATCH: { exit: 2, summary: "An adapter's tensors do not fit the model that was to take it over." },
  RLRF_LLM_HTTP_URL: {
    exit: 2,
    summary: "The base URL of an LLM server is malformed, holds credentials, or would show the key to a network.",
  },
  RLRF_LLM_HTTP_AUTH: { exit: 2, summary: "An LLM server does not accept the key, or asks for one." },
  RLRF_LLM_HTTP_MODEL: { exit: 2, summary: "An LLM server does not offer the model asked for; those that it offers are named." },
  RLRF_LLM_HTTP_REFUSED: { exit: 1, summary: "An LLM server refuses a request, and would refuse it again; with what it says." },
  RLRF_LLM_HTTP_ANSWER: {
    exit: 1,
    summary: "An LLM server kept giving answers that are not what was asked for: cut, no JSON, or too few texts.",
  },
  RLRF_LLM_HTTP_UNREACHABLE: { exit: 1, summary: "An LLM server cannot be reached or keeps failing; every finished text is kept." },
  RLRF_LLM_HTTP_CUTS: {
    exit: 1,
    summary: "Warning: an LLM server may cut what it samples by a top-k or min-p of its own, where the spec turns them off.",
  },
  RLRF_LLM_HTTP_ADAPTER: { exit: 1, summary: "An LLM server does not load a tuned adapter." },
  RLRF_REPLAY_FILE: { exit: 2, summary: "A file of texts to be replayed cannot be read, or a line of it is not in its form." },
  RLRF_REPLAY_MISSING: { exit: 2, summary: "The texts to be replayed have none, or too few, for some users." },
  RLRF_TUNER_ELSEWHERE: {
    exit: 1,
    summary: "A tuning waits for its adapter, which is to be made on another machine; the message says how.",
  },
  RLRF_RAY_ADDRESS: { exit: 2, summary: "The executor ray has no address, or one that is no URL of Ray's Jobs API." },
  RLRF_RAY_REFUSED: { exit: 1, summary: "A Ray cluster refuses a request, or what answers at its address is something else." },
  RLRF_RAY_UNREACHABLE: {
    exit: 1,
    summary: "A Ray cluster did not answer for longer than `patience`; every finished unit of work is kept.",
  },
  RLRF_UNIT_GIVEN: { exit: 1, summary: "What a unit of work is given is not in the store of the machine that it runs on." },
  RLRF_UNIT_DIFFERS: {
    exit: 1,
    summary: "The machine that a unit of work runs on has other data, plugins or another engine than the one that asks for it.",
  },
  RLRF_RUN_SILENT: { exit: 1, summary: "The driver of a run has not answered `rlrf cancel` in time; it ends when it looks again." },
  RLRF_RUN_CANCELLED: { exit: 1, summary: "A run was cancelled with `rlrf cancel`, or one of its jobs was stopped; what is done is kept." },
  RLRF_UNIT_LOST: {
    exit: 1,
    summary: "A unit of work ended again and again without saying why: its process was killed, or its machine was lost.",
  },
  RLRF_ALIGN_NAN: { exit: 1, summary: "Tuning diverged: a loss or gradient is not a finite number; the last good adapter is kept." },
  RLRF_ALIGN_EMPTY: { exit: 1, summary: "There are no examples to tune on." },
  RLRF_DATA_FILE: { exit: 2, summary: "A dataset's file is missing or cannot be read." },
  RLRF_DATA_COLUMNS: { exit: 2, summary: "A dataset's file does not have the columns that its format promises." },
  RLRF_DATA_ROW: { exit: 2, summary: "A dataset's file has bad rows; with file and line." },
  RLRF_DATA_RECORDS: {
    exit: 2,
    summary: "None of a dataset's records of items or users has the id of one that interacts; as a warning: most of those have no record.",
  },
  RLRF_DATA_EMPTY: { exit: 2, summary: "No interactions, no user from whom a list can be cut, or nothing relevant in any list." },
  RLRF_DATA_FIELDS: {
    exit: 2,
    summary: "No item has a field that an aspect of the prompt is answered from; those that items have are named.",
  },
  RLRF_DATA_TABLES: { exit: 1, summary: "A dataset plugin filled its tables against its contract." },
  RLRF_DATA_PARTS: { exit: 2, summary: "Too few users for the split, folds, align or held-out share asked for." },
  RLRF_DATA_LEAK: { exit: 1, summary: "The prepared data would let an answer leak; names the list or user." },
  RLRF_DATA_DATABASE: { exit: 1, summary: "DuckDB failed." },
  RLRF_COMPARE_FILE: {
    exit: 2,
    summary: "A file of a run that is compared is not in its form, or contradicts another; with file and line.",
  },
  RLRF_COMPARE_LISTS: { exit: 2, summary: "The runs that are compared did not score the same lists of the same users." },
  RLRF_REPORT_FILE: { exit: 2, summary: "A file of a run that is reported on is not in its form; with file and line." },
  RLRF_REPORT_PAGE: {
    exit: 1,
    summary: "The scripts of the report's page are missing or cannot be put into one file; `npm run build` compiles them.",
  },
  RLRF_METRIC_NAME: { exit: 2, summary: "A metric is not of the form ndcg@K or map@K, or none of the runs that are asked about has it." },
  RLRF_METRIC_NAN: { exit: 1, summary: "A score to be ranked is not a number." },
  RLRF_ALIGN_REJECTED: {
    exit: 1,
    summary: "A warning: an iteration did not raise the sampled reward of held-out users, and its policy was dropped.",
  },
  RLRF_REWARD_DEAF: {
    exit: 1,
    summary: "The recommender's ranking does not depend on what the users' texts say, so its reward would be noise.",
  },
  RLRF_REWARD_FLAT: { exit: 1, summary: "No preference example came out of the sampled texts: there is nothing to tune on." },
  RLRF_TRAIN_NAN: { exit: 1, summary: "A loss or a gradient became infinite or not a number; the last good state was kept." },
} as const satisfies Record<string, { exit: 1 | 2; summary: string }>;

export type ErrorCode = keyof typeof errorCodes;

export interface Fault {
  readonly message: string;
  /** File, and line or JSON pointer. */
  readonly where?: string;
  readonly expected?: string;
  /** What to do now. */
  readonly hint?: string;
}

/** What every foreseen failure is thrown as: says where, what was expected, and what to do. */
export class RlrfError extends Error {
  override readonly name = "RlrfError";
  constructor(
    readonly code: ErrorCode,
    readonly fault: Fault,
    options?: { readonly cause?: unknown },
  ) {
    super(formatFault(code, fault), options);
  }
  get exit(): 1 | 2 {
    return errorCodes[this.code].exit;
  }
  /** All that `message` says but the code: for loggers, which tell that themselves. */
  get details(): string {
    return faultLines(this.fault);
  }
}

/** The lines in which every fault is shown. */
export function formatFault(code: ErrorCode, fault: Fault): string {
  return `${code}: ${faultLines(fault)}`;
}

export function faultLines({ message, where, expected, hint }: Fault): string {
  return [
    message,
    ...(where === undefined ? [] : [`  where     ${where}`]),
    ...(expected === undefined ? [] : [`  expected  ${expected}`]),
    ...(hint === undefined ? [] : [`  to do     ${hint}`]),
  ].join("\n");
}
