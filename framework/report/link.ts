/**
 * The page's compiled modules as one classic script: each becomes a function that returns what it exports, in the order in which
 * they need each other. It knows the forms of import and export that our own modules use, and refuses any other.
 */
import { posix } from "node:path";
import { RlrfError } from "../errors.js";

const importForm = /^import\s*\{([^}]*)\}\s*from\s*"([^"]+)";$/gm;
const exportForm = /^export (?=(?:async )?(?:function\*?|const|class) ([A-Za-z_$][\w$]*))/gm;

/** @param read gives the code of a module by its path @returns a script without imports @throws RLRF_REPORT_PAGE */
export function linked(entry: string, read: (path: string) => string): string {
  const done = new Map<string, string>();
  const visiting = new Set<string>();
  const visit = (path: string): void => {
    if (done.has(path)) return;
    if (visiting.has(path)) throw refused(path, "it imports itself by way of others");
    visiting.add(path);
    const code = read(path).replace(/^\/\/# sourceMappingURL=.*$/m, "");
    const body = code.replace(importForm, (_, names: string, from: string) => {
      const target = posix.join(posix.dirname(path), from);
      visit(target);
      return `const {${names.replace(/\bas\b/g, ":").replaceAll(" : ", ": ")}} = modules[${JSON.stringify(target)}];`;
    });
    const exported: string[] = [];
    const inner = body
      .replace(exportForm, (_, name: string) => {
        exported.push(name);
        return "";
      })
      .replace(/^export \{\s*\};$/m, "");
    const rest = /^(?:import|export)\b.*$/m.exec(inner);
    if (rest !== null) throw refused(path, `"${rest[0]}" is in no form that is known`);
    done.set(path, `modules[${JSON.stringify(path)}] = (() => {\n${inner}\nreturn { ${exported.join(", ")} };\n})();`);
  };
  visit(entry);
  return `"use strict";\n(() => {\nconst modules = {};\n${[...done.values()].join("\n")}\n})();`;
}

function refused(path: string, message: string): RlrfError {
  return new RlrfError("RLRF_REPORT_PAGE", {
    message,
    where: path,
    expected: 'import { a, b as c } from "./x.js"; export function, const or class',
  });
}
