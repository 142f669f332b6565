/** A real OpenAI-compatible server that nobody here wrote: `transformers serve`, on SmolLM2 in safetensors. */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import net, { type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { ChatMessage } from "../../framework/contracts/llm.js";
import { createAssets } from "../../framework/setup/assets.js";
import { runCommand } from "../../framework/setup/command.js";
import { home, packageRoot } from "../../framework/setup/paths.js";
import { pythonEnvironment } from "./python.js";

/** Not the bench's: a server needs more packages than a rival. */
export const transformersRequirements = ["torch==2.13.0", "transformers[serving]==5.23.0", "gguf==0.19.0"] as const;

const asset = "smollm2-135m-instruct";
const gguf = "SmolLM2-135M-Instruct.Q4_1.gguf";
const script = join(packageRoot, "test", "support", "hugging_face_export.py");

export interface Exported {
  readonly folder: string;
  /** What transformers' own `generate` writes for the chats, greedily. */
  readonly greedy: readonly string[];
}

/** SmolLM2 in Hugging Face's layout, made once and kept in home()/test. */
export async function exportSmolLm2(chats: readonly (readonly ChatMessage[])[], tokens: number): Promise<Exported> {
  const key = createHash("sha256")
    .update(JSON.stringify([await readFile(script, "utf8"), transformersRequirements, chats, tokens]))
    .digest("hex");
  const folder = join(home(), "test", `smollm2-${key.slice(0, 12)}`);
  if (!existsSync(folder)) {
    await mkdir(dirname(folder), { recursive: true });
    const temporary = await mkdtemp(`${folder}-`);
    try {
      const asked = join(temporary, "chats.json");
      await writeFile(asked, JSON.stringify(chats));
      const python = await pythonEnvironment("transformers", transformersRequirements);
      const source = await createAssets().folder(asset);
      await runCommand(python, [script, source, gguf, temporary, asked, String(tokens)], {
        limit: 15 * 60_000,
        purpose: "export a checkpoint for tests",
        env: { HF_HUB_OFFLINE: "1", OMP_NUM_THREADS: "1" }, // as below
      });
      await rename(temporary, folder);
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
  }
  return { folder, greedy: JSON.parse(await readFile(join(folder, "greedy.json"), "utf8")) as string[] };
}

export interface RunningServer {
  readonly baseUrl: string;
  stop(): Promise<void>;
}

export async function serveTransformers(model: string): Promise<RunningServer> {
  const python = await pythonEnvironment("transformers", transformersRequirements);
  const port = await freePort();
  const cache = await mkdtemp(join(tmpdir(), "rlrf4rec-serve-"));
  const args = ["serve", model, "--host", "127.0.0.1", "--port", String(port), "--device", "cpu", "--dtype", "float32"];
  // One thread: two that wait for each other are slower on a machine that has something else to do.
  const env = { ...process.env, HF_HUB_OFFLINE: "1", HF_HOME: cache, OMP_NUM_THREADS: "1" };
  const child = spawn(join(dirname(python), "transformers"), args, { stdio: ["ignore", "pipe", "pipe"], env });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (output = (output + chunk).slice(-4000)));
  const kill = () => void child.kill("SIGKILL");
  process.once("exit", kill); // a test run that crashes leaves no server behind
  const stop = async () => {
    process.off("exit", kill);
    await end(child);
    await rm(cache, { recursive: true, force: true });
  };
  try {
    await untilHealthy(`http://127.0.0.1:${port}/health`, child, () => output);
  } catch (error) {
    await stop();
    throw error;
  }
  return { baseUrl: `http://127.0.0.1:${port}/v1`, stop };
}

async function untilHealthy(url: string, child: ChildProcess, output: () => string): Promise<void> {
  const deadline = Date.now() + 3 * 60_000;
  for (;;) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`transformers serve does not start:\n${output()}`);
    const answer = await fetch(url).catch(() => null);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 5000);
  await ended;
  clearTimeout(timer);
}

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
