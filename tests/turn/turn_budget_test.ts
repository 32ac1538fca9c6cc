import assert from "node:assert/strict";
import { isDurable } from "#/core/event.ts";
import type { ModelEvent } from "#/core/provider.ts";
import type { TurnBudgets } from "#/turn/budget.ts";
import { runTurn } from "#/turn/turn.ts";
import { RecordingSandbox } from "../fake/recording_sandbox.ts";
import { calls, says, type ScriptedCall, scriptedProvider } from "../fake/scripted_provider.ts";
import { assertSoundTurn, collect, lines, run, toDeps, toInput } from "./turn_kit.ts";

const ROOMY: TurnBudgets = { stepsMax: 8, toolCallsMax: 100, tokensMax: 1_000_000, timeoutMs: 60_000 };

/** A model that reads another file each time. */
const reading: ScriptedCall = (_request, n) => calls(["file_read", { n }]);

function used(script: readonly ModelEvent[], totalTokens: number): ModelEvent[] {
  return [{ type: "usage", usage: { promptTokens: totalTokens, completionTokens: 0, totalTokens } }, ...script];
}

Deno.test("runTurn() ends at each budget with a budget event that names it", async () => {
  const cases: readonly [Partial<TurnBudgets>, ScriptedCall, string, RegExp][] = [
    [{ stepsMax: 2 }, reading, "budget turns 2/2", /^turn_failed budget_turns Stopped after 2 model calls/],
    [
      { tokensMax: 100 },
      (_request, n) => used(calls(["file_read", { n }]), 60),
      "budget tokens 120/100",
      /^turn_failed budget_exceeded Stopped after 120 of 100 tokens/,
    ],
    [{ toolCallsMax: 2 }, reading, "budget tool_calls 2/2", /^turn_failed budget_exceeded Stopped after 2 tool calls/],
    [
      { costMax: 0.1 },
      (_request, n) => used(calls(["file_read", { n }]), 60),
      "budget cost 0.12/0.1",
      /^turn_failed budget_cost Stopped after \$0\.1200 of \$0\.1/,
    ],
  ];
  for (const [budgets, script, budget, end] of cases) {
    const price = { input: 1_000, output: 1_000 };
    const deps = toDeps(scriptedProvider(script), new RecordingSandbox({ file_read: () => "x" }), { price });
    const events = await run(toInput({ budgets: { ...ROOMY, ...budgets } }), deps);
    assertSoundTurn(events);
    assert.equal(lines(events).at(-2), budget);
    assert.match(lines(events).at(-1)!, end);
  }
});

Deno.test("runTurn() delivers an answer that went over a budget: it is paid for", async () => {
  const budgets = { ...ROOMY, tokensMax: 10 };
  const events = await run(toInput({ budgets }), toDeps(scriptedProvider(used(says("hi"), 60))));
  assert.equal(lines(events).at(-1), "turn_done hi");
});

Deno.test("runTurn() counts tokens itself when the vendor does not", async () => {
  const budgets = { ...ROOMY, tokensMax: 10 };
  const sandbox = new RecordingSandbox({ file_read: () => "x" });
  const events = await run(toInput({ budgets }), toDeps(scriptedProvider(reading), sandbox));
  assert.match(lines(events).at(-2)!, /^budget tokens \d\d+\/10$/);
});

Deno.test("runTurn() refuses a cost limit that it cannot check", async () => {
  const budgets = { ...ROOMY, costMax: 1 };
  const provider = scriptedProvider(says("hi"));
  const unpriced = await run(toInput({ budgets }), toDeps(provider));
  assert.match(lines(unpriced).at(-1)!, /^turn_failed budget_cost .*price of this model is not known/);
  assert.deepEqual(provider.requests, []);
});

