import type { Sandbox } from "#/core/capability.ts";
import { isDurable, isTurnEnd, type StoredEvent, type TurnEvent } from "#/core/event.ts";
import type { Message } from "#/core/message.ts";
import type { ModelPrice } from "#/core/model.ts";
import type { Provider } from "#/core/provider.ts";
import type { ToolEffect } from "#/core/tool.ts";
import type { TurnTool } from "#/turn/check_call.ts";
import { toHistory } from "#/turn/history.ts";
import { Ledger, type LedgerOptions } from "#/turn/ledger.ts";
import { openTokenizer } from "#/turn/tokenizer.ts";
import { TokenCounter } from "#/turn/tokens.ts";
import { runTurn, type TurnDeps, type TurnInput } from "#/turn/turn.ts";
import assert from "node:assert/strict";
import { ManualTime } from "../fake/manual_time.ts";
import { RecordingSandbox } from "../fake/recording_sandbox.ts";

export const PRINCIPAL = { user: "default", agent: ["default"], origin: "channel" } as const;

export function tool(name: string, effect: ToolEffect = "read_only"): TurnTool {
  return { schema: { name, description: name, parameters: { type: "object" } }, effect };
}

export const TOOLS = [tool("file_read"), tool("file_list"), tool("file_write", "side_effecting")];

/** A turn that asks `question`, event 1 of its session. */
export function toInput(changes: Partial<TurnInput> = {}, question = "hello"): TurnInput {
  return {
    session: "s",
    turn: "t",
    principal: PRINCIPAL,
    model: "m",
    system: "be good",
    tools: TOOLS,
    budgets: { stepsMax: 8, toolCallsMax: 100, tokensMax: 1_000_000, timeoutMs: 60_000 },
    window: { limitTokens: 128_000, safetyTokens: 1_024 },
    history: [{ seq: 1, message: { role: "user", content: question } }],
    lastSeq: 1,
    ...changes,
  };
}

export function toDeps(
  provider: Provider,
  sandbox: Pick<Sandbox, "call"> = new RecordingSandbox({}),
  costs: Partial<LedgerOptions> & { readonly price?: ModelPrice } = {},
): TurnDeps & { time: ManualTime } {
  const time = new ManualTime();
  const model = { provider: provider.name, model: "m", ...(costs.price === undefined ? {} : { price: costs.price }) };
  const ledger = new Ledger({ models: [model], spentToday: 0, now: time.now, ...costs });
  const tokens = new TokenCounter({ load: openTokenizer, factor: 1 });
  return { provider, sandbox, now: time.now, delay: time.delay, ledger, tokens, time };
}

export async function collect(events: AsyncIterable<TurnEvent>): Promise<TurnEvent[]> {
  const all: TurnEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

export function run(input: TurnInput, deps: TurnDeps, signal = new AbortController().signal): Promise<TurnEvent[]> {
  return collect(runTurn(input, deps, signal));
}

/** One short line an event: what a reader of a failing test needs to see. */
export function toLine(event: TurnEvent): string {
  const { type } = event;
  switch (event.type) {
    case "text_delta":
    case "reasoning_delta":
      return `${type} ${event.payload.text}`;
    case "progress":
      return `${type} ${event.payload.message}`;
    case "model_request":
      return `${type} ${event.payload.step} seq ${event.payload.window.fromSeq}-${event.payload.window.toSeq}`;
    case "model_result":
      return `${type} ${event.payload.finishReason} "${event.payload.text}" calls ${event.payload.toolCalls.length}`;
    case "tool_intent":
      return `${type} ${event.payload.callId} ${event.payload.tool}`;
    case "tool_decision":
      return `${type} ${event.payload.callId} ${event.payload.decision.kind}`;
    case "tool_result":
      return `${type} ${event.payload.callId} ${event.payload.code} ${event.payload.text}`;
    case "budget":
      return `${type} ${event.payload.kind} ${event.payload.used}/${event.payload.limit}`;
    case "turn_done":
      return `${type} ${event.payload.text}`;
    case "turn_failed":
      return `${type} ${event.payload.code} ${event.payload.message}`;
    case "turn_cancelled":
      return `${type} ${event.payload.reason}`;
    default:
      return type;
  }
}

export function lines(events: readonly TurnEvent[]): string[] {
  return events.map(toLine);
}

/** The events as the log would hold them, behind the user message. */
export function toStored(events: readonly TurnEvent[]): StoredEvent[] {
  const asked = { type: "user_message", v: 1, payload: { text: "hello", channel: "test" } } as const;
  return [asked, ...events.filter(isDurable)].map((event, index) =>
    ({ ...event, seq: index + 1, session: "s", turn: "t", at: index, blobs: [] }) as StoredEvent
  );
}

/** What must hold for the events of any turn, whatever happened to it. */
export function assertSoundTurn(events: readonly TurnEvent[]): void {
  const durable = events.filter(isDurable);
  assert.equal(durable.filter(isTurnEnd).length, 1, "exactly one end");
  assert.ok(isTurnEnd(events.at(-1)!), "the end is last");
  const of = (type: string) => durable.filter((event) => event.type === type);
  assert.equal(of("model_request").length, of("model_result").length, "each request has its result");
  const open: string[] = [];
  for (const event of durable) {
    if (event.type === "tool_intent") open.push(event.payload.callId);
    if (event.type === "tool_result" && open.includes(event.payload.callId)) {
      open.splice(open.indexOf(event.payload.callId), 1);
    }
  }
  assert.deepEqual(open, [], "each intent has its result");
  assertValidHistory(toHistory(toStored(events)).map((entry) => entry.message));
}

/** What every vendor demands: each call has its result right behind, and users and assistants take turns. */
export function assertValidHistory(messages: readonly Message[]): void {
  let awaited: string[] = [];
  let last: Message["role"] | undefined;
  for (const message of messages) {
    if (message.role === "tool") {
      assert.ok(awaited.includes(message.toolCallId), `a result without a call: ${message.toolCallId}`);
      awaited = awaited.filter((id) => id !== message.toolCallId);
      last = "tool";
      continue;
    }
    assert.deepEqual(awaited, [], "a call without a result");
    if (message.role === "user") assert.ok(last !== "user", "two messages of the user in a row");
    if (message.role === "assistant") {
      assert.ok(last === "user" || last === "tool", `assistant after ${last}`);
      awaited = message.toolCalls.map((call) => call.id);
    }
    last = message.role;
  }
  assert.deepEqual(awaited, [], "a call without a result");
}
