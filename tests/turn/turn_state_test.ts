import assert from "node:assert/strict";
import { TurnState } from "#/turn/turn_state.ts";

const EVENT = { type: "parked", v: 1, payload: { callId: "c", reason: "r" } } as const;

Deno.test("TurnState gives a message the place of the event stamped last", () => {
  const first = { seq: 4, message: { role: "user", content: "u" } } as const;
  const state = new TurnState([first], 7, 3);
  state.stamp(EVENT);
  assert.equal(state.stamp(EVENT), EVENT);
  state.remember({ role: "assistant", content: "a", toolCalls: [] });
  assert.deepEqual(state.history.map((entry) => entry.seq), [4, 9]);
});

Deno.test("TurnState adds up what calls used, and forgets the cost when one is unknown", () => {
  const state = new TurnState([], 0, 3);
  state.spend({ totalTokens: 5 }, 99, 0.5);
  state.spend({}, 7, 0.25);
  assert.deepEqual([state.tokens, state.cost, state.usage], [12, 0.75, { totalTokens: 5 }]);
  state.spend({}, 1, undefined);
  state.spend({}, 1, 1);
  assert.equal(state.cost, undefined);
});

Deno.test("TurnState.progress() writes where the turn is", () => {
  const state = new TurnState([], 0, 8);
  state.steps = 2;
  assert.deepEqual(state.progress({ kind: "provider_call" }, "Calling provider"), {
    type: "progress",
    payload: { progress: { kind: "provider_call" }, message: "[2/8] Calling provider", step: 2, stepsMax: 8 },
  });
});

Deno.test("TurnState.adopt() puts a summary in the place of what it stands for", () => {
  const history = [1, 4, 7].map((seq) => ({ seq, message: { role: "user", content: `${seq}` } as const }));
  const state = new TurnState(history, 7, 8);
  const summary = { fromSeq: 1, toSeq: 6, text: "notes", epoch: 1 };
  state.adopt(summary);
  assert.deepEqual([state.summary, state.history], [summary, [history[2]]]);
  assert.equal(history.length, 3, "not what it was given");
});
