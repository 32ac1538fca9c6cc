import assert from "node:assert/strict";
import type { Progress, SessionEvent } from "#/core/event.ts";
import { RENDER_START, renderEvent } from "#/cli/render.ts";

const at = { seq: 1, session: "s", turn: "t", v: 1, at: 0, blobs: [] } as const;

function show(events: readonly SessionEvent[], paint = false): { out: string; err: string } {
  let state = RENDER_START;
  const total = { out: "", err: "" };
  for (const event of events) {
    const step = renderEvent(event, state, paint);
    state = step.state;
    total.out += step.rendered.out;
    total.err += step.rendered.err;
  }
  return total;
}

const done: SessionEvent = {
  ...at,
  type: "turn_done",
  payload: { text: "", finishReason: "stop", steps: 1, toolCalls: 0, denied: 0, usage: {} },
};

Deno.test("renderEvent() keeps the answer on stdout and the work on stderr", () => {
  const principal = { user: "u", agent: ["default"], origin: "channel" } as const;
  const shown = show([
    { type: "text_delta", payload: { text: "Let me " } },
    { type: "text_delta", payload: { text: "look." } },
    {
      ...at,
      type: "tool_intent",
      payload: {
        callId: "1",
        step: 1,
        tool: "file_read",
        effect: "read_only",
        args: { path: "/shared/a.txt" },
        argsSha256: "",
        principal,
      },
    },
    {
      ...at,
      type: "tool_result",
      payload: {
        callId: "1",
        tool: "file_read",
        ok: true,
        code: "ok",
        text: "one\ntwo",
        outputBytes: 7,
        truncated: false,
        elapsedMs: 2.4,
      },
    },
    { type: "text_delta", payload: { text: "It says one." } },
    done,
  ]);
  assert.equal(shown.out, "Let me look.\nIt says one.\n");
  assert.equal(shown.err, "· file_read /shared/a.txt\n  ✓ one two (2 ms)\n");
});

Deno.test("renderEvent() tells with a heartbeat how the output of its call ends, and forgets it with the call", () => {
  const progress = (progress: Progress): SessionEvent => ({
    type: "progress",
    payload: { progress, message: "", step: 1, stepsMax: 2 },
  });
  const beat = (elapsedSecs: number) => progress({ kind: "tool_heartbeat", toolNames: ["shell_exec"], elapsedSecs });
  const output = (tail: string) =>
    progress({ kind: "tool_output", toolNames: ["shell_exec"], callId: "1", tail, lines: 2 });
  const ended = { callId: "1", tool: "shell_exec", ok: true, code: "ok", text: "x", outputBytes: 1 } as const;
  const shown = show([
    beat(5),
    output("Compiling a\nCompiling\tb\u0007\n"),
    beat(10),
    { ...at, type: "tool_result", payload: { ...ended, truncated: false, elapsedMs: 1 } },
    beat(15),
  ]);
  assert.deepEqual(shown.err.trimEnd().split("\n"), [
    "  … shell_exec (5 s)",
    "  … shell_exec (10 s) Compiling b\\x07",
    "  ✓ x (1 ms)",
    "  … shell_exec (15 s)",
  ]);
});

Deno.test("renderEvent() shows refusals, budgets, retries, heartbeats and ends", () => {
  const shown = show([
    {
      ...at,
      type: "tool_result",
      payload: {
        callId: "1",
        tool: "file_read",
        ok: false,
        code: "tool_denied",
        text: "not allowed",
        outputBytes: 0,
        truncated: false,
        elapsedMs: 1,
      },
    },
    {
      ...at,
      type: "tool_result",
      payload: {
        callId: "1",
        tool: "file_read",
        ok: false,
        code: "file_not_found",
        text: "no such file",
        outputBytes: 0,
        truncated: false,
        elapsedMs: 1,
      },
    },
    {
      type: "progress",
      payload: {
        progress: { kind: "tool_heartbeat", toolNames: ["a", "b"], elapsedSecs: 5 },
        message: "",
        step: 1,
        stepsMax: 2,
      },
    },
    {
      type: "progress",
      payload: {
        progress: { kind: "provider_retry", attempt: 1, waitMs: 250, code: "provider_rate_limited" },
        message: "[1/2] Attempt 2 in 0.3 s: acme limits the rate (429)",
        step: 1,
        stepsMax: 2,
      },
    },
    { type: "progress", payload: { progress: { kind: "provider_call" }, message: "", step: 1, stepsMax: 2 } },
    { type: "progress", payload: { progress: { kind: "provider_notice" }, message: "M.", step: 1, stepsMax: 2 } },
    { type: "progress", payload: { progress: { kind: "rolling_summary" }, message: "[0/2] S.", step: 0, stepsMax: 2 } },
    { ...at, type: "budget", payload: { kind: "turns", used: 2, limit: 2 } },
    { ...at, type: "turn_failed", payload: { code: "budget_turns", message: "Stopped", steps: 2 } },
    { ...at, type: "turn_cancelled", payload: { reason: "asked", steps: 1 } },
  ]);
  assert.equal(shown.out, "");
  assert.deepEqual(shown.err.trimEnd().split("\n"), [
    "  ✗ not allowed",
    "  ✗ no such file (1 ms)",
    "  … a, b (5 s)",
    "· Attempt 2 in 0.3 s: acme limits the rate (429)",
    "· M.",
    "· S.",
    "· stopped by its turns budget: 2 of 2",
    "✗ Stopped [budget_turns]",
    "✗ cancelled",
  ]);
});

