/** npm and git, as the carriers of packages. No script of a package ever runs. */
import fs from "node:fs/promises";
import { join } from "node:path";
import { type ErrorCode, RlrfError } from "../errors.js";
import { runCommand } from "../setup/command.js";

export interface NpmOptions {
  /** Where relative paths begin, and whose .npmrc counts. */
  readonly cwd: string;
  /** npm's own choice when left out. */
  readonly registry?: string;
  /** Take what npm has in its cache. */
  readonly offline?: boolean;
}

const limit = 10 * 60_000; // ms

/**
 * @param spec a name with a range, a URL or a folder
 * @param target an empty folder
 * @returns the path of the tarball
 * @throws RLRF_PACKAGE_FETCH, RLRF_PACKAGE_UNKNOWN, RLRF_PACKAGE_INTEGRITY
 */
export async function npmPack(spec: string, target: string, options: NpmOptions): Promise<string> {
  await npm(["pack", ...common(options), "--pack-destination", target, "--", spec], spec, options.cwd);
  const name = (await fs.readdir(target)).find((file) => file.endsWith(".tgz"));
  if (name === undefined) throw notHad("RLRF_PACKAGE_FETCH", spec, "npm made no tarball of it");
  return join(target, name);
}

/** Paths, with "/", of the files that npm would pack of a folder. @throws RLRF_PACKAGE_FETCH */
export async function npmFiles(folder: string): Promise<readonly string[]> {
  const answer = await npm(["pack", "--dry-run", "--json", ...common({ cwd: folder })], folder, folder);
  const [packed] = JSON.parse(answer) as { files?: { path: string }[] }[];
  return (packed?.files ?? []).map(({ path }) => path);
}

/** @throws RLRF_PACKAGE_FETCH */
export async function npmPublish(tarball: string, options: NpmOptions & { readonly tag?: string }): Promise<void> {
  const tag = options.tag === undefined ? [] : ["--tag", options.tag];
  await npm(["publish", ...common(options), ...tag, "--", tarball], tarball, options.cwd, "publish");
}

function common({ registry, offline = false }: NpmOptions): string[] {
  return [
    ...["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"],
    // npm's own waits add up to minutes, also after a tarball that does not match its digest.
    ...["--fetch-retries=2", "--fetch-retry-mintimeout=500", "--fetch-retry-maxtimeout=5000"],
    ...(registry === undefined ? [] : [`--registry=${registry}`]),
    ...(offline ? ["--offline"] : []),
  ];
}

async function npm(args: readonly string[], spec: string, cwd: string, purpose = "fetch"): Promise<string> {
  try {
    return await runCommand(process.env.RLRF_NPM || "npm", args, { cwd, limit, purpose: `${purpose} ${spec}` });
  } catch (cause) {
    if (!(cause instanceof RlrfError) || cause.code !== "RLRF_COMMAND_FAILED") throw cause;
    const said = cause.fault.message;
    const code = codes.find(([pattern]) => pattern.test(said))?.[1] ?? "RLRF_PACKAGE_FETCH";
    throw notHad(code, spec, `npm could not ${purpose} it: ${said}`, cause);
  }
}

/** npm's codes. */
const codes: readonly (readonly [RegExp, ErrorCode])[] = [
  [/\b(EINTEGRITY|TAR_BAD_ARCHIVE)\b/, "RLRF_PACKAGE_INTEGRITY"],
  [/\b(E404|ETARGET|ENOVERSIONS|EINVALIDTAGNAME|EINVALIDPACKAGENAME)\b/, "RLRF_PACKAGE_UNKNOWN"],
];

/** "git+https://…#ref": the files of one commit, without its hooks, submodules or scripts. @returns URL and commit */
export async function gitClone(spec: string, target: string): Promise<string> {
  const [address = "", ref = "HEAD"] = spec.slice("git+".length).split("#");
  const git = (args: readonly string[], cwd?: string) =>
    runCommand("git", ["-c", "core.hooksPath=/dev/null", ...args], {
      ...(cwd === undefined ? {} : { cwd }),
      env: { GIT_TERMINAL_PROMPT: "0", GIT_ALLOW_PROTOCOL: "file:http:https:ssh" },
      limit,
      purpose: `fetch ${spec}`,
    });
  try {
    await git(["clone", "--quiet", "--no-checkout", "--no-recurse-submodules", "--", address, target]);
    const commit = (
      await git(["rev-parse", "--verify", "--quiet", "--end-of-options", `${ref}^{commit}`], target).catch(() =>
        git(["rev-parse", "--verify", "--end-of-options", `origin/${ref}^{commit}`], target),
      )
    ).trim();
    await git(["checkout", "--quiet", "--detach", commit], target);
    await fs.rm(join(target, ".git"), { recursive: true, force: true });
    return `git+${address}#${commit}`;
  } catch (cause) {
    if (!(cause instanceof RlrfError) || cause.code !== "RLRF_COMMAND_FAILED") throw cause;
    throw notHad("RLRF_PACKAGE_FETCH", spec, `git could not fetch it: ${cause.fault.message}`, cause);
  }
}

/** Locks and messages hold addresses as they were given. @throws RLRF_USAGE */
export function mustHoldNoCredentials(address: string, where: string): void {
  const bare = address.replace(/^git\+/, "");
  const url = URL.canParse(bare) ? new URL(bare) : null;
  if (url === null || (url.password === "" && (url.username === "" || url.protocol === "ssh:"))) return; // git@HOST is nobody's secret
  throw new RlrfError("RLRF_USAGE", {
    message: `the address on ${url.host} holds credentials`,
    where,
    expected: "an address without a user and a password: it would be kept in registry/lock.json, and with every run",
    hint: "leave them to npm (`npm login`, .npmrc) or to git (a credential helper)",
  });
}

function notHad(code: ErrorCode, spec: string, message: string, cause?: unknown): RlrfError {
  return new RlrfError(
    code,
    { message, where: spec, hint: "check the name, the range and the registry; `--registry URL|FOLDER` names another one" },
    { cause },
  );
}
