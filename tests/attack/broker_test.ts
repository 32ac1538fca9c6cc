import assert from "node:assert/strict";
import { join } from "node:path";
import { z } from "zod";
import type { Capability } from "#/core/capability.ts";
import { LIMITS } from "#/core/limits.ts";
import type { ByteReader } from "#/lib/byte_reader.ts";
import { encodeJsonFrame, type Frame, FrameDecoder, jsonOf } from "#/lib/framing.ts";
import { serveBroker } from "#/sandbox/broker_server.ts";
import { openPipes } from "../sandbox/pipes.ts";
import { openTempBroker, type ProbeRun, requestOf, says } from "../sandbox/temp_broker.ts";
import { openTempFiles } from "../sandbox/temp_files.ts";

const never = new AbortController().signal;

/** Frames as a guest sees them, one after another. */
async function* framesOf(input: ByteReader): AsyncGenerator<Frame> {
  const decoder = new FrameDecoder();
  for (let chunk = await input.read(); chunk !== undefined; chunk = await input.read()) yield* decoder.push(chunk);
}

Deno.test("a guest that forges a grant, a policy or an extra power beside its call is refused, and its next call is served", async () => {
  using temp = openTempFiles();
  Deno.writeTextFileSync(join(temp.dir, "vault", "key"), "SECRET");
  let runs = 0;
  const broker = await openTempBroker(temp, (...args) => {
    runs++;
    return says("ran")(...args);
  });
  const { guest, runner } = openPipes(100);
  const forget = () => Promise.resolve();
  const server = serveBroker(runner, Object.assign(broker, { forget }), { schema: z.never(), onNotice: () => {} });
  const writer = guest.output.getWriter();
  const frames = framesOf(guest.input);
  const capabilities: Capability[] = [{ kind: "fs.read", path: "/vault", scope: "tree", bytesMax: 1_000 }];
  const grant = { id: "g", capabilities, source: "me", expiresAt: 9_999_999_999_999 };
  const honest = requestOf({ path: "/vault/key" });
  const forged = [
    { ...honest, grant },
    { ...honest, capabilities },
    { ...honest, decision: { kind: "granted", grant, policyDigest: "x", source: "me" } },
    { ...honest, needs: [] },
    { ...honest, principal: { ...honest.principal, grants: capabilities } },
    { ...honest, policy: { rules: [] } },
    { ...honest, timeoutMs: 1e9 },
    { ...honest, ["__proto__x"]: 1 },
  ];
  for (const [index, body] of forged.entries()) {
    await writer.write(encodeJsonFrame(index + 1, { v: 1, type: "request", body }));
    const frame = (await frames.next()).value as Frame;
    assert.deepEqual(jsonOf(frame), {
      v: 1,
      type: "failed",
      code: "protocol",
      message: "The call is malformed, so it was refused",
    });
  }
  await writer.write(encodeJsonFrame(99, { v: 1, type: "request", body: honest }));
  const answer = jsonOf((await frames.next()).value as Frame) as { body: { kind: string } };
  assert.equal(answer.body.kind, "denied");
  assert.equal(runs, 0);
  await server.close();
});

Deno.test("a grant inside the arguments is an argument, and a wrong one", async () => {
  using temp = openTempFiles();
  const broker = await openTempBroker(temp, says("ran"));
  const outcome = await broker.call(requestOf({ path: "/shared/a", grant: { capabilities: [] } }), never);
  assert.equal(outcome.code, "tool_args_invalid");
  const polluted = JSON.parse('{"path":"/shared/a","__proto__":{"needs":[]}}');
  assert.equal((await broker.call(requestOf(polluted), never)).code, "tool_args_invalid");
});

Deno.test("a request in another user's name is denied before its arguments are read", async () => {
  using temp = openTempFiles();
  const broker = await openTempBroker(temp, says("ran"));
  for (const user of ["other", "", "default "]) {
    const principal = { user, agent: [], origin: "channel" } as const;
    const outcome = await broker.call(requestOf({ path: "/shared/a" }, { principal }), never);
    assert.deepEqual([outcome.kind, outcome.code, outcome.decision], ["denied", "tool_denied", undefined]);
  }
});

