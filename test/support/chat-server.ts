/** An OpenAI-compatible server that behaves, for tests to make it misbehave: it stands in a FaultyProxy's place of answers. */
import { createHash } from "node:crypto";
import type { Fault, FaultyProxy, SeenRequest } from "./faulty-proxy.js";

export interface ChatRequestBody {
  readonly model: string;
  readonly messages: readonly { readonly role: string; readonly content: string }[];
  readonly n?: number;
  readonly seed?: number;
  readonly max_tokens?: number;
  readonly logprobs?: boolean;
  readonly [field: string]: unknown;
}

/** What it offers, as servers differ. */
export interface Offer {
  readonly n?: "honoured" | "ignored" | "refused" | "copied";
  readonly logprobs?: boolean;
  readonly models?: readonly object[] | null;
  /** It refuses a request with one of these fields. */
  readonly unknown?: readonly string[];
}

export type Misbehaviour = (k: number, body: ChatRequestBody, answer: object) => Fault | null;

export class ChatServer {
  /** Bodies of the chat requests that came, those of the first trial left out. */
  readonly asked: ChatRequestBody[] = [];
  /** Those of the first trial. */
  readonly tried: ChatRequestBody[] = [];
  /** Decides for the k-th of `asked`, from 0, instead of the server; null = it answers as it should. */
  misbehave: Misbehaviour = () => null;
  /** The same for those of `tried`. */
  misbehaveAtFirst: Misbehaviour = () => null;
  /** Milliseconds that a sound answer takes. */
  delay = 0;
  /** Most requests that were under way at once. */
  atOnce = 0;
  private underWay = 0;

  constructor(
    readonly proxy: FaultyProxy,
    private readonly offer: Offer = {},
  ) {
    proxy.fault = (request) => this.answer(request);
  }

  get baseUrl(): string {
    return `${this.proxy.uri}/v1`;
  }

  protected answer(request: SeenRequest): Fault {
    if (request.url === "/v1/models") {
      const { models = [{ id: "m", object: "model", created: Date.now(), owned_by: "tests", root: "m" }] } = this.offer;
      return models === null ? { status: 404, body: "<h1>Not Found</h1>" } : json({ object: "list", data: models });
    }
    if (request.url !== "/v1/chat/completions") return { status: 404, body: "not here" };
    const body = JSON.parse(request.body) as ChatRequestBody;
    const sound = this.completion(body);
    const [came, misbehave] = isTrial(body) ? [this.tried, this.misbehaveAtFirst] : [this.asked, this.misbehave];
    came.push(body);
    const wrong = misbehave(came.length - 1, body, JSON.parse(String((sound as { body: string }).body)) as object);
    if (wrong !== null || came === this.tried) return wrong ?? sound;
    this.underWay++;
    this.atOnce = Math.max(this.atOnce, this.underWay);
    setTimeout(() => this.underWay--, this.delay);
    return { ...(sound as { status: number; body: string }), after: this.delay };
  }

  private completion(body: ChatRequestBody): Fault {
    const { n = "honoured", logprobs = true, unknown = [] } = this.offer;
    const stranger = Object.keys(body).find((field) => unknown.includes(field));
    if (stranger !== undefined) return json({ error: { message: `Unrecognized request argument supplied: ${stranger}` } }, 400);
    if (n === "refused" && body.n !== undefined) return json({ error: { message: "n is not supported", code: "bad" } }, 400);
    const count = n === "ignored" ? 1 : (body.n ?? 1);
    const choices = Array.from({ length: count }, (_, i) => {
      const content = textFor(body, n === "copied" ? 0 : i);
      const tokens = content.split(" ").map((token) => ({ token, logprob: -0.5 }));
      const scores = body.logprobs === true && logprobs ? { logprobs: { content: tokens } } : {};
      return { index: i, message: { role: "assistant", content }, finish_reason: "stop", ...scores };
    });
    const completion = choices.reduce((sum, { message }) => sum + message.content.split(" ").length, 0);
    return json({ object: "chat.completion", choices: choices.reverse(), usage: { prompt_tokens: 9, completion_tokens: completion } });
  }
}

/** What the server writes: words that the prompt, the seed and the choice decide. */
export function textFor({ messages, seed, temperature }: Partial<ChatRequestBody>, choice: number): string {
  const prompt = messages?.at(-1)?.content ?? "";
  const drawn = createHash("sha256")
    .update(temperature === 0 ? "greedy" : `${seed} ${choice}`)
    .digest("hex");
  return `${prompt} ${drawn.slice(0, 6)} ${drawn.slice(6, 12)}`;
}

function isTrial({ messages }: ChatRequestBody): boolean {
  return messages.at(-1)?.content === "Write any words.";
}

export function json(body: object, status = 200, headers: Record<string, string> = {}): Extract<Fault, object> {
  return { status, body: JSON.stringify(body), headers: { "content-type": "application/json", ...headers } };
}
