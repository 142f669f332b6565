/** `npm start`: sets up what is missing, then runs the quickstart experiment. Further arguments go to `rlrf run`. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { bootstrap, root } from "./bootstrap.mjs";

await bootstrap();
const { main, drain } = await import(pathToFileURL(join(root, "dist", "framework", "cli", "main.js")).href);
const status = await main(["run", join("experiments", "quickstart.json"), ...process.argv.slice(2)]);
await drain();
process.exit(status);
