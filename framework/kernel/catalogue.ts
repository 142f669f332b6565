/** registry/catalogue.md: every plugin with its source, its options, and what it is proven against. */
import { pluginKinds } from "../contracts/kinds.js";
import { optionLines } from "../spec/option-text.js";
import type { ManifestEntry } from "./registry.js";

/** A row of registry/oracles.json: what plugins are held against, and the test that does. */
export interface Proof {
  /** From whom the right values come: another program, another library, a computation by hand. */
  readonly by: string;
  /** Path of the test. */
  readonly test: string;
  /** "loss/dpo", … */
  readonly of: readonly string[];
}

export function catalogue(plugins: readonly ManifestEntry[], proofs: readonly Proof[]): string {
  const kinds = Object.keys(pluginKinds).filter((kind) => plugins.some((plugin) => plugin.kind === kind));
  const parts = kinds.flatMap((kind) => {
    const own = plugins.filter((plugin) => plugin.kind === kind);
    return [`\n## ${kind}\n`, ...own.map((plugin) => section(plugin, proofs))];
  });
  const intro = [
    "# Plugins",
    "",
    "Written by `npm run registry` from the plugins' decorators and `registry/oracles.json`. `rlrf describe KIND/NAME` shows one of them.",
    "",
    "| kind | plugins |",
    "|---|---|",
    ...kinds.map(
      (kind) => `| [\`${kind}\`](#${kind}) | ${plugins.flatMap((own) => (own.kind === kind ? [`\`${own.name}\``] : [])).join(", ")} |`,
    ),
  ];
  return `${[...intro, ...parts].join("\n")}\n`;
}

function section({ kind, name, version, summary, source, options }: ManifestEntry, proofs: readonly Proof[]): string {
  const proven = proofs.filter(({ of }) => of.includes(`${kind}/${name}`)).map(({ by, test }) => `${by} ([test](../${test}))`);
  const rows = optionLines(options).map(
    ({ name: option, takes, state, description }) => `| \`${option}\` | ${cell(takes)} | ${cell(state)} | ${cell(description ?? "")} |`,
  );
  return [
    `### \`${name}\` ${version}`,
    "",
    `${summary}.`,
    "",
    `- source: ${source}`,
    ...proven.map((proof) => `- proven against: ${proof}`),
    ...(rows.length === 0 ? ["- no options"] : ["", "| option | takes | | |", "|---|---|---|---|", ...rows]),
    "",
  ].join("\n");
}

/** A cell of a Markdown table. */
export function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}
