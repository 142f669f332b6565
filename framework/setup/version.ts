import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "./paths.js";

let own: string | undefined;

/** As package.json has it. */
export function frameworkVersion(): string {
  own ??= (JSON.parse(readFileSync(join(packageRoot, "package.json"), "utf8")) as { version: string }).version;
  return own;
}
