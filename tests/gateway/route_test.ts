import assert from "node:assert/strict";
import { Hono } from "hono";
import { z } from "zod";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { defineRoute, mountRoutes } from "#/gateway/route.ts";
import type { GatewayToken } from "#/gateway/token.ts";
import { sha256Hex } from "#/lib/sha256.ts";

const TOKENS: readonly GatewayToken[] = [
  { id: "me", sha256: await sha256Hex("owner-token"), scope: "owner" },
  { id: "eyes", sha256: await sha256Hex("read-token"), scope: "read" },
];

/** An app with one route that says what it was asked, one that fails as it is told, and what was reported. */
function serve() {
  const reports: unknown[] = [];
  const app = new Hono();
  const echo = defineRoute({
    method: "post",
    path: "/things/:id",
    scope: "owner",
    about: "says it back",
    params: z.object({ id: z.string().max(4) }),
    query: z.object({ n: z.coerce.number().default(1) }),
    body: z.object({ text: z.string() }),
    answer: { about: "what was asked", schema: z.object({}) },
    run: ({ params, query, body, caller }) => Promise.resolve({ ...params, ...query, ...body, by: caller.id }),
  });
  const look = defineRoute({
    method: "get",
    path: "/fail",
    scope: "read",
    about: "fails",
    query: z.object({ code: z.enum(["queue_full", "session_unknown", "bug"]) }),
    answer: { about: "never" },
    run: ({ query: { code } }) =>
      Promise.reject(code === "bug" ? new TypeError("/etc") : new AppError(code, "because")),
  });
  const either = defineRoute({
    method: "get",
    path: "/either",
    scope: ["channel", "read"],
    about: "is open to two",
    answer: { about: "nothing" },
    run: () => Promise.resolve(null),
  });
  const timers: (() => void)[] = [];
  mountRoutes(app, [echo, look, either], {
    tokens: () => TOKENS,
    now: () => 0,
    report: (error) => reports.push(error),
    after: (ms, run) => {
      assert.equal(ms, LIMITS.bodyReadMs);
      timers.push(run);
      return () => timers.splice(timers.indexOf(run), 1);
    },
  });
  const ask = async (path: string, init: RequestInit = {}, token = "owner-token") => {
    const headers = { authorization: `Bearer ${token}`, ...init.headers };
    const response = await app.request(`http://127.0.0.1${path}`, { ...init, headers });
    return { status: response.status, body: await response.json(), headers: response.headers };
  };
  return { ask, reports, timers };
}

function post(body: BodyInit, headers: Record<string, string> = {}): RequestInit {
  return { method: "POST", body, headers: { "content-type": "application/json", ...headers } };
}

Deno.test("mountRoutes() gives a route what its schemas made of the request", async () => {
  const { ask } = serve();
  const { status, body } = await ask("/things/a?n=3", post('{"text":"hi","more":1}'));
  assert.equal(status, 200);
  assert.deepEqual(body, { id: "a", n: 3, text: "hi", by: "me" });
});

Deno.test("mountRoutes() refuses what no token opens, and a token that is good for less", async () => {
  const { ask } = serve();
  const stranger = await ask("/things/a", post("{}"), "no-token");
  assert.equal(stranger.status, 401);
  assert.equal(stranger.headers.get("www-authenticate"), "Bearer");
  const reader = await ask("/things/a", post('{"text":"hi"}'), "read-token");
  assert.equal(reader.status, 403);
  assert.match(reader.body.error.message, /good for `read`; `owner` is needed/);
  assert.equal((await ask("/fail?code=queue_full", {}, "read-token")).status, 429);
});

Deno.test("mountRoutes() names the first mistake of a request, and runs nothing", async () => {
  const { ask } = serve();
  const cases: readonly (readonly [path: string, init: RequestInit, status: number, says: RegExp])[] = [
    ["/things/abcde", post('{"text":"hi"}'), 400, /the address, id/],
    ["/things/a?n=x", post('{"text":"hi"}'), 400, /the query, n/],
    ["/things/a", post('{"text":1}'), 400, /the body, text/],
    ["/things/a", post("{"), 400, /not JSON/],
    ["/things/a", post(""), 400, /not JSON/],
    ["/things/a", post("{}", { "content-type": "text/plain" }), 400, /application\/json/],
    ["/things/a", post("x".repeat(LIMITS.wsFrameBytesMax + 1)), 413, /at most/],
  ];
  for (const [path, init, status, says] of cases) {
    const got = await ask(path, init);
    assert.equal(got.status, status, String(says));
    assert.match(got.body.error.message, says);
    assert.equal(got.body.error.type, "invalid_request_error");
  }
});

Deno.test("mountRoutes() says our own codes by a status and nothing of a bug", async () => {
  const { ask, reports } = serve();
  const full = await ask("/fail?code=queue_full");
  assert.deepEqual([full.status, full.body.error.code, full.body.error.message], [429, "queue_full", "because"]);
  assert.equal((await ask("/fail?code=session_unknown")).status, 404);
  const bug = await ask("/fail?code=bug");
  assert.equal(bug.status, 500);
  assert.match(bug.body.error.message, /^internal error \(/);
  assert.equal(bug.body.error.type, "server_error");
  assert.equal(reports.length, 1);
});

Deno.test("mountRoutes() opens a route to each of its scopes, and says which part of a request is wrong", async () => {
  const { ask } = serve();
  assert.equal((await ask("/either", {}, "read-token")).status, 200);
  assert.equal((await ask("/either", {}, "owner-token")).status, 200);
  const { body } = await ask("/things/a", post('{"text":1}'));
  assert.equal(body.error.param, "text");
});

Deno.test("mountRoutes() waits bodyReadMs for a body, then answers 408", async () => {
  const { ask, timers } = serve();
  const begun = Promise.withResolvers<void>();
  const slow = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode('{"text":')),
    pull: () => begun.resolve(),
  });
  const asking = ask("/things/a", { ...post(slow as unknown as string), duplex: "half" } as RequestInit);
  await begun.promise;
  while (timers.length === 0) await new Promise((resolve) => setTimeout(resolve, 0));
  timers[0]!();
  const { status, body } = await asking;
  assert.equal(status, 408);
  assert.match(body.error.message, /not there within 30000 ms/);
});

Deno.test("mountRoutes() refuses a body by its length before it reads any of it", async () => {
  const { ask } = serve();
  const untouched = new ReadableStream<Uint8Array>({ pull: () => assert.fail("read") }, { highWaterMark: 0 });
  const headers = { "content-length": String(LIMITS.wsFrameBytesMax + 1) };
  const init = { ...post(untouched as unknown as string, headers), duplex: "half" } as RequestInit;
  assert.equal((await ask("/things/a", init)).status, 413);
});
