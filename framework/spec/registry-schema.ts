/** The forms of the files that others read and write: registry/NAME.schema.json. */
import { join } from "node:path";
import { packageRoot } from "../setup/paths.js";
import { readJson } from "../store/files.js";

const schemas = new Map<string, Promise<object>>();

/** The same object for the same name, so that `validate` compiles it once. @param name "result", "scores", … */
export function registrySchema(name: string): Promise<object> {
  const known = schemas.get(name);
  if (known !== undefined) return known;
  const schema = readJson<object>(join(packageRoot, "registry", `${name}.schema.json`));
  schemas.set(name, schema);
  return schema;
}
