/**
 * An adapter in PEFT's layout (https://huggingface.co/docs/peft, checkpoint format): adapter_config.json and adapter_model.safetensors,
 * whose matrices are [out, in] under the published names of the projections. What is read was written by others, and is not believed.
 */
import fs from "node:fs/promises";
import { join } from "node:path";
import type { AdapterState, LoraOptions } from "../contracts/llm.js";
import { RlrfError } from "../errors.js";
import { writeJson } from "../store/files.js";
import { readTensors, type StoredTensor, writeTensors } from "../store/tensors.js";
import type { DecoderConfig } from "./config.js";
import { fusedProjections, projectionNames, type ProjectionName, publishedProjection, turnedColumns } from "./published-names.js";

export interface Adapter {
  readonly options: LoraOptions;
  readonly state: AdapterState;
}

/** One of an adapter's matrices: its name in the adapter's state and in PEFT's file, its shape in the state. */
export interface AdapterMatrix {
  readonly layer: number;
  readonly projection: ProjectionName;
  readonly side: "A" | "B";
  readonly name: string;
  readonly published: string;
  /** A: [in, rank]; B: [rank, out]. PEFT's are the other way round. */
  readonly shape: readonly [number, number];
}

/** Every matrix that an adapter with these options has, in the order of the state. */
export function adapterMatrices(config: DecoderConfig, { rank, targets }: Pick<LoraOptions, "rank" | "targets">): readonly AdapterMatrix[] {
  const projections = Object.values(fusedProjections(config)).flatMap(({ inputs, parts }) =>
    parts.filter(({ name }) => targets.includes(name)).map(({ name, width }) => ({ name, inputs, width })),
  );
  return Array.from({ length: config.layers }, (_, layer) =>
    projections.flatMap(({ name: projection, inputs, width }) => {
      const matrix = (side: "A" | "B", shape: readonly [number, number]): AdapterMatrix => ({
        layer,
        projection,
        side,
        name: `layers.${layer}/${projection}.lora_${side}`,
        published: `base_model.model.${publishedProjection(layer, projection)}.lora_${side}.weight`,
        shape,
      });
      return [matrix("A", [inputs, rank]), matrix("B", [rank, width])];
    }),
  ).flat();
}

const configName = "adapter_config.json";
const weightsName = "adapter_model.safetensors";

/** @param baseModel what the adapter belongs to, for PEFT; null = not known by a name */
export async function writeAdapter(
  folder: string,
  config: DecoderConfig,
  { options, state }: Adapter,
  baseModel: string | null,
): Promise<void> {
  const tensors: Record<string, StoredTensor> = {};
  for (const { name, published, shape } of adapterMatrices(config, options)) {
    const [rows, columns] = shape;
    tensors[published] = { shape: [columns, rows], values: turnedColumns(valuesOf(state, name), rows, columns) };
  }
  await writeTensors(join(folder, weightsName), tensors);
  await writeJson(join(folder, configName), {
    peft_type: "LORA",
    task_type: "CAUSAL_LM",
    base_model_name_or_path: baseModel,
    r: options.rank,
    lora_alpha: options.alpha,
    lora_dropout: options.dropout,
    target_modules: projectionNames.filter((name) => options.targets.includes(name)),
    bias: "none",
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    modules_to_save: null,
    use_rslora: false,
    use_dora: false,
    rank_pattern: {},
    alpha_pattern: {},
  });
}

function valuesOf(state: AdapterState, name: string): Float32Array {
  const tensor = state[name];
  if (tensor === undefined) throw new RlrfError("RLRF_INTERNAL", { message: `the adapter's state has no ${name}` });
  return tensor.values;
}

/** @throws RLRF_ADAPTER_FILE, RLRF_ADAPTER_CONFIG, RLRF_ADAPTER_MISMATCH */
export async function readAdapter(folder: string, config: DecoderConfig): Promise<Adapter> {
  const options = await readOptions(join(folder, configName));
  const matrices = adapterMatrices(config, options);
  const path = join(folder, weightsName);
  const values = matrices.reduce((sum, { shape: [rows, columns] }) => sum + rows * columns, 0);
  await mustBeSmall(path, 8 * values + headerLimit); // as F64 at most
  const tensors = await readTensors(path).catch((cause: unknown) => {
    throw cause instanceof RlrfError ? fileFault(cause.fault.message, path, cause) : cause;
  });
  const known = new Map(matrices.map((matrix) => [matrix.published, matrix]));
  const strangers = Object.keys(tensors).filter((name) => !known.has(name));
  if (strangers.length > 0) throw mismatch(path, `the model has no place for ${some(strangers)}`, `${matrices.length} tensors of its own`);
  const state = matrices.map(({ name, published, shape: [rows, columns] }) => {
    const tensor = tensors[published];
    if (tensor === undefined)
      throw mismatch(path, `${published} is missing`, "A and B of every projection in target_modules, in every layer");
    if (tensor.shape.join() !== [columns, rows].join())
      throw mismatch(path, `${published} is [${tensor.shape}]`, `[${columns}, ${rows}], as the model and r = ${options.rank} ask for`);
    if (!(tensor.values instanceof Float32Array)) throw mismatch(path, `${published} holds no floats`, "F32, F16 or BF16");
    if (!tensor.values.every(Number.isFinite)) throw fileFault(`${published} holds a value that is not a finite number`, path);
    return [name, { shape: [rows, columns], values: turnedColumns(tensor.values, columns, rows) }] as const;
  });
  return { options, state: Object.fromEntries(state) };
}

