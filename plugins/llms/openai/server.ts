/** What a server says of itself, and what it turns out to offer: asked once, before anything else. */
import { RlrfError } from "rlrf4rec";
import { type Abilities, type Answer, type ChatRequest, chatBody, isObject, parseJson, readAnswer } from "./chat.js";
import { type Client, Unusable } from "./client.js";

/** What OpenAI's interface has no word for is asked in the server's own. */
export type Dialect = "llama.cpp" | "vllm";

export interface ServedModel {
  readonly dialect: Dialect;
  /** By its own word it is a server that heeds top_k, min_p and repetition_penalty. */
  readonly heedsCuts: boolean;
  /** The server's description of the model, without what changes from call to call; null where it has none. */
  readonly card: Readonly<Record<string, unknown>> | null;
  /** Ids of all models that it lists. */
  readonly others: readonly string[];
}

/** Their `owned_by`. llama.cpp ignores repetition_penalty: its own, repeat_penalty, is off by default. */
const heeding: readonly unknown[] = ["vllm", "llamacpp", "sglang"];

/** vLLM sets `created` and `permission` anew for each answer. */
const lasting = ["id", "root", "parent", "owned_by", "max_model_len", "meta"] as const;

/** @throws RLRF_LLM_HTTP_… */
export async function servedModel(client: Client, model: string, signal?: AbortSignal): Promise<ServedModel> {
  const models = await client.send("GET", `${client.endpoint.base}/models`, {
    read: readModels,
    accept: (status) => [400, 404, 405, 422, 500, 501].includes(status), // not every server has a list, and one fails without a cache of models
    signal,
  });
  const found = models.find(({ id }) => id === model);
  const card = found === undefined ? null : Object.fromEntries(lasting.flatMap((key) => (key in found ? [[key, found[key]]] : [])));
  return {
    dialect: found?.owned_by === "llamacpp" ? "llama.cpp" : "vllm",
    heedsCuts: heeding.includes(found?.owned_by),
    card,
    others: models.map(({ id }) => String(id)),
  };
}

function readModels(body: Buffer): readonly Record<string, unknown>[] {
  let json: unknown;
  try {
    json = parseJson(body);
  } catch {
    return []; // the page of a refusal
  }
  const list = isObject(json) ? json.data : undefined;
  return Array.isArray(list) ? list.filter(isObject) : [];
}

export interface Trial {
  readonly model: string;
  readonly limitField: string;
  readonly extra: Readonly<Record<string, unknown>>;
  readonly choices: "auto" | "n" | "requests";
}

/** As random as servers allow: two choices of so many tokens are the same only where the server copies one of them. */
const trialParameters = { temperature: 2, topK: 0, topP: 1, minP: 0, maxTokens: 16, stop: [] } as const;
const trialMessages = [{ role: "user", content: "Write any words." }] as const;

/** The server has understood, and says no. Whatever else fails says nothing of what it offers. */
const refusals: readonly string[] = ["RLRF_LLM_HTTP_REFUSED", "RLRF_LLM_HTTP_ANSWER"];

/**
 * Tries what the server offers, from most to least; what it refuses or ignores is not asked of it again.
 * @param attempts until an answer that cannot be used counts as a no: some servers say it so, and any answer may be cut
 * @throws RLRF_LLM_HTTP_… when it does not answer, or does not even write one text
 */
export async function abilitiesOf(client: Client, trial: Trial, served: ServedModel, attempts: number): Promise<Abilities> {
  const wanted = { requests: [1], n: [2], auto: [2, 1] }[trial.choices];
  const either = [true, false];
  const steps = wanted.flatMap((choices) => either.flatMap((logprobs) => either.map((uncut) => ({ choices, logprobs, uncut }))));
  for (const [index, { choices, logprobs, uncut }] of steps.entries()) {
    try {
      const answer = await tryOut(client, { ...trial, choices, logprobs, uncut }, attempts);
      const offered = answer.choices.every(({ logProbs }) => logProbs?.every(Number.isFinite) ?? false);
      return {
        several: trial.choices === "n" || differs(answer),
        logprobs: offered,
        uncut: !uncut ? "refuses" : served.heedsCuts ? "heeds" : "takes",
      };
    } catch (error) {
      if (!(error instanceof RlrfError) || !refusals.includes(error.code)) throw error;
      if (index === steps.length - 1) throw withModels(error, trial.model, served);
    }
  }
  throw new RlrfError("RLRF_INTERNAL", { message: "a server was asked for nothing" });
}

function tryOut(
  client: Client,
  asked: Pick<ChatRequest, "model" | "limitField" | "extra" | "choices" | "logprobs" | "uncut">,
  unusable: number,
): Promise<Answer> {
  const { choices } = asked;
  return client.send("POST", `${client.endpoint.base}/chat/completions`, {
    body: chatBody({ ...asked, messages: trialMessages, parameters: trialParameters, seed: 1 }),
    read: (body) => {
      try {
        return readAnswer(body, choices);
      } catch (error) {
        if (choices > 1 && error instanceof Unusable) return readAnswer(body, 1); // it ignores n
        throw error;
      }
    },
    unusable,
  });
}

function differs({ choices: [first, second] }: Answer): boolean {
  return first !== undefined && second !== undefined && first.text !== second.text;
}

/** A refusal of a model that is not on the server's list is most often a wrong name. */
function withModels(error: RlrfError, model: string, { card, others }: ServedModel): RlrfError {
  if (error.code !== "RLRF_LLM_HTTP_REFUSED" || card !== null || others.length === 0) return error;
  const shown = others.slice(0, 10).map((id) => JSON.stringify(id.slice(0, 100)));
  return new RlrfError("RLRF_LLM_HTTP_MODEL", {
    message: `${error.fault.message}; it does not list the model ${JSON.stringify(model)}`,
    ...(error.fault.where === undefined ? {} : { where: error.fault.where }),
    expected: `one of ${shown.join(", ")}${others.length > shown.length ? ", …" : ""}`,
    hint: "set options.model to the name under which the server offers it",
  });
}
