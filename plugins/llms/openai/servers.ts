/** One or many servers of one model: each request goes to the one with the least to do; one that fails is left out, and tried again later. */
import { setTimeout as sleep } from "node:timers/promises";
import { type AdapterFiles, http, type Logger, RlrfError, type ServerShare } from "rlrf4rec";
import { ServerAdapters, saysMissing } from "./adapters.js";
import type { Abilities } from "./chat.js";
import { Client, type Limits, longestWait, Refused } from "./client.js";
import type { Endpoint } from "./endpoint.js";
import { abilitiesOf, type ServedModel, servedModel, type Trial } from "./server.js";

export interface ServersOptions {
  readonly endpoints: readonly Endpoint[];
  readonly key: string | undefined;
  readonly limits: Limits;
  readonly trial: Trial;
  readonly adapterFolder: string | null;
}

/** A server that is known to answer. */
export interface Server {
  readonly client: Client;
  readonly served: ServedModel;
  /** What it is asked for as the model: the tuned adapter, or the model itself. */
  readonly model: string;
}

/** What one server is, and how it has fared. */
class Member {
  readonly adapters: ServerAdapters;
  served: ServedModel | undefined;
  underWay = 0;
  /** Failures in a row. */
  failures = 0;
  leftOut = 0;
  /** Nothing is asked of it before. */
  outUntil = 0;

  constructor(
    readonly client: Client,
    adapterFolder: string | null,
    logger: Logger,
  ) {
    this.adapters = new ServerAdapters(client, adapterFolder, logger);
  }
}

/** These may pass; whatever else a server says is the user's to mend, and true of all of them. */
const passing: readonly string[] = ["RLRF_LLM_HTTP_UNREACHABLE", "RLRF_LLM_HTTP_ANSWER"];

export class Servers {
  private readonly members: readonly Member[];
  private agreed: { readonly card: ServedModel["card"]; readonly abilities: Abilities } | undefined;
  private adapter: AdapterFiles | null = null;
  private ended = new AbortController();
  /** A list asks another server where a single one is asked again. */
  private readonly tries: number;

  constructor(
    private readonly options: ServersOptions,
    private readonly logger: Logger,
  ) {
    const { endpoints, key, limits, adapterFolder } = options;
    const several = endpoints.length > 1;
    this.tries = several ? limits.attempts * endpoints.length : 1;
    const own = several ? { ...limits, attempts: 1 } : limits;
    this.members = endpoints.map((endpoint) => new Member(new Client(endpoint, key, own, logger), adapterFolder, logger));
  }

  /** Requests that may be under way at once. */
  get concurrency(): number {
    return this.options.limits.concurrency * this.members.length;
  }
  /** The first of the list names them all, so that more of them are no others. */
  get host(): string {
    return this.members[0]?.client.endpoint.host ?? "";
  }
  get card(): ServedModel["card"] {
    return this.ready.card;
  }
  get abilities(): Abilities {
    return this.ready.abilities;
  }
  get adapterIdentity(): string {
    return this.adapter?.identity ?? "";
  }
  private get ready() {
    if (this.agreed === undefined) throw new RlrfError("RLRF_LLM_UNPREPARED", { message: "openai answers only after `prepare`" });
    return this.agreed;
  }

  /** Asks every server what it is. One that does not answer is asked again when there is work for it. @throws RLRF_LLM_HTTP_… when none does */
  async prepare(): Promise<void> {
    const outcomes = await Promise.all(this.members.map((member) => this.within(this.begin(member), async () => {}).then(() => null, keptIfPassing))); // biome-ignore format: one line
    if (this.agreed !== undefined) return;
    if (this.tries === 1) throw outcomes[0];
    await this.use(async () => {}); // one of them may only be starting
  }

  /** @throws RLRF_LLM_HTTP_ADAPTER */
  async useAdapter(adapter: AdapterFiles | null): Promise<void> {
    this.adapter = adapter;
    const loading = this.members
      .filter(({ served, outUntil }) => served !== undefined && outUntil <= Date.now())
      .map((member) => this.within(this.begin(member), async () => {}).catch(this.tries === 1 ? rethrown : keptIfPassing));
    await Promise.all(loading);
  }

  /** Does work with the server that has least to do, or, where that fails for a passing reason, with another. @throws RLRF_LLM_HTTP_… */
  async use<Result>(work: (server: Server) => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    for (let attempt = 1; ; attempt++) {
      const member = await this.next(signal);
      try {
        return await this.within(member, work);
      } catch (error) {
        if (attempt >= this.tries) throw error;
        keptIfPassing(error);
      }
    }
  }

  /**
   * The one that has least to do of those that may be asked; where none may, the first that may again.
   * @throws RLRF_LLM_HTTP_UNREACHABLE when that one asks for more patience than there is
   */
  private async next(signal: AbortSignal | undefined): Promise<Member> {
    for (;;) {
      const now = Date.now();
      const able = this.members.filter(({ outUntil }) => outUntil <= now);
      const free = able.filter(({ underWay }) => underWay < this.options.limits.concurrency);
      const [idlest] = free.sort((a, b) => a.underWay - b.underWay || a.client.counts.answers - b.client.counts.answers);
      if (idlest !== undefined) return this.begin(idlest);
      const [first] = this.members.filter(({ outUntil }) => outUntil > now).sort((a, b) => a.outUntil - b.outUntil);
      if (able.length === 0) first?.client.untilResumed(); // throws what nobody waits for
      await this.changed(Math.min(longestWait, (first?.outUntil ?? Infinity) - now), signal);
      signal?.throwIfAborted();
    }
  }

