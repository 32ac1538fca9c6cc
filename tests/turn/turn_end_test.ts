import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import type { InlineMedia } from "#/core/message.ts";
import { endSpent, endTurn, failTurn, stopTurn, toSpentCalls, toSpentWindow } from "#/turn/turn_end.ts";
import { TurnState } from "#/turn/turn_state.ts";

function toEnding(reason?: AppError, shownText = "") {
  const state = new TurnState([], 0, 8);
  state.steps = 3;
  state.shownText = shownText;
  const control = new AbortController();
  if (reason !== undefined) control.abort(reason);
  return { input: { budgets: { wallMs: 2_000 } }, deps: { now: () => 7_500 }, control, state, startedAt: 5_000 };
}

Deno.test("endTurn() answers with the reply, else with what was shown, else fails", () => {
  const done = { finishReason: "stop", steps: 3, toolCalls: 0, denied: 0, usage: {}, cost: 0 };
  const toReply = (text: string, finishReason = "stop", media: readonly InlineMedia[] = []) => {
    return { text, media, end: { kind: "done", finishReason } } as const;
  };
  assert.deepEqual(endTurn(toEnding(undefined, "before"), toReply("reply")).payload, { text: "reply", ...done });
  assert.deepEqual(endTurn(toEnding(undefined, "before"), toReply("")).payload, { text: "before", ...done });
  const picture = toReply("", "stop", [{ mimeType: "image/png", data: "" }]);
  assert.deepEqual(endTurn(toEnding(), picture).payload, { text: "", ...done });
  const failed = endTurn(toEnding(), toReply("", "length"));
  const unpriced = toEnding(undefined, "before");
  unpriced.state.cost = undefined;
  assert.ok(!("cost" in endTurn(unpriced, toReply("reply")).payload));
  assert.ok(failed.type === "turn_failed" && /finish reason: length/.test(failed.payload.message));
});

Deno.test("failTurn() and endSpent() say why, and how far it came", () => {
  assert.deepEqual(failTurn(toEnding(), "turn_stuck", "m").payload, { code: "turn_stuck", message: "m", steps: 3 });
  const spent = { kind: "cost", used: 2, limit: 1, code: "budget_cost", message: "m" } as const;
  assert.deepEqual([...endSpent(toEnding(), spent)].map((event) => [event.type, event.payload]), [
    ["budget", { kind: "cost", used: 2, limit: 1 }],
    ["turn_failed", { code: "budget_cost", message: "m", steps: 3 }],
  ]);
});

Deno.test("stopTurn() knows a cancel from time that is over", () => {
  const cancelled = [...stopTurn(toEnding(new AppError("cancelled", "by the person")))];
  assert.deepEqual(cancelled.map((event) => event.payload), [{ reason: "by the person", steps: 3 }]);
  const late = [...stopTurn(toEnding(new AppError("budget_time", "")))];
  assert.deepEqual(late.map((event) => event.payload), [
    { kind: "time", used: 2_500, limit: 2_000 },
    { code: "budget_time", message: "Stopped after 2.0 seconds", steps: 3 },
  ]);
});

Deno.test("toSpentWindow() and toSpentCalls() carry used and limit", () => {
  const error = new AppError("budget_exceeded", "too long", { params: { used: 9, limit: 5 } });
  const window = { kind: "tokens", used: 9, limit: 5, code: "budget_exceeded", message: "too long" };
  assert.deepEqual(toSpentWindow(error), window);
  const state = new TurnState([], 0, 1);
  state.toolCalls = 4;
  assert.deepEqual([toSpentCalls(state, 4).used, toSpentCalls(state, 4).kind], [4, "tool_calls"]);
});
