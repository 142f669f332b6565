/** What a plan counts with: how fast a machine does each kind of work, what its data are like, what its hours cost. */
import { RlrfError } from "../errors.js";
import { parseJson } from "../spec/json.js";
import { registrySchema } from "../spec/registry-schema.js";
import { faultLine, validate } from "../spec/validate.js";
import { fileError, readAtMost } from "../store/files.js";

/** Kinds of work; registry/rates.schema.json says what each is counted in. */
export const works = [
  "interactions",
  "texts",
  "promptTokens",
  "completionTokens",
  "trainedTokens",
  "fittedSequences",
  "fittedLists",
  "scoredLists",
  "comparedUsers",
] as const;
export type Work = (typeof works)[number];

export interface Rate {
  /** Of one worker. */
  readonly perSecond: number;
  readonly device: "cpu" | "gpu";
}

/** What a user of the data brings along, on average. */
export interface Sizes {
  readonly items: number;
  readonly interactionsPerUser: number;
  readonly listsPerUser: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Of a text vector. */
  readonly width: number;
}

/** The form of registry/rates.schema.json. */
export interface Rates {
  readonly measured?: { readonly at: string; readonly spec: string; readonly machine: string; readonly engine: string };
  readonly sizes: Sizes;
  /** Seconds before a worker begins: its process with its engine; the LLM where it is loaded or trained for the first time, and where it is had again. */
  readonly startup: { readonly process: number; readonly languageModel: number; readonly again: number };
  readonly rates: Readonly<Partial<Record<Work, Rate>>>;
}

/** The form of registry/prices.schema.json. */
export interface Prices {
  readonly currency: string;
  readonly gpuHour: number;
  readonly cpuHour: number;
  readonly gigabyteMonth: number;
}

const maxBytes = 1 << 20;
/** Of a file that is something else the first faults say enough. */
const shownFaults = 5;

/** @throws RLRF_FILE_MISSING, RLRF_JSON, RLRF_PLAN_FILE with every fault */
export async function readPlanFile<Form>(path: string, form: "rates" | "prices"): Promise<Form> {
  const text = await readAtMost(path, maxBytes).catch((error: unknown) => {
    throw fileError(error, path, "read");
  });
  if (text === null) throw wrong(path, `it has more than ${maxBytes} bytes, which no such file needs`);
  const { value } = parseJson(text.toString("utf8"), path);
  const schema = await registrySchema(form);
  const faults = validate(schema, value, "the file");
  if (faults.length > 0) {
    const shown = faults.slice(0, shownFaults).map((fault) => `${faultLine(fault)}${fault.expected ? ` (${fault.expected})` : ""}`);
    const more = faults.length > shownFaults ? [`and ${faults.length - shownFaults} more`] : [];
    throw wrong(path, [`it is no file of ${form}:`, ...shown, ...more].join("\n    "));
  }
  return value as Form;
}

function wrong(where: string, message: string): RlrfError {
  const hint = "`rlrf bench SPEC --out FILE` measures rates; registry/rates.schema.json and registry/prices.schema.json are the forms";
  return new RlrfError("RLRF_PLAN_FILE", { message, where, hint });
}
