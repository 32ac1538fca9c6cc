import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { ClientFrame, parseClientFrame, PROTOCOL_VERSION } from "#/gateway/client_frame.ts";

/** As the reference's serializer writes each frame (crates/types/src/channel.rs), by hand. */
const FRAMES: readonly string[] = [
  '{"type":"hello","payload":{"request_id":"r","protocol_version":2,"user_id":"ann","create_new_session":false}}',
  '{"type":"hello","payload":{"request_id":"r","protocol_version":2,"user_id":"ann","session_id":"s","create_new_session":true}}',
  '{"type":"send_turn","payload":{"request_id":"r","session_id":"s","turn_id":"t","prompt":"hi"}}',
  '{"type":"send_turn","payload":{"request_id":"r","session_id":"s","turn_id":"t","prompt":"hi","attachments":[{"mime_type":"image/png","data":"QUI="}]}}',
  '{"type":"cancel_active_turn","payload":{"request_id":"r","session_id":"s","turn_id":""}}',
  '{"type":"cancel_all_active_turns","payload":{"request_id":"r"}}',
  '{"type":"health_check","payload":{"request_id":"r"}}',
  '{"type":"create_session","payload":{"request_id":"r"}}',
  '{"type":"create_session","payload":{"request_id":"r","display_name":"d","agent_name":"a"}}',
  '{"type":"list_sessions","payload":{"request_id":"r","include_archived":true,"include_subagent_sessions":false}}',
  '{"type":"switch_session","payload":{"request_id":"r","session_id":"s"}}',
];

Deno.test("parseClientFrame() takes every frame of the reference as it is written there", () => {
  for (const text of FRAMES) {
    const parsed = parseClientFrame(text);
    assert.ok(parsed.ok, text);
    const { type, payload } = JSON.parse(text);
    assert.equal(parsed.frame.type, type);
    for (const [name, value] of Object.entries(payload)) {
      assert.deepEqual((parsed.frame.payload as Record<string, unknown>)[name], value, `${text}: ${name}`);
    }
  }
  const types = new Set([...FRAMES.map((text) => JSON.parse(text).type), "approval_answer", "steer"]);
  assert.deepEqual([...types].sort(), ClientFrame.options.map((option) => option.shape.type.value).sort());
  assert.equal(PROTOCOL_VERSION, 2);
});

Deno.test("parseClientFrame() takes our approval_answer, with a time in RFC 3339", () => {
  const answer = { request_id: "r", session_id: "s", approval_id: "a" };
  const parse = (more: object) =>
    parseClientFrame(JSON.stringify({ type: "approval_answer", payload: { ...answer, ...more } }));
  assert.ok(parse({ answer: "once" }).ok);
  assert.ok(parse({ answer: "until", until: "2026-11-24T10:00:00+01:00" }).ok);
  for (const wrong of [{}, { answer: "yes" }, { answer: "until", until: "tomorrow" }]) {
    assert.equal(parse(wrong).ok, false);
  }
});

Deno.test("parseClientFrame() fills defaults, takes null for absent, drops what it does not know", () => {
  const parsed = parseClientFrame(JSON.stringify({
    type: "hello",
    extra: 1,
    payload: { request_id: "r", protocol_version: 2, user_id: "ann", session_id: null, __proto__x: 1, more: { a: 1 } },
  }));
  assert.deepEqual(parsed, {
    ok: true,
    frame: {
      type: "hello",
      payload: { request_id: "r", protocol_version: 2, user_id: "ann", session_id: null, create_new_session: false },
    },
  });
  const turn = parseClientFrame(
    '{"type":"send_turn","payload":{"request_id":"r","session_id":"s","turn_id":"t","prompt":"\\ud83d!"}}',
  );
  assert.ok(turn.ok && turn.frame.type === "send_turn");
  assert.equal(turn.frame.payload.prompt, "\ufffd!");
  assert.deepEqual(turn.frame.payload.attachments, []);
});

