import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import {
  encodeFrame,
  type ServerFrame,
  toFrame,
  toHelloAck,
  toKnows,
  toResponse,
  toTold,
} from "#/gateway/server_frame.ts";

const session = { user_id: "ann", session_id: "s" };
const address = { request_id: "r", session, turn: { turn_id: "t", state: "running" } } as const;
const head = '"request_id":"r","session":{"user_id":"ann","session_id":"s"}';
const running = `${head},"turn":{"turn_id":"t","state":"running"}`;

/** Each frame beside the text that serde writes for it in the reference (tag "type", content "payload"), by hand. */
const SNAPSHOTS: readonly (readonly [ServerFrame, string])[] = [
  [
    toHelloAck("r", session, undefined),
    '{"type":"hello_ack","payload":{"request_id":"r","protocol_version":2,"session":{"user_id":"ann","session_id":"s"}}}',
  ],
  [
    toHelloAck("r", session, { turn_id: "t", state: "running" }),
    '{"type":"hello_ack","payload":{"request_id":"r","protocol_version":2,"session":{"user_id":"ann","session_id":"s"},"active_turn":{"turn_id":"t","state":"running"}}}',
  ],
  [toFrame("turn_started", address), `{"type":"turn_started","payload":{${running}}}`],
  [
    toFrame("assistant_delta", { ...address, delta: "é\n" }),
    `{"type":"assistant_delta","payload":{${running},"delta":"é\\n"}}`,
  ],
  [
    toFrame("turn_completed", {
      ...address,
      response: toResponse("hi", "stop", { promptTokens: 1, completionTokens: 2, totalTokens: 3, cachedTokens: 1 }),
    }),
    `{"type":"turn_completed","payload":{${running},"response":{"message":{"role":"assistant","content":"hi"},"finish_reason":"stop","usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}}}`,
  ],
  [
    toFrame("turn_completed", { ...address, response: toResponse("", "", {}) }),
    `{"type":"turn_completed","payload":{${running},"response":{"message":{"role":"assistant","content":""}}}}`,
  ],
  [toFrame("turn_cancelled", address), `{"type":"turn_cancelled","payload":{${running}}}`],
  [
    toFrame("turn_progress", {
      ...address,
      progress: { kind: { kind: "provider_call" }, message: "m", turn: 1, max_turns: 8 },
    }),
    `{"type":"turn_progress","payload":{${running},"progress":{"kind":{"kind":"provider_call"},"message":"m","turn":1,"max_turns":8}}}`,
  ],
  [toFrame("error", { message: "m" }), '{"type":"error","payload":{"message":"m"}}'],
  [toFrame("error", { ...address, message: "m" }), `{"type":"error","payload":{${running},"message":"m"}}`],
  [
    toFrame("health_status", { request_id: "r", healthy: true }),
    '{"type":"health_status","payload":{"request_id":"r","healthy":true}}',
  ],
  [
    toFrame("health_status", {
      request_id: "r",
      healthy: true,
      session,
      active_turn: address.turn,
      startup_status: {
        sandbox_tier: "micro_vm",
        sidecar_available: false,
        shell_available: false,
        browser_available: false,
        degraded_reasons: [{ code: "sidecar_unavailable", detail: "d" }],
      },
      message: "m",
    }),
    '{"type":"health_status","payload":{"request_id":"r","healthy":true,"session":{"user_id":"ann","session_id":"s"},"active_turn":{"turn_id":"t","state":"running"},"startup_status":{"sandbox_tier":"micro_vm","sidecar_available":false,"shell_available":false,"browser_available":false,"degraded_reasons":[{"code":"sidecar_unavailable","detail":"d"}]},"message":"m"}}',
  ],
  [
    toFrame("scheduled_notification", { schedule_id: "i", schedule_name: undefined, message: "m" }),
    '{"type":"scheduled_notification","payload":{"schedule_id":"i","message":"m"}}',
  ],
  [
    toFrame("session_created", { request_id: "r", session, display_name: "d", agent_name: "default" }),
    `{"type":"session_created","payload":{${head},"display_name":"d","agent_name":"default"}}`,
  ],
  [
    toFrame("session_list", {
      request_id: "r",
      sessions: [{
        session_id: "s",
        agent_name: "a",
        display_name: undefined,
        channel_origin: "tui",
        created_at: "c",
        last_active_at: "l",
        archived: false,
      }],
    }),
    '{"type":"session_list","payload":{"request_id":"r","sessions":[{"session_id":"s","agent_name":"a","channel_origin":"tui","created_at":"c","last_active_at":"l","archived":false}]}}',
  ],
  [
    toFrame("session_switched", { request_id: "r", session, active_turn: undefined }),
    `{"type":"session_switched","payload":{${head}}}`,
  ],
  [
    toFrame("media_attachment", {
      request_id: "r",
      session,
      attachment: { file_path: "/shared/a.png", media_type: "photo", data: "QUI=" },
    }),
    `{"type":"media_attachment","payload":{${head},"attachment":{"file_path":"/shared/a.png","media_type":"photo","data":"QUI="}}}`,
  ],
];

