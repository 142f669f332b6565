/**
 * `node --import THIS program` appends the URL of every module that the program resolves to the file named by RLRF_TRACE.
 * The same file is the hook, which Node runs in a thread of its own.
 */
import { appendFileSync } from "node:fs";
import { register } from "node:module";
import { isMainThread } from "node:worker_threads";

interface Resolved {
  readonly url: string;
}
type Resolve = (specifier: string, context: object) => Promise<Resolved>;

const file = process.env.RLRF_TRACE ?? "";

export async function resolve(specifier: string, context: object, next: Resolve): Promise<Resolved> {
  const resolved = await next(specifier, context);
  appendFileSync(file, `${resolved.url}\n`);
  return resolved;
}

if (isMainThread) register(import.meta.url);
