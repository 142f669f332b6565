/** A writer's process whose LLM takes 400 ms a call; which loads for 1500 ms from the second time on, and never ends the text "for ever". */
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { GeneratedText, GenerationParameters, LlmBackend } from "../../../../framework/contracts/llm.js";
import { writeOrders } from "../../../../framework/serving/write-orders.js";

const launches = join(process.argv[2] as string, "launches");
appendFileSync(launches, "x");
if (readFileSync(launches, "utf8").length > 1) await sleep(1500);

const llm: Pick<LlmBackend, "generate"> = {
  async generate(requests, _, onDone) {
    await sleep(400);
    const asked = requests.map(({ messages }) => messages[0]?.content ?? "");
    if (asked.includes("for ever")) await new Promise(() => {});
    if (asked.includes("too long") && asked.length > 1) throw new Error("too long");
    const texts = asked.map((content) => [{ text: `about ${content}` } as GeneratedText]);
    for (const [i, own] of texts.entries()) onDone?.(i, own);
    return texts;
  },
};
await writeOrders(llm, {} as GenerationParameters);
