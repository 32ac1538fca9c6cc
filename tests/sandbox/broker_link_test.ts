import assert from "node:assert/strict";
import { z } from "zod";
import type { Outcome, Sandbox, ToolRequest } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { ByteReader } from "#/lib/byte_reader.ts";
import { encodeLengthJson } from "#/lib/length_json.ts";
import { openBrokerClient } from "#/sandbox/broker_client.ts";
import { serveBroker } from "#/sandbox/broker_server.ts";
import type { OnOutput } from "#/sandbox/shell_live.ts";
import { CallReply, CallRequest } from "#/sandbox/call_frames.ts";
import { fromFileUrl } from "../fixture/source_tree.ts";
import { openPipes } from "./pipes.ts";
import { requestOf } from "./temp_broker.ts";

const never = new AbortController().signal;
const tool = { name: "probe", package: "p", version: "1", sha256: "0" };
const Notice = z.strictObject({ type: z.literal("listening"), port: z.number() });

function outcomeOf(text: string): Outcome {
  const grant = {
    id: "g",
    capabilities: [
      { kind: "fs.read", path: "/shared/a", scope: "file", bytesMax: 1 },
      { kind: "fs.list", path: "/shared", scope: "tree", entriesMax: 1 },
      { kind: "fs.write", path: "/tmp/a", mode: "delete", bytesMax: 0 },
    ],
    source: "s",
    expiresAt: 1,
  } as const;
  const decision = { kind: "granted", grant, policyDigest: "d", source: "s" } as const;
  return { kind: "ok", tool, decision, text, outputBytes: text.length, elapsedMs: 3 };
}

/** A broker that answers by the function. */
function brokerOf(call: Sandbox["call"]): Sandbox {
  const nothing = () => Promise.resolve();
  return { call, answer: nothing, derived: nothing, forget: nothing };
}

Deno.test("openBrokerClient() gets from serveBroker() exactly what the broker said", async () => {
  const { guest, runner } = openPipes();
  const seen: ToolRequest[] = [];
  const notices: unknown[] = [];
  const denied: Outcome = {
    kind: "denied",
    tool,
    code: "tool_denied",
    decision: { kind: "denied", missing: [], policyDigest: "d", source: "s", reason: "r" },
    text: "no ü",
    outputBytes: 5,
    elapsedMs: 0,
  };
  const large = outcomeOf("ü".repeat(LIMITS.toolOutputBytesMax / 2));
  const server = serveBroker(
    runner,
    brokerOf((request) => {
      seen.push(request);
      return Promise.resolve(request.callId === "1" ? denied : large);
    }),
    { schema: Notice, onNotice: (notice) => void notices.push(notice) },
  );
  const client = openBrokerClient(guest);
  await client.notify({ type: "listening", port: 80 });
  const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
  const request = requestOf({ deep: [{ a: null }] }, { callId: "1", traceparent });
  assert.deepEqual(await client.sandbox.call(request, never), denied);
  assert.deepEqual(await client.sandbox.call(requestOf({}), never), large);
  assert.deepEqual(seen[0], request);
  assert.deepEqual(notices, [{ type: "listening", port: 80 }]);
  await server.close();
  assert.equal(await client.closed, undefined);
});

Deno.test("openBrokerClient() never throws but cancelled, and tool_interrupted when there is no runner any more", async () => {
  const { guest, runner } = openPipes();
  const aborted = Promise.withResolvers<void>();
  const server = serveBroker(
    runner,
    brokerOf((request, signal) => {
      if (request.callId === "bug") throw new TypeError("bug");
      return new Promise((_, reject) => {
        signal.addEventListener("abort", () => {
          aborted.resolve();
          reject(new AppError("cancelled", "cancelled"));
        });
      });
    }),
    { schema: Notice, onNotice: () => {} },
  );
  const client = openBrokerClient(guest);
  const abort = new AbortController();
  const call = client.sandbox.call(requestOf({}), abort.signal);
  const bug = await client.sandbox.call(requestOf({}, { callId: "bug" }), never);
  assert.deepEqual([bug.kind, bug.code], ["failed", "internal"]);
  abort.abort();
  await assert.rejects(call, { code: "cancelled" });
  await aborted.promise;
  const large = await client.sandbox.call(requestOf("x".repeat(LIMITS.frameBytesMax)), never);
  assert.deepEqual([large.kind, large.code], ["failed", "tool_args_too_large"]);
  const open = client.sandbox.call(requestOf({}), never);
  await server.close();
  // Nobody knows what became of it: the turn goes on in another process, which asks again.
  for (const lost of [open, client.sandbox.call(requestOf({}), never)]) {
    await assert.rejects(lost, { code: "tool_interrupted" });
  }
  await client.close();
});

