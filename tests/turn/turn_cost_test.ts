/** What a turn costs, and what that stops: runTurn() with a ledger. */
import assert from "node:assert/strict";
import type { EventPayloads, TurnEvent } from "#/core/event.ts";
import type { Usage } from "#/core/message.ts";
import type { ModelEvent } from "#/core/provider.ts";
import type { TurnBudgets } from "#/turn/budget.ts";
import { toHistory } from "#/turn/history.ts";
import { planResume } from "#/turn/resume.ts";
import { runTurn } from "#/turn/turn.ts";
import { waitUntil } from "../fixture/system.ts";
import { asks, RecordingSandbox } from "../fake/recording_sandbox.ts";
import { calls, says, type ScriptedCall, scriptedProvider } from "../fake/scripted_provider.ts";
import { assertSoundTurn, lines, run, toDeps, toInput, toStored } from "./turn_kit.ts";

/** $1 a token in, $2 a token out. */
const price = { input: 1_000_000, output: 2_000_000 };
const ROOMY: TurnBudgets = { stepsMax: 8, toolCallsMax: 100, tokensMax: 1_000_000, timeoutMs: 60_000 };
const FAILED = { type: "failed", code: "provider_unavailable", message: "no", retryable: false } as const;

function used(usage: Usage, script: readonly ModelEvent[]): ModelEvent[] {
  return [{ type: "usage", usage }, ...script];
}

function payloads<T extends "model_request" | "model_result" | "turn_done">(
  events: readonly TurnEvent[],
  type: T,
): EventPayloads[T][] {
  return events.filter((event) => event.type === type).map((event) => event.payload as EventPayloads[T]);
}

/** The cost of each call, marked when it is an estimate. */
function costs(events: readonly TurnEvent[]): string[] {
  return payloads(events, "model_result").map(({ cost, costIsEstimate }) => `${costIsEstimate ? "~" : ""}${cost}`);
}

Deno.test("runTurn() records what a call may cost before it, what it did cost after it, and the sum", async () => {
  const script = [
    used({ promptTokens: 10, completionTokens: 5 }, calls(["file_read", { n: 1 }])),
    used({ promptTokens: 20, completionTokens: 6 }, says("done")),
  ];
  const deps = toDeps(scriptedProvider(...script), new RecordingSandbox({ file_read: () => "x" }), { price });
  const events = await run(
    toInput({ tools: [], system: "", maxOutputTokens: 100, budgets: { ...ROOMY, costMax: 1_000 } }),
    deps,
  );
  // One message of 5 bytes and 4 around it, and all that may come.
  assert.equal(payloads(events, "model_request")[0]!.reserved, 9 + 200);
  assert.deepEqual(costs(events), ["20", "32"]);
  assert.equal(payloads(events, "turn_done")[0]!.cost, 52);
});

Deno.test("runTurn() reserves the reply that the request, the model or else the window allows", async () => {
  const reserved = async (changes: Parameters<typeof toInput>[0]) => {
    const deps = toDeps(scriptedProvider(says("x")), undefined, { price });
    return payloads(await run(toInput({ tools: [], system: "", ...changes }), deps), "model_request")[0]!.reserved;
  };
  const descriptor = {
    id: "m",
    name: "M",
    contextTokens: 1_000,
    outputTokens: 50,
    input: [],
    output: [],
    toolCall: true,
    reasoning: false,
    structuredOutput: false,
    source: "test",
  };
  const window = { limitTokens: 1_000, safetyTokens: 0 };
  assert.equal(await reserved({ window }), 9 + 2_000);
  assert.equal(await reserved({ window, descriptor }), 9 + 100);
  assert.equal(await reserved({ window, descriptor, maxOutputTokens: 7 }), 9 + 14);
});

