/** A ChatServer with vLLM's endpoints for adapters, as its documentation and source have them: it stands in for a vLLM, and is none. */
import { type ChatRequestBody, ChatServer, json, type Offer } from "./chat-server.js";
import type { Fault, FaultyProxy, SeenRequest } from "./faulty-proxy.js";

export class VllmServer extends ChatServer {
  /** Names of the adapters that it has. */
  readonly adapters = new Set<string>();
  /** Names of those that it was told to load, in that order, loaded ones too. */
  readonly loads: string[] = [];

  constructor(proxy: FaultyProxy, offer: Offer = {}) {
    super(proxy, { models: [{ id: "m", owned_by: "vllm" }], ...offer });
  }

  /** Down and up again: it forgets what it was told to load. */
  async restart(): Promise<void> {
    await this.proxy.down();
    this.adapters.clear();
    await this.proxy.up();
  }

  protected override answer(request: SeenRequest): Fault {
    if (request.url === "/v1/load_lora_adapter") return this.load(nameIn(request));
    if (request.url === "/v1/unload_lora_adapter") {
      const name = nameIn(request);
      return this.adapters.delete(name) ? { status: 200, body: "Success" } : missing(`The lora adapter '${name}' cannot be found.`);
    }
    const { model = "m" } = request.body === "" ? {} : (JSON.parse(request.body) as Partial<ChatRequestBody>);
    return model === "m" || this.adapters.has(model) ? super.answer(request) : missing(`The model \`${model}\` does not exist.`);
  }

  private load(name: string): Fault {
    this.loads.push(name);
    if (this.adapters.has(name)) return json({ error: { message: `The lora adapter '${name}' has already been loaded.` } }, 400);
    this.adapters.add(name);
    return { status: 200, body: `Success: LoRA adapter '${name}' added successfully.` };
  }
}

function nameIn({ body }: SeenRequest): string {
  return (JSON.parse(body) as { lora_name: string }).lora_name;
}

function missing(message: string): Fault {
  return json({ error: { message, type: "NotFoundError", param: "model", code: 404 } }, 404);
}
