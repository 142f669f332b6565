/** An OpenAI-compatible embeddings server that behaves, for tests to make it misbehave. */
import { json } from "./chat-server.js";
import type { Fault, FaultyProxy } from "./faulty-proxy.js";

export interface EmbeddingRequest {
  readonly model: string;
  readonly input: readonly string[];
  readonly [field: string]: unknown;
}

/** A vector of three numbers that the text decides. */
export function embeddingOf(text: string): number[] {
  return [text.length + 1, text.codePointAt(0) ?? 0, -1];
}

export class EmbeddingServer {
  readonly asked: EmbeddingRequest[] = [];

  /** @param misbehave decides for the k-th request, from 0, instead of the server; null = it answers, the last text first */
  constructor(
    readonly proxy: FaultyProxy,
    misbehave: (k: number, body: EmbeddingRequest) => Fault | null = () => null,
  ) {
    proxy.fault = ({ url, body }) => {
      if (url !== "/v1/embeddings") return { status: 404, body: "not here" };
      const request = JSON.parse(body) as EmbeddingRequest;
      this.asked.push(request);
      const data = request.input.map((text, index) => ({ object: "embedding", index, embedding: embeddingOf(text) }));
      return misbehave(this.asked.length - 1, request) ?? json({ object: "list", data: data.reverse(), model: request.model });
    };
  }

  get baseUrl(): string {
    return `${this.proxy.uri}/v1`;
  }
}