Deno.test("runTurn() leaves a cost out that nobody can know", async () => {
  const events = await run(
    toInput(),
    toDeps(scriptedProvider(used({ promptTokens: 1, completionTokens: 1 }, says("hi")))),
  );
  assert.deepEqual(costs(events), ["undefined"]);
  assert.ok(!("reserved" in payloads(events, "model_request")[0]!));
  assert.ok(!("cost" in payloads(events, "turn_done")[0]!));
});

Deno.test("runTurn() counts itself what the vendor did not: a reply, one that broke off, one that was cancelled; nothing before a reply began", async () => {
  const quiet = { tools: [], system: "" };
  const whole = await run(toInput(quiet), toDeps(scriptedProvider(says("abcdefgh")), undefined, { price }));
  // 5 bytes of a question are 2 tokens and 4 around them, 8 of an answer are 2.
  assert.deepEqual(costs(whole), ["~10"]);
  const broken = await run(
    toInput(quiet),
    toDeps(scriptedProvider([{ type: "text", text: "abcd" }, FAILED]), undefined, { price }),
  );
  assert.deepEqual(costs(broken), ["~8"]);
  const notice = { type: "notice", message: "a file was left out" } as const;
  const retry = { type: "retry", attempt: 1, waitMs: 1, code: "provider_unavailable", message: "no" } as const;
  const refused = await run(toInput(quiet), toDeps(scriptedProvider([notice, retry, FAILED]), undefined, { price }));
  assert.deepEqual(costs(refused), ["0"]);
  const told = await run(
    toInput(quiet),
    toDeps(scriptedProvider(used({ promptTokens: 3, completionTokens: 0 }, [FAILED])), undefined, { price }),
  );
  assert.deepEqual(costs(told), ["3"]);

  const control = new AbortController();
  const endless: ScriptedCall = [{ type: "reasoning", text: "abcd" }, new Promise<ModelEvent>(() => {})];
  const deps = toDeps(scriptedProvider(endless), undefined, { price, dayMax: 9 });
  const events: TurnEvent[] = [];
  for await (const event of runTurn(toInput(quiet), deps, control.signal)) {
    events.push(event);
    if (event.type === "reasoning_delta") queueMicrotask(() => control.abort("enough"));
  }
  assert.deepEqual(costs(events), ["~8"]);
  assertSoundTurn(events);
});

Deno.test("runTurn() pays the one who answered, and counts calls and arguments that were not counted", async () => {
  const models = [{ provider: "scripted", model: "m", price }, {
    provider: "b",
    model: "cheap",
    price: { input: 1_000, output: 1_000 },
  }];
  const to = { provider: "b", model: "cheap" };
  const switched: ModelEvent = {
    type: "switch",
    attempt: 1,
    from: { provider: "scripted", model: "m" },
    to,
    code: "provider_unavailable",
    message: "down",
  };
  const script = [switched, ...used({ promptTokens: 3_000, completionTokens: 1_000 }, says("hi"))];
  assert.deepEqual(costs(await run(toInput(), toDeps(scriptedProvider(script), undefined, { models }))), ["4"]);
  const called = toDeps(
    scriptedProvider(calls(["file_read", { path: "1234567" }]), says("x")),
    new RecordingSandbox({ file_read: () => "x" }),
    { price: { input: 0, output: 1_000_000 } },
  );
  assert.equal(costs(await run(toInput(), called))[0], `~${Math.ceil(`file_read{"path":"1234567"}`.length / 4)}`);
});

