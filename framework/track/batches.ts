import { RlrfError } from "../errors.js";
import { type Batch, batchLimits, type MlflowClient, type MlflowMetric, type MlflowParam } from "./mlflow.js";
import type { MlflowTag } from "./model-registry.js";

export type Entry =
  | { readonly kind: "tags"; readonly value: MlflowTag }
  | { readonly kind: "params"; readonly value: MlflowParam }
  | { readonly kind: "metrics"; readonly value: MlflowMetric };

export interface Refusal {
  readonly run: string;
  readonly kind: Entry["kind"] | "artifacts";
  readonly name: string;
  readonly message: string;
}

/** Bytes of a request besides its entries. */
const envelopeBytes = 500;

/** Cuts entries, in order, into as few calls as the limits of the API allow. */
export function* batchesOf(entries: readonly Entry[]): Generator<Entry[]> {
  let batch: Entry[] = [];
  let count = { tags: 0, params: 0, metrics: 0 };
  let bytes = envelopeBytes;
  for (const entry of entries) {
    const size = Buffer.byteLength(JSON.stringify(entry.value), "utf8") + 1;
    const full = count[entry.kind] >= batchLimits[entry.kind] || batch.length >= batchLimits.total || bytes + size > batchLimits.bytes;
    if (full && batch.length > 0) {
      yield batch;
      batch = [];
      count = { tags: 0, params: 0, metrics: 0 };
      bytes = envelopeBytes;
    }
    batch.push(entry);
    count[entry.kind]++;
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}

/**
 * Logs one batch. When it is refused it is halved until the offending entries stand alone: all others are logged, these are returned.
 * @throws RunGone
 */
export async function logEntries(
  client: MlflowClient,
  run: { readonly id: string; readonly key: string },
  entries: readonly Entry[],
): Promise<Refusal[]> {
  try {
    await unlessGone(client, run.id, () => client.logBatch(run.id, toBatch(entries)));
    return [];
  } catch (error) {
    const [first] = entries;
    if (!(error instanceof RlrfError) || error.code !== "RLRF_TRACK_REFUSED" || first === undefined) throw error;
    if (entries.length === 1) return [{ run: run.key, kind: first.kind, name: first.value.key, message: error.fault.message }];
  }
  const middle = entries.length >> 1;
  return [...(await logEntries(client, run, entries.slice(0, middle))), ...(await logEntries(client, run, entries.slice(middle)))];
}

/** The run was deleted on the server, or the server lost its data: what was sent before has to be sent again. */
export class RunGone extends Error {}

/** Does something to a run; a refusal because the run is not there (any more) is told apart. @throws RunGone */
export async function unlessGone(client: MlflowClient, runId: string, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (error instanceof RlrfError && error.code === "RLRF_TRACK_REFUSED") {
      const found = await client.getRun(runId);
      if (found === null || found.info.lifecycle_stage === "deleted")
        throw new RunGone(`run ${runId} is not on the server any more`, { cause: error });
    }
    throw error;
  }
}

function toBatch(entries: readonly Entry[]): Batch {
  const batch = { metrics: [] as MlflowMetric[], params: [] as MlflowParam[], tags: [] as MlflowTag[] };
  for (const entry of entries) {
    if (entry.kind === "metrics") batch.metrics.push(entry.value);
    else batch[entry.kind].push(entry.value);
  }
  return batch;
}

/** For people: each refused entry on a line, the first ten of them. */
export function refusalLines(refused: readonly Refusal[]): string[] {
  const shown = refused.slice(0, 10).map(({ run, kind, name, message }) => `${kind.slice(0, -1)} "${name}" of ${run}: ${message}`);
  return refused.length > shown.length ? [...shown, `and ${refused.length - shown.length} more`] : shown;
}
