import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { importPeer, peersFolder } from "../../../framework/setup/peer.js";
import { assertFails } from "../../support/faults.js";
import { useFolder } from "../../support/folder.js";

describe("packages that users install themselves", () => {
  const folder = useFolder();
  const { RLRF_HOME } = process.env;
  beforeEach(() => {
    process.env.RLRF_HOME = folder();
  });
  afterEach(() => {
    if (RLRF_HOME === undefined) delete process.env.RLRF_HOME;
    else process.env.RLRF_HOME = RLRF_HOME;
  });
  const write = async (version: string, code: string) => {
    const at = join(peersFolder(), "node_modules", "some-engine");
    await mkdir(join(at, "lib"), { recursive: true });
    await writeFile(join(at, "package.json"), JSON.stringify({ version, type: "module", main: "./lib/index.js" }));
    await writeFile(join(at, "lib/index.js"), code);
  };
  const find = () => importPeer<{ readonly answer: number }>("some-engine", "1.2.3", "the LLM some-llm");

  it("are found in RLRF_HOME", async () => {
    await write("1.2.3", "export const answer = 42;");
    assert.equal((await find()).answer, 42);
  });

  it("are asked for with the command that installs them", () =>
    assertFails(
      "RLRF_PEER_MISSING",
      find,
      /some-llm needs the package some-engine[\s\S]*npm install --prefix .*node .*some-engine@1\.2\.3/,
    ));

  it("must be of the version that the plugin was written for", async () => {
    await write("1.3.0", "export const answer = 42;");
    await assertFails("RLRF_PEER_VERSION", find, /works with some-engine 1\.2\.3, and finds 1\.3\.0/);
  });

  it("are told of when they are damaged", async () => {
    await write("1.2.3", "export const answer = ;");
    await assertFails("RLRF_PEER_BROKEN", find, /cannot be imported/);
  });
});
