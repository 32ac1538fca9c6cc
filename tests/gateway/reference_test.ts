/** Every frame that a client of the reference is sent, read as its decoder reads it. */
import assert from "node:assert/strict";
import type { Progress, SessionEvent } from "#/core/event.ts";
import { encodeFrame, toFrame, toKnows, toResponse } from "#/gateway/server_frame.ts";
import { toMediaFrame } from "#/gateway/media_frame.ts";
import { toTurnFrames } from "#/gateway/turn_frames.ts";
import { toStartupStatus } from "#/runner/startup_status.ts";
import { decodeAsReference, REFERENCE_FRAMES } from "../fixture/reference_decoder.ts";
import { openHouse } from "./house.ts";
import { delta, stored, turnDone, userMessage } from "./scripted_source.ts";

const session = { user_id: "ann", session_id: "s" };
const address = { request_id: "r", session, turn: { turn_id: "t", state: "running" } } as const;
const REFERENCE = toKnows([]);

/** As crates/types/tests/channel_contracts.rs has them, and each optional field both ways. */
const WRITTEN: readonly string[] = [
  '{"type":"hello_ack","payload":{"request_id":"r","protocol_version":2,"session":{"user_id":"u","session_id":"s"},"active_turn":{"turn_id":"t","state":"running"}}}',
  '{"type":"turn_started","payload":{"request_id":"r","session":{"user_id":"u","session_id":"s"},"turn":{"turn_id":"t","state":"running"}}}',
  '{"type":"assistant_delta","payload":{"request_id":"r","session":{"user_id":"u","session_id":"s"},"turn":{"turn_id":"t","state":"running"},"delta":"x"}}',
  '{"type":"turn_completed","payload":{"request_id":"r","session":{"user_id":"u","session_id":"s"},"turn":{"turn_id":"t","state":"completed"},"response":{"message":{"role":"assistant","content":"Done"},"finish_reason":"stop"}}}',
  '{"type":"turn_cancelled","payload":{"request_id":"r","session":{"user_id":"u","session_id":"s"},"turn":{"turn_id":"t","state":"cancelled"}}}',
  '{"type":"error","payload":{"message":"provider timeout"}}',
  '{"type":"health_status","payload":{"request_id":"r","healthy":true,"startup_status":{"sandbox_tier":"container","sidecar_available":true,"shell_available":true,"browser_available":true},"message":"ok"}}',
  '{"type":"turn_progress","payload":{"request_id":"r","session":{"user_id":"u","session_id":"s"},"turn":{"turn_id":"t","state":"running"},"progress":{"kind":{"kind":"tool_execution","tool_names":["file_read"]},"message":"[2/8] Executing tools: file_read","turn":2,"max_turns":8}}}',
  '{"type":"scheduled_notification","payload":{"schedule_id":"i","schedule_name":"n","message":"m"}}',
  '{"type":"session_created","payload":{"request_id":"r","session":{"user_id":"u","session_id":"s"},"agent_name":"default"}}',
  '{"type":"session_list","payload":{"request_id":"r","sessions":[{"session_id":"s","agent_name":"a","channel_origin":"tui","created_at":"c","last_active_at":"l","archived":false}]}}',
  '{"type":"session_switched","payload":{"request_id":"r","session":{"user_id":"u","session_id":"s"}}}',
  '{"type":"media_attachment","payload":{"request_id":"r","session":{"user_id":"u","session_id":"s"},"attachment":{"file_path":"/shared/p.png","media_type":"photo","data":"QUI="}}}',
];

Deno.test("the transcribed decoder takes the reference's own frames and refuses what serde refuses", () => {
  assert.deepEqual(WRITTEN.map((text) => decodeAsReference(text).type).sort(), Object.keys(REFERENCE_FRAMES).sort());
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['{"type":"unknown","payload":{}}', /variant/],
    ['{"type":"health_status","payload":{"request_id":"r"}}', /healthy/],
    [WRITTEN[7]!.replace("tool_execution", "provider_retry"), /one of/],
    [WRITTEN[7]!.replace('"turn":2', '"turn":2.5'), /whole number/],
    [
      WRITTEN[6]!.replace(
        '"browser_available":true',
        '"browser_available":true,"degraded_reasons":[{"code":"x","detail":"d"}]',
      ),
      /code/,
    ],
    [WRITTEN[2]!.replace('"x"', '"\\ud83d"'), /whole characters/],
    [WRITTEN[12]!.replace("QUI=", "QUI"), /base64/],
    [WRITTEN[10]!.replace('"archived":false', '"archived":null'), /boolean/],
  ];
  for (const [text, reason] of wrong) assert.throws(() => decodeAsReference(text), reason, text);
});

