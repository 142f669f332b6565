#!/usr/bin/env node
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const main = new URL("../../dist/framework/cli/main.js", import.meta.url);
if (!existsSync(fileURLToPath(main))) {
  console.error("rlrf4rec is not built yet: `npm start` sets everything up, `npm run build` only compiles.");
  process.exit(1);
}
const { main: run, drain } = await import(main.href);
const status = await run(process.argv.slice(2));
await drain();
process.exit(status);