Deno.test("parseClientFrame() says what is wrong, with the request id when it can be read", () => {
  const cases: readonly (readonly [string, RegExp, string | undefined])[] = [
    ["", /not JSON/, undefined],
    ["{", /not JSON/, undefined],
    ["null", /a frame is one JSON object/, undefined],
    ["[]", /a frame is one JSON object/, undefined],
    ['"hello"', /a frame is one JSON object/, undefined],
    ['{"payload":{"request_id":"r"}}', /a frame is one JSON object/, "r"],
    ['{"type":"dance","payload":{"request_id":"r"}}', /unknown frame type `dance`; known are hello, send_turn, /, "r"],
    ['{"type":"health_check"}', /^health_check\.payload|^health_check/, undefined],
    ['{"type":"health_check","payload":{}}', /^health_check\.request_id/, undefined],
    ['{"type":"health_check","payload":{"request_id":7}}', /^health_check\.request_id.*expected string/, undefined],
    [
      '{"type":"send_turn","payload":{"request_id":"r","session_id":"s","turn_id":"t","prompt":7}}',
      /^send_turn\.prompt/,
      "r",
    ],
    [
      '{"type":"send_turn","payload":{"request_id":"r","session_id":"s","turn_id":"t","prompt":"","attachments":null}}',
      /^send_turn\.attachments/,
      "r",
    ],
    [
      '{"type":"send_turn","payload":{"request_id":"r","session_id":"s","turn_id":"t","prompt":"","attachments":[{"mime_type":"a/b"}]}}',
      /^send_turn\.attachments\.0\.data/,
      "r",
    ],
    [
      '{"type":"hello","payload":{"request_id":"r","protocol_version":"2","user_id":"ann"}}',
      /^hello\.protocol_version/,
      "r",
    ],
    [
      '{"type":"hello","payload":{"request_id":"r","protocol_version":65536,"user_id":"ann"}}',
      /^hello\.protocol_version/,
      "r",
    ],
    [
      '{"type":"hello","payload":{"request_id":"r","protocol_version":2,"user_id":"ann","create_new_session":1}}',
      /^hello\.create_new_session/,
      "r",
    ],
  ];
  for (const [text, message, requestId] of cases) {
    const parsed = parseClientFrame(text);
    assert.ok(!parsed.ok, text);
    assert.match(parsed.message, message, text);
    assert.equal(parsed.requestId, requestId, text);
  }
});

Deno.test("parseClientFrame() quotes little of what a client wrote", () => {
  const parsed = parseClientFrame(
    JSON.stringify({ type: "x".repeat(1_000_000), payload: { request_id: "y".repeat(300) } }),
  );
  assert.ok(!parsed.ok);
  assert.ok(parsed.message.length < 400);
  assert.equal(parsed.requestId, undefined);
});

Deno.test("parseClientFrame() holds the limits of ids, names and prompts", () => {
  const turn = (prompt: number, id: number) =>
    parseClientFrame(JSON.stringify({
      type: "send_turn",
      payload: { request_id: "r", session_id: "s", turn_id: "t".repeat(id), prompt: "p".repeat(prompt) },
    })).ok;
  assert.equal(turn(LIMITS.promptCharsMax, LIMITS.idCharsMax), true);
  assert.equal(turn(LIMITS.promptCharsMax + 1, 1), false);
  assert.equal(turn(1, LIMITS.idCharsMax + 1), false);
  const named = (chars: number) =>
    parseClientFrame(
      JSON.stringify({ type: "create_session", payload: { request_id: "r", display_name: "n".repeat(chars) } }),
    ).ok;
  assert.equal(named(LIMITS.sessionNameCharsMax), true);
  assert.equal(named(LIMITS.sessionNameCharsMax + 1), false);
});

Deno.test("parseClientFrame() survives deep and wide nonsense", () => {
  const deep = `{"type":"health_check","payload":{"request_id":"r","x":${"[".repeat(200_000)}${"]".repeat(200_000)}}}`;
  assert.equal(parseClientFrame(deep).ok, true, "an unknown field is dropped, however deep");
  const wide = JSON.stringify({
    type: "hello",
    payload: { request_id: "r", protocol_version: 2, user_id: "u", capabilities: Array(33).fill("x") },
  });
  assert.equal(parseClientFrame(wide).ok, false);
});
