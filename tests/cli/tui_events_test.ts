import assert from "node:assert/strict";
import { applyEvent, catchSaid, toSeconds, toUsage, toUserLines } from "#/cli/tui_events.ts";
import { Driven, RESULT, toText } from "./tui_kit.ts";

Deno.test("applyEvent() tells retries and switches of models once, and what ended a turn", () => {
  const driven = new Driven();
  driven.connect();
  driven.printed();
  const progress = (progress: unknown, message: string) =>
    driven.live("progress", { progress, message, step: 1, stepsMax: 8 });
  progress(
    { kind: "provider_retry", attempt: 1, waitMs: 500, code: "provider_overloaded" },
    "[1/8] trying again in 1 s",
  );
  const to = { kind: "provider_switch", to: { provider: "b", model: "m" }, code: "provider_overloaded" };
  progress(to, "b/m answers instead");
  progress(to, "b/m answers instead");
  progress({ kind: "tool_heartbeat", toolNames: ["x"], elapsedSecs: 3 }, "x");
  progress({ kind: "provider_call" }, "calling");
  assert.deepEqual(driven.printed(), ["· trying again in 1 s", "· b/m answers instead"]);
  driven.event("tool_intent", { callId: "c", tool: "web_fetch", args: {} });
  driven.event("budget", { kind: "turns", used: 8, limit: 8 });
  driven.live("text_delta", { text: "half a" });
  driven.event("turn_failed", { code: "budget_turns", message: "Stopped after 8 steps", steps: 8 });
  assert.deepEqual(driven.printed(), [
    "· stopped by its turns budget: 8 of 8",
    "half a",
    "· web_fetch · not finished",
    "✗ Stopped after 8 steps [budget_turns]",
  ]);
  driven.event("user_message", { text: "again", channel: "x" }, "u");
  driven.event("turn_cancelled", { reason: "r", steps: 0 }, "u");
  assert.deepEqual(driven.printed(), ["", "› again", "✗ cancelled"]);
});

Deno.test("applyEvent() shows media, an answer to a card and a result whose call it has not seen; unknown kinds say nothing", () => {
  const driven = new Driven();
  driven.connect();
  driven.printed();
  driven.event("model_result", {
    ...RESULT,
    text: "",
    media: [{ sha256: "a".repeat(64), bytes: 2_000, mimeType: "image/png" }],
  });
  driven.event("model_result", { ...RESULT, text: "notes on what was said", purpose: "summary" });
  driven.event("approval_answered", { callId: "c", id: "1", answer: "no", by: "silence" });
  driven.event("tool_result", {
    callId: "z",
    tool: "file_read",
    ok: false,
    code: "tool_denied",
    text: "no",
    elapsedMs: 1,
  });
  driven.event("of_tomorrow", {});
  assert.deepEqual(driven.printed(), [
    "· made image/png, 2 KB (sha256 aaaaaaaaaaaa)",
    "  ✗ no (nobody answered)",
    "· file_read",
    "  ✗ no",
  ]);
  const { state } = applyEvent(driven.state, { type: "text_delta", payload: { text: "a\n" } }, "t");
  assert.deepEqual(toText(state.printed), ["a"]);
  assert.deepEqual(toText(catchSaid(state, "t", "a\nb\n").printed), ["a", "b"]);
});

Deno.test("toUsage(), toSeconds() and toUserLines() are short and fit", () => {
  assert.equal(toUsage({ since: 0, step: 1, tokens: 0, cost: 0 }, 900), "· 0 s");
  assert.equal(toUsage({ since: 0, step: 3, tokens: 900, cost: undefined }, 5_000), "· 5 s · 3 steps · 900 tokens");
  assert.equal(toUsage({ since: 0, step: 1, tokens: 12_345, cost: 1.239 }, 5_000), "· 5 s · 12.3k tokens · $1.24");
  assert.deepEqual([toSeconds(-5), toSeconds(59_999), toSeconds(61_000)], ["0 s", "59 s", "1 min 1 s"]);
  assert.deepEqual(toText(toUserLines("one two\nthree", 6)), ["› one", "  two", "  thre", "  e"]);
});

Deno.test("applyEvent() shows what somebody said to a turn while it ran", () => {
  const driven = new Driven();
  driven.connect();
  driven.printed();
  driven.event("user_message", { text: "go", channel: "x" });
  driven.event("steering", { id: "m", text: "and mind\nthe gap" });
  assert.deepEqual(driven.printed(), ["", "› go", "", "› and mind", "  the gap"]);
});
