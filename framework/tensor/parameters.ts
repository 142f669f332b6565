import * as tf from "@tensorflow/tfjs-core";
import type { Rng } from "../contracts/plugin.js";
import { RlrfError } from "../errors.js";

export type Initializer = (shape: readonly number[], rng: Rng) => Float32Array;

/** The named trainable variables of one network: created through scopes, saved and restored by name, freed together. */
export class Parameters {
  private readonly variables: Map<string, tf.Variable>;

  constructor(
    private readonly rng: Rng,
    private readonly prefix = "",
    shared?: Map<string, tf.Variable>,
  ) {
    this.variables = shared ?? new Map();
  }

  /** A child scope: its variables are named `name/…` and belong to the same network. */
  scope(name: string): Parameters {
    return new Parameters(this.rng, `${this.prefix}${name}/`, this.variables);
  }

  /** Creates a variable; its initial values depend on the network's seed and its name alone. @throws RLRF_ENGINE_MEMORY */
  create(name: string, shape: readonly number[], initializer: Initializer): tf.Variable {
    const full = this.prefix + name;
    if (this.variables.has(full)) throw new Error(`parameter ${full} exists already`);
    const values = initialValues(full, () => initializer(shape, this.rng.derive(full)), shape);
    const variable = tf.tidy(() => tf.variable(tf.tensor(values, [...shape], "float32"), true));
    this.variables.set(full, variable);
    return variable;
  }

  get all(): ReadonlyMap<string, tf.Variable> {
    return this.variables;
  }

  async state(): Promise<Record<string, { shape: number[]; values: Float32Array }>> {
    const entries = [...this.variables].map(
      async ([name, variable]) => [name, { shape: variable.shape, values: (await variable.data()) as Float32Array }] as const,
    );
    return Object.fromEntries(await Promise.all(entries));
  }

  /** Sets every variable from a state that has exactly these names and shapes. */
  restore(state: Readonly<Record<string, { readonly shape: readonly number[]; readonly values: Float32Array }>>): void {
    for (const [name, variable] of this.variables) {
      const saved = state[name];
      if (saved === undefined || saved.shape.join() !== variable.shape.join())
        throw new Error(`no saved values of shape [${variable.shape}] for ${name}`);
      tf.tidy(() => variable.assign(tf.tensor(saved.values, variable.shape, "float32")));
    }
  }

  dispose(): void {
    for (const variable of this.variables.values()) variable.dispose();
    this.variables.clear();
  }
}

/** An array that cannot be had at all is a RangeError of the language, which says nothing of whose it is. */
function initialValues(name: string, make: () => Float32Array, shape: readonly number[]): Float32Array {
  try {
    return make();
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    const message = `the weights ${name} of ${shape.join(" x ")} numbers are more than one array can hold`;
    throw new RlrfError("RLRF_ENGINE_MEMORY", { message, hint: "lower the widths in the plugin's options" }, { cause });
  }
}