/** Of a config, and of the header of the tensors. */
const headerLimit = 1 << 20;
const rankLimit = 4096;

/** What of PEFT's settings changes what an adapter computes, and the values under which it computes what ours does (PEFT 0.21.2). */
const plainLora: Readonly<Record<string, readonly unknown[]>> = {
  peft_type: ["LORA"],
  bias: ["none"],
  fan_in_fan_out: [false],
  use_rslora: [false],
  use_dora: [false],
  modules_to_save: [null],
  layers_to_transform: [null],
  layer_replication: [null],
  target_parameters: [null],
  trainable_token_indices: [null],
  exclude_modules: [null],
  lora_bias: [false],
  // The others train beside a base that was changed (pissa, olora, corda, lora_ga, loftq): onto the model as it is they do not fit.
  init_lora_weights: [true, false, "gaussian", "eva", "orthogonal", "mica"],
  use_qalora: [false],
  use_bdlora: [null],
  alora_invocation_tokens: [null],
  arrow_config: [null],
  kasa_config: [null],
  monteclora_config: [null],
  velora_config: [null],
};
const toPlainLora =
  "tune as plain LoRA; from pissa, olora, corda and lora_ga PEFT makes it: save_pretrained(…, path_initial_model_for_weight_conversion=…)";

async function readOptions(path: string): Promise<LoraOptions> {
  await mustBeSmall(path, headerLimit);
  let json: unknown;
  try {
    json = JSON.parse(await fs.readFile(path, "utf8"));
  } catch (cause) {
    throw fileFault(`${configName} is not JSON: ${(cause as Error).message}`, path, cause);
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw configFault(path, `${configName} is no object`, "an object");
  const entries = json as Readonly<Record<string, unknown>>;
  mustBePlain(path, entries);
  const { r, lora_alpha: alpha, lora_dropout: dropout = 0, target_modules: targets } = entries;
  if (entries.peft_type === undefined) throw configFault(path, "peft_type is missing", '"LORA"');
  if (!Number.isInteger(r) || (r as number) < 1 || (r as number) > rankLimit)
    throw configFault(path, `r is ${brief(r)}`, `a whole number from 1 to ${rankLimit}`);
  if (typeof alpha !== "number" || !(alpha > 0) || !Number.isFinite(alpha))
    throw configFault(path, `lora_alpha is ${brief(alpha)}`, "a number above 0");
  if (typeof dropout !== "number" || !(dropout >= 0 && dropout < 1))
    throw configFault(path, `lora_dropout is ${brief(dropout)}`, "a number from 0 to below 1");
  return { rank: r as number, alpha, dropout, targets: targetsOf(path, targets) };
}

function mustBePlain(path: string, entries: Readonly<Record<string, unknown>>): void {
  // An empty object, unlike an empty list, may turn a variant of LoRA on, with its defaults.
  const unset = (value: unknown) => Array.isArray(value) && isEmpty(value);
  for (const [key, allowed] of Object.entries(plainLora))
    if (Object.hasOwn(entries, key) && !allowed.includes(entries[key]) && !unset(entries[key]))
      throw configFault(path, `${key} is ${brief(entries[key])}`, `plain LoRA: ${key} = ${allowed.map(brief).join(" or ")}`, toPlainLora);
  for (const key of ["rank_pattern", "alpha_pattern"])
    if (Object.hasOwn(entries, key) && entries[key] !== null && !isEmpty(entries[key]))
      throw configFault(path, `${key} is ${brief(entries[key])}`, "one rank and one alpha for all projections");
}

function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

function targetsOf(path: string, targets: unknown): readonly ProjectionName[] {
  const expected = `a list of ${projectionNames.join(", ")}`;
  if (!Array.isArray(targets) || targets.length === 0 || targets.length > 1000)
    throw configFault(path, `target_modules is ${brief(targets)}`, expected);
  const unknown = targets.find((name) => !(projectionNames as readonly unknown[]).includes(name));
  if (unknown !== undefined) throw configFault(path, `target_modules names ${brief(unknown)}`, expected);
  return projectionNames.filter((name) => targets.includes(name));
}

/** Nothing is read before its size is known to be what an adapter of this model can have. */
async function mustBeSmall(path: string, limit: number): Promise<void> {
  const stat = await fs.stat(path).catch((cause: NodeJS.ErrnoException) => {
    throw fileFault(`it cannot be read (${cause.code})`, path, cause);
  });
  if (!stat.isFile()) throw fileFault("it is not a regular file", path);
  if (stat.size > limit) throw fileFault(`it has ${stat.size} bytes, an adapter of this model at most ${limit}`, path);
}

const brief = (value: unknown): string => String(JSON.stringify(value)).slice(0, 80);
const some = (names: readonly string[]): string => `${names.slice(0, 3).join(", ")}${names.length > 3 ? " …" : ""}`.slice(0, 300);

function fileFault(message: string, where: string, cause?: unknown): RlrfError {
  const hint = "export the adapter again, with PEFT's save_pretrained or policy.exportAdapter";
  return new RlrfError("RLRF_ADAPTER_FILE", { message, where, hint }, { cause });
}
function configFault(where: string, message: string, expected: string, hint?: string): RlrfError {
  return new RlrfError("RLRF_ADAPTER_CONFIG", { message, where, expected, ...(hint !== undefined && { hint }) });
}
function mismatch(where: string, message: string, expected: string): RlrfError {
  return new RlrfError("RLRF_ADAPTER_MISMATCH", { message, where, expected, hint: "is the adapter one of this very model?" });
}
