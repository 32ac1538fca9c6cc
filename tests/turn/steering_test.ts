import assert from "node:assert/strict";
import type { StoredEvent } from "#/core/event.ts";
import { addSteering, type HistoryMessage, toHistory } from "#/turn/history.ts";
import { type SteeringMessage, takeSteering } from "#/turn/steering.ts";
import { TurnState } from "#/turn/turn_state.ts";
import { RecordingSandbox } from "../fake/recording_sandbox.ts";
import { calls, says, scriptedProvider } from "../fake/scripted_provider.ts";
import { assertSoundTurn, lines, run, toDeps, toInput, toStored } from "./turn_kit.ts";

/** Messages that come with the given calls of `take`, counted from 1. */
function arriving(byCall: Readonly<Record<number, readonly SteeringMessage[]>>) {
  let calls = 0;
  return { take: () => byCall[++calls] ?? [] };
}

Deno.test("runTurn() shows the model what came while a tool ran, behind its result", async () => {
  const provider = scriptedProvider(calls(["file_read", {}]), says("bonjour"));
  const deps = toDeps(provider, new RecordingSandbox({ file_read: () => "text" }));
  const events = await run(toInput(), { ...deps, steering: arriving({ 2: [{ id: "m1", text: "in French" }] }) });
  assertSoundTurn(events);
  const kinds = events.map((event) => event.type);
  assert.equal(kinds.indexOf("steering"), kinds.indexOf("tool_result") + 1);
  const roles = provider.requests[1]!.messages.map((message) => `${message.role}: ${message.content}`);
  assert.deepEqual(roles.slice(-2), ["tool: text", "user: in French"]);
  const told = toHistory(toStored(events)).map(({ message }) => message);
  assert.deepEqual(
    told.slice(0, -1),
    provider.requests[1]!.messages.slice(1),
    "the log tells what the model was shown",
  );
});

Deno.test("runTurn() answers what came with its last reply by one more model call", async () => {
  const provider = scriptedProvider(says("one"), says("two"));
  const steering = arriving({ 2: [{ id: "a", text: "and then?" }, { id: "b", text: "be brief" }] });
  const events = await run(toInput(), { ...toDeps(provider), steering });
  assertSoundTurn(events);
  assert.equal(lines(events).at(-1), "turn_done two");
  const last = provider.requests[1]!.messages.slice(-2).map((message) => message.content);
  assert.deepEqual(last, ["one", "and then?\n\nbe brief"]);
  assert.equal(lines(events).filter((line) => line === "steering").length, 2);
});

Deno.test("runTurn() joins what came before its first model call to the question, and counts its event", async () => {
  const provider = scriptedProvider(says("ok"));
  const events = await run(toInput(), { ...toDeps(provider), steering: arriving({ 1: [{ id: "a", text: "now" }] }) });
  assert.deepEqual(provider.requests[0]!.messages.map(({ content }) => content).at(-1), "hello\n\nnow");
  const stored = toStored(events);
  assert.equal(stored.findIndex((event) => event.type === "steering") + 1, 2);
  assert.deepEqual(toHistory(stored).map(({ seq }) => seq), [1, 4], "the reply has the place that the log gave it");
});

Deno.test("runTurn() takes nothing that no further call could answer", async () => {
  const provider = scriptedProvider(says("done"));
  const budgets = { stepsMax: 1, toolCallsMax: 1, tokensMax: 1_000, timeoutMs: 1_000 };
  let asked = 0;
  const steering = { take: () => asked++ === 0 ? [] : [{ id: "late", text: "x" }] };
  const events = await run(toInput({ budgets }), { ...toDeps(provider), steering });
  assert.equal(lines(events).at(-1), "turn_done done");
  assert.equal(asked, 1);
});

Deno.test("takeSteering() yields each message before the history has it", () => {
  const state = new TurnState([{ seq: 1, message: { role: "user", content: "q" } }], 1, 8);
  const taking = takeSteering({ take: () => [{ id: "a", text: "t" }] }, state);
  assert.deepEqual(taking.next().value, { type: "steering", v: 1, payload: { id: "a", text: "t" } });
  assert.equal(state.history[0]!.message.content, "q");
  assert.equal(taking.next().value, true);
  assert.equal(state.history[0]!.message.content, "q\n\nt");
});

Deno.test("addSteering() keeps a user's attachments, and stands alone behind a result", () => {
  const attachments = [{ mimeType: "image/png", data: "AA==" }];
  const messages: HistoryMessage[] = [{ seq: 1, message: { role: "user", content: "", attachments } }];
  addSteering(messages, 2, "look");
  assert.deepEqual(messages, [{ seq: 1, message: { role: "user", content: "look", attachments } }]);
  const results: HistoryMessage[] = [
    { seq: 3, message: { role: "tool", toolCallId: "c", name: "t", content: "r", ok: true } },
  ];
  addSteering(results, 4, "go on");
  assert.deepEqual(results.at(-1), { seq: 4, message: { role: "user", content: "go on" } });
});

Deno.test("toHistory() closes the calls of a turn that a crash cut off behind a steering message", () => {
  const at = { session: "s", turn: "t", at: 0, v: 1, blobs: [] } as const;
  const reply = {
    step: 1,
    text: "",
    toolCalls: [{ id: "c", name: "x", arguments: "{}" }],
    finishReason: "",
    usage: {},
  };
  const events = [
    { ...at, seq: 1, type: "user_message", payload: { text: "q", channel: "test" } },
    { ...at, seq: 2, type: "model_result", payload: reply },
    { ...at, seq: 3, type: "steering", payload: { id: "m", text: "stop" } },
    { ...at, seq: 4, type: "turn_failed", payload: { code: "turn_interrupted", message: "", steps: 1 } },
  ] as StoredEvent[];
  const roles = toHistory(events).map(({ message }) => message.role);
  assert.deepEqual(roles, ["user", "assistant", "tool", "user", "assistant"]);
});
