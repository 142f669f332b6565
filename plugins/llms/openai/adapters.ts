/** Adapters on a running vLLM (docs: "Dynamically serving LoRA adapters"): loaded by name and path, then asked for as a model of that name. */
import { createHash } from "node:crypto";
import { basename } from "node:path";
import { type AdapterFiles, type Logger, RlrfError } from "rlrf4rec";
import type { Client } from "./client.js";

const prefix = "rlrf-";
const already = /already/i;

/** Whether a refusal is for want of this adapter: vLLM then names it, as it names nothing where it lacks a path. */
export function saysMissing(adapter: string, status: number, said: string): boolean {
  return status === 404 && adapter.startsWith(prefix) && said.includes(adapter);
}

export class ServerAdapters {
  /** The one that writes now. */
  private last: Promise<unknown> = Promise.resolve();
  private current: string | null = null;
  private doubted = false;

  /** @param seenAs the folder of the adapters as the server sees it; null = as we do */
  constructor(
    private readonly client: Client,
    private readonly seenAs: string | null,
    private readonly logger: Logger,
  ) {}

  /** The server may have been started anew: it is told to load the adapter before it writes again. */
  doubt(): void {
    this.doubted = true;
  }

  /** Several may ask for it at once. @returns what a request names as its model; null = the model itself @throws RLRF_LLM_HTTP_ADAPTER */
  use(files: AdapterFiles | null): Promise<string | null> {
    const work = this.last.then(() => this.change(files));
    this.last = work.catch(() => {});
    return work;
  }

  private async change(files: AdapterFiles | null): Promise<string | null> {
    const old = this.current;
    const name = files === null ? null : nameOf(files);
    if (files !== null && name !== null && (name !== old || this.doubted)) {
      const lacked = await this.load(
        name,
        this.seenAs === null ? files.folder : `${this.seenAs.replace(/\/+$/, "")}/${basename(files.folder)}`,
      );
      if (name === old && lacked) this.logger.info(`${this.client.endpoint.host} had lost the adapter ${name}, and has it again`);
    }
    this.doubted = false;
    this.current = name;
    if (old !== null && old !== name) await this.unload(old);
    return name;
  }

  /** @returns whether the server did not have it yet */
  private async load(name: string, path: string): Promise<boolean> {
    const address = `${this.client.endpoint.base}/load_lora_adapter`;
    try {
      return await this.client.send("POST", address, {
        body: { lora_name: name, lora_path: path },
        read: (body) => !already.test(body.toString()), // vLLM answers in words
        // A run that was killed has left it there; the name says that its values are the same.
        accept: (status, said) => status === 400 && already.test(said),
      });
    } catch (cause) {
      if (!(cause instanceof RlrfError) || cause.code !== "RLRF_LLM_HTTP_REFUSED") throw cause;
      const fault = {
        message: `the server does not load the adapter ${path}: ${cause.fault.message}`,
        where: address,
        expected:
          "vLLM, started with --enable-lora, --max-lora-rank of at least alignment.lora.rank, and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True",
        hint: "restart it so; where it sees the run's folder under another path, set options.adapterFolder to that of its adapters",
      };
      throw new RlrfError("RLRF_LLM_HTTP_ADAPTER", fault, { cause });
    }
  }

  /** An adapter that stays loaded takes memory, and harms nothing. */
  private async unload(name: string): Promise<void> {
    const { endpoint, resumeAt } = this.client;
    const warn = (code: string, why: string) => this.logger.warn(code, `the adapter ${name} stays loaded: ${why}`);
    if (resumeAt > Date.now()) return warn("RLRF_LLM_HTTP_UNREACHABLE", `${endpoint.host} asks to wait`);
    const call = { body: { lora_name: name }, read: () => null, accept: isGone, attempts: 1 };
    await this.client.send("POST", `${endpoint.base}/unload_lora_adapter`, call).catch((error: unknown) => {
      if (!(error instanceof RlrfError)) throw error;
      warn(error.code, error.fault.message);
    });
  }

  async close(): Promise<void> {
    const old = this.current;
    this.current = null;
    if (old !== null) await this.unload(old);
  }
}

function nameOf({ identity }: AdapterFiles): string {
  return prefix + createHash("sha256").update(identity).digest("hex").slice(0, 16);
}

/** Another run has unloaded it, or the server was started anew; older vLLMs say so with 400. */
function isGone(status: number, said: string): boolean {
  return [400, 404].includes(status) && /cannot be found/i.test(said);
}
