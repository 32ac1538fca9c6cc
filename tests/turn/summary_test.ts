/** A turn whose window is too full: runTurn() with a summary. */
import assert from "node:assert/strict";
import { type EventPayloads, isDurable, type TurnEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import type { Message } from "#/core/message.ts";
import type { ModelEvent } from "#/core/provider.ts";
import { type HistoryMessage, toHistory } from "#/turn/history.ts";
import type { Summary } from "#/turn/notes.ts";
import { planResume } from "#/turn/resume.ts";
import { planSummaryOf, summarise } from "#/turn/summary.ts";
import { runTurn, type TurnInput } from "#/turn/turn.ts";
import { RecordingSandbox } from "../fake/recording_sandbox.ts";
import { calls, says, type ScriptedCall, scriptedProvider } from "../fake/scripted_provider.ts";
import { assertSoundTurn, assertValidHistory, lines, run, toDeps, toInput, toStored } from "./turn_kit.ts";

const price = { input: 1, output: 2 };
const FILLER = "and so on, as was said before, in words that fill a window ".repeat(12);

/** So many turns of about 320 tokens, the first at event `from`, then a question. */
function toTurns(count: number, from = 1): HistoryMessage[] {
  const turns = Array.from({ length: count }, (_, n): HistoryMessage[] => [
    { seq: from + 3 * n, message: { role: "user", content: `My file ${n} is /shared/facts/${n}.md. ${FILLER}` } },
    { seq: from + 3 * n + 1, message: { role: "assistant", content: `Noted. ${FILLER}`, toolCalls: [] } },
  ]);
  return [...turns.flat(), { seq: from + 3 * count, message: { role: "user", content: "And now?" } }];
}

function toLong(count: number, changes: Partial<TurnInput> = {}): TurnInput {
  const history = toTurns(count);
  return toInput({
    tools: [],
    window: { limitTokens: 4_000, safetyTokens: 0, summary: { triggerRatio: 0.85, targetRatio: 0.5, minTurns: 6 } },
    history,
    lastSeq: history.at(-1)!.seq,
    ...changes,
  });
}

function isSummaryRequest(messages: readonly Message[]): boolean {
  return messages[0]!.content.startsWith("You write the notes");
}

/** Answers a summary request with this, anything else with "done". */
function summarising(summary: ScriptedCall): ScriptedCall {
  return (request, n) => {
    if (!isSummaryRequest(request.messages)) return says("done");
    return typeof summary === "function" ? summary(request, n) : summary;
  };
}

function of<T extends "model_request" | "model_result" | "summary" | "turn_done">(
  events: readonly TurnEvent[],
  type: T,
): EventPayloads[T][] {
  return events.filter((event) => event.type === type).map((event) => event.payload as EventPayloads[T]);
}

const GOOD = "The person keeps facts in files.";

Deno.test("runTurn() replaces the oldest turns by a summary, and the call behind it is shown that", async () => {
  const provider = scriptedProvider(summarising(says(GOOD)));
  const events = await run(toLong(12), toDeps(provider, undefined, { price }));
  assertSoundTurn(events);
  const [summary] = of(events, "summary");
  assert.ok(summary !== undefined && summary.epoch === 1 && summary.fromSeq === 1);
  assert.ok(summary.text.startsWith(GOOD));
  assert.deepEqual(events.filter(isDurable).map(({ type }) => type), [
    "model_request",
    "model_result",
    "summary",
    "model_request",
    "model_result",
    "turn_done",
  ]);
  const [asked, answered] = provider.requests;
  assert.ok(isSummaryRequest(asked!.messages) && asked!.tools.length === 0 && asked!.session === undefined);
  const [system, note, noted, first, ...rest] = answered!.messages;
  assert.equal(system!.content, "be good");
  assert.ok(note!.role === "user" && note!.content.includes(GOOD));
  assert.equal(noted!.role, "assistant");
  assertValidHistory(answered!.messages.slice(1));
  const kept = summary.toSeq / 3;
  assert.ok(Number.isInteger(kept) && kept >= 6, "whole turns");
  assert.ok(first!.content.startsWith(`My file ${kept} is`), "the first turn that is not in it");
  assert.equal(rest.at(-1)!.content, "And now?");
  // What the summary does not say is kept beside it.
  for (let n = 0; n < kept; n++) assert.ok(note!.content.includes(`/shared/facts/${n}.md`), `${n}`);
  assert.deepEqual(lines(events).filter((line) => line.startsWith("progress")), [
    "progress [1/8] Summarising what was said before",
    "progress [1/8] Calling provider",
  ]);
  assert.equal(events.filter((event) => event.type === "text_delta").length, 1, "the summary is not shown");
});

Deno.test("runTurn() counts and pays a summary's call, apart from its steps and its answer", async () => {
  const used = (text: string): ModelEvent[] => [
    { type: "usage", usage: { promptTokens: 100, completionTokens: 10 } },
    ...says(text),
  ];
  const provider = scriptedProvider((request) => used(isSummaryRequest(request.messages) ? GOOD : "done"));
  const events = await run(toLong(12), toDeps(provider, undefined, { price }));
  const [summaryRequest, request] = of(events, "model_request");
  assert.deepEqual([summaryRequest!.purpose, summaryRequest!.step, request!.purpose, request!.step], [
    "summary",
    1,
    undefined,
    1,
  ]);
  assert.ok(summaryRequest!.reserved! > 0);
  assert.deepEqual(of(events, "model_result").map(({ purpose, cost }) => [purpose, cost]), [
    ["summary", 120 / 1e6],
    [undefined, 120 / 1e6],
  ]);
  assert.equal(request!.window.summaryEpoch, 1);
  const [done] = of(events, "turn_done");
  assert.deepEqual([done!.usage, done!.steps, done!.text], [{ promptTokens: 200, completionTokens: 20 }, 1, "done"]);
  assert.ok(Math.abs(done!.cost! - 240 / 1e6) < 1e-12);
  const stored = toStored(events);
  const texts = toHistory(stored).map(({ message }) => message.content);
  assert.deepEqual(texts, ["hello", "done"], "no reader takes a summary for the assistant's words");
  const resume = planResume(stored.slice(0, -1))!;
  assert.deepEqual([resume.steps, resume.usage, resume.shownText], [1, done!.usage, "done"]);
});

Deno.test("runTurn() summarises only beyond the trigger, with enough turns to replace, and when it is told to", async () => {
  const cases: readonly (readonly [string, number, Partial<TurnInput>, number])[] = [
    ["below the trigger", 7, {}, 0],
    ["beyond it", 12, {}, 1],
    ["too few turns", 12, { window: toWindow(12) }, 0],
    ["no settings", 12, { window: { limitTokens: 4_000, safetyTokens: 0 } }, 0],
    ["a larger window", 12, { window: { ...toWindow(6), limitTokens: 8_000 } }, 0],
  ];
  for (const [name, turns, changes, expected] of cases) {
    const events = await run(toLong(turns, changes), toDeps(scriptedProvider(summarising(says(GOOD)))));
    assert.equal(of(events, "summary").length, expected, name);
    assert.equal(events.at(-1)!.type, "turn_done", name);
  }
});

function toWindow(minTurns: number): TurnInput["window"] {
  return { limitTokens: 4_000, safetyTokens: 0, summary: { triggerRatio: 0.85, targetRatio: 0.5, minTurns } };
}

Deno.test("runTurn() makes the next summary of the former one and what came since", async () => {
  const former: Summary = { fromSeq: 1, toSeq: 30, epoch: 4, text: "The old password file is /shared/old.kdbx." };
  const history = toTurns(12, 31);
  const provider = scriptedProvider(summarising(says(GOOD)));
  const events = await run(
    toLong(0, { summary: former, history, lastSeq: history.at(-1)!.seq }),
    toDeps(provider),
  );
  const [summary] = of(events, "summary");
  assert.deepEqual([summary!.fromSeq, summary!.epoch], [1, 5]);
  assert.ok(summary!.toSeq > 30 + 18);
  assert.match(provider.requests[0]!.messages[1]!.content, /EARLIER NOTES:\nThe old password file/);
  assert.ok(summary!.text.includes("/shared/old.kdbx"), "what the former one said is not lost either");
  const [note] = provider.requests[1]!.messages.slice(1);
  assert.equal(note!.content.split("/shared/old.kdbx").length, 2, "one summary, not two");
});

Deno.test("runTurn() takes an extract for a reply that is no summary, and never fails by it", async () => {
  const cases: readonly (readonly [string, ScriptedCall])[] = [
    ["empty", says("")],
    ["refused", says("I'm sorry, I can't help with that.")],
    ["filtered", [{ type: "text", text: "The person" }, { type: "done", finishReason: "content_filter" }]],
    ["too long", says("word ".repeat(2_000))],
    ["a call", calls(["file_read", { path: "/shared/a" }])],
    ["rejected", [{ type: "failed", code: "provider_rejected", message: "no", retryable: false }]],
  ];
  for (const [name, script] of cases) {
    const sandbox = new RecordingSandbox({});
    const events = await run(toLong(12), toDeps(scriptedProvider(summarising(script)), sandbox));
    assertSoundTurn(events);
    assert.equal(events.at(-1)!.type, "turn_done", name);
    const [summary] = of(events, "summary");
    assert.match(summary!.text, /^What the person asked, in order:\n- My file \d is \/shared\/facts\/\d\.md/, name);
    assert.equal(sandbox.requests.length, 0, "nothing is called");
  }
});

Deno.test("runTurn() without a summary drops what does not fit, and tries again in the next turn", async () => {
  for (const code of ["provider_unavailable", "provider_rate_limited", "provider_timeout"] as const) {
    const failing = summarising([{ type: "failed", code, message: "no", retryable: true }]);
    const provider = scriptedProvider(failing);
    const events = await run(toLong(20), toDeps(provider));
    assertSoundTurn(events);
    assert.equal(events.at(-1)!.type, "turn_done");
    assert.equal(of(events, "summary").length, 0);
    assert.ok(of(events, "model_request")[1]!.window.droppedMessages > 0);
    assert.equal(provider.requests.length, 2, "asked once a turn");
  }
});

Deno.test("runTurn() asks once more for what cannot be kept beside the summary, naming it", async () => {
  const history = toTurns(12).map(({ seq, message }): HistoryMessage => {
    if (message.role !== "user" || message.content === "And now?") return { seq, message };
    const ids = Array.from({ length: 12 }, (_, n) => `ticket-${seq}-${n} is open. ${"x".repeat(20)}`).join("\n");
    return { seq, message: { role: "user", content: `${ids}\n${FILLER.slice(0, 300)}` } };
  });
  const named: string[] = [];
  const provider = scriptedProvider(summarising((request) => {
    const body = request.messages[1]!.content;
    const again = body.split("An earlier attempt left these out")[1];
    named.push(...again?.matchAll(/ticket-\d+-\d+/g).map(([id]) => id) ?? []);
    return says(again === undefined ? GOOD : `Open: ${named.join(", ")}`);
  }));
  const events = await run(toLong(12, { history }), toDeps(provider));
  assert.deepEqual(of(events, "model_request").map(({ purpose }) => purpose), ["summary", "summary", undefined]);
  assert.ok(named.length > 20 && named.length <= LIMITS.summaryNamedMax);
  const [summary] = of(events, "summary");
  assert.ok(summary!.text.startsWith("Open: ticket-"));
  assertSoundTurn(events);
});

Deno.test("runTurn() cancelled while a summary is written ends cancelled, with its call on record", async () => {
  const control = new AbortController();
  const never = new Promise<ModelEvent>(() => {});
  const provider = scriptedProvider(summarising([{ type: "text", text: "The per" }, never]));
  const events: TurnEvent[] = [];
  for await (const event of runTurn(toLong(12), toDeps(provider), control.signal)) {
    events.push(event);
    if (event.type === "progress") control.abort("enough");
  }
  assertSoundTurn(events);
  assert.deepEqual(events.filter(isDurable).map(({ type }) => type), [
    "model_request",
    "model_result",
    "turn_cancelled",
  ]);
});

Deno.test("runTurn() without money for a summary has none, and says which limit ended it", async () => {
  const provider = scriptedProvider(summarising(says(GOOD)));
  const deps = toDeps(provider, undefined, { price, dayMax: 1, spentToday: 2 });
  const events = await run(toLong(12), deps);
  assert.equal(provider.requests.length, 0);
  assert.match(lines(events).at(-1)!, /^turn_failed budget_cost/);
});

Deno.test("planSummaryOf() and summarise() are the turn's own: at most once, nothing without a plan", () => {
  const run = { state: { wasSummarised: true }, input: { window: toWindow(6) } };
  type Run = Parameters<typeof planSummaryOf>[0];
  assert.equal(planSummaryOf(run as unknown as Run, {} as Parameters<typeof planSummaryOf>[1]), undefined);
  assert.equal(typeof summarise, "function");
});
