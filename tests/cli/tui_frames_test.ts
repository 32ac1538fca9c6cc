import assert from "node:assert/strict";
import { applyFrame } from "#/cli/tui_frames.ts";
import type { ServerFrame } from "#/cli/connection.ts";
import { Driven, makeCard, RESULT, toText } from "./tui_kit.ts";

const ASK = { text: "go", channel: "tui" };

/** A terminal in the middle of its own turn `id1`: the message and one step are shown. */
function midTurn(): Driven {
  const driven = new Driven();
  driven.connect();
  driven.text("go");
  driven.key("enter");
  driven.event("user_message", ASK, "id1");
  driven.event("model_request", { step: 1 }, "id1");
  driven.live("text_delta", { text: "one\ntw" }, "id1");
  driven.printed();
  return driven;
}

Deno.test("applyFrame() after a reconnect asks from its position, and shows what was missed once and in order", () => {
  const driven = midTurn();
  driven.lose();
  const effects = driven.connect();
  assert.deepEqual(
    effects.map((effect) => effect.type === "send" ? [effect.frame, effect.payload.from] : effect.type),
    [
      "read-cards",
      ["resume", 2],
    ],
  );
  driven.event("model_result", { ...RESULT, text: "one\ntwo" }, "id1", 3);
  driven.event("tool_intent", { callId: "c", tool: "file_read", args: {} }, "id1");
  const again = driven.frame("resumed", { request_id: "id3", to_seq: 4, active_turn: { turn_id: "id1" } });
  assert.deepEqual(again.map((effect) => effect.type === "send" && effect.frame), ["send_turn"]);
  driven.event("tool_result", { callId: "c", tool: "file_read", ok: true, code: "ok", text: "x", elapsedMs: 1 }, "id1");
  // The gateway tells the turn from its start to whoever asks by its id.
  driven.event("user_message", ASK, "id1", 1);
  driven.event("model_result", { ...RESULT, text: "one\ntwo" }, "id1", 3);
  driven.event("turn_done", { denied: 0 }, "id1", 6);
  assert.deepEqual(driven.printed(), ["two", "· file_read", "  ✓ x (1 ms)", "· 0 s · 1.2k tokens · $0.0031"]);
  assert.deepEqual(driven.state.sent, []);
});

Deno.test("applyFrame() goes on with what the running call has said, whether it had seen more or less of it", () => {
  const driven = midTurn();
  driven.lose();
  driven.connect();
  driven.frame("resumed", { request_id: "id3", to_seq: 2, active_turn: { turn_id: "id1" }, text: "one\ntwo\nthr" });
  assert.deepEqual([driven.printed(), driven.screen()[0]], [["two"], "thr"]);
  driven.live("text_delta", { text: "ee\n" }, "id1");
  assert.deepEqual(driven.printed(), ["three"]);
  const other = midTurn();
  other.lose();
  other.connect();
  other.frame("resumed", { request_id: "id3", to_seq: 2, active_turn: { turn_id: "id1" }, text: "another\nreply" });
  assert.deepEqual(other.printed(), [
    "tw",
    "· the reply again, from its start: a part of it was lost on the way",
    "another",
  ]);
});

Deno.test("applyFrame() of a gateway that cannot resume: the message again under its id, and a turn with a gap is told whole at its end", () => {
  const driven = midTurn();
  driven.lose();
  driven.connect();
  const refused = driven.frame("error", { request_id: "id3", message: "unknown frame type `resume`" });
  assert.deepEqual(refused.map((effect) => effect.type === "send" && [effect.frame, effect.payload.turn_id]), [[
    "send_turn",
    "id1",
  ]]);
  assert.deepEqual(driven.printed(), []);
  // Events 3 and 4 were missed.
  driven.event("tool_intent", { callId: "d", tool: "file_list", args: {} }, "id1", 5);
  driven.live("text_delta", { text: "lost" }, "id1");
  assert.match(driven.screen().join("\n"), /some of it was missed/);
  const [ask] = driven.event("turn_done", { denied: 0 }, "id1", 6);
  assert.ok(ask?.type === "send" && ask.frame === "send_turn" && ask.payload.turn_id === "id1");
  assert.deepEqual(driven.printed(), []);
  driven.event("user_message", ASK, "id1", 1);
  driven.event("model_request", { step: 1 }, "id1", 2);
  driven.event("model_result", { ...RESULT, text: "one\ntwo" }, "id1", 3);
  driven.event("model_request", { step: 2 }, "id1", 4);
  driven.event("tool_intent", { callId: "d", tool: "file_list", args: {} }, "id1", 5);
  driven.event("turn_done", { denied: 0 }, "id1", 6);
  assert.deepEqual(driven.printed().slice(0, 1), ["two"]);
  assert.deepEqual([driven.state.sent, driven.state.gap], [[], false]);
});