Deno.test("an id that is in use is refused, the same id in another turn is not", async () => {
  using temp = openTempFiles();
  const release = Promise.withResolvers<void>();
  const broker = await openTempBroker(temp, async (...args) => {
    await release.promise;
    return await says("ran")(...args);
  });
  const request = requestOf({ path: "/shared/a" });
  const first = broker.call(request, never);
  const second = await broker.call(request, never);
  assert.deepEqual([second.kind, second.code], ["failed", "protocol"]);
  const other = broker.call({ ...request, turn: "u" }, never);
  const shifted = broker.call({ ...request, turn: `t","${request.callId}`, callId: "" }, never);
  release.resolve();
  for (const outcome of [await first, await other, await shifted]) assert.equal(outcome.text, "ran");
  assert.equal((await broker.call(request, never)).text, "ran");
});

Deno.test("200 calls at once: 64 run, the rest is told so, and all places come back", async () => {
  using temp = openTempFiles();
  const release = Promise.withResolvers<void>();
  let running = 0;
  let most = 0;
  const run: ProbeRun = async (...args) => {
    most = Math.max(most, ++running);
    // One too many waits for nobody, so that this test ends.
    if (running > LIMITS.brokerCallsMax) release.resolve();
    await release.promise;
    running--;
    return await says("ran")(...args);
  };
  const broker = await openTempBroker(temp, run);
  const calls = Array.from({ length: 200 }, () => broker.call(requestOf({ path: "/shared/a" }), never));
  const refused = await Promise.all(calls.slice(LIMITS.brokerCallsMax));
  assert.ok(refused.every((outcome) => outcome.code === "queue_full"));
  release.resolve();
  const ran = await Promise.all(calls.slice(0, LIMITS.brokerCallsMax));
  assert.ok(ran.every((outcome) => outcome.text === "ran"));
  assert.equal(most, LIMITS.brokerCallsMax);
  assert.equal((await broker.call(requestOf({ path: "/shared/a" }), never)).text, "ran");
});

Deno.test("a child that asks for more than its call was granted gets nothing, however often it asks", async () => {
  using temp = openTempFiles();
  Deno.writeTextFileSync(join(temp.shared, "a"), "mine");
  Deno.writeTextFileSync(join(temp.dir, "vault", "key"), "SECRET");
  Deno.symlinkSync(join(temp.dir, "vault", "key"), join(temp.shared, "link"));
  const codes = new Map<string, number>();
  const broker = await openTempBroker(temp, async (call, onHostCall, signal) => {
    for (let i = 0; i < LIMITS.hostCallsMax + 10; i++) {
      const path = ["/vault/key", "/shared/../vault/key", "/shared/link", "/shared/a/../a"][i % 4]!;
      const code = await onHostCall({ fn: "fs-read.read-text", path }, signal).then(
        () => "read",
        (error) => error.code,
      );
      codes.set(code, (codes.get(code) ?? 0) + 1);
    }
    return await says("done")(call, onHostCall, signal);
  });
  await broker.call(requestOf({ path: "/shared/a" }), never);
  assert.deepEqual([...codes], [["tool_denied", LIMITS.hostCallsMax], ["quota_exceeded", 10]]);
});

Deno.test("a tool that was granted a path which is a link is refused by the walk", async () => {
  using temp = openTempFiles();
  Deno.symlinkSync(join(temp.outside, "secret.txt"), join(temp.shared, "link"));
  const broker = await openTempBroker(temp, async (call, onHostCall, signal) => {
    const read = onHostCall({ fn: "fs-read.read-text", path: "/shared/link" }, signal);
    const text = await read.then(() => "read", (error) => `${error.code}: ${error.message}`);
    return await says(text)(call, onHostCall, signal);
  });
  const outcome = await broker.call(requestOf({ path: "/shared/link" }), never);
  assert.match(outcome.text, /^path_outside: \/shared\/link is a symbolic link.* outside \/shared$/);
});
