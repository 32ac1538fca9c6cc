import assert from "node:assert/strict";
import type { Progress, SessionEvent } from "#/core/event.ts";
import { joinPair, toTurn, toTurnFrames } from "#/gateway/turn_frames.ts";
import { delta, stored, turnDone, userMessage } from "./scripted_source.ts";

const address = { request_id: "r", session: { user_id: "ann", session_id: "s" } };
const running = { ...address, turn: toTurn("t", "running") };

/** Type, droppable and payload less its address, of what the reference's protocol makes of an event. */
function reference(event: SessionEvent) {
  const outgoing = toTurnFrames(event, running);
  assert.equal(outgoing[0]!.frame.type, "turn_event");
  return outgoing.slice(1).map(({ frame, droppable }) => {
    const { request_id, session, ...rest } = frame.payload as Record<string, unknown>;
    assert.deepEqual({ request_id, session }, address);
    return [frame.type, droppable, rest];
  });
}

Deno.test("toTurnFrames() maps each event to the reference's frame, or to none", () => {
  const running = toTurn("t", "running");
  assert.deepEqual(reference(delta("a")), [["assistant_delta", true, { turn: running, delta: "a" }]]);
  assert.deepEqual(reference({ type: "reasoning_delta", payload: { text: "a" } }), []);
  assert.deepEqual(reference(userMessage()), []);
  assert.deepEqual(reference(stored("parked", { callId: "c", reason: "r" })), []);
  assert.deepEqual(reference(turnDone("hi")), [["turn_completed", false, {
    turn: { turn_id: "t", state: "completed" },
    response: {
      message: { role: "assistant", content: "hi" },
      finish_reason: "stop",
      usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 },
    },
  }]]);
  assert.deepEqual(reference(stored("turn_cancelled", { reason: "asked", steps: 1 })), [
    ["turn_cancelled", false, { turn: { turn_id: "t", state: "cancelled" } }],
  ]);
  assert.deepEqual(reference(stored("turn_failed", { code: "provider_auth", message: "no key", steps: 1 })), [
    ["error", false, { turn: { turn_id: "t", state: "failed" }, message: "no key", code: "provider_auth" }],
  ]);
});

Deno.test("toTurnFrames() names only progress kinds that the reference's decoder knows", () => {
  const cases: readonly (readonly [Progress, unknown])[] = [
    [{ kind: "provider_call" }, { kind: "provider_call" }],
    [{ kind: "provider_retry", attempt: 2, waitMs: 10, code: "provider_unavailable" }, { kind: "provider_call" }],
    [{ kind: "provider_notice" }, { kind: "provider_call" }],
    [{ kind: "tool_execution", toolNames: ["file_read"] }, { kind: "tool_execution", tool_names: ["file_read"] }],
    [{ kind: "rolling_summary" }, { kind: "rolling_summary" }],
    [{ kind: "tool_heartbeat", toolNames: ["a"], elapsedSecs: 5 }, {
      kind: "tool_heartbeat",
      tool_names: ["a"],
      elapsed_secs: 5,
    }],
  ];
  for (const [progress, kind] of cases) {
    const event = { type: "progress", payload: { progress, message: "m", step: 2, stepsMax: 8 } } as const;
    assert.deepEqual(reference(event), [["turn_progress", true, {
      turn: toTurn("t", "running"),
      progress: { kind, message: "m", turn: 2, max_turns: 8 },
    }]]);
  }
});

Deno.test("toTurnFrames() tells of an output only by the event itself: the reference's clients know no such kind", () => {
  const progress = { kind: "tool_output", toolNames: ["a"], callId: "c", tail: "x\n", lines: 1 } as const;
  const event = { type: "progress", payload: { progress, message: "m", step: 2, stepsMax: 8 } } as const;
  assert.deepEqual(toTurnFrames(event, running).map(({ frame, droppable }) => [frame.type, droppable]), [
    ["turn_event", true],
  ]);
});

Deno.test("toTurnFrames() lets a slow reader lose live events, never a recorded one", () => {
  assert.equal(toTurnFrames(delta("a"), running).every((outgoing) => outgoing.droppable), true);
  assert.equal(toTurnFrames(turnDone("a"), running).some((outgoing) => outgoing.droppable), false);
  assert.equal(toTurnFrames(userMessage(), running).some((outgoing) => outgoing.droppable), false);
});

Deno.test("toTurnFrames() shows attachments without their bytes and leaves the event as it is", () => {
  const event = stored("user_message", {
    text: "a",
    channel: "tui",
    attachments: [{ mimeType: "image/png", data: "QUI=" }],
  });
  const [own] = toTurnFrames(event, running);
  assert.ok(own?.frame.type === "turn_event" && own.frame.payload.event.type === "user_message");
  assert.deepEqual(own.frame.payload.event.payload.attachments, [{ mimeType: "image/png", data: "" }]);
  assert.ok(event.type === "user_message");
  assert.equal(event.payload.attachments?.[0]?.data, "QUI=");
});

Deno.test("joinPair() gives the same text for every cut, and never half a pair", () => {
  const text = "a😀b👩‍🚀c";
  for (let first = 0; first <= text.length; first++) {
    for (let second = first; second <= text.length; second++) {
      let shown = "";
      let waiting = "";
      for (const piece of [text.slice(0, first), text.slice(first, second), text.slice(second)]) {
        const joined = joinPair(waiting, piece);
        assert.ok(joined.text.isWellFormed() && joined.waiting.length <= 1);
        shown += joined.text;
        waiting = joined.waiting;
      }
      assert.equal(shown + waiting, text);
    }
  }
  assert.deepEqual(joinPair("\ud83d", "x"), { text: "\ufffdx", waiting: "" });
  assert.deepEqual(joinPair("", "\ude00"), { text: "\ufffd", waiting: "" });
});
