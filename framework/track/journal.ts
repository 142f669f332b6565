/** runs/ID/journal.jsonl: what a run tells of itself, kept on disk before anything else happens to it. */
import { randomUUID } from "node:crypto";
import fs from "node:fs"; // the default export, so that tests can make one call fail
import { dirname } from "node:path";
import type { Logger } from "../contracts/plugin.js";
import { isObject } from "../spec/origins.js";
import { fileError, linesOf } from "../store/files.js";
import type { JournalEvent } from "./events.js";

export const journalName = "journal.jsonl";

/** The run that a journal is of. */
export interface RootRun {
  readonly name: string;
  /** MLflow's. */
  readonly experiment: string;
  /** Default "experiment", or "trial" for the child of a sweep. */
  readonly kind?: string | undefined;
  /** PARENT/NAME where it is the child of a run with a journal of its own; a random one otherwise. */
  readonly key?: string | undefined;
}

/** An event without its time. */
export type NewEvent = JournalEvent extends infer Event ? (Event extends JournalEvent ? Omit<Event, "time"> : never) : never;

/**
 * Appends events. Each is written before `append` returns (some microseconds, no sync, no network), so kill -9 loses none of them.
 * A resumed run tells again what it told before; what the journal has already is left out.
 */
export class Journal {
  /** The key of the experiment's own run: a journal keeps it for life. */
  readonly key: string;
  private readonly known = new Map<string, string>();
  private readonly descriptor: number;
  private position: number;

  /** @throws RLRF_DISK_FULL, RLRF_FILE_DENIED */
  constructor(
    readonly path: string,
    run: RootRun,
  ) {
    try {
      fs.mkdirSync(dirname(path), { recursive: true });
      this.descriptor = fs.openSync(path, "a+");
      const text = fs.readFileSync(path, "utf8");
      const whole = text.slice(0, text.lastIndexOf("\n") + 1);
      this.position = Buffer.byteLength(whole, "utf8");
      // A line torn by a kill: whoever wrote it did not get to the next statement, and will tell it again.
      if (whole.length < text.length) fs.ftruncateSync(this.descriptor, this.position);
      for (const event of parseLines(whole)) this.remember(event);
    } catch (error) {
      throw fileError(error, path, "write");
    }
    const key = this.known.get(rootSlot);
    this.key = key ?? run.key ?? randomUUID();
    if (key === undefined) {
      const end = this.key.lastIndexOf("/");
      const [parent, name] = end < 0 ? [null, run.name] : [this.key.slice(0, end), this.key.slice(end + 1)];
      this.append({
        event: "run",
        key: this.key,
        name,
        kind: run.kind ?? (parent === null ? "experiment" : "trial"),
        parent,
        experiment: run.experiment,
      });
    } else this.append({ event: "resume", key });
  }

  append(event: NewEvent): void {
    const news = this.newsOf(event);
    if (news === null) return;
    const stamped = { ...news, time: Date.now() } as JournalEvent;
    const bytes = Buffer.from(`${JSON.stringify(stamped)}\n`, "utf8");
    try {
      for (let done = 0; done < bytes.length; ) done += fs.writeSync(this.descriptor, bytes, done);
      this.position += bytes.length;
    } catch (error) {
      // Part of the line may be there; the next must not be joined to it.
      try {
        fs.ftruncateSync(this.descriptor, this.position);
      } catch {
        // The disk is what failed: the first error says so.
      }
      throw fileError(error, this.path, "write");
    }
    this.remember(stamped);
  }

  close(): void {
    try {
      fs.fsyncSync(this.descriptor);
    } catch (error) {
      throw fileError(error, this.path, "write");
    } finally {
      fs.closeSync(this.descriptor);
    }
  }

  /** What of the event the journal does not have yet, or null. */
  private newsOf(event: NewEvent): NewEvent | null {
    const news = slotsOf(event).filter(([slot, value]) => this.known.get(slot) !== value);
    if (event.event === "artifact" || event.event === "resume") return event; // a file may have changed under its name
    if (news.length === 0) return null;
    if (event.event === "params") return { ...event, params: pick(event.params, news) };
    if (event.event === "metrics") return { ...event, metrics: pick(event.metrics, news) };
    if (event.event === "tags") return { ...event, tags: pick(event.tags, news) };
    return event;
  }

  private remember(event: NewEvent): void {
    for (const [slot, value] of slotsOf(event)) this.known.set(slot, value);
  }
}

const rootSlot = "root";

