import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { EngineHttp, writeAll } from "#/sandbox/engine_http.ts";
import { openStdio } from "#/sandbox/engine_stream.ts";

const signal = new AbortController().signal;

/** Two ends of a real socket. */
async function connect(): Promise<{ ours: Deno.UnixConn; theirs: Deno.UnixConn }> {
  const dir = await Deno.makeTempDir({ prefix: "ox-" });
  using listener = Deno.listen({ transport: "unix", path: `${dir}/s` });
  const [ours, theirs] = await Promise.all([Deno.connect({ transport: "unix", path: `${dir}/s` }), listener.accept()]);
  await Deno.remove(dir, { recursive: true });
  return { ours, theirs };
}

function piece(kind: number, text: string, length = text.length): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(8 + text.length);
  out[0] = kind;
  new DataView(out.buffer).setUint32(4, length);
  out.set(new TextEncoder().encode(text), 8);
  return out;
}

Deno.test("openStdio() takes pieces apart, however they are cut, and carries the end of stdin", async () => {
  const { ours, theirs } = await connect();
  const all = [piece(1, "one"), piece(2, "bad"), piece(1, ""), piece(1, " two")].flatMap((bytes) => [...bytes]);
  const stdio = openStdio(ours, new Uint8Array(all.slice(0, 3)));
  const read = Promise.all([new Response(stdio.stdout).text(), new Response(stdio.stderr).text()]);
  for (const byte of all.slice(3)) await theirs.write(new Uint8Array([byte]));
  const writer = stdio.stdin.getWriter();
  await writer.write(new TextEncoder().encode("in"));
  await writer.close();
  const buffer = new Uint8Array(10);
  assert.deepEqual([await theirs.read(buffer), await theirs.read(buffer)], [2, null]);
  theirs.close();
  assert.deepEqual(await read, ["one two", "bad"]);
  await stdio.ended;
});

Deno.test("openStdio() holds engineStreamBytesMax for who does not read, waits, and drops when it is told to", async () => {
  const { ours, theirs } = await connect();
  const stdio = openStdio(ours, new Uint8Array(0));
  const sent = writeAll(theirs, piece(1, "x".repeat(4 * LIMITS.engineStreamBytesMax)));
  const isWaiting = await Promise.race([
    sent.then(() => false),
    new Promise((resolve) => setTimeout(resolve, 100, true)),
  ]);
  assert.equal(isWaiting, true);
  stdio.drop();
  await sent;
  theirs.close();
  const { length } = await new Response(stdio.stdout).bytes();
  await stdio.ended;
  assert.ok(length >= LIMITS.engineStreamBytesMax && length < 2 * LIMITS.engineStreamBytesMax, `${length}`);
  await stdio.stderr.cancel();
});

Deno.test("EngineHttp.upgrade() refuses what is no upgrade, and an engine that never answers the cancelled", async () => {
  const dir = await Deno.makeTempDir({ prefix: "ox-" });
  const listener = Deno.listen({ transport: "unix", path: `${dir}/s` });
  using http = new EngineHttp(`${dir}/s`);
  const answer = async (text: string) => {
    const conn = await listener.accept();
    await conn.read(new Uint8Array(1_000));
    await conn.write(new TextEncoder().encode(text)).catch(() => 0);
    conn.close();
  };
  const table: readonly (readonly [text: string, said: RegExp])[] = [
    ['HTTP/1.1 404 Not Found\r\n\r\n{"message":"No such container"}', /refused: No such container/],
    ["HTTP/1.1 200 OK\r\n\r\n", /refused: HTTP 500/],
    ["", /answered with what nobody asked for/],
    ["x".repeat(LIMITS.engineHeadBytesMax + 1), /answered with what nobody asked for|is gone/],
  ];
  for (const [text, said] of table) {
    await Promise.all([answer(text), assert.rejects(http.upgrade("/x", signal), said)]);
  }
  const done = Promise.all([answer("HTTP/1.1 101 UPGRADED\r\n\r\nfirst")]);
  const { conn, first } = await http.upgrade("/x", signal);
  assert.equal(new TextDecoder().decode(first), "first");
  conn.close();
  await done;
  await assert.rejects(http.upgrade("/x", AbortSignal.timeout(50)), { code: "cancelled" });
  listener.close();
  await Deno.remove(dir, { recursive: true });
});
