import assert from "node:assert/strict";
import { closeTurn, readTurn, TurnLog } from "#/session/turn_log.ts";
import { MemoryLog } from "../fake/memory_log.ts";
import { PRINCIPAL } from "../turn/turn_kit.ts";

const NEW_SESSION = { id: "s", user: "u", agent: "a", channel: "c", displayName: null, parent: null };
const USER = { type: "user_message", v: 1, payload: { text: "hi", channel: "c" } } as const;
const REQUEST = {
  type: "model_request",
  v: 1,
  payload: {
    step: 1,
    provider: "p",
    model: "m",
    parameters: {},
    window: { sha256: "0", fromSeq: 1, toSeq: 1, messages: 1, droppedMessages: 0 },
  },
} as const;

async function openLog(): Promise<MemoryLog> {
  const log = new MemoryLog();
  await log.ensureSession(NEW_SESSION);
  return log;
}

Deno.test("TurnLog.append() counts model calls and writes side effects with full durability", async () => {
  const log = await openLog();
  const turnLog = new TurnLog(log, "s", "t");
  await turnLog.append(REQUEST);
  for (const effect of ["read_only", "side_effecting", "privileged"] as const) {
    const payload = { callId: effect, step: 1, tool: "t", effect, args: {}, argsSha256: "0", principal: PRINCIPAL };
    const stored = await turnLog.append({ type: "tool_intent", v: 1, payload });
    assert.equal(stored.type, "tool_intent");
  }
  assert.equal(turnLog.steps, 1);
  assert.deepEqual(log.appends.map((append) => append.durability), ["normal", "normal", "full", "full"]);
});

Deno.test("TurnLog and closeTurn() count no step for a summary's call", async () => {
  const log = await openLog();
  const summary = { ...REQUEST, payload: { ...REQUEST.payload, purpose: "summary" } } as const;
  const turnLog = new TurnLog(log, "s", "t");
  for (const event of [USER, summary, REQUEST]) await turnLog.append(event);
  assert.equal(turnLog.steps, 1);
  const end = await closeTurn(log, "s", "t");
  assert.ok(end.type === "turn_failed" && end.payload.steps === 1);
});

Deno.test("readTurn() knows a retry from a conflict", async () => {
  const log = await openLog();
  const message = { session: "s", turn: "t", text: "hi" };
  assert.deepEqual(await readTurn(log, message), []);
  await log.append("s", "t", [USER], { durability: "normal" });
  assert.equal((await readTurn(log, { ...message, attachments: [] })).length, 1);
  await assert.rejects(readTurn(log, { ...message, text: "ho" }), { code: "turn_conflict" });
  const attachments = [{ mimeType: "image/png", data: "AA==" }];
  await assert.rejects(readTurn(log, { ...message, attachments }), { code: "turn_conflict" });
});

Deno.test("closeTurn() ends a turn once", async () => {
  const log = await openLog();
  await log.append("s", "t", [USER, REQUEST], { durability: "normal" });
  const end = await closeTurn(log, "s", "t");
  assert.ok(end.type === "turn_failed" && end.payload.code === "turn_interrupted" && end.payload.steps === 1);
  assert.deepEqual(await closeTurn(log, "s", "t"), end);
  assert.equal((await log.turn("s", "t")).length, 3);
});
