import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { setUpEngine } from "../../framework/setup/engine.js";
import { home } from "../../framework/setup/paths.js";
import { makeCheckout } from "../support/checkout.js";
import { useFolder } from "../support/folder.js";
import { wheelOf } from "../support/zip.js";

describe("engine set-up", function () {
  this.timeout(120_000);
  const folder = useFolder();
  const checkout = () => join(folder(), "checkout");
  beforeEach(() => makeCheckout(checkout()));

  /** Runs in a process of its own, in the checkout that has no binding. */
  async function inCheckout(script: string, env: Record<string, string>) {
    const prelude = `
      const { setUpEngine } = await import(${JSON.stringify(join(checkout(), "dist/framework/setup/engine.js"))});
      const { startEngine } = await import(${JSON.stringify(join(checkout(), "dist/framework/tensor/engine.js"))});
      const say = [];
      const told = (error) => ({ code: error.code, message: error.message, say });
      console.log(JSON.stringify(await (async () => ${script})()));`;
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", prelude], {
      cwd: checkout(),
      // Its own installer is out of reach, whatever the network: nothing listens there.
      env: { ...process.env, RLRF_HOME: join(folder(), "home"), TFJS_NODE_CDN_STORAGE: "http://127.0.0.1:9/", RLRF_ENGINE: "auto", ...env },
    });
    return JSON.parse(stdout);
  }
  const setUp = "setUpEngine((line) => say.push(line)).then((done) => ({ ...done, say }), told)";

  it("takes the library that another checkout has unpacked, or says why there is none", async () => {
    // Where this machine has been set up from the wheel, the second checkout only compiles or copies; else it fails with reasons.
    const shared = existsSync(join(home(), "engine", "tensorflow-2.21.0"));
    const done = await inCheckout(setUp, shared ? { RLRF_HOME: home() } : { RLRF_PYTHON: "/no/such/python" });
    if (!shared) return assert.equal(done.code, "RLRF_ENGINE_SETUP");
    assert.equal(done.how, "wheel");
    assert.equal(done.tensorflow, "2.21.0");
    assert.ok(!done.say.some((line: string) => line.startsWith("fetching")));
    const again = await inCheckout(`setUpEngine().then(async (done) => ({ done, engine: await startEngine() }))`, { RLRF_HOME: home() });
    assert.equal(again.done.how, "present");
    assert.equal(again.engine.name, "tensorflow");
    assert.equal(again.engine.reason, "the fastest that starts here");
  });

  it("lists every way it tried, and the engine falls back with the reason", async () => {
    const { code, message } = await inCheckout(setUp, { RLRF_PYTHON: "/no/such/python" });
    assert.equal(code, "RLRF_ENGINE_SETUP");
    assert.match(message, /installer: http:\/\/127\.0\.0\.1:9\/ is not reachable/);
    assert.match(message, /wheel: .*\/no\/such\/python is not installed/);
    assert.match(message, /npm run setup/);
    const engine = await inCheckout("startEngine()", {});
    assert.equal(engine.name, "wasm");
    assert.match(engine.reason, /tensorflow does not start: .*tfjs_binding\.node/);
    const forced = await inCheckout("startEngine().catch(told)", { RLRF_ENGINE: "tensorflow" });
    assert.equal(forced.code, "RLRF_ENGINE_UNAVAILABLE");
    assert.match(forced.message, /npm run setup/);
  });

  it("takes no half-made library for a whole one", async () => {
    const links = join(folder(), "links");
    await mkdir(links);
    const wheel = wheelOf("tensorflow_cpu", "2.21.0", [
      { name: "tensorflow/libtensorflow_cc.so.2", content: "not a library" },
      { name: "tensorflow/include/tensorflow/c/c_api.h", content: "#error not the C API\n" },
    ]);
    await writeFile(join(links, "tensorflow_cpu-2.21.0-py3-none-any.whl"), wheel);
    const env = { PIP_NO_INDEX: "1", PIP_FIND_LINKS: links };
    const cut = await inCheckout(setUp, env);
    assert.match(cut.message, /wheel: .*libtensorflow_framework/);
    assert.deepEqual(
      (await readdir(join(folder(), "home", "engine"))).filter((name) => name.startsWith("tensorflow")),
      [],
    );
    const whole = wheelOf("tensorflow_cpu", "2.21.0", [
      { name: "tensorflow/libtensorflow_cc.so.2", content: "not a library" },
      { name: "tensorflow/libtensorflow_framework.so.2", content: "not a library" },
      { name: "tensorflow/include/tensorflow/c/c_api.h", content: "#error not the C API\n" },
    ]);
    await writeFile(join(links, "tensorflow_cpu-2.21.0-py3-none-any.whl"), whole);
    const uncompilable = await inCheckout(setUp, env);
    assert.match(uncompilable.message, /wheel: .*g\+\+ ended with exit code 1/);
    assert.match(uncompilable.message, /not the C API/);
  });

  it("notices at once that all is there, and that it is not any more", async () => {
    const first = await setUpEngine().catch(() => null);
    if (first === null) return; // this machine reaches no TensorFlow, which the tests above are about
    const start = performance.now();
    assert.equal((await setUpEngine()).how, "present");
    assert.ok(performance.now() - start < 1_000);
    if (!existsSync(join(home(), "engine", "tensorflow-2.21.0"))) return;
    await inCheckout(setUp, { RLRF_HOME: home() });
    await rm(join(checkout(), "node_modules/@tensorflow/tfjs-node-gpu/lib/napi-v8/tfjs_binding.node"));
    assert.equal((await inCheckout(setUp, { RLRF_HOME: home() })).how, "wheel");
  });
});
