/** Packages of plugins made in memory: sound ones, and whatever a test wants to be wrong with them. */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";

export type Files = Readonly<Record<string, string>>;

export interface PackageOptions {
  readonly name?: string;
  readonly version?: string;
  readonly framework?: string;
  /** Name of its one loss, without the package's. */
  readonly plugin?: string;
  /** What the loss multiplies log-probs with: another source, another result. */
  readonly factor?: number;
  /** A text encoder beside the loss, for runs without an LLM: two numbers a text. */
  readonly encoder?: boolean;
  readonly packageJson?: object;
  readonly entry?: object;
}

/** A package with one loss, -factor · log p of the chosen text, in plain JavaScript. */
export function lossPackage(options: PackageOptions = {}): Files {
  const { name = "@team-a/losses", version = "1.0.0", framework = "^0.1.0", plugin = "likelihood", factor = 1 } = options;
  const identity = {
    kind: "loss",
    name: `${name}/${plugin}`,
    version,
    summary: "Negative log-likelihood of the chosen text",
    source: "maximum likelihood",
    pure: true,
    needs: [],
    rejected: 0,
    options: { type: "object", properties: { scale: { type: "number", exclusiveMinimum: 0, default: 1, description: "Factor." } } },
  };
  const entry = { ...identity, module: "dist/likelihood.js", file: "src/likelihood.ts", sha256: "0".repeat(64), ...options.entry };
  const encoder = encoderOf(name, version);
  const packageJson = {
    name,
    version,
    type: "module",
    rlrf: { plugins: "./plugins.json" },
    peerDependencies: { rlrf4rec: framework },
    ...options.packageJson,
  };
  return {
    "package.json": JSON.stringify(packageJson, null, 2),
    "plugins.json": JSON.stringify({ plugins: [entry, ...(options.encoder ? [encoder.entry] : [])] }, null, 2),
    ...(options.encoder ? encoder.files : {}),
    "dist/factor.js": `export const factor = ${factor};\n`,
    "dist/likelihood.js": `import { options, plugin, tf } from "rlrf4rec";
import { factor } from "./factor.js";
globalThis.loadedPackages = [...(globalThis.loadedPackages ?? []), "${name}@${version}"];
class Likelihood {
  needs = [];
  rejected = 0;
  constructor(options) { this.options = options; }
  loss({ chosen }) { return tf.mul(-factor * this.options.scale, chosen.logProbs); }
}
options()(Likelihood, undefined, 0);
plugin(${JSON.stringify(identity)})(Likelihood);
export { Likelihood };
`,
  };
}

function encoderOf(owner: string, version: string): { readonly entry: object; readonly files: Files } {
  const identity = {
    kind: "text-encoder",
    name: `${owner}/lengths`,
    version,
    summary: "Length of a text and of its first line",
    source: "counting",
  };
  return {
    entry: { ...identity, module: "dist/lengths.js", file: "src/lengths.ts", sha256: "0".repeat(64) },
    files: {
      "dist/lengths.js": `import { plugin } from "rlrf4rec";
class Lengths {
  async encode(texts) {
    return { width: 2, vectors: Float32Array.from(texts.flatMap((text) => [text.length / 100, text.split("\\n")[0].length / 100])) };
  }
}
plugin(${JSON.stringify(identity)})(Lengths);
export { Lengths };
`,
    },
  };
}

export async function writeFiles(folder: string, files: Files): Promise<string> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  return folder;
}

export interface TarEntry {
  readonly path: string;
  readonly body?: string | Buffer;
  /** "0" file, "2" symbolic link, "5" folder, "x" extended header. */
  readonly type?: string;
}

/** A tarball as npm makes them: everything below package/. */
export function tarballOf(files: Files): Buffer {
  return gzipSync(tar(Object.entries(files).map(([path, body]) => ({ path: `package/${path}`, body }))));
}

export function tar(entries: readonly TarEntry[]): Buffer {
  const blocks = entries.flatMap(({ path, body = "", type = "0" }) => {
    const data = Buffer.from(body);
    return [header(path, data.length, type), data, Buffer.alloc((512 - (data.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

function header(path: string, size: number, type: string): Buffer {
  const block = Buffer.alloc(512);
  block.write(path, 0, 100, "utf8");
  block.write("0000644\0", 100);
  block.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
  block.write("        ", 148);
  block.write(type, 156);
  block.write("ustar\u000000", 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}