  /** Until a request has ended, so many milliseconds at most. */
  private async changed(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
    const given = AbortSignal.any([this.ended.signal, ...(signal === undefined ? [] : [signal])]);
    await sleep(Math.ceil(milliseconds), undefined, { signal: given }).catch(() => {});
  }

  /** In the same step as the choice, lest all that wait choose the same one. */
  private begin(member: Member): Member {
    member.underWay++;
    // Who comes back from a failure is tried by one request, not by all.
    if (member.failures > 0) member.outUntil = Date.now() + this.rest(member);
    return member;
  }

  /** @param member that has begun */
  private async within<Result>(member: Member, work: (server: Server) => Promise<Result>): Promise<Result> {
    try {
      const result = await this.withAdapter(member, work);
      if (member.failures > 0) this.logger.info(`${member.client.endpoint.host} answers again`);
      member.failures = 0;
      member.outUntil = member.client.resumeAt; // another request may have been asked to wait
      return result;
    } catch (error) {
      if (this.tries > 1 && error instanceof RlrfError && passing.includes(error.code)) this.leaveOut(member, error);
      throw error;
    } finally {
      member.underWay--;
      this.ended.abort(); // wakes those who wait
      this.ended = new AbortController();
    }
  }

  /** A server may be started anew, and another run that shares it unloads what both use: it is given the adapter again, once. */
  private async withAdapter<Result>(member: Member, work: (server: Server) => Promise<Result>): Promise<Result> {
    const { client, adapters } = member;
    const served = await this.served(member);
    for (let again = false; ; again = true) {
      const adapter = await adapters.use(this.adapter);
      try {
        return await work({ client, served, model: adapter ?? this.options.trial.model });
      } catch (error) {
        if (again || adapter === null || !(error instanceof Refused) || !saysMissing(adapter, error.status, error.fault.message))
          throw error;
        adapters.doubt();
      }
    }
  }

  private leaveOut(member: Member, error: RlrfError): void {
    member.leftOut++;
    member.failures++;
    member.adapters.doubt();
    const rest = this.rest(member);
    member.outUntil = Math.max(member.outUntil, Date.now() + rest, member.client.resumeAt);
    if (member.failures > 1) return;
    const seconds = ((member.outUntil - Date.now()) / 1000).toFixed(1);
    this.logger.warn(
      error.code,
      `${member.client.endpoint.host} is left out for ${seconds} s, and longer if it fails again: ${error.fault.message}`,
    );
  }

  private rest({ failures }: Member): number {
    return http.backoff(failures, { first: this.options.limits.firstWait, longest: longestWait });
  }

  private async served(member: Member): Promise<ServedModel> {
    if (member.served !== undefined) return member.served;
    const { client } = member;
    const served = await servedModel(client, this.options.trial.model);
    const abilities = await abilitiesOf(client, this.options.trial, served, this.options.limits.attempts);
    this.agreed ??= { card: served.card, abilities };
    this.mustAgree(client.endpoint.host, served, abilities);
    member.served = served;
    return served;
  }

  /** A text must not depend on the server that was asked for it. */
  private mustAgree(host: string, { card }: ServedModel, abilities: Abilities): void {
    const own = saidOf(card, abilities);
    const others = saidOf(this.ready.card, this.ready.abilities);
    if (own !== others)
      throw new RlrfError("RLRF_LLM_HTTP_MODEL", {
        message: `${host} offers another model than the others, or offers it otherwise: ${own}`,
        where: "options.baseUrl",
        expected: `as the others: ${others}`,
        hint: 'name servers of one kind and model; where they differ in n alone, set options.choices to "requests"',
      });
  }

  shares(): readonly ServerShare[] {
    return this.members.map(({ client: { endpoint, counts }, leftOut }) => ({ server: endpoint.host, ...counts, leftOut }));
  }

  async close(): Promise<void> {
    await Promise.all(this.members.map(({ adapters }) => adapters.close()));
    for (const { client } of this.members) client.close();
  }
}

/** @throws what does not pass */
function keptIfPassing(error: unknown): RlrfError {
  if (error instanceof RlrfError && passing.includes(error.code)) return error;
  throw error;
}

function rethrown(error: unknown): never {
  throw error;
}

/** What a server's texts depend on. */
function saidOf(card: ServedModel["card"], { several, uncut }: Abilities): string {
  const offers = [...(several ? ["n texts a request"] : []), ...(uncut === "refuses" ? [] : ["top_k and min_p"])];
  return `${JSON.stringify(card)?.slice(0, 200)}${offers.length > 0 ? `, with ${offers.join(", ")}` : ""}`;
}