Deno.test("runTurn() survives what a vendor says about tokens: nothing below zero, no NaN in the log, no endless bill", async () => {
  const lies: readonly (readonly [Usage, RegExp])[] = [
    [{ promptTokens: -5, completionTokens: -1 }, /^~\d+$/],
    [{ promptTokens: NaN, completionTokens: NaN, totalTokens: NaN }, /^~\d+$/],
    [{ promptTokens: 1e300, completionTokens: 0 }, /^100000000$/],
    [{ promptTokens: 1, completionTokens: 1, cachedTokens: 1e9, cacheWriteTokens: 1e9 }, /^3$/],
  ];
  for (const [usage, expected] of lies) {
    const deps = toDeps(scriptedProvider(used(usage, says("abcd"))), undefined, { price });
    const events = await run(toInput(), deps);
    assert.match(costs(events)[0]!, expected);
    for (const { usage, cost } of payloads(events, "model_result")) {
      assert.ok(cost! >= 0);
      assert.deepEqual(JSON.parse(JSON.stringify(usage)), usage);
      assert.ok(Object.values(usage).every((count) => Number.isSafeInteger(count) && count >= 0));
    }
  }
});

Deno.test("runTurn() stops at max_cost, in one turn and over a wait for a person", async () => {
  const script = (_: unknown, n: number) => used({ promptTokens: 5, completionTokens: 0 }, calls(["file_read", { n }]));
  let isAsked = true;
  const sandbox = new RecordingSandbox({ file_read: (request) => isAsked ? asks(request) : "x" });
  const budgets = { ...ROOMY, costMax: 10 };
  const before = toStored(await run(toInput({ budgets }), toDeps(scriptedProvider(script), sandbox, { price })));
  assert.equal(before.at(-1)!.type, "parked");
  isAsked = false;
  const input = toInput({
    budgets,
    history: toHistory(before, { open: "t" }),
    lastSeq: before.length,
    resume: planResume(before)!,
  });
  const after = await run(input, toDeps(scriptedProvider(script), sandbox, { price }));
  assert.equal(payloads(after, "model_request").length, 1, "one before, one after");
  assert.deepEqual(lines(after).slice(-2), [
    "budget cost 10/10",
    "turn_failed budget_cost Stopped after $10.0000 of $10",
  ]);
});

Deno.test("runTurn() of many turns at once: a day's limit is passed by less than one call, and what waits is cancelled at once", async () => {
  const open: (() => void)[] = [];
  const slow: ScriptedCall = () => [
    new Promise<ModelEvent>((resolve) =>
      open.push(() => resolve({ type: "usage", usage: { promptTokens: 9, completionTokens: 45 } }))
    ),
    ...says("done"),
  ];
  const deps = toDeps(scriptedProvider(slow), undefined, { price, dayMax: 250 });
  const input = toInput({ tools: [], system: "", maxOutputTokens: 45 });
  const control = new AbortController();
  const ends: string[] = [];
  const turns = Array.from({ length: 6 }, async (_, n) => {
    const events = await run(input, deps, n === 5 ? control.signal : undefined);
    ends.push(lines(events).at(-1)!);
  });
  // 99 each: the third starts at 198 of 250, the fourth would at 297.
  await waitUntil(() => open.length === 3, "three calls begin");
  control.abort("no longer wanted");
  await waitUntil(() => ends.length === 1, "the last turn ends");
  assert.deepEqual([ends, open.length], [["turn_cancelled no longer wanted"], 3]);
  open.splice(0).forEach((go) => go());
  await Promise.all(turns);
  assert.deepEqual(ends.slice(1, 4), ["turn_done done", "turn_done done", "turn_done done"]);
  assert.match(ends[4]!, /^turn_failed budget_cost \$297\.0000 of \$250 are spent today/);
  assert.equal(ends.length, 6);
});

Deno.test("runTurn() gives back what it reserved when its reader leaves: all of it before the request is on record, else it is spent", async () => {
  for (const [pulls, isRefused] of [[1, false], [2, true]] as const) {
    const deps = toDeps(scriptedProvider(says("hi")), undefined, { price, dayMax: 5 });
    const turn = runTurn(toInput(), deps, new AbortController().signal);
    for (let i = 0; i < pulls; i++) await turn.next();
    await turn.return();
    const end = lines(await run(toInput(), deps)).at(-1)!;
    assert.equal(end.startsWith("turn_failed budget_cost"), isRefused, end);
  }
});
