import assert from "node:assert/strict";
import type { TurnEvent } from "#/core/event.ts";
import { CostAccount } from "#/turn/ledger.ts";
import { type PaidCall, runPaidCall } from "#/turn/paid_call.ts";
import { TurnState } from "#/turn/turn_state.ts";
import { WindowHasher } from "#/turn/window.ts";
import { says, scriptedProvider } from "../fake/scripted_provider.ts";
import { lines, toDeps, toInput, TOOLS } from "./turn_kit.ts";

async function open(changes: Partial<PaidCall> = {}) {
  const provider = scriptedProvider([
    { type: "notice", message: "a notice" },
    { type: "reasoning", text: "hm" },
    { type: "usage", usage: { promptTokens: 7, completionTokens: 3 } },
    { type: "media", media: { mimeType: "image/png", data: "AAAA" } },
    { type: "replay", replay: { provider: "scripted", model: "m", data: 1 } },
    ...says("hi"),
  ]);
  const deps = toDeps(provider, undefined, { price: { input: 1_000_000, output: 1_000_000 } });
  const account = new CostAccount("max_cost", 1_000, 0);
  const state = new TurnState([], 1, 8);
  const control = new AbortController();
  const reservation = await deps.ledger.reserve({ input: 100, output: 100 }, account, control.signal);
  assert.ok(reservation !== undefined && !("kind" in reservation));
  const run = { input: toInput(), deps, control, state, account, hasher: new WindowHasher() };
  const call: PaidCall = {
    messages: [{ role: "user", content: "hello" }],
    tools: TOOLS.map(({ schema }) => schema),
    window: { fromSeq: 1, toSeq: 1, droppedMessages: 0 },
    tokens: 9,
    reservation,
    step: 1,
    ...changes,
  };
  return { provider, account, state, events: runPaidCall(run, call) };
}

async function collect(events: AsyncGenerator<TurnEvent>): Promise<TurnEvent[]> {
  const all: TurnEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

Deno.test("runPaidCall() records a call for the answer, shows it, remembers it and pays it", async () => {
  const { provider, account, state, events } = await open();
  assert.deepEqual(lines(await collect(events)), [
    "model_request 1 seq 1-1",
    "progress [0/8] Calling provider",
    "progress [0/8] a notice",
    "reasoning_delta hm",
    "text_delta hi",
    'model_result stop "hi" calls 0',
  ]);
  assert.deepEqual([account.spent, state.cost, state.tokens, state.shownText], [10, 10, 10, "hi"]);
  assert.equal(state.history.length, 1);
  assert.equal(provider.requests[0]!.session, "s");
});

Deno.test("runPaidCall() with a purpose shows only how it goes, and nothing of it is part of the conversation", async () => {
  const { provider, account, state, events } = await open({ purpose: "summary", tools: [] });
  const all = await collect(events);
  assert.deepEqual(lines(all), [
    "model_request 1 seq 1-1",
    "progress [1/8] Summarising what was said before",
    "progress [0/8] a notice",
    'model_result stop "hi" calls 0',
  ]);
  assert.deepEqual([account.spent, state.cost, state.tokens, state.shownText], [10, 10, 10, ""]);
  assert.equal(state.history.length, 0);
  assert.ok(!("session" in provider.requests[0]!));
  const result = all.at(-1)!;
  assert.ok(result.type === "model_result");
  const { purpose, media, replay, reasoning } = result.payload;
  assert.deepEqual([purpose, media, replay, reasoning, result.blobs], [
    "summary",
    undefined,
    undefined,
    "hm",
    undefined,
  ]);
});

Deno.test("runPaidCall() whose reader leaves gives the reservation back before the request is on record, and spends it after", async () => {
  for (const [pulls, spent] of [[1, 0], [2, 200], [3, 200]] as const) {
    const { account, events } = await open({ purpose: "summary" });
    for (let n = 0; n < pulls; n++) await events.next();
    await events.return(undefined as never);
    assert.equal(account.spent, spent, `${pulls}`);
  }
});
