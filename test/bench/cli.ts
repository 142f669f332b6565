/** How long a shell waits for what imports no tensor library, beside the bare start of Node. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { packageRoot } from "../../framework/setup/paths.js";
import { type Figure, inTurn, timeFigure } from "./figures.js";

const commands = [["list"], ["describe", "loss/dpo"], ["check", join("experiments", "quickstart.json")]];
/** Pairs of timings of one command. */
const rounds = 7;

export async function benchCli(): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const command of commands) {
    const ours = () => seconds([join("framework", "cli", "rlrf.mjs"), ...command]);
    ours(); // reads the files into the disk cache
    const pairs = await inTurn(
      rounds,
      async () => ours(),
      async () => seconds(["-e", ""]),
    );
    figures.push(
      timeFigure(`rlrf ${command[0]}`, pairs, { text: "< 0.4 s", met: (time) => time < 0.4 }, "from the shell; the rival is `node -e ''`"),
    );
  }
  return figures;
}

function seconds(args: readonly string[]): number {
  const begun = performance.now();
  execFileSync(process.execPath, args, { cwd: packageRoot, stdio: "ignore" });
  return (performance.now() - begun) / 1000;
}
