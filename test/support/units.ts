/** The processes of units of work, as the system shows them: what a test kills. */
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** Process ids of `rlrf step` and `rlrf run` commands that use this store, the driver not among them. */
export function unitProcesses(store: string, driver: number | undefined): readonly number[] {
  return readdirSync("/proc").flatMap((name) => {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === driver) return [];
    const words = quietly(() => readFileSync(`/proc/${name}/cmdline`, "utf8")).split("\0");
    const isUnit = words[1]?.endsWith("rlrf.mjs") && ["step", "run"].includes(words[2] ?? "");
    return isUnit && words.some((word) => word.startsWith(store)) ? [pid] : [];
  });
}

/** Waits for units, and kills one of them as a system without memory would. @param choose of how many, which */
export async function killOne(store: string, driver: number | undefined, choose: (count: number) => number): Promise<void> {
  for (;;) {
    const found = unitProcesses(store, driver);
    const victim = found[choose(Math.max(1, found.length))];
    if (victim !== undefined && quietly(() => String(process.kill(victim, "SIGKILL"))) === "true") return;
    await sleep(20);
  }
}

function quietly(read: () => string): string {
  try {
    return read();
  } catch {
    return "";
  }
}
