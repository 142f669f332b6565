import { existsSync } from "node:fs";
import fs from "node:fs/promises";
import { join } from "node:path";
import { RlrfError } from "../../errors.js";
import { fileError } from "../../store/files.js";
import type { Checkpoint } from "./checkpoint.js";
import { openFolder } from "./folder-checkpoint.js";
import { openGguf } from "./gguf-checkpoint.js";

/**
 * Opens a published model: a .gguf file, a folder that holds one, or a folder in Hugging Face's layout.
 * @throws RLRF_CHECKPOINT_MISSING, RLRF_CHECKPOINT_BROKEN, RLRF_CHECKPOINT_UNSUPPORTED, RLRF_FILE_…
 */
export async function openCheckpoint(path: string): Promise<Checkpoint> {
  const file = await ggufFile(path);
  return file === null ? openFolder(path) : openGguf(file);
}

/** The .gguf file that the path names, or whose folder it names; null where that is in Hugging Face's layout. @throws RLRF_CHECKPOINT_MISSING, RLRF_FILE_… */
export async function ggufFile(path: string): Promise<string | null> {
  if (path.endsWith(".gguf")) return path;
  if (existsSync(join(path, "config.json"))) return null;
  const names = await fs.readdir(path).catch((error) => {
    throw existsSync(path) ? missing(path, "this is neither a .gguf file nor a folder") : fileError(error, path, "read");
  });
  const files = names.filter((name) => name.endsWith(".gguf"));
  const [file] = files;
  if (file !== undefined && files.length === 1) return join(path, file);
  throw missing(path, files.length > 1 ? `the folder holds ${files.length} .gguf files: name one of them` : "the folder holds no model");
}

function missing(where: string, message: string): RlrfError {
  return new RlrfError("RLRF_CHECKPOINT_MISSING", {
    message,
    where,
    expected: "a .gguf file, a folder with one, or a folder with config.json, tokenizer.json and model.safetensors",
  });
}
