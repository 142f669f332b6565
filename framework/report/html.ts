/** The document: styles, libraries, scripts and data in one file that asks nothing of any network. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { RlrfError } from "../errors.js";
import { packageRoot } from "../setup/paths.js";
import type { ReportData } from "./page/data.js";
import { linked } from "./link.js";

const pageFolder = join(packageRoot, "dist", "framework", "report", "page");

/** The file piece by piece. @param chunks base64 @throws RLRF_REPORT_PAGE */
export function* htmlOf(data: ReportData, chunks: readonly string[]): Generator<string> {
  const scripts = [library("d3", "d3.min.js"), library("@observablehq/plot", "../dist/plot.umd.min.js"), pageScript()];
  const style = readFileSync(join(packageRoot, "framework", "report", "page", "style.css"), "utf8");
  const title = data.sweep?.name ?? data.runs.map((run) => run.title).join(", ");
  yield `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policyOf(scripts)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="rlrf report">
<title>${escapedText(title)} · rlrf report</title>
<style>
${style}</style>
</head>
<body>
<noscript><p>This report draws itself with its own scripts: allow them to run. They ask nothing of any network.</p></noscript>
<main id="page"></main>
<script type="application/json" id="report">${escapedJson(data)}</script>
`;
  for (const [number, chunk] of chunks.entries()) yield `<script type="application/octet-stream" id="chunk-${number}">${chunk}</script>\n`;
  for (const script of scripts) yield `<script>${script}</script>\n`;
  yield "</body>\n</html>\n";
}

/** Nothing from anywhere; of scripts exactly ours, by digest; no HTML made of text (trusted types without a policy). */
function policyOf(scripts: readonly string[]): string {
  const digests = scripts.map((script) => `'sha256-${createHash("sha256").update(script).digest("base64")}'`);
  const rules = [
    "default-src 'none'",
    `script-src ${digests.join(" ")}`,
    "style-src 'unsafe-inline'", // Plot sets styles of its own
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ];
  return rules.join("; ");
}

/** JSON that can stand in a script element whatever its strings hold: no "</script", no "<!--". */
export function escapedJson(value: unknown): string {
  return JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

export function escapedText(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** @param file beside the package's main module */
function library(name: string, file: string): string {
  const code = readFileSync(join(dirname(fileURLToPath(import.meta.resolve(name))), file), "utf8");
  return scriptText(code, name);
}

function pageScript(): string {
  if (!existsSync(join(pageFolder, "main.js")))
    throw new RlrfError("RLRF_REPORT_PAGE", { message: "the page's scripts are not compiled", where: pageFolder, hint: "npm run build" });
  return scriptText(
    linked("main.js", (path) => readFileSync(join(pageFolder, path), "utf8")),
    "main.js",
  );
}

/** Code is ours or a pinned package's; what would end its element early must not be in it. */
function scriptText(code: string, where: string): string {
  const text = code.replace(/^\/\/# sourceMappingURL=.*$/gm, "").replaceAll("\r", "");
  if (/<\/script|<!--/i.test(text))
    throw new RlrfError("RLRF_REPORT_PAGE", { message: "a script holds what would end its element", where });
  return text;
}
