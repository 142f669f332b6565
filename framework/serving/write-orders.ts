/** What the writer's process does once its LLM is loaded: orders in, texts out, some at a time. */
import type { GenerationParameters, GenerationRequest, LlmBackend } from "../contracts/llm.js";
import { RlrfError } from "../errors.js";
import type { Order, Report } from "./writer.js";

/** Prompts answered side by side: a decoder takes little longer over some than over one. */
const together = 16;

type Generator = Pick<LlmBackend, "generate">;

/** Does not return. */
export async function writeOrders(llm: Generator, generation: GenerationParameters): Promise<never> {
  const waiting: Order[] = [];
  let wake: () => void = () => {};
  process.on("message", (order: Order) => {
    waiting.push(order);
    wake();
  });
  tell({ event: "ready" });
  for (;;) {
    while (waiting.length === 0) await new Promise<void>((resolve) => (wake = resolve));
    await answer(llm, generation, waiting.splice(0, together));
    tell({ event: "idle" });
  }
}

async function answer(llm: Generator, generation: GenerationParameters, orders: readonly Order[]): Promise<void> {
  const requests = orders.map(({ user, messages }): GenerationRequest => ({ user, messages, samples: 1, seed: 0 }));
  tell({ event: "writing" });
  try {
    await llm.generate(requests, generation, (i, [written]) => {
      const id = orders[i]?.id;
      if (id !== undefined && written !== undefined) tell({ event: "text", id, text: written.text });
    });
  } catch (error) {
    if (orders.length === 1) tellFailed(orders[0]?.id ?? null, error);
    else for (const order of orders) await answer(llm, generation, [order]); // one prompt that is too long ends all of a call
  }
}

/** @param id null: of all */
export function tellFailed(id: number | null, error: unknown): void {
  const coded = error instanceof RlrfError ? error : new RlrfError("RLRF_INTERNAL", { message: error instanceof Error ? error.message : String(error) }); // biome-ignore format: one line
  tell({ event: "failed", id, code: coded.code, fault: coded.fault });
}

function tell(report: Report): void {
  process.send?.(report);
}