Deno.test("renderEvent() shows who is asked instead, once a turn, and each line of a failure of all", () => {
  const switched = (model: string, message: string): SessionEvent => ({
    type: "progress",
    payload: {
      progress: { kind: "provider_switch", to: { provider: "b", model }, code: "provider_unavailable" },
      message: `[1/9] ${message}`,
      step: 1,
      stepsMax: 9,
    },
  });
  const failed = {
    ...at,
    type: "turn_failed",
    payload: { code: "provider_auth", message: "No model answered.\n  a/x: gone\n  b/y: no key", steps: 1 },
  } as const;
  const shown = show([
    switched("y", "Asking b/y instead of a/x: gone"),
    { type: "text_delta", payload: { text: "hello" } },
    switched("y", "Asking b/y instead of a/x: it failed before"),
    switched("z", "Asking b/z instead of a/x: it failed before"),
    failed,
    switched("z", "Asking b/z instead of a/x: it failed before"),
  ]);
  assert.equal(shown.out, "hello\n");
  assert.deepEqual(shown.err.trimEnd().split("\n"), [
    "· Asking b/y instead of a/x: gone",
    "· Asking b/z instead of a/x: it failed before",
    "✗ No model answered.",
    "  a/x: gone",
    "  b/y: no key [provider_auth]",
    "· Asking b/z instead of a/x: it failed before",
  ]);
});

Deno.test("renderEvent() says what the model made: type, size and hash", () => {
  const made = (...media: { mimeType: string; bytes: number; sha256: string }[]): SessionEvent => ({
    ...at,
    type: "model_result",
    payload: { step: 1, text: "", toolCalls: [], finishReason: "stop", usage: {}, ...(media[0] ? { media } : {}) },
  });
  assert.equal(show([made()]).err, "");
  const sha256 = "0123456789abcdef".repeat(4);
  const { out, err } = show([
    { type: "text_delta", payload: { text: "Here" } },
    made({ mimeType: "image/png", bytes: 33_001, sha256 }, { mimeType: "\x1b[2J", bytes: 1, sha256: "ff" }),
  ]);
  assert.equal(out, "Here\n");
  assert.equal(err, "· made image/png, 34 KB (sha256 0123456789ab) · \\x1b[2J, 1 KB (sha256 ff)\n");
});

Deno.test("renderEvent() lets no escape sequence of a model or tool through", () => {
  const principal = { user: "u", agent: [], origin: "channel" } as const;
  const shown = show([
    { type: "text_delta", payload: { text: "\x1b]0;owned\x07" } },
    {
      ...at,
      type: "tool_intent",
      payload: {
        callId: "1",
        step: 1,
        tool: "file_read",
        effect: "read_only",
        args: { path: "\x1b[2J" },
        argsSha256: "",
        principal,
      },
    },
    {
      ...at,
      type: "tool_intent",
      payload: { callId: "1", step: 1, tool: "x", effect: "read_only", args: "\x1b[2J", argsSha256: "", principal },
    },
    {
      ...at,
      type: "tool_result",
      payload: {
        callId: "1",
        tool: "x",
        ok: true,
        code: "ok",
        text: "\x1b[31m",
        outputBytes: 1,
        truncated: false,
        elapsedMs: 1,
      },
    },
    { ...at, type: "turn_failed", payload: { code: "internal", message: "\x1b[5m", steps: 1 } },
  ]);
  assert.ok(!(shown.out + shown.err).includes("\x1b"), JSON.stringify(shown));
});

Deno.test("renderEvent() paints status lines only when asked", () => {
  const budget: SessionEvent = { ...at, type: "budget", payload: { kind: "cost", used: 1, limit: 1 } };
  assert.ok(show([budget], true).err.startsWith("\x1b[2m"));
  assert.ok(!show([budget], false).err.includes("\x1b"));
});

Deno.test("renderEvent() shows what was said to the running turn, in one line", () => {
  const steering: SessionEvent = { ...at, type: "steering", payload: { id: "m", text: "in French,\n\x1b[2Jplease" } };
  assert.equal(show([steering]).err, "› in French, \\x1b[2Jplease\n");
});
