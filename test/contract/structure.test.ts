/** What a stranger may rely on when reading: imports go one way, the framework knows no plugin, and plugins know no inner part of it. */
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { packageRoot } from "../../framework/setup/paths.js";

/** Every import of a file, types included, by path from the root. */
async function importsOf(folders: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>> {
  const imports = new Map<string, readonly string[]>();
  for (const folder of folders)
    for (const name of await readdir(join(packageRoot, folder), { recursive: true })) {
      if (!name.endsWith(".ts")) continue;
      const file = join(packageRoot, folder, name);
      const text = (await readFile(file, "utf8")).replace(/`[^`]*`/g, ""); // templates of other files
      const paths = [...text.matchAll(/\b(?:from|import)\s*\(?\s*"([^"]+)"/g)].map(([, path = ""]) =>
        path.startsWith(".") ? relative(packageRoot, resolve(dirname(file), path.replace(/\.js$/, ".ts"))) : path,
      );
      imports.set(relative(packageRoot, file), paths);
    }
  return imports;
}

/** The first loop that is found, from a file to itself. */
function circleOf(imports: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const done = new Set<string>();
  const visit = (file: string, above: readonly string[]): readonly string[] => {
    if (above.includes(file)) return [...above.slice(above.indexOf(file)), file];
    if (done.has(file)) return [];
    for (const next of imports.get(file) ?? []) {
      const circle = visit(next, [...above, file]);
      if (circle.length > 0) return circle;
    }
    done.add(file);
    return [];
  };
  return [...imports.keys()].map((file) => visit(file, [])).find((circle) => circle.length > 0) ?? [];
}

describe("the structure of the source", () => {
  it("has no circles of imports", async () => {
    assert.deepEqual(circleOf(new Map([["a", ["b"]], ["b", ["c"]], ["c", ["b"]]])), ["b", "c", "b"]); // biome-ignore format: one graph
    assert.deepEqual(circleOf(await importsOf(["framework", "plugins"])), []);
  });

  it("keeps the framework free of plugins, and plugins to what the framework exports", async () => {
    const imports = await importsOf(["framework", "plugins"]);
    assert.ok(imports.size > 300);
    const parts = ["framework", "plugins", "test"];
    const partOf = (path: string) => path.split("/")[0] as string;
    for (const [file, paths] of imports)
      for (const path of paths) assert.ok(partOf(path) === partOf(file) || !parts.includes(partOf(path)), `${file} imports ${path}`);
  });
});
