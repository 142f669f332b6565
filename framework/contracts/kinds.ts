/**
 * The plugin kinds, as data: the kernel, the spec and the registry know nothing of a kind besides its row here.
 * Adding a kind means a row, a contract file beside this one, and a contract suite in `testing/`.
 */
export const pluginKinds = {
  dataset: { section: "dataset", folder: "datasets", required: true },
  encoder: { section: "encoder", folder: "encoders", required: true },
  adaptor: { section: "adaptor", folder: "adaptors", required: true },
  reranker: { section: "reranker", folder: "rerankers", required: true },
  "text-encoder": { section: "textEncoder", folder: "text-encoders", required: true },
  llm: { section: "llm", folder: "llms", required: false },
  reward: { section: "reward", folder: "rewards", required: false },
  sampling: { section: "sampling", folder: "sampling", required: false },
  loss: { section: "loss", folder: "losses", required: false },
  tuner: { section: "tuner", folder: "tuners", required: false },
  executor: { section: "executor", folder: "executors", required: false },
} as const satisfies Record<string, { section: string; folder: string; required: boolean }>;

export type PluginKind = keyof typeof pluginKinds;
export type SpecSection = (typeof pluginKinds)[PluginKind]["section"];

export function isPluginKind(text: string): text is PluginKind {
  return Object.hasOwn(pluginKinds, text);
}
