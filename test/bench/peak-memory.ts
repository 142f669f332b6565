import { readFileSync } from "node:fs";

/** Bytes of this process at its highest. Not `resourceUsage().maxRSS`: Linux begins that with what the process that started this one held. */
export function peakMemory(): number {
  const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  if (kilobytes === undefined) throw new Error("/proc/self/status does not tell VmHWM");
  return Number(kilobytes) * 1024;
}
