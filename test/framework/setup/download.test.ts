import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fs from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { RlrfError } from "../../../framework/errors.js";
import { download, SourceError } from "../../../framework/setup/download.js";
import { useFolder } from "../../support/folder.js";

describe("download", () => {
  const folder = useFolder();
  const content = Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * 7919) % 256));
  const sha256 = createHash("sha256").update(content).digest("hex");
  let server: Server;
  let url = "";
  let ranges: (string | undefined)[] = [];
  let answer: (request: IncomingMessage, response: ServerResponse) => void;

  before(async () => {
    server = createServer((request, response) => {
      ranges.push(request.headers.range);
      answer(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/file.bin`;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  beforeEach(() => {
    ranges = [];
  });

  const target = () => join(folder(), "sub", "file.bin");
  const get = (options: { limit?: number; patience?: number; onBytes?: (bytes: number) => void } = {}) =>
    download(url, target(), { sha256, limit: 200_000, patience: 2_000, ...options });
  const sourceError = (pattern: RegExp) => (error: unknown) => error instanceof SourceError && pattern.test(error.message);
  const startOf = (request: IncomingMessage) => Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
  const serve = (request: IncomingMessage, response: ServerResponse) => {
    const start = startOf(request);
    const headers = { "content-length": content.length - start, "content-range": `bytes ${start}-${content.length - 1}/${content.length}` };
    response.writeHead(start > 0 ? 206 : 200, headers).end(content.subarray(start));
  };
  const serveThenBreak = (bytes: number) => (request: IncomingMessage, response: ServerResponse) => {
    const start = startOf(request);
    const headers = { "content-length": content.length - start, "content-range": `bytes ${start}-${content.length - 1}/${content.length}` };
    response.writeHead(start > 0 ? 206 : 200, headers);
    // The last piece ends the answer: its connection is alive, and a later request may be on it.
    if (start + bytes >= content.length) return void response.end(content.subarray(start));
    response.write(content.subarray(start, start + bytes), () => setTimeout(() => response.destroy(), 20));
  };

  it("downloads, checks, and leaves nothing but the file", async () => {
    answer = serve;
    let counted = 0;
    await get({ onBytes: (bytes) => (counted += bytes) });
    assert.deepEqual(await fs.readFile(target()), content);
    assert.deepEqual(await fs.readdir(join(folder(), "sub")), ["file.bin"]);
    assert.equal(counted, content.length);
  });

  it("takes up a connection that breaks, from where it broke", async () => {
    answer = serveThenBreak(40_000);
    await get();
    assert.deepEqual(ranges, [undefined, "bytes=40000-", "bytes=80000-"]);
    assert.deepEqual(await fs.readFile(target()), content);
  });

  it("keeps what arrived for the next call, as a killed process would", async () => {
    answer = (request, response) => (ranges.length === 1 ? serveThenBreak(30_000)(request, response) : response.destroy());
    await assert.rejects(get(), SourceError);
    answer = serve;
    ranges = [];
    await get();
    assert.deepEqual(ranges, ["bytes=30000-"]);
    assert.deepEqual(await fs.readFile(target()), content);
  });

  it("starts over when the part was of another file", async () => {
    answer = serve;
    await fs.mkdir(join(folder(), "sub"));
    await fs.writeFile(`${target()}.part`, "of another file");
    await get();
    assert.deepEqual(ranges, ["bytes=15-", undefined]);
    assert.deepEqual(await fs.readFile(target()), content);
  });

  it("starts over when the server knows no ranges, or the part is longer than the file", async () => {
    await fs.mkdir(join(folder(), "sub"));
    await fs.writeFile(`${target()}.part`, "abc");
    answer = (_, response) => response.writeHead(200).end(content);
    await get();
    assert.deepEqual(await fs.readFile(target()), content);
    await fs.writeFile(`${target()}.part`, Buffer.alloc(150_000));
    answer = (request, response) => (startOf(request) > content.length ? response.writeHead(416).end() : serve(request, response));
    await get();
    assert.deepEqual(await fs.readFile(target()), content);
  });

  it("accepts a part that is whole already", async () => {
    await fs.mkdir(join(folder(), "sub"));
    await fs.writeFile(`${target()}.part`, content);
    answer = (_, response) => response.writeHead(416).end();
    await get();
    assert.deepEqual(await fs.readFile(target()), content);
  });

  it("refuses another content, and does not keep it", async () => {
    answer = (_, response) => response.end("<html>Please log in</html>");
    await assert.rejects(get(), sourceError(/sha256 .*expected/));
    assert.deepEqual(await fs.readdir(join(folder(), "sub")), []);
  });

  it("names the status of a refusal", async () => {
    for (const status of [403, 404, 500, 503]) {
      answer = (_, response) => response.writeHead(status).end();
      await assert.rejects(get(), sourceError(new RegExp(`answered ${status}`)));
    }
  });

  it("gives up a server that does not answer, and one that falls silent", async () => {
    answer = () => {};
    await assert.rejects(get({ patience: 100 }), sourceError(/no answer for 0.1 s/));
    answer = (_, response) => {
      response.writeHead(200, { "content-length": content.length });
      if (ranges.length === 1) response.write(content.subarray(0, 10));
    };
    await assert.rejects(get({ patience: 100 }), sourceError(/silent for 0.1 s|no answer/));
  });

  it("stops a server that sends without end", async () => {
    answer = (_, response) => {
      response.on("error", () => {});
      const push = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
      };
      response.on("drain", push);
      push();
    };
    await assert.rejects(get(), sourceError(/more than 200000 bytes/));
  });

  it("says that nobody is there", async () => {
    await assert.rejects(download("http://127.0.0.1:9/x", target(), { sha256, limit: 1, patience: 1_000 }), SourceError);
    await assert.rejects(
      download("http://no-such-host.invalid/x", target(), { sha256, limit: 1, patience: 5_000 }),
      sourceError(/ENOTFOUND|EAI_AGAIN/),
    );
  });

  it("tells a full or unwritable disk from a bad source", async () => {
    answer = serve;
    const original = fs.open;
    const failing = async (...args: Parameters<typeof fs.open>) => {
      const file = await original(...args);
      file.write = () => Promise.reject(Object.assign(new Error("no space left on device"), { code: "ENOSPC" }));
      return file;
    };
    fs.open = failing as typeof fs.open;
    try {
      await assert.rejects(get(), (error) => error instanceof RlrfError && error.code === "RLRF_DISK_FULL");
    } finally {
      fs.open = original;
    }
    await fs.writeFile(join(folder(), "a-file"), "");
    const below = join(folder(), "a-file", "x");
    await assert.rejects(
      download(url, below, { sha256, limit: 200_000, patience: 1_000 }),
      (error) => error instanceof RlrfError && ["RLRF_FILE_DENIED", "RLRF_FILE_IO"].includes(error.code),
    );
  });
});