Deno.test("runTurn() refuses the calls of a reply that are over the budget, and lets the model answer", async () => {
  const sandbox = new RecordingSandbox({ file_read: () => "x" });
  const three = calls(["file_read", { n: 1 }, "a"], ["file_read", { n: 2 }, "b"], ["file_read", { n: 3 }, "c"]);
  const budgets = { ...ROOMY, toolCallsMax: 2 };
  const events = await run(toInput({ budgets }), toDeps(scriptedProvider(three, says("enough")), sandbox));
  const codes = events.filter((event) => event.type === "tool_result").map((event) => event.payload.code);
  assert.deepEqual(codes, ["ok", "ok", "tool_calls_too_many"]);
  assert.equal(lines(events).at(-1), "turn_done enough");
});

Deno.test("runTurn() keeps at most a quarter of a small window free, and never speaks of one below nothing", async () => {
  for (const [limitTokens, takes] of [[1, 1], [100, 75], [1_000, 750]]) {
    const window = { limitTokens: limitTokens!, safetyTokens: 1_024 };
    const events = await run(toInput({ window }, "x ".repeat(20_000)), toDeps(scriptedProvider(says("hi"))));
    assert.match(lines(events).at(-1)!, new RegExp(`^turn_failed budget_exceeded .*the model takes ${takes}\\.`));
  }
});

Deno.test("runTurn() fails with budget_exceeded when the message alone is over the window", async () => {
  const provider = scriptedProvider(says("hi"));
  const window = { limitTokens: 100, safetyTokens: 10 };
  const events = await run(toInput({ window }, "x".repeat(1_000)), toDeps(provider));
  assert.match(lines(events)[0]!, /^budget tokens \d+\/90$/);
  assert.match(lines(events)[1]!, /^turn_failed budget_exceeded .*the model takes 90/);
  assert.deepEqual(provider.requests, []);
});

Deno.test("runTurn() stops when the time of the turn is over, in the model and in a tool", async () => {
  const silent: ScriptedCall = [new Promise<ModelEvent>(() => {})];
  const hanging = { file_read: () => new Promise(() => {}) };
  for (const script of [silent, reading]) {
    const deps = toDeps(scriptedProvider(script), new RecordingSandbox(hanging));
    const events = [];
    const turn = runTurn(toInput({ budgets: { ...ROOMY, wallMs: 1_500 } }), deps, new AbortController().signal);
    for await (const event of turn) {
      events.push(event);
      const isLastStep = event.type === (script === silent ? "progress" : "tool_intent");
      if (isLastStep) queueMicrotask(() => deps.time.advance(1_500));
    }
    assertSoundTurn(events);
    assert.deepEqual(lines(events).slice(-2), [
      "budget time 1500/1500",
      "turn_failed budget_time Stopped after 1.5 seconds",
    ]);
    assert.equal(deps.time.pending, 0);
  }
});

Deno.test("runTurn() shows a heartbeat every five seconds of a running tool, and none after it", async () => {
  const answer = Promise.withResolvers<string>();
  const sandbox = new RecordingSandbox({ file_read: () => answer.promise });
  const deps = toDeps(scriptedProvider(calls(["file_read", {}]), says("ok")), sandbox);
  const beats: string[] = [];
  const turn = runTurn(toInput(), deps, new AbortController().signal);
  const events = await collect((async function* () {
    for await (const event of turn) {
      yield event;
      if (event.type === "tool_intent") setTimeout(() => deps.time.advance(5_000), 0);
      if (event.type === "progress" && event.payload.progress.kind === "tool_heartbeat") {
        beats.push(event.payload.message);
        if (beats.length < 3) setTimeout(() => deps.time.advance(5_000), 0);
        else answer.resolve("at last");
      }
    }
  })());
  assert.deepEqual(beats, [5, 10, 15].map((secs) => `[1/8] Still executing: file_read (${secs}s)`));
  assert.ok(!events.some((event) => isDurable(event) && JSON.stringify(event).includes("Still executing")));
  assert.equal(lines(events).at(-1), "turn_done ok");
  assert.equal(deps.time.pending, 0);
});
