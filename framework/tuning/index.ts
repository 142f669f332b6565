/** What a tuner that works in this process is built from. */
export { FolderCheckpoint } from "./checkpoint.js";
export type { LocalTuning } from "./local-tuning.js";
export { tuneOnPreferences } from "./preference.js";
export { tuneOnDialogues } from "./supervised.js";
export type { Checkpoint } from "./training-loop.js";
