import assert from "node:assert/strict";
import { toRemoteAddress } from "#/memory/remote_address.ts";
import { type RemoteFetchOptions, toRemoteFetch } from "#/memory/remote_fetch.ts";
import { hasCode } from "../contract/sql_driver_contract.ts";

/** Asks a server that answers like this. */
async function ask(
  answer: (request: Request) => Response | Promise<Response>,
  changes: Partial<RemoteFetchOptions> = {},
): Promise<string> {
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, answer);
  const url = `http://127.0.0.1:${server.addr.port}/`;
  const send = toRemoteFetch({ address: toRemoteAddress(url)!, fetch, ...changes });
  const response = await send(new Request(`${url}v2/pipeline`, { method: "POST", body: "{}" }));
  return await response.text();
}

Deno.test("toRemoteFetch() gives a whole answer", async () => {
  assert.equal(await ask(async (request) => new Response(`${request.method} ${await request.text()} ä`)), "POST {} ä");
  assert.equal(await ask(() => new Response(null)), "");
});

Deno.test("toRemoteFetch() says what each status means", async () => {
  const cases: readonly (readonly [number, string])[] = [
    [401, "auth"],
    [403, "auth"],
    [404, "protocol"],
    [400, "protocol"],
    [429, "busy"],
    [500, "unreachable"],
    [503, "unreachable"],
    [302, "refused"],
  ];
  for (const [status, reason] of cases) {
    await assert.rejects(ask(() => new Response("x", { status })), hasCode("store_failed", reason), `${status}`);
  }
});

Deno.test("toRemoteFetch() takes an answer of exactly its bound, and not one byte more", async () => {
  const options = { answerBytesMax: 100 };
  assert.equal((await ask(() => new Response("x".repeat(100)), options)).length, 100);
  await assert.rejects(ask(() => new Response("x".repeat(101)), options), hasCode("store_failed", "too_large"));
});

Deno.test("toRemoteFetch() bounds the time of a request and of its answer", async () => {
  const options = { timeoutMs: 30 };
  const { promise: never, resolve: end } = Promise.withResolvers<Response>();
  await assert.rejects(
    ask((request) => {
      request.signal.addEventListener("abort", () => end(new Response()));
      return never;
    }, options),
    hasCode("store_failed", "timeout"),
  );
  // A first byte, and then no more.
  const slow = () => new Response(new ReadableStream({ start: (c) => c.enqueue(new Uint8Array(1)) }));
  await assert.rejects(ask(slow, options), hasCode("store_failed", "timeout"));
});

Deno.test("toRemoteFetch() tells a host that nobody listens at", async () => {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const url = `http://127.0.0.1:${listener.addr.port}/`;
  listener.close();
  const send = toRemoteFetch({ address: toRemoteAddress(url)!, fetch });
  await assert.rejects(send(new Request(url)), hasCode("store_failed", "unreachable"));
});

Deno.test("toRemoteFetch() tells a connection that this process may not make", async () => {
  const refused: typeof fetch = () => Promise.reject(new Deno.errors.NotCapable("Requires net access"));
  const send = toRemoteFetch({ address: toRemoteAddress("https://db.example")!, fetch: refused });
  await assert.rejects(send(new Request("https://db.example/v2")), /may not connect to it/);
});
