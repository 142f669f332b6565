/** What is asked of a served model, and what it answers. */
import type { Interaction } from "./reader.js";
import type { TextSource } from "./sources.js";

/** The body of POST /rerank; its form is registry/rerank-request.schema.json. */
export interface RerankRequest {
  readonly history: readonly Interaction[];
  readonly candidates: readonly string[];
  readonly user?: { readonly id?: string; readonly fields?: Readonly<Record<string, unknown>> };
  readonly window?: number;
  readonly text?: string;
}
/** Its answer; the form is registry/rerank-response.schema.json. */
export interface RerankResponse {
  readonly order: readonly string[];
  readonly scores: readonly number[];
  readonly text: { readonly from: TextSource; readonly text: string | null; readonly parsed: Readonly<Record<string, string>> };
  readonly unknown: readonly string[];
  readonly model: { readonly name: string; readonly version: string | null; readonly arm: string; readonly digest: string };
}
