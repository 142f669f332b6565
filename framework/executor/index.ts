/** What executors share. */
export { attempted, type AttemptResult, type AttemptStarted } from "./attempts.js";
export { attached } from "./attached.js";
export { endGroup } from "../setup/command.js";
export { errorIn } from "./error-in.js";
export { rlrfProgram } from "./program.js";