Deno.test("each event of a turn is, for a client that announced nothing, a frame that the reference reads, or none", () => {
  const step = { step: 1, stepsMax: 8, message: "m" };
  const kinds: Progress[] = [
    { kind: "provider_call" },
    { kind: "provider_retry", attempt: 1, waitMs: 5, code: "provider_timeout" },
    { kind: "provider_switch", to: { provider: "p", model: "m" }, code: "provider_timeout" },
    { kind: "provider_notice" },
    { kind: "tool_execution", toolNames: ["a"] },
    { kind: "rolling_summary" },
    { kind: "tool_heartbeat", toolNames: ["a"], elapsedSecs: 5 },
  ];
  const usage = { promptTokens: 1.5, completionTokens: -1, totalTokens: NaN };
  const done = { text: "a\ud83d", finishReason: "stop", steps: 1, toolCalls: 0, denied: 0, usage };
  const events: SessionEvent[] = [
    userMessage(),
    delta("\udc00"),
    ...kinds.map((progress) => ({ type: "progress" as const, payload: { ...step, progress } })),
    turnDone("x"),
    stored("turn_done", done),
    stored("turn_failed", { code: "provider_timeout", message: "\ud83d", steps: 1 }),
    stored("turn_cancelled", { reason: "r", steps: 0 }),
    stored("parked", { callId: "c", reason: "r" }),
  ];
  const types = events.flatMap((event) =>
    toTurnFrames(event, address).flatMap(({ frame }) => {
      const text = encodeFrame(frame, REFERENCE);
      return text === undefined ? [] : [decodeAsReference(text).type];
    })
  );
  assert.deepEqual(types, [
    "assistant_delta",
    ...kinds.map(() => "turn_progress"),
    "turn_completed",
    "turn_completed",
    "error",
    "turn_cancelled",
  ]);
});

Deno.test("what is no event of a turn is read by the reference, or not sent to its clients", () => {
  const content = new Uint8Array([1, 2]);
  const media = toMediaFrame({ sha256: "a".repeat(64), bytes: 2, mimeType: "image/png", content }, address);
  const cost = { prompt_tokens: 1, completion_tokens: 1 };
  const sent = [
    media,
    toFrame("turn_completed", { ...address, response: toResponse("x", "", {}) }),
    toFrame("health_status", { request_id: "r", healthy: true, startup_status: toStartupStatus() }),
    toFrame("error", { message: "quoted `\ud83d`", code: "queue_full" }),
    toFrame("error", { message: "a text that spells \\ud83d stays as it is" }),
  ].map((frame) => decodeAsReference(encodeFrame(frame, REFERENCE)!));
  assert.equal(sent.at(-2)!.payload.message, "quoted `\ufffd`");
  assert.equal(sent.at(-2)!.payload.code, undefined);
  assert.equal(sent.at(-1)!.payload.message, "a text that spells \\ud83d stays as it is");
  const own = [
    toFrame("resumed", { request_id: "r", session, to_seq: 1 }),
    toFrame("usage", { ...address, used: cost, in_session: cost, today: cost }),
    toFrame("gateway_info", { request_id: "r", version: "1", provider: "p", model: "m", reason: "w" }),
  ];
  for (const frame of own) assert.equal(encodeFrame(frame, REFERENCE), undefined);
});

Deno.test("a client that announced nothing reads everything that a gateway ever sends it", async () => {
  await using house = await openHouse({ startupStatus: toStartupStatus() });
  const url = `ws://127.0.0.1:${house.port}/ws?token=${house.token}`;
  const socket = new WebSocket(url);
  const seen = new Set<string>();
  const frames: { type: string }[] = [];
  let wake = () => {};
  let refused: unknown;
  socket.onmessage = ({ data }) => {
    try {
      frames.push(decodeAsReference(data));
      seen.add(frames.at(-1)!.type);
    } catch (error) {
      refused ??= `${error}: ${data}`;
    }
    wake();
  };
  const until = async (type: string) => {
    while (!frames.splice(0).some((frame) => frame.type === type)) {
      assert.equal(refused, undefined);
      await new Promise<void>((resolve) => wake = resolve);
    }
  };
  const send = (type: string, payload: object) => socket.send(JSON.stringify({ type, payload }));
  await new Promise((resolve) => socket.onopen = resolve);
  send("hello", { request_id: "h", protocol_version: 2, user_id: "ann", create_new_session: false });
  await until("hello_ack");
  const long = "\u{1f600}".repeat(60);
  send("switch_session", { request_id: "s", session_id: `x${long}` });
  await until("error");
  send(`x${long}`, {});
  await until("error");
  send("send_turn", { request_id: "r", session_id: "runtime-ann", turn_id: "t", prompt: "hi" });
  const turn = await house.source.next();
  for (const event of [userMessage(), delta("x"), stored("parked", { callId: "c", reason: "r" })]) {
    await turn.emit(event);
  }
  await turn.emit({
    type: "progress",
    payload: { progress: { kind: "provider_notice" }, message: "m", step: 1, stepsMax: 2 },
  });
  send("health_check", { request_id: "q" });
  await until("health_status");
  await turn.finish(turnDone("x"));
  await until("turn_completed");
  send("create_session", { request_id: "c", display_name: "\ud83d", agent_name: null });
  await until("session_created");
  send("list_sessions", { request_id: "l", include_archived: true, include_subagent_sessions: true });
  await until("session_list");
  send("switch_session", { request_id: "s", session_id: "runtime" });
  await until("session_switched");
  socket.close();
  assert.equal(refused, undefined);
  assert.deepEqual(
    [...seen].sort(),
    Object.keys(REFERENCE_FRAMES).filter((type) =>
      !["media_attachment", "scheduled_notification", "turn_cancelled"].includes(type)
    ).sort(),
  );
});
