/** The units of a run, or the trials of a sweep, as whoever sees the store finds them: waiting, running, done or failed, and why an attempt was lost. */
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import fs from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join, resolve } from "node:path";
import type { PluginReference } from "../spec/types.js";
import type { UnitChange, UnitState } from "../contracts/executor.js";
import { RlrfError } from "../errors.js";
import { fileError, makeFolder } from "../store/files.js";
import { hashOf } from "../store/hash.js";
import type { KeyedLog } from "../store/log.js";
import { processIn, processToken, stateOf } from "../store/process.js";
import type { Store } from "../store/store.js";

export interface UnitRecord {
  readonly id: string;
  /** For people. */
  readonly label: string;
  /** The file or folder that is there when it is done: within the store, or absolute. */
  readonly makes: string;
  readonly state: UnitState;
  readonly attempt: number;
  readonly place: string | null;
  /** Why each lost attempt was. */
  readonly lost: readonly string[];
  /** When it came into this state; ISO 8601. */
  readonly since: string;
  /** Of the driver that asked for it last. */
  readonly beginning: string;
}

/** Who distributes the units. */
export interface Driver {
  readonly process: string;
  readonly machine: string;
  readonly executor: PluginReference;
  /** Random: this time that the run was begun, and no other. */
  readonly beginning: string;
}

const driverKey = "driver";
/** Between two looks whether somebody cancels the run. */
const lookEvery = 1_000; // ms

export class UnitStates {
  private constructor(
    private readonly store: Store,
    readonly runId: string,
    private readonly log: KeyedLog<UnitRecord | Driver>,
  ) {}

  static async open(store: Store, runId: string): Promise<UnitStates> {
    const log = await store.log<UnitRecord | Driver>(logName(runId));
    return new UnitStates(store, runId, log);
  }

  /** @throws RLRF_RUN_UNKNOWN when the store knows of no units of this run */
  static async existing(store: Store, runId: string): Promise<UnitStates> {
    if (existsSync(join(store.root, "logs", `${logName(runId)}.log`))) return UnitStates.open(store, runId);
    throw new RlrfError("RLRF_RUN_UNKNOWN", {
      message: `the store knows of no units of a run "${runId}"`,
      where: store.root,
      expected: "the name of a sweep, or of a run that an executor distributes, and the store that it uses",
      hint: "name the store with --cache, or the run by its folder; a run of the executor local with one process makes its steps itself and has no units",
    });
  }

  /**
   * Runs `work` in the process that distributes: one a run and store, since its units, their states and a cancellation are the store's. The same run in
   * another folder of runs waits, and then finds every step. @param cancel is called when somebody cancels the run meanwhile
   */
  drive<T>(executor: PluginReference, cancel: (reason: RlrfError) => void, work: () => Promise<T>): Promise<T> {
    return this.store.exclusively("driver", this.runId, async () => {
      await this.begin(executor);
      const look = setInterval(() => {
        if (!this.isCancelled) return;
        clearInterval(look);
        void this.clearCancellation().catch(() => undefined); // another user's file, maybe: then they see that this process is gone
        cancel(this.cancelled());
      }, lookEvery).unref();
      return work().finally(() => clearInterval(look));
    });
  }

  /** The beginning of that: what was cancelled before goes on. @throws RLRF_FILE_DENIED */
  async begin(executor: PluginReference): Promise<void> {
    await this.clearCancellation();
    await this.log.refresh(); // with what the driver that was waited for has put
    this.log.put(driverKey, { process: processToken, machine: hostname(), executor, beginning: randomUUID() });
  }

  /** How the ids of its units begin. Users who share a cluster may do one run each, with a store of their own: their units are not the same. */
  get prefix(): string {
    return `${this.runId}.${hashOf(resolve(this.store.root)).slice(0, 8)}.`;
  }

  get driver(): Driver | undefined {
    return this.log.get(driverKey) as Driver | undefined;
  }

  /** "elsewhere": on a machine of which nothing can be known from here. */
  get driverState(): "alive" | "dead" | "elsewhere" {
    const owner = processIn(this.driver?.process ?? "");
    return owner === null ? "dead" : stateOf(owner);
  }

  /** The driver asks for a unit. */
  expect(id: string, { label, makes }: Pick<UnitRecord, "label" | "makes">): void {
    const lost = this.unit(id)?.lost ?? [];
    const { beginning } = this;
    this.log.put(id, { id, label, makes, state: "waiting", attempt: 0, place: null, lost, since: now(), beginning });
  }

  /** What the driver would ask for is there; of what an earlier driver of the run had made, the record is still good. */
  found(id: string): void {
    const before = this.unit(id);
    if (before === undefined || (before.state === "done" && before.beginning === this.beginning)) return;
    this.log.put(id, { ...before, state: "done", since: now(), beginning: this.beginning });
  }

  change({ id, state, attempt, place, lost }: UnitChange): void {
    const before = this.unit(id);
    if (before === undefined || (state === "waiting" && lost === undefined)) return; // as it is expected
    const losses = lost === undefined ? before.lost : [...before.lost, lost];
    this.log.put(id, { ...before, state, attempt, place: place ?? before.place, lost: losses, since: now() });
  }

  labelOf(id: string): string {
    return this.unit(id)?.label ?? id;
  }

  /** Those that the last driver has asked for: what earlier ones asked for besides is of other plugins or data. */
  all(): readonly UnitRecord[] {
    const records = [...this.log.keys()].flatMap((id) => (id === driverKey ? [] : [this.unit(id) as UnitRecord]));
    return records.filter(({ beginning }) => beginning === this.beginning);
  }

  /** As they are now: what the store has is done, whoever made it; what a dead driver on this machine left running waits for the next one. */
  async seen(): Promise<readonly UnitRecord[]> {
    const orphaned = this.driverState === "dead" && this.driver?.executor.plugin === "local";
    return this.all().map((unit) => {
      if (existsSync(resolve(this.store.root, unit.makes))) return { ...unit, state: "done" };
      return orphaned && unit.state === "running" ? { ...unit, state: "waiting" } : unit;
    });
  }

  /** Asks the process that distributes, on whichever machine, to end. */
  async cancel(): Promise<void> {
    await makeFolder(dirname(this.cancellation));
    await fs.writeFile(this.cancellation, `${processToken} on ${hostname()}\n`);
  }

  get isCancelled(): boolean {
    return existsSync(this.cancellation);
  }

  /** @throws RLRF_FILE_DENIED where the store's folder for it is another user's */
  async clearCancellation(): Promise<void> {
    await fs.rm(this.cancellation, { force: true }).catch((error: unknown) => {
      throw fileError(error, this.cancellation, "write");
    });
  }

  private cancelled(): RlrfError {
    return new RlrfError("RLRF_RUN_CANCELLED", {
      message: `run ${this.runId} was cancelled`,
      where: this.store.root,
      hint: "what is done is kept; the same command goes on from here",
    });
  }

  private get beginning(): string {
    return this.driver?.beginning ?? "";
  }

  private unit(id: string): UnitRecord | undefined {
    return this.log.get(id) as UnitRecord | undefined;
  }

  private get cancellation(): string {
    return join(this.store.root, "cancelled", this.runId);
  }
}

function logName(runId: string): string {
  return `units-${runId}`;
}

function now(): string {
  return new Date().toISOString();
}