const REFERENCE = toKnows([]);
const OURS = toKnows(["turn_events", "approvals", "media", "usage"]);

Deno.test("encodeFrame() writes each frame as the reference's serializer does", () => {
  for (const [frame, text] of SNAPSHOTS) {
    assert.equal(encodeFrame(frame, REFERENCE), text);
    const once = frame.type === "assistant_delta" || frame.type === "turn_progress";
    assert.equal(
      encodeFrame(frame, OURS),
      once ? undefined : text,
      "the same for a client of ours, but for what turn_event tells",
    );
  }
  assert.equal(new Set(SNAPSHOTS.map(([frame]) => frame.type)).size, 13, "every frame of the reference");
});

Deno.test("encodeFrame() sends media to a client of ours that asked for them, and to every one of the reference", () => {
  const [media] = SNAPSHOTS.map(([frame]) => frame).filter((frame) => frame.type === "media_attachment");
  assert.equal(encodeFrame(media!, { ...OURS, media: false }), undefined);
  assert.equal(encodeFrame(media!, { ...REFERENCE, media: false }), encodeFrame(media!, OURS));
});

Deno.test("encodeFrame() keeps our additions from a client that did not announce them", () => {
  const event = { type: "text_delta", payload: { text: "a" } } as const;
  const own = toFrame("turn_event", { ...address, event });
  assert.equal(encodeFrame(own, REFERENCE), undefined);
  assert.equal(
    encodeFrame(own, OURS),
    `{"type":"turn_event","payload":{${running},"event":{"type":"text_delta","payload":{"text":"a"}}}}`,
  );
  const info = toFrame("gateway_info", { request_id: "r", version: "1", provider: "p", model: "m", reason: "w" });
  assert.equal(encodeFrame(info, REFERENCE), undefined);
  assert.equal(
    encodeFrame(info, OURS),
    '{"type":"gateway_info","payload":{"request_id":"r","version":"1","provider":"p","model":"m","reason":"w"}}',
  );
  const error = toFrame("error", { request_id: "r", message: "m", code: "queue_full" });
  assert.equal(encodeFrame(error, REFERENCE), '{"type":"error","payload":{"request_id":"r","message":"m"}}');
  assert.equal(
    encodeFrame(error, OURS),
    '{"type":"error","payload":{"request_id":"r","message":"m","code":"queue_full"}}',
  );
});

Deno.test("toResponse() writes no half of a surrogate pair: the reference's decoder refuses it", () => {
  assert.equal(toResponse("a\ud83d", "stop", {}).message.content, "a\ufffd");
});

Deno.test("toTold() lets our errors speak, and reports others under the id that it tells", () => {
  const reported: unknown[][] = [];
  const report = (...of: unknown[]) => void reported.push(of);
  assert.deepEqual(toTold(new AppError("usage", "no"), { report }), { code: "usage", message: "no" });
  const foreign = new Error("secret");
  const { message } = toTold(foreign, { report });
  assert.deepEqual(reported, [[foreign, /internal error \((.+)\)/.exec(message)![1]]]);
});
