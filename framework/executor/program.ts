import { join } from "node:path";
import { packageRoot } from "../setup/paths.js";

/** The `rlrf` command of this installation: what a unit's arguments follow, after the name of a Node program. */
export const rlrfProgram = join(packageRoot, "framework", "cli", "rlrf.mjs");
