import vm from "node:vm";
import { Environment, Interpreter, parse, tokenize } from "@huggingface/jinja";
import type { ChatMessage } from "../../contracts/llm.js";
import type { OptionSchema } from "../../contracts/plugin.js";
import { RlrfError } from "../../errors.js";

/** Bounds of a template that comes with a model: characters of it and of what it writes, items of a range, milliseconds. */
const limits = { template: 200_000, range: 100_000, time: 3_000 } as const;

/**
 * A chat template (Jinja, computed by @huggingface/jinja) as transformers renders it, but without the date of today: the same messages
 * give the same prompt on every day. Templates come with models, so their length and time are bounded.
 */
export class ChatTemplate {
  private readonly program: ReturnType<typeof parse>;
  private readonly context = vm.createContext({ work: () => "" });
  private readonly script = new vm.Script("work()");

  /** @param variables special tokens by the names that the template has for them @throws RLRF_CHAT_TEMPLATE */
  constructor(
    readonly where: string,
    readonly source: string,
    readonly variables: Readonly<Record<string, string>>,
  ) {
    if (source.length > limits.template) throw this.fault(`it has ${source.length} characters`, `at most ${limits.template}`);
    this.program = this.bounded(() => parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true })));
  }

  /** @param reply whether the head of the assistant's turn follows @throws RLRF_CHAT_TEMPLATE */
  render(messages: readonly ChatMessage[], reply: boolean): string {
    return this.bounded(() => {
      const environment = new Environment();
      const values = { ...globals, ...this.variables, messages: messages.map((message) => ({ ...message })), add_generation_prompt: reply };
      for (const [name, value] of Object.entries(values)) environment.set(name, value);
      return String(new Interpreter(environment).run(this.program).value);
    });
  }

  /** A template may loop for ever: only an interrupted script ends it. */
  private bounded<Result>(work: () => Result): Result {
    try {
      this.context.work = work;
      return this.script.runInContext(this.context, { timeout: limits.time }) as Result;
    } catch (cause) {
      const late = (cause as NodeJS.ErrnoException).code === "ERR_SCRIPT_EXECUTION_TIMEOUT";
      throw this.fault(late ? `it did not end within ${limits.time} ms` : `it fails: ${messageOf(cause)}`, undefined, cause);
    } finally {
      this.context.work = null;
    }
  }

  private fault(problem: string, expected?: string, cause?: unknown): RlrfError {
    const message = `the chat template cannot be used: ${problem}`;
    const hint = "see to the messages' roles and order, or give the model another template (chat_template.jinja in its folder)";
    return new RlrfError(
      "RLRF_CHAT_TEMPLATE",
      { message, where: this.where, hint, ...(expected !== undefined && { expected }) },
      { cause },
    );
  }
}

/** What a template that can be told something is told: `enable_thinking` of Qwen3, … */
export type TemplateVariables = Readonly<Record<string, string | number | boolean>>;

/** The schema of TemplateVariables, as an option of whatever renders a chat itself. */
export const templateVariables: OptionSchema = {
  type: "object",
  additionalProperties: { type: ["string", "number", "boolean"] },
  default: {},
  description:
    'Variables of the model\'s chat template, e.g. {"enable_thinking": false} for Qwen3, which otherwise thinks before it answers.',
};

/**
 * The template with its variables set in its first line, so that they stay with it wherever it is written to.
 * @throws RLRF_CHAT_TEMPLATE
 */
export function withVariables(where: string, source: string, variables: TemplateVariables): string {
  const names = Object.keys(variables);
  const odd = names.find((name) => !/^[A-Za-z_]\w*$/.test(name) || name === "messages" || name === "add_generation_prompt");
  if (odd !== undefined)
    throw new RlrfError("RLRF_CHAT_TEMPLATE", {
      message: `${JSON.stringify(odd)} is no variable that can be set`,
      where,
      expected: "a name of letters, digits and _, but neither messages nor add_generation_prompt",
      hint: "see which variables the model's chat template reads",
    });
  if (names.length === 0) return source;
  const set = names.map((name) => `{% set ${name} = ${JSON.stringify(variables[name])} %}`).join("");
  return `${set}{{ "" }}${source}`; // after a block a newline would be dropped
}

const globals = {
  ...{ false: false, true: true, none: null, False: false, True: true, None: null },
  raise_exception: (message: unknown) => {
    throw new Error(String(message));
  },
  range: (from: number, to?: number, step = 1) => {
    const [first, end] = to === undefined ? [0, from] : [from, to];
    const count = Math.max(0, Math.ceil((end - first) / step));
    if (!(count <= limits.range)) throw new Error(`range() of ${count} numbers`);
    return Array.from({ length: count }, (_, i) => first + i * step);
  },
};

function messageOf(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).slice(0, 200);
}
