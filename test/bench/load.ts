/**
 * An open-loop load generator, in a process of its own: requests leave at a fixed rate whatever becomes of those before them, and a latency counts
 * from the moment at which its request was due, so that a server that stalls cannot hide it (coordinated omission; G. Tene).
 * Arguments: address with path, file of bodies (JSON lines), or - for GET, requests a second, seconds. Prints JSON.
 */
import { readFileSync } from "node:fs";
import http from "node:http";

export interface Load {
  readonly requests: number;
  /** Answers with another status than 200, and requests without an answer. */
  readonly failed: number;
  /** Milliseconds from the moment at which a request was due to the end of its answer. */
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
  /** Milliseconds by which requests left late, at most: the generator's own delay, which the latencies hold. */
  readonly late: number;
  /** Answers by where their text came from. */
  readonly texts: Readonly<Record<string, number>>;
}

const [address = "", file = "", rate = "100", seconds = "10"] = process.argv.slice(2);
const bodies = file === "-" ? [] : readFileSync(file, "utf8").trim().split("\n");
const agent = new http.Agent({ keepAlive: true });
const interval = 1000 / Number(rate);
const count = Math.round(Number(rate) * Number(seconds));

const latencies: number[] = [];
const texts: Record<string, number> = {};
let [failed, late] = [0, 0];

function send(body: string | undefined, due: number): Promise<void> {
  late = Math.max(late, performance.now() - due);
  return new Promise((resolve) => {
    const fail = () => {
      failed++;
      resolve();
    };
    const headers = body === undefined ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    const request = http.request(address, { method: body === undefined ? "GET" : "POST", agent, headers }, (response) => {
      const chunks: Buffer[] = [];
      response
        .on("data", (chunk: Buffer) => chunks.push(chunk))
        .on("end", () => {
          latencies.push(performance.now() - due);
          if (response.statusCode !== 200) return fail();
          const { text } = JSON.parse(Buffer.concat(chunks).toString()) as { text?: { from: string } };
          if (text !== undefined) texts[text.from] = (texts[text.from] ?? 0) + 1;
          resolve();
        });
    });
    request.on("error", fail).end(body);
  });
}

const begun = performance.now() + 50;
const sent: Promise<void>[] = [];
for (let i = 0; i < count; i++) {
  const due = begun + i * interval;
  while (performance.now() < due) await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - performance.now() - 1)));
  sent.push(send(bodies[i % bodies.length], due));
}
await Promise.all(sent);
agent.destroy();
const sorted = latencies.sort((a, b) => a - b);
const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
const load: Load = { requests: count, failed, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: sorted.at(-1) ?? Number.NaN, late, texts };
console.log(JSON.stringify(load));
