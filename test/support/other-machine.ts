/** Arguments of Node under which a process takes itself for one of another machine that has this one's host name, as many are called localhost. */
export const asOtherMachine: readonly string[] = [
  "--import",
  `data:text/javascript,${encodeURIComponent(`
    import fs from "node:fs";
    import { syncBuiltinESMExports } from "node:module";
    const read = fs.readFileSync;
    fs.readFileSync = (path, ...options) => (path === "/proc/sys/kernel/random/boot_id" ? "another-boot" : read(path, ...options));
    syncBuiltinESMExports();
  `)}`,
];