Deno.test("openBrokerClient() tells how the output of a call ends to whoever waits for that call, and to nobody after it", async () => {
  const { guest, runner } = openPipes();
  const says = new Map<string, OnOutput>();
  const ends = new Map<string, PromiseWithResolvers<Outcome>>();
  const server = serveBroker(
    runner,
    brokerOf(({ callId }, _signal, onOutput) => {
      says.set(callId, onOutput!);
      const end = Promise.withResolvers<Outcome>();
      ends.set(callId, end);
      return end.promise;
    }),
    { schema: Notice, onNotice: () => {} },
  );
  const notices: unknown[] = [];
  const client = openBrokerClient(guest, { onNotice: (notice) => void notices.push(notice) });
  const heard: string[] = [];
  const first = Promise.withResolvers<void>();
  const one = client.sandbox.call(requestOf({}, { callId: "1" }), never, ({ tail, lines }) => {
    heard.push(`1: ${tail} ${lines}`);
    first.resolve();
  });
  const two = client.sandbox.call(requestOf({}, { callId: "2" }), never, ({ tail }) => heard.push(`2: ${tail}`));
  while (ends.size < 2) await new Promise((resolve) => setTimeout(resolve, 1));
  says.get("1")!({ tail: "a\n", lines: 1 });
  await first.promise;
  for (const end of ends.values()) end.resolve(outcomeOf("x"));
  await Promise.all([one, two]);
  says.get("1")!({ tail: "late\n", lines: 2 });
  await server.notify({ v: 1, type: "drain" });
  while (notices.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.deepEqual([heard, notices], [["1: a\n 1"], [{ v: 1, type: "drain" }]]);
  await server.close();
  await client.closed;
});

Deno.test("openBrokerClient() passes on what is said beside calls, and what became of it", async () => {
  const { guest, runner } = openPipes();
  const said: unknown[] = [];
  const note = (...words: unknown[]) => Promise.resolve(void said.push(words));
  const forget = (session: string) => {
    void note("forget", session);
    return session === "odd" ? Promise.reject(new AppError("audit_failed", "no room")) : Promise.resolve();
  };
  const answer = (given: unknown) => note("answer", given);
  const derived = (...place: unknown[]) => note("derived", ...place);
  const broker = { ...brokerOf(() => Promise.resolve(outcomeOf(""))), answer, derived, forget };
  const server = serveBroker(runner, broker, { schema: Notice, onNotice: () => {} });
  const { sandbox, close } = openBrokerClient(guest);
  await sandbox.forget("s");
  await sandbox.derived("b", "a");
  await sandbox.derived("b", undefined);
  await sandbox.answer({ id: "i", answer: "once" });
  await assert.rejects(sandbox.forget("odd"), { code: "audit_failed", message: "no room" });
  await assert.rejects(sandbox.forget("x".repeat(LIMITS.idCharsMax + 1)), { code: "protocol" });
  assert.deepEqual(said, [
    ["forget", "s"],
    ["derived", "b", "a"],
    ["derived", "b", undefined],
    ["answer", { id: "i", answer: "once" }],
    ["forget", "odd"],
  ]);
  await server.close();
  await assert.rejects(sandbox.forget("s"), { code: "tool_interrupted" });
  await close();
});

Deno.test("serveBroker() ends the link of a guest with a malformed notice", async () => {
  const { guest, runner } = openPipes();
  const server = serveBroker(runner, brokerOf(() => Promise.resolve(outcomeOf(""))), {
    schema: Notice,
    onNotice: () => {},
  });
  const client = openBrokerClient(guest);
  await client.notify({ type: "listening", port: 80, grant: "all" });
  assert.equal((await server.closed)?.code, "protocol");
  await client.closed;
});

Deno.test("CallRequest and CallReply are strict and bounded", () => {
  const request = requestOf({});
  assert.deepEqual(CallRequest.parse(request), request);
  const { text: _, ...reply } = outcomeOf("x");
  assert.deepEqual(CallReply.parse(reply), reply);
  const wrong = [
    { ...request, grant: {} },
    { ...request, principal: { ...request.principal, admin: true } },
    { ...request, principal: { ...request.principal, user: "../root" } },
    { ...request, principal: { ...request.principal, agent: Array.from({ length: 17 }, () => "a") } },
    { ...request, principal: { ...request.principal, origin: "owner" } },
    { ...request, callId: "x".repeat(LIMITS.idCharsMax + 1) },
    { ...request, tool: 1 },
    { ...request, traceparent: "x" },
    { ...request, session: undefined },
  ];
  for (const one of wrong) assert.equal(CallRequest.safeParse(one).success, false, JSON.stringify(one));
  assert.ok(CallRequest.safeParse({ ...request, callId: "x".repeat(LIMITS.idCharsMax) }).success);
  assert.equal(CallReply.safeParse({ ...reply, text: "x" }).success, false);
  assert.equal(CallReply.safeParse({ ...reply, elapsedMs: -1 }).success, false);
});

Deno.test("a guest process without any permission calls over its stdio after its bootstrap, and ends with its stdin", async () => {
  const entry = fromFileUrl(new URL("../fixture/broker_guest.ts", import.meta.url));
  const config = fromFileUrl(new URL("../../deno.json", import.meta.url));
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "--no-prompt", "--cached-only", "--config", config, entry],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(encodeLengthJson({ text: "from the bootstrap" }, 1_000));
  writer.releaseLock();
  const done = Promise.withResolvers<unknown>();
  const server = serveBroker(
    { input: new ByteReader(child.stdout), output: child.stdin },
    brokerOf((request) => Promise.resolve(outcomeOf(`${(request.args as { text: string }).text}, `.repeat(30_000)))),
    { schema: z.strictObject({ chars: z.number(), refused: z.string() }), onNotice: (notice) => done.resolve(notice) },
  );
  const expected = { chars: "from the bootstrap, ".length * 30_000, refused: "NotCapable" };
  assert.deepEqual(await Promise.race([done.promise, server.closed]), expected);
  await server.close();
  assert.equal((await child.status).code, 0);
});
