/** Who made a file: enough to tell, after a kill, whether its maker still lives. */
import { createHash } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

export interface ProcessIdentity {
  readonly pid: number;
  /**
   * Digest of the machine and, in containers, of the space in which the pid means something. Many machines are called localhost, and outside of
   * containers that space is numbered alike on all: what tells machines apart is when they were booted.
   */
  readonly host: string;
  /** Digest of its start time, so that a pid used again is not taken for its former owner; "0" where the system does not tell. */
  readonly started: string;
}

const boot = quietly(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim());
const host = digest(`${hostname()} ${quietly(() => readlinkSync("/proc/self/ns/pid"))} ${boot}`);

export const ownProcess: ProcessIdentity = { pid: process.pid, host, started: startOf(process.pid) };

/** As part of a file's name; `processIn` reads it back. */
export const processToken = `${ownProcess.pid}-${host}-${ownProcess.started}`;

export function processIn(name: string): ProcessIdentity | null {
  const [, pid, host, started] = /^(\d+)-([0-9a-f]+)-([0-9a-f]+)(?=\.|$)/.exec(name) ?? [];
  return pid === undefined || host === undefined || started === undefined ? null : { pid: Number(pid), host, started };
}

/**
 * "elsewhere": another machine or container, or this one before it was booted again; nothing can be known of it from here. After a reboot a lock
 * that a lost process held counts until its silence has been long enough: three minutes.
 */
export function stateOf(other: ProcessIdentity): "alive" | "dead" | "elsewhere" {
  if (other.host !== host) return "elsewhere";
  if (other.started !== startOf(other.pid)) return "dead";
  try {
    process.kill(other.pid, 0);
    return "alive";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM" ? "alive" : "dead";
  }
}

function startOf(pid: number): string {
  const stat = quietly(() => readFileSync(`/proc/${pid}/stat`, "utf8"));
  if (stat === "") return "0";
  // The command's name, in brackets, may hold spaces: count the fields behind it. The 22nd is the start time.
  const [state, ...fields] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  // A zombie has ended: it only waits for its parent to ask.
  return state === "Z" ? "0" : digest(String(fields[18]));
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 12);
}

function quietly(read: () => string): string {
  try {
    return read();
  } catch {
    return "";
  }
}
