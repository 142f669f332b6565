/** One request after another: finds the user's text, has the list ranked, says what was heard. */
import { type ErrorCode, RlrfError } from "../errors.js";
import { registrySchema } from "../spec/registry-schema.js";
import { validate } from "../spec/validate.js";
import type { RerankRequest, RerankResponse } from "./messages.js";
import type { Reader } from "./reader.js";
import type { ServedModel } from "./served-model.js";
import type { Texts } from "./texts.js";

export interface RequestLimits {
  readonly history: number;
  readonly candidates: number;
}

export class Service {
  private constructor(
    private readonly model: ServedModel,
    private readonly texts: Texts,
    private readonly limits: RequestLimits,
    private readonly version: string | null,
    private readonly schema: object,
  ) {}

  /** @param version in MLflow's registry; null for a folder */
  static async open(model: ServedModel, texts: Texts, limits: RequestLimits, version: string | null): Promise<Service> {
    const schema = await registrySchema("rerank-request");
    return new Service(model, texts, limits, version, schema);
  }

  /** @throws RLRF_SERVE_REQUEST, RLRF_SERVE_SIZE, RLRF_SERVE_ITEM */
  async rerank(body: unknown): Promise<RerankResponse> {
    const request = this.checked(body);
    const candidates = this.candidatesOf(request);
    const reader = this.readerOf(request);
    const { from, text } = await this.texts.of(reader, request);
    const parsed = text === null ? null : this.model.parse(text);
    const voice = parsed && (await this.model.voiceOf(parsed));
    const { scores, order } = this.model.rank(reader, candidates, voice);
    const { name, arm } = this.model.description;
    return {
      order: order.map((position) => request.candidates[position] as string),
      scores,
      text: { from, text, parsed: parsed?.values ?? {} },
      unknown: reader.unknown,
      model: { name, version: this.version, arm, digest: this.model.model.digest },
    };
  }

  private checked(body: unknown): RerankRequest {
    const [fault] = validate(this.schema, body, "the request");
    if (fault !== undefined) throw refused("RLRF_SERVE_REQUEST", fault.pointer, fault.message, fault.expected);
    const request = body as RerankRequest;
    for (const name of ["history", "candidates"] as const)
      if (request[name].length > this.limits[name])
        throw refused("RLRF_SERVE_SIZE", `/${name}`, `${request[name].length} entries`, `at most ${this.limits[name]}`);
    return request;
  }

  private readerOf({ history, user, window }: RerankRequest): Reader {
    const { ratingScale } = this.model.description;
    const { lowest, highest } = ratingScale;
    const outside = history.findIndex(({ rating }) => rating < lowest || rating > highest);
    if (outside >= 0)
      throw refused("RLRF_SERVE_REQUEST", `/history/${outside}/rating`, "a rating outside of the scale", `${lowest} to ${highest}`);
    const timed = history.filter(({ time }) => time !== undefined).length;
    if (timed > 0 && timed < history.length)
      throw refused(
        "RLRF_SERVE_REQUEST",
        "/history",
        `${timed} of ${history.length} interactions have a time`,
        "a time for all or for none",
      );
    const most = this.model.spec.protocol.window;
    if (window !== undefined && window > most)
      throw refused("RLRF_SERVE_REQUEST", "/window", `a window of ${window}`, `at most ${most}, as in the run`);
    return this.model.reader({ history, fields: user?.fields ?? {}, ...(window === undefined ? {} : { window }) });
  }

  private candidatesOf({ candidates }: RerankRequest): Int32Array {
    const { numbers } = this.model.catalogue;
    const unknown = candidates.filter((id) => !numbers.has(id));
    if (unknown.length > 0) {
      const shown = unknown.slice(0, 20).map((id) => JSON.stringify(id.slice(0, 80)));
      const more = unknown.length > shown.length ? ` and ${unknown.length - shown.length} more` : "";
      throw refused(
        "RLRF_SERVE_ITEM",
        "/candidates",
        `the model does not know ${shown.join(", ")}${more}`,
        "items that were in its data set",
      );
    }
    const { listLength } = this.model.description;
    if (!this.model.anyLength && candidates.length !== listLength)
      throw refused(
        "RLRF_SERVE_ITEM",
        "/candidates",
        `${candidates.length} candidates`,
        `${listLength}: the model's reranker knows lists of this length alone`,
      );
    return Int32Array.from(candidates, (id) => numbers.get(id) as number);
  }
}

function refused(code: ErrorCode, where: string, message: string, expected: string | undefined): RlrfError {
  return new RlrfError(code, { message, where: where || "/", ...(expected === undefined ? {} : { expected }) });
}
