import assert from "node:assert/strict";
import fs from "node:fs";
import net, { type AddressInfo } from "node:net";
import { request } from "../../../framework/http/index.js";
import { useFolder } from "../../support/folder.js";
import { useFaultyProxies } from "../../support/faulty-proxy.js";

describe("http/request", () => {
  const open = useFaultyProxies();
  const path = useFolder();
  const get = { method: "GET" } as const;

  it("gives status, headers and body, whatever the status", async () => {
    const server = await open();
    server.fault = () => ({ status: 418, body: "short and stout", headers: { "x-pot": "tea" } });
    const answer = await request(new URL(server.uri), { method: "POST", body: Buffer.from("in") });
    assert.equal(answer.status, 418);
    assert.equal(answer.headers["x-pot"], "tea");
    assert.equal(answer.body.toString(), "short and stout");
    assert.equal(server.seen[0]?.body, "in");
  });

  it("tells which time ran out", async () => {
    const server = await open();
    server.fault = () => "hang";
    await assert.rejects(request(new URL(server.uri), { ...get, timeout: 50 }), /no answer for 0\.05 s/);
    await assert.rejects(request(new URL(server.uri), { ...get, wholeTimeout: 50 }), /no whole answer within 0\.05 s/);
  });

  it("ends an answer that trickles when the time for all of it is up", async () => {
    const trickling = net.createServer((socket) => {
      socket.on("error", () => undefined);
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
      const timer = setInterval(() => socket.write("x"), 10);
      socket.on("close", () => clearInterval(timer));
    });
    await new Promise<void>((resolve) => trickling.listen(0, "127.0.0.1", resolve));
    const url = new URL(`http://127.0.0.1:${(trickling.address() as AddressInfo).port}`);
    await assert.rejects(request(url, { ...get, timeout: 200, wholeTimeout: 100 }), /no whole answer within 0\.1 s/);
    await new Promise((resolve) => trickling.close(resolve));
  });

  it("does not wait for a connection that does not come", async () => {
    // 192.0.2.0/24 is for documentation (RFC 5737): nothing answers there, and where nothing is routed it fails at once.
    await assert.rejects(
      request(new URL("http://192.0.2.1/"), { ...get, connectTimeout: 100 }),
      /no connection within 0\.1 s|E[A-Z]+UNREACH|ECONNREFUSED/,
    );
  });

  it("reads no more than it was told to", async () => {
    const server = await open();
    server.fault = () => ({ status: 200, body: Buffer.alloc(1 << 20) });
    await assert.rejects(request(new URL(server.uri), { ...get, limit: 1000 }), /an answer of more than 1000 bytes/);
    assert.equal((await request(new URL(server.uri), { ...get, limit: 1 << 20 })).body.length, 1 << 20);
  });

  it("writes a good answer into a file, no more than it was told to, and keeps a bad one", async () => {
    const server = await open();
    const file = path("answer");
    server.fault = () => ({ status: 200, body: Buffer.alloc(1 << 20, 7) });
    const answer = await request(new URL(server.uri), { ...get, into: file, limit: 1 << 20 });
    assert.deepEqual([answer.body.length, fs.statSync(file).size], [0, 1 << 20]);
    const other = path("too long");
    await assert.rejects(request(new URL(server.uri), { ...get, into: other, limit: 1000 }), /an answer of more than 1000 bytes/);
    assert.ok((fs.statSync(other, { throwIfNoEntry: false })?.size ?? 0) <= 1000);
    server.fault = () => ({ status: 404, body: "nowhere" });
    assert.equal((await request(new URL(server.uri), { ...get, into: file })).body.toString(), "nowhere");
  });

  it("fails on a cut answer, and ends with the signal's reason", async () => {
    const server = await open();
    server.fault = () => ({ status: 200, body: "a long text", cutAt: 4 });
    await assert.rejects(request(new URL(server.uri), get), /aborted|hang up|ECONNRESET/);
    server.fault = () => "hang";
    const controller = new AbortController();
    const reason = new Error("enough");
    setTimeout(() => controller.abort(reason), 20);
    await assert.rejects(request(new URL(server.uri), { ...get, signal: controller.signal }), (error) => error === reason);
    await assert.rejects(request(new URL(server.uri), { ...get, signal: controller.signal }), (error) => error === reason);
  });
});