Deno.test("applyFrame() of a turn of others with a gap says that something is not shown", () => {
  const driven = new Driven();
  driven.connect();
  driven.event("user_message", ASK, "x", 4);
  driven.event("turn_done", { denied: 0 }, "x", 9);
  assert.ok(driven.printed().some((line) => /what others did/.test(line)));
});

Deno.test("applyFrame() of a reply that lost deltas shows the recorded text whole", () => {
  const driven = midTurn();
  driven.live("text_delta", { text: "x\n" }, "id1");
  driven.event("model_result", { ...RESULT, text: "one\ntwo three" }, "id1");
  assert.deepEqual(driven.printed(), [
    "twx",
    "· the reply again, from its start: a part of it was lost on the way",
    "one",
    "two three",
  ]);
});

Deno.test("applyFrame() gives back a message that was refused, and keeps one that a closing gateway did not take", () => {
  const driven = new Driven();
  driven.connect();
  driven.text("go");
  driven.key("enter");
  driven.printed();
  for (const code of ["cancelled", "gateway_restarting", "turn_suspended"]) {
    driven.frame("error", { request_id: "id2", code, message: "the gateway is closing" });
  }
  assert.equal(driven.state.sent.length, 1);
  driven.frame("error", { request_id: "id2", code: "lane_full", message: "too many" });
  assert.deepEqual([driven.printed(), driven.state.sent, driven.state.draft.text], [["✗ too many"], [], "go"]);
});

Deno.test("applyFrame() shows lists, switches, states, notices and errors of what was asked", () => {
  const driven = new Driven();
  driven.connect();
  driven.printed();
  driven.text("/sessions");
  driven.key("enter");
  driven.frame("session_list", {
    sessions: [
      { session_id: "old", last_active_at: new Date(0).toISOString() },
      { session_id: "s", display_name: "here", last_active_at: new Date(driven.now).toISOString() },
    ],
  });
  assert.deepEqual(driven.printed(), [
    "",
    "› 1  here  s · now",
    "  2  old  16 min ago",
    "/switch and a number goes there",
  ]);
  driven.text("/switch 2");
  const [go] = driven.key("enter");
  assert.ok(go?.type === "send" && go.payload.session_id === "old");
  driven.event("user_message", ASK);
  assert.deepEqual(driven.frame("session_switched", { session: { session_id: "old" } }), [{ type: "read-cards" }]);
  assert.deepEqual([driven.state.session, driven.state.seq, driven.state.live], ["old", undefined, undefined]);
  driven.printed();
  driven.frame("session_created", { session: { session_id: "n" }, display_name: "new one" });
  driven.frame("health_status", { message: "ready" });
  driven.frame("scheduled_notification", { message: "tea" });
  assert.match(driven.printed().join("\n"), /session new one \(n\)[^]*gateway {2}ready[^]*⏰ tea/);
  driven.text("/switch nowhere");
  const [asked] = driven.key("enter");
  driven.frame("error", { request_id: asked?.type === "send" && asked.payload.request_id, message: "no such session" });
  assert.deepEqual(driven.printed(), ["✗ /switch: no such session"]);
  assert.deepEqual(driven.frame("of tomorrow", {}), []);
});

Deno.test("applyFrame() takes no event of another session, and what has not the shape of its type ends nothing", () => {
  const driven = new Driven();
  driven.connect();
  driven.printed();
  const event = { seq: 1, type: "user_message", payload: ASK };
  driven.frame("turn_event", { session: { session_id: "other" }, turn: { turn_id: "t" }, event });
  assert.deepEqual(driven.printed(), []);
  driven.live("text_delta", { text: ["x"] });
  driven.event("user_message", { text: 7 });
  driven.frame("session_list", { sessions: 7 });
  driven.event("tool_result", null);
  assert.ok(driven.printed().every((line) => line === "" || /cannot be shown/.test(line)));
  assert.throws(() => applyFrame(driven.state, { type: "session_list", payload: {} } as ServerFrame), TypeError);
});

Deno.test("cards that a gateway elsewhere tells of are shown as such; one for the owner is not answered from here", () => {
  const driven = new Driven({ isRelayed: true });
  driven.connect();
  driven.event("approval_asked", { callId: "c", card: makeCard("1", { answer: "relayed" }) });
  driven.key("tab");
  assert.equal(driven.text("y")[0]?.type, "answer");
  driven.event("approval_answered", { callId: "c", id: "1", answer: "once", by: "relayed" });
  assert.ok(driven.printed().some((line) => /✓ once/.test(line)));
  driven.event("approval_asked", { callId: "d", card: makeCard("2", { answer: "owner" }) });
  driven.key("tab");
  assert.equal(driven.state.focus, undefined);
  assert.match(driven.screen().join("\n"), /own machine/);
  assert.equal(toText([]).length, 0);
});
