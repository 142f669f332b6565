/** The page of a static registry: what it holds, for people. One file, without scripts or anything from elsewhere. */
import type { IndexedVersion, RegistryIndex } from "./static-registry.js";

const style = `
:root { color-scheme: light dark; --line: #d5d9e0; --soft: #5b6472; --code: #f2f4f7; }
@media (prefers-color-scheme: dark) { :root { --line: #3a404a; --soft: #a3acba; --code: #22262d; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
section { border-top: 1px solid var(--line); padding: .5rem 0 1.5rem; }
h2 { margin: .8rem 0 .2rem; font-size: 1.2rem; overflow-wrap: anywhere; }
p { margin: .2rem 0 .6rem; color: var(--soft); }
code { font: .9em ui-monospace, monospace; background: var(--code); padding: .1em .3em; border-radius: 4px; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; min-width: 48rem; } td code { white-space: nowrap; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); }
`;

export function cataloguePage({ packages }: RegistryIndex): string {
  const parts = Object.entries(packages).map(([name, versions]) => packagePart(name, versions));
  const count = parts.length === 1 ? "1 package" : `${parts.length} packages`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Plugins for rlrf4rec</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>Plugins for rlrf4rec</h1>
<p>${count}. <code>rlrf plugin add NAME --registry</code> and the address of this page adds one to a project.</p>
${parts.join("\n")}
</main>
</body>
</html>
`;
}

function packagePart(name: string, versions: Readonly<Record<string, IndexedVersion>>): string {
  const [latest, newest] = Object.entries(versions).at(-1) ?? [];
  if (latest === undefined || newest === undefined) return "";
  const older = Object.keys(versions).slice(0, -1).reverse();
  const rows = newest.plugins.map(
    ({ kind, name: plugin, version, summary, source }) =>
      `<tr><td>${escaped(kind)}</td><td><code>${escaped(plugin)}</code></td><td>${escaped(version)}</td><td>${escaped(summary)}</td><td>${escaped(source)}</td></tr>`,
  );
  return `<section>
<h2>${escaped(name)} ${escaped(latest)}</h2>
<p>for rlrf4rec ${escaped(newest.framework)}${older.length === 0 ? "" : `; also ${escaped(older.join(", "))}`} · <a href="${escaped(newest.tarball)}">tarball</a> <code>${escaped(newest.integrity.slice(0, 23))}…</code></p>
<div class="scroll" role="region" tabindex="0" aria-label="Plugins of ${escaped(name)}"><table>
<thead><tr><th scope="col">kind</th><th scope="col">plugin</th><th scope="col">version</th><th scope="col">what</th><th scope="col">source</th></tr></thead>
<tbody>${rows.join("")}</tbody>
</table></div>
</section>`;
}

const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** What stands in a package was written by anyone. */
function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? "");
}
