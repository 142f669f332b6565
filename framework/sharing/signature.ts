/** Signatures of packages: ed25519 (RFC 8032), over a package's name, version and every file in it besides the signature itself. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { RlrfError } from "../errors.js";
import { fileError, makeFolder } from "../store/files.js";
import { Form } from "./form.js";
import { digestOf, type Tree } from "./tree.js";

/** In the package's folder, beside its package.json. */
export const signatureFile = "rlrf-signature.json";

export interface Signature {
  readonly key: string;
  readonly signature: string;
}

/** "ed25519:" and the 32 bytes of the public key in base64. */
export const publicKeyForm = /^ed25519:[A-Za-z0-9+/]{43}=$/;
const signatureForm = /^[A-Za-z0-9+/]{86}==$/;

/** @returns the private key as PEM, and the public one as a keyring has it */
export function createKey(): { readonly privateKey: string; readonly publicKey: string } {
  const { privateKey } = generateKeyPairSync("ed25519");
  return { privateKey: privateKey.export({ type: "pkcs8", format: "pem" }).toString(), publicKey: publicText(privateKey) };
}

/** For this user alone to read. @throws RLRF_KEY_FILE when there is a file already */
export async function writePrivateKey(path: string, pem: string): Promise<void> {
  try {
    await makeFolder(dirname(resolve(path)));
    await writeFile(path, pem, { flag: "wx", mode: 0o600 });
  } catch (cause) {
    const said = existsSync(path) ? "there is something already, and it may be a key" : fileError(cause, path, "write").fault.message;
    const fault = {
      message: `the key cannot be written: ${said}`,
      where: path,
      expected: "the path of a new file",
      hint: "name another one",
    };
    throw new RlrfError("RLRF_KEY_FILE", fault, { cause });
  }
}

/** @throws RLRF_KEY_FILE */
export async function readPrivateKey(path: string): Promise<KeyObject> {
  try {
    const key = createPrivateKey(await readFile(path, "utf8"));
    if (key.asymmetricKeyType !== "ed25519") throw new Error(`it is a key for ${key.asymmetricKeyType}`);
    return key;
  } catch (cause) {
    throw new RlrfError(
      "RLRF_KEY_FILE",
      {
        message: `the private key cannot be used: ${(cause as Error).message}`, // OpenSSL's words hold nothing of the key
        where: path,
        expected: "an ed25519 key in PEM",
        hint: "`rlrf plugin keygen FILE` makes one",
      },
      { cause },
    );
  }
}

export function signPackage(name: string, version: string, tree: Tree, key: KeyObject): Signature {
  return { key: publicText(key), signature: sign(null, payload(name, version, tree), key).toString("base64") };
}

export function isSignedBy(publicKey: string, { signature }: Signature, name: string, version: string, tree: Tree): boolean {
  const raw = Buffer.from(publicKey.slice("ed25519:".length), "base64");
  try {
    const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: raw.toString("base64url") }, format: "jwk" });
    return verify(null, payload(name, version, tree), key, Buffer.from(signature, "base64"));
  } catch {
    return false; // 32 bytes that are no point of the curve
  }
}

/** @returns null when the package is not signed. @throws RLRF_PACKAGE_SIGNATURE */
export async function readSignature(folder: string): Promise<Signature | null> {
  const form = new Form("RLRF_PACKAGE_SIGNATURE", join(folder, signatureFile), "ask its publisher for a package that is signed anew");
  const value = await form.read();
  if (value === undefined) return null;
  const fields = form.object(value, "", ["key", "signature"]);
  return { key: form.text(fields, "key", "", publicKeyForm), signature: form.text(fields, "signature", "", signatureForm) };
}

function payload(name: string, version: string, tree: Tree): Buffer {
  const signed = new Map([...tree].filter(([path]) => path !== signatureFile));
  return Buffer.from(`rlrf4rec package\n${name}\n${version}\n${digestOf(signed)}\n`);
}

export function publicText(key: KeyObject): string {
  const { x = "" } = createPublicKey(key).export({ format: "jwk" });
  return `ed25519:${Buffer.from(x, "base64url").toString("base64")}`;
}
