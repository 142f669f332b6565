/** Where a server may take a user's text from when the request has none, in their usual order. */
export const textSources = ["cache", "llm", "template"] as const;
/** Where it took one from. */
export type TextSource = (typeof textSources)[number] | "request" | "none";
