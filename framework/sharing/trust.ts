/** registry/trust.json: whose packages a project may load, and which of them have to be signed. Without a rule for it, none is. */
import { RlrfError } from "../errors.js";
import { writeJson } from "../store/files.js";
import { Form } from "./form.js";
import { packageName } from "./lock.js";
import { isSignedBy, publicKeyForm, readSignature } from "./signature.js";
import type { Tree } from "./tree.js";

export interface TrustRule {
  /** Names of `keys`: one of them must have signed the package. None: unsigned packages are taken. */
  readonly signedBy?: readonly string[];
}

export interface Trust {
  readonly trustVersion: 1;
  /** The keyring: a team's name -> its public key. */
  readonly keys: Readonly<Record<string, string>>;
  /** "@team/losses", or "@team/*" for all packages of a scope. */
  readonly packages: Readonly<Record<string, TrustRule>>;
}

const keyName = /^[a-z0-9][a-z0-9._-]{0,60}$/;
const scope = /^@[a-z0-9][a-z0-9._-]{0,100}\/\*$/;

/** @returns no rules where there is no file. @throws RLRF_TRUST_FILE */
export async function readTrust(path: string): Promise<Trust> {
  const form = new Form("RLRF_TRUST_FILE", path, "docs/security.md shows its form; `rlrf plugin trust` writes it");
  const value = await form.read();
  if (value === undefined) return { trustVersion: 1, keys: {}, packages: {} };
  const file = form.object(value, "", ["trustVersion", "keys", "packages"]);
  if (file.trustVersion !== 1) throw form.fault("/trustVersion", `trustVersion is ${JSON.stringify(file.trustVersion ?? null)}`, "1");
  const keys = form.object(file.keys ?? {}, "/keys");
  for (const name of Object.keys(keys)) {
    if (!keyName.test(name)) throw form.fault(`/keys/${name}`, `"${name}" is no name of a key`, "lower case letters, digits, . _ -");
    form.text(keys, name, "/keys", publicKeyForm);
  }
  const packages = form.object(file.packages ?? {}, "/packages");
  for (const [pattern, rule] of Object.entries(packages)) {
    if (!isPattern(pattern)) throw form.fault(`/packages/${pattern}`, `"${pattern}" names no packages`, patternForm);
    const fields = form.object(rule, `/packages/${pattern}`, ["signedBy"]);
    for (const name of form.texts(fields, "signedBy", `/packages/${pattern}`))
      if (!Object.hasOwn(keys, name)) throw form.fault(`/packages/${pattern}/signedBy`, `there is no key "${name}"`, "a name of /keys");
  }
  return { trustVersion: 1, keys: keys as Trust["keys"], packages: packages as Trust["packages"] };
}

export const patternForm = 'the name of a package, or "@team/*" for all of a scope';

export function isPattern(text: string): boolean {
  return packageName.test(text) || scope.test(text);
}

/**
 * Lets the project load these packages. What is asked for already is never asked for less: that is for whoever edits the file to decide.
 * @throws RLRF_TRUST_FILE, RLRF_USAGE
 */
export async function addTrust(path: string, pattern: string, key?: { readonly name: string; readonly publicKey: string }): Promise<Trust> {
  if (!isPattern(pattern)) throw new RlrfError("RLRF_USAGE", { message: `"${pattern}" names no packages`, expected: patternForm });
  if (key !== undefined && !(keyName.test(key.name) && publicKeyForm.test(key.publicKey)))
    throw new RlrfError("RLRF_USAGE", {
      message: `"${[key.name, key.publicKey].filter(Boolean).join("=")}" is no key`,
      expected: "NAME=ed25519:BASE64, of 32 bytes",
      hint: "`rlrf plugin keygen FILE` prints what follows the =",
    });
  const trust = await readTrust(path);
  mustNotWeaken(trust, path, pattern, key);
  const before = trust.packages[pattern]?.signedBy ?? [];
  const changed: Trust = {
    trustVersion: 1,
    keys: key === undefined ? trust.keys : { ...trust.keys, [key.name]: key.publicKey },
    packages: { ...trust.packages, [pattern]: key === undefined ? {} : { signedBy: [...new Set([...before, key.name])] } },
  };
  await writeJson(path, changed);
  return changed;
}

function mustNotWeaken(trust: Trust, path: string, pattern: string, key?: { readonly name: string; readonly publicKey: string }): void {
  const refuse = (message: string): never => {
    throw new RlrfError("RLRF_USAGE", { message, where: path, hint: "if that is what you want, say so in the file itself" });
  };
  const { signedBy = [] } = ruleFor(trust, pattern) ?? {};
  if (key === undefined && signedBy.length > 0)
    refuse(`packages of ${pattern} have to be signed by ${signedBy.join(" or ")}: a rule without a key would take unsigned ones`);
  const known = key !== undefined && Object.hasOwn(trust.keys, key.name) ? trust.keys[key.name] : undefined;
  if (known !== undefined && known !== key?.publicKey) refuse(`the keyring has another key of the name "${key?.name}": ${known}`);
}

export interface Trusted {
  readonly name: string;
  readonly version: string;
  readonly folder: string;
  readonly tree: Tree;
}

/**
 * @returns which key of the keyring has signed it; null where none had to
 * @throws RLRF_PACKAGE_UNTRUSTED, RLRF_PACKAGE_SIGNATURE
 */
export async function mustBeTrusted(trust: Trust, path: string, { name, version, folder, tree }: Trusted): Promise<string | null> {
  const rule = ruleFor(trust, name);
  if (rule === undefined)
    throw new RlrfError("RLRF_PACKAGE_UNTRUSTED", {
      message: `nobody said that ${name} may be loaded here: a plugin is code that runs with your rights`,
      where: path,
      expected: `a rule for ${patternsOf(name).join(" or ")}`,
      hint: `look at the package; then \`rlrf plugin trust ${name}\``,
    });
  const { signedBy = [] } = rule;
  if (signedBy.length === 0) return null;
  const signature = await readSignature(folder);
  const signer = signature && signedBy.find((key) => isSignedBy(trust.keys[key] ?? "", signature, name, version, tree));
  if (signer) return signer;
  throw new RlrfError("RLRF_PACKAGE_SIGNATURE", {
    message:
      signature === null
        ? `${name} ${version} is not signed`
        : `the signature of ${name} ${version} is by none of those asked for, or not of these files`,
    where: path,
    expected: `a signature by ${signedBy.join(" or ")}`,
    hint: "do not use this package before its publisher has told you why",
  });
}

/** That of the package itself before that of its scope. */
export function ruleFor({ packages }: Trust, name: string): TrustRule | undefined {
  const pattern = patternsOf(name).find((candidate) => Object.hasOwn(packages, candidate));
  return pattern === undefined ? undefined : packages[pattern];
}

function patternsOf(name: string): readonly string[] {
  return name.startsWith("@") ? [name, `${name.slice(0, name.indexOf("/"))}/*`] : [name];
}
