import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { closeTurn, readHistory, readTurn, TurnLog } from "#/session/turn_log.ts";
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

Deno.test("readHistory() reads page by page, to a place in the log", async () => {
  const log = await openLog();
  for (let n = 0; n < 1_300; n++) {
    const message = { ...USER, payload: { text: `q${n}`, channel: "c" } } as const;
    await log.append("s", `t${n}`, [message, { type: "turn_cancelled", v: 1, payload: { reason: "x", steps: 0 } }], {
      durability: "normal",
    });
  }
  const history = await readHistory(log, "s", { toSeq: 2_599, turn: "t1299" });
  assert.equal(history.length, 2 * 1_299 + 1);
  assert.deepEqual([history[0]!.message.content, history.at(-1)!.message.content], ["q0", "q1299"]);
});

Deno.test("readHistory() reads the newest historyEventsMax events", async () => {
  const log = await openLog();
  let fromSeq = 0;
  const read = log.read.bind(log);
  log.read = (session, options) => {
    fromSeq = options.fromSeq;
    return read(session, options);
  };
  await log.append("s", "t", [USER], { durability: "normal" });
  await readHistory(log, "s", { toSeq: LIMITS.historyEventsMax, turn: "t" });
  assert.equal(fromSeq, 1);
  await readHistory(log, "s", { toSeq: LIMITS.historyEventsMax + 5, turn: "t" });
  assert.equal(fromSeq, 6);
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