function isRoot({ parent, experiment }: { readonly parent: string | null; readonly experiment?: string }): boolean {
  return parent === null || experiment !== undefined;
}

type Slot = readonly [slot: string, value: string, name: string];

/** Where each value of an event belongs: a later value for the same slot is news only if it differs. */
function slotsOf(event: NewEvent): Slot[] {
  const { key } = event;
  const each = (values: Readonly<Record<string, unknown>>, kind: string): Slot[] =>
    Object.entries(values).map(([name, value]) => [JSON.stringify([key, kind, name]), JSON.stringify(value), name]);
  switch (event.event) {
    case "run":
      return [[JSON.stringify([key]), "run", ""], ...(isRoot(event) ? [[rootSlot, key, ""] as const] : [])];
    case "resume":
      return [[JSON.stringify([key, "status"]), "RUNNING", ""]];
    case "finish":
      return [[JSON.stringify([key, "status"]), event.status, ""]];
    case "params":
      return each(event.params, "param");
    case "tags":
      return each(event.tags, "tag");
    case "metrics":
      return each(event.metrics, `metric ${event.step}`);
    case "artifact":
      return [];
  }
}

function pick<Value>(values: Readonly<Record<string, Value>>, slots: readonly Slot[]): Record<string, Value> {
  return Object.fromEntries(slots.map(([, , name]) => [name, values[name] as Value]));
}

function* parseLines(text: string): Generator<JournalEvent> {
  for (const line of text.split("\n")) {
    const event = parseEvent(line);
    if (event !== null) yield event;
  }
}

/** Enough of a check that what reads the journal does not stumble; the schema says the rest. */
export function parseEvent(line: string): JournalEvent | null {
  try {
    const event = JSON.parse(line) as Fields | null;
    if (event === null || !isText(event.key) || !isTime(event.time) || !Object.hasOwn(holds, String(event.event))) return null;
    return holds[event.event as JournalEvent["event"]](event) ? (event as unknown as JournalEvent) : null;
  } catch {
    return null;
  }
}

type Fields = Readonly<Record<string, unknown>>;

/** What each event is of. */
const holds: Readonly<Record<JournalEvent["event"], (event: Fields) => boolean>> = {
  run: ({ name, kind, parent }) => isText(name) && isText(kind) && (parent === null || isText(parent)),
  resume: () => true,
  params: ({ params }) => isObject(params),
  metrics: ({ step, metrics }) => Number.isSafeInteger(step) && isObject(metrics),
  tags: ({ tags }) => isObject(tags) && Object.values(tags).every(isText),
  artifact: ({ path }) => isText(path),
  finish: ({ status }) => isText(status),
};

function isText(value: unknown): value is string {
  return typeof value === "string";
}

/** Of which there is a date. */
function isTime(time: unknown): boolean {
  return Number.isSafeInteger(time) && Math.abs(time as number) <= 8.64e15;
}

/** All of a journal's whole lines; what is no event is left out. @throws RLRF_FILE_MISSING */
export async function readJournal(path: string): Promise<readonly JournalEvent[]> {
  const events: JournalEvent[] = [];
  for await (const { text, ended } of linesOf(path)) {
    const event = ended ? parseEvent(text) : null;
    if (event !== null) events.push(event);
  }
  return events;
}

/** Reads a journal while it is being written. */
export class JournalReader {
  /** Bytes that were read and committed. */
  private offset = 0;
  private warned = false;

  constructor(
    readonly path: string,
    private readonly logger: Logger,
  ) {}

  /**
   * The next events, at most `limit`, whole lines only; `commit` makes the following call go on behind them, and until then it gives the same ones.
   * @throws RLRF_FILE_MISSING
   */
  async next(limit: number): Promise<{ readonly events: readonly JournalEvent[]; readonly more: boolean; commit(): void }> {
    const events: JournalEvent[] = [];
    let { offset } = this;
    let bad = 0;
    let more = false;
    for await (const line of linesOf(this.path, this.offset)) {
      if (!line.ended) break;
      if (events.length >= limit) {
        more = true;
        break;
      }
      const event = parseEvent(line.text);
      if (event === null) bad++;
      else events.push(event);
      offset = line.end;
    }
    if (bad > 0 && !this.warned) {
      this.warned = true;
      this.logger.warn("RLRF_JOURNAL_BROKEN", `${this.path}: ${bad} line(s) that are no events were left out`);
    }
    const commit = () => {
      this.offset = offset;
    };
    return { events, more, commit };
  }
}
