/** Debian's Chromium for tests of pages; installed on first use. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { promisify } from "node:util";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";

const executable = "/usr/bin/chromium";

export interface TestBrowser {
  /**
   * A page of its own. Requests that are not for a file of this machine, or for the server that is allowed, are refused and kept; so is what
   * the console says of faults.
   */
  open(url: string, options?: BrowserContextOptions & { readonly allowed?: string }): Promise<OpenedPage>;
  readonly browser: Browser;
}
export interface OpenedPage {
  readonly page: Page;
  readonly requests: string[];
  readonly faults: string[];
  close(): Promise<void>;
}

/** One browser for all tests of the enclosing `describe`. */
export function useBrowser(): TestBrowser {
  let browser: Browser | undefined;
  before(async function () {
    this.timeout(20 * 60_000);
    await install();
    browser = await chromium.launch({ executablePath: executable, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  });
  after(() => browser?.close());
  const running = (): Browser => {
    if (browser === undefined) throw new Error("the browser runs inside tests only");
    return browser;
  };
  return {
    get browser() {
      return running();
    },
    async open(url, { allowed, ...options } = {}) {
      const context = await running().newContext(options);
      context.setDefaultTimeout(120_000); // others may be at work on this machine
      const page = await context.newPage();
      const requests: string[] = [];
      const faults: string[] = [];
      await context.route("**/*", (route) => {
        const asked = route.request().url();
        if (/^(?:file|data|blob):/.test(asked) || (allowed !== undefined && asked.startsWith(allowed))) return route.continue();
        requests.push(asked);
        return route.abort();
      });
      page.on("pageerror", (error) => faults.push(error.message));
      page.on("console", (message) => {
        if (["error", "warning"].includes(message.type())) faults.push(message.text());
      });
      await page.goto(url);
      return { page, requests, faults, close: () => context.close() };
    },
  };
}

async function install(): Promise<void> {
  if (existsSync(executable)) return;
  if (process.getuid?.() !== 0)
    throw new Error(`there is no ${executable}: install it as root with \`apt-get install chromium fonts-liberation\``);
  const apt = (...args: readonly string[]) =>
    promisify(execFile)("apt-get", ["-o", "DPkg::Lock::Timeout=600", "-y", ...args], {
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
  await apt("update");
  await apt("install", "--no-install-recommends", "chromium", "fonts-liberation");
}
