/** The address of a server, and whether a key may be sent there. */
import { RlrfError } from "rlrf4rec";

export interface Endpoint {
  /** Without a slash at its end; OpenAI's paths are below it: /chat/completions. */
  readonly base: string;
  /** What stands before a final /v1: where vLLM and llama.cpp keep what OpenAI's interface does not have. */
  readonly root: string;
  readonly host: string;
}

/**
 * @param key whether requests carry one @param plainHttp the user has said that it may cross a network unencrypted
 * @throws RLRF_LLM_HTTP_URL
 */
export function endpoint(baseUrl: string, key: boolean, plainHttp: boolean): Endpoint {
  const fault = (message: string, hint: string) =>
    new RlrfError("RLRF_LLM_HTTP_URL", { message, where: "options.baseUrl", expected: "http://HOST:PORT/v1 or https://HOST/v1", hint });
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : null;
  if (url !== null && (url.username !== "" || url.password !== ""))
    throw fault("the base URL holds credentials", 'take them out, and give the key as "key": {"env": "NAME"}');
  if (url === null || !["http:", "https:"].includes(url.protocol) || url.search !== "" || url.hash !== "")
    throw fault(`${JSON.stringify(baseUrl)} is not the base URL of a server`, "it is what stands before /chat/completions");
  if (key && url.protocol === "http:" && !isLoopback(url.hostname) && !plainHttp)
    throw fault(
      `the key would be sent to ${url.host} unencrypted`,
      'use https, or say "plainHttp": true where the network in between is trusted',
    );
  const base = url.href.replace(/\/+$/, "");
  return { base, root: base.replace(/\/v1$/, ""), host: url.host };
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname.endsWith(".localhost") || hostname === "[::1]" || /^127(?:\.\d+){3}$/.test(hostname);
}
