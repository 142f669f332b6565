/** Adapters on a running vLLM (docs: "Dynamically serving LoRA adapters"): loaded by name and path, then asked for as a model of that name. */
import { createHash } from "node:crypto";
import { basename } from "node:path";
import { type AdapterFiles, type Logger, RlrfError } from "rlrf4rec";
import type { Client } from "./client.js";

export class ServerAdapters {
  /** The one that writes now. */
  private last: Promise<void> = Promise.resolve();
  private current: { readonly name: string; readonly identity: string } | null = null;

  /** @param seenAs the folder of the adapters as the server sees it; null = as we do */
  constructor(
    private readonly client: Client,
    private readonly seenAs: string | null,
    private readonly logger: Logger,
  ) {}

  /** What a request names as its model; null = the model itself. */
  get name(): string | null {
    return this.current?.name ?? null;
  }
  get identity(): string {
    return this.current?.identity ?? "";
  }

  /** Several may ask for it at once. @throws RLRF_LLM_HTTP_ADAPTER */
  use(files: AdapterFiles | null): Promise<void> {
    const work = this.last.then(() => this.change(files));
    this.last = work.catch(() => {});
    return work;
  }

  private async change(files: AdapterFiles | null): Promise<void> {
    const old = this.current;
    const identity = files?.identity ?? "";
    if (identity === (old?.identity ?? "")) return;
    if (files === null) this.current = null;
    else {
      const name = `rlrf-${createHash("sha256").update(identity).digest("hex").slice(0, 16)}`;
      await this.load(name, this.seenAs === null ? files.folder : `${this.seenAs.replace(/\/+$/, "")}/${basename(files.folder)}`);
      this.current = { name, identity };
    }
    if (old !== null) await this.unload(old.name);
  }

  private async load(name: string, path: string): Promise<void> {
    const address = `${this.client.endpoint.base}/load_lora_adapter`;
    try {
      await this.client.send("POST", address, {
        body: { lora_name: name, lora_path: path },
        read: () => null, // vLLM answers in words
        // A run that was killed has left it there; the name says that its values are the same.
        accept: (status, said) => status === 400 && /already/i.test(said),
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
    const address = `${this.client.endpoint.base}/unload_lora_adapter`;
    await this.client.send("POST", address, { body: { lora_name: name }, read: () => null, attempts: 1 }).catch((error: unknown) => {
      if (!(error instanceof RlrfError)) throw error;
      this.logger.warn(error.code, `the adapter ${name} stays loaded: ${error.fault.message}`);
    });
  }

  async close(): Promise<void> {
    const old = this.current;
    this.current = null;
    if (old !== null) await this.unload(old.name);
  }
}
