import { RlrfError } from "../errors.js";
import type { Registry } from "../kernel/registry.js";
import { AlreadyReported, jsonOption, type Register, setOption } from "./command.js";
import { print, printJson } from "./terminal.js";

interface Verdict {
  readonly file: string;
  readonly ok: boolean;
  readonly name?: string;
  readonly hash?: string;
  /** Of a sweep, all of which are valid. */
  readonly trials?: number;
  readonly faults?: readonly unknown[];
}

/** `rlrf check SPEC…`: whether the specs are valid; every fault of every one. Nothing is loaded or run. */
export const register: Register = (program) => {
  const command = program.command("check").description("validate specs and show every fault").argument("<spec...>");
  setOption(jsonOption(command)).action(async (files: readonly string[], { json, set }: { json?: boolean; set: readonly string[] }) => {
    const { Registry } = await import("../kernel/registry.js");
    const registry = await Registry.read();
    const verdicts: Verdict[] = [];
    for (const file of files) verdicts.push(await check(file, set, registry, json === true));
    if (json) printJson(verdicts);
    if (verdicts.some((verdict) => !verdict.ok)) throw new AlreadyReported(2);
  });
};

async function check(file: string, set: readonly string[], registry: Registry, json: boolean): Promise<Verdict> {
  const { readSpec } = await import("../spec/read.js");
  const { resolveSpec } = await import("../spec/resolve.js");
  const { expandSweep } = await import("../sweep/expand.js");
  const { missingHere } = await import("../spec/here.js");
  try {
    const source = await readSpec(file, set);
    const sweep = expandSweep(source, registry, [missingHere]);
    if (sweep !== null) {
      const { name, hash, trials } = sweep;
      if (!json) print(`ok  ${file}  ${name}  ${hash.slice(0, 12)}  ${trials.length} trials`);
      return { file, ok: true, name, hash, trials: trials.length };
    }
    const { spec, hash } = resolveSpec(source, registry, [missingHere]);
    if (!json) print(`ok  ${file}  ${spec.name}  ${hash.slice(0, 12)}`);
    return { file, ok: true, name: spec.name, hash };
  } catch (error) {
    if (!(error instanceof RlrfError) || error.exit !== 2) throw error;
    if (!json) process.stderr.write(`${error.message}\n\n`);
    const { SpecFaults } = await import("../spec/faults.js");
    return { file, ok: false, faults: error instanceof SpecFaults ? error.faults : [{ code: error.code, ...error.fault }] };
  }
}
