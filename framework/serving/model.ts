/**
 * A model that a run was promoted to: a folder of files, each named with size and sha256 by its model.json, whose form is
 * registry/model.schema.json. Whoever reads one believes nothing of it before it was checked.
 */
import { createHash } from "node:crypto";
import fs from "node:fs/promises";
import { dirname, join } from "node:path";
import { RlrfError } from "../errors.js";
import type { GenerationParameters } from "../contracts/llm.js";
import type { RatingScale } from "../contracts/dataset.js";
import type { Interval } from "../metrics/statistics.js";
import { parseJson } from "../spec/json.js";
import { registrySchema } from "../spec/registry-schema.js";
import { faultLine, validate } from "../spec/validate.js";
import { fileError, syncFolder, writeJson } from "../store/files.js";
import { hashFile, hashOf } from "../store/hash.js";
import { RangeFile } from "../store/ranges.js";
import { filesIn } from "../store/store.js";

export const descriptionName = "model.json";

/** Names of a model's files. */
export const modelFiles = {
  spec: "spec.json",
  items: "items.jsonl",
  itemVectors: "items.safetensors",
  texts: "texts.jsonl",
  textVectors: "texts.safetensors",
  probes: "probes.json",
  encoder: (seed: number) => `recommenders/${seed}.encoder.safetensors`,
  recommender: (seed: number) => `recommenders/${seed}.safetensors`,
  llmDescription: "llm/description.json",
  llmWeights: "llm/weights.safetensors",
  adapter: "adapter",
} as const;

/** What a file is at most: a reader allocates nothing for more. */
export const modelLimits = { description: 4 << 20, spec: 1 << 20, probes: 4 << 20, records: 1 << 30 } as const;

export interface FileEntry {
  readonly bytes: number;
  readonly sha256: string;
}

/** Which of the run's recommenders it is. */
export interface Chosen {
  readonly arm: string;
  /** Of its recommenders; the scores of several are averaged. */
  readonly seeds: readonly number[];
  /** "split": those that the run evaluated; a number: of that fold; "refit": fitted again, on the users of every fold. */
  readonly users: "split" | "refit" | number;
}

/** model.json */
export interface ModelDescription extends Chosen {
  readonly form: 1;
  readonly name: string;
  readonly run: string;
  readonly specHash: string;
  readonly listsDigest: string;
  readonly framework: string;
  readonly engine: string;
  /** Candidates a list in training. */
  readonly listLength: number;
  readonly ratingScale: RatingScale;
  readonly relevantAbove: number;
  /** Of the text encoder's vectors; null for a recommender that hears no text. */
  readonly textWidth: number | null;
  /** Whether users have a voice: false for `id-only` and `item-only`. */
  readonly hearsUsers: boolean;
  /** How a text is written for a user who has none; null where no LLM writes (`metadata`). */
  readonly llm: { readonly adapter: string | null; readonly generation: GenerationParameters } | null;
  /** What it was made with, by section of the spec. */
  readonly plugins: Readonly<Record<string, { readonly plugin: string; readonly version: string; readonly sha256: string }>>;
  /** The run's figures of every arm, and those of these very recommenders on the same lists; null where no such lists are left to them. */
  readonly figures: {
    readonly arms: Readonly<Record<string, Readonly<Record<string, Interval>>>>;
    readonly model: Readonly<Record<string, number>> | null;
  };
  readonly files: Readonly<Record<string, FileEntry>>;
}

/** A model whose files are what its description says. */
export interface Model {
  readonly folder: string;
  /** sha256 of model.json, and so of everything. */
  readonly digest: string;
  /** model.json as it stands. */
  readonly text: string;
  readonly description: ModelDescription;
  /** The path of a file that the description names; null when it names none such. */
  file(name: string): string | null;
}

/** Names every file of a folder in its model.json. @returns the digest of the model */
export async function sealModel(folder: string, description: Omit<ModelDescription, "files">): Promise<string> {
  const files: Record<string, FileEntry> = {};
  for (const name of (await filesIn(folder)).filter((name) => name !== descriptionName)) {
    const path = join(folder, name);
    files[name] = { bytes: (await fs.stat(path)).size, sha256: await hashFile(path) };
  }
  for (const inner of new Set(Object.keys(files).map((name) => dirname(join(folder, name))))) await syncFolder(inner);
  const path = join(folder, descriptionName);
  await writeJson(path, { ...description, files });
  return hashFile(path);
}

/** @throws RLRF_MODEL_BROKEN, RLRF_MODEL_UNKNOWN, RLRF_JSON */
export async function openModel(folder: string): Promise<Model> {
  const path = join(folder, descriptionName);
  const text = await fs.stat(path).then(
    () => readBounded(path, modelLimits.description),
    (cause: unknown) => {
      throw new RlrfError("RLRF_MODEL_UNKNOWN", {
        message: `there is no model in ${folder}`,
        where: path,
        expected: `a folder with ${descriptionName} in it, or models:/NAME/VERSION with --from URI`,
        hint: "`rlrf promote RUN NAME --out FOLDER` makes one",
      }, { cause }); // biome-ignore format: one fault
    },
  );
  const description = await parseDescription(text, path);
  await mustMatch(folder, description);
  const file = (name: string) => (Object.hasOwn(description.files, name) ? join(folder, name) : null);
  return { folder, digest: createHash("sha256").update(text).digest("hex"), text, description, file };
}

/** model.json as anybody may have written it. @throws RLRF_MODEL_BROKEN, RLRF_JSON */
export async function parseDescription(text: string, where: string): Promise<ModelDescription> {
  const schema = await registrySchema("model");
  const { value } = parseJson(text, where);
  const [fault] = validate(schema, value, "the file");
  if (fault !== undefined) throw broken(where, faultLine(fault), fault.expected);
  return value as unknown as ModelDescription;
}

async function mustMatch(folder: string, { files }: ModelDescription): Promise<void> {
  for (const [name, { bytes, sha256 }] of Object.entries(files)) {
    const path = join(folder, name);
    const found = await fs.lstat(path).catch(() => null);
    if (found === null || !found.isFile()) throw broken(path, found === null ? "the file is missing" : "it is no regular file");
    if (found.size !== bytes) throw broken(path, `it has ${found.size} bytes`, `${bytes}, as ${descriptionName} says`);
    if ((await hashFile(path)) !== sha256) throw broken(path, "its content is not what was promoted", `sha256 ${sha256}`);
  }
}

/** A whole small file, which is refused before it is read when it is larger. @throws RLRF_MODEL_BROKEN, RLRF_FILE_… */
export async function readBounded(path: string, limit: number): Promise<string> {
  const file = await RangeFile.open(path, () => broken(path, "it is no regular file"));
  try {
    if (file.size > limit) throw broken(path, `it has ${file.size} bytes`, `at most ${limit}`);
    const bytes = await file.read(0, file.size, (end) => broken(path, `it ends at byte ${end}`));
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw error instanceof TypeError ? broken(path, "it is not UTF-8") : fileError(error, path, "read");
  } finally {
    await file.close();
  }
}

/** Makes an error of whatever a damaged or lying file leads to. */
export function broken(where: string, message: string, expected?: string, cause?: unknown): RlrfError {
  const hint = "promote the run again, or fetch the model anew";
  return new RlrfError("RLRF_MODEL_BROKEN", { message, where, hint, ...(expected === undefined ? {} : { expected }) }, { cause });
}

/** The name under which a text of a knowledge window is kept: users with the same window are described alike. */
export function windowKey(prompt: unknown): string {
  return hashOf(prompt);
}
