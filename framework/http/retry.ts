/** When to ask again, and what a server said when it refused. */
import { setTimeout as sleep } from "node:timers/promises";

export interface Backoff {
  /** Milliseconds: the longest wait before the second try. */
  readonly first: number;
  /** Milliseconds: no wait is longer. */
  readonly longest: number;
}

/**
 * Exponential backoff with full jitter: uniform in [0, min(longest, first * 2^(attempt - 1))], so that clients who failed together do not
 * come back together (M. Brooker, "Exponential Backoff And Jitter", 2015).
 * @param attempt that has just failed, from 1; @returns milliseconds
 */
export function backoff(attempt: number, { first, longest }: Backoff, random: () => number = Math.random): number {
  return random() * Math.min(longest, first * 2 ** (attempt - 1));
}

/** Waits. @throws the signal's own reason, where sleep would throw an AbortError */
export async function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  if (milliseconds > 0)
    await sleep(milliseconds, undefined, signal === undefined ? {} : { signal }).catch((error: unknown) => {
      if (signal?.aborted !== true) throw error;
    });
  signal?.throwIfAborted();
}

/** Retry-After (RFC 9110, 10.2.3), seconds or a date. @returns milliseconds from `now`; undefined when it asks for nothing that can be read */
export function retryAfter(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  const text = header.trim();
  if (/^\d+(?:\.\d+)?$/.test(text)) return Number(text) * 1000;
  const date = /[A-Za-z]/.test(text) ? Date.parse(text) : Number.NaN; // Date.parse reads "-5" as a year
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** What a failed call says of itself: a refused connection to a name with several addresses comes as an AggregateError without a message. */
export function failureText(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return (message || code) ?? String(error);
}

const saidAtMost = 300; // characters

/** The readable part of a server's answer on one line, cut to 300 characters. */
export function saidIn(body: Buffer | string): string {
  const text = (typeof body === "string" ? body : body.toString("utf8", 0, 8 * saidAtMost))
    .replace(/<(style|script)\b[\s\S]*?(<\/\1>|$)/gi, " ")
    .replace(/<[^>]*>/g, " ")
    .replace(/[\s\p{Cc}]+/gu, " ") // control characters would reach the terminal
    .trim();
  return text.length > saidAtMost ? `${text.slice(0, saidAtMost)}…` : text;
}
