import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { Hub, type Outlet, type Subscriber } from "#/gateway/hub.ts";
import { type RunningTurn, toRunningTurn } from "#/gateway/running_turn.ts";
import { TurnTeller } from "#/gateway/turn_teller.ts";
import { MemoryLog } from "../fake/memory_log.ts";
import { delta, turnDone } from "./scripted_source.ts";

function open() {
  const frames: { type: string; payload: Record<string, unknown> }[] = [];
  const reports: unknown[] = [];
  const outlet: Outlet = {
    bufferedAmount: 0,
    readyState: WebSocket.OPEN,
    send: (text) => void frames.push(JSON.parse(text)),
    close() {},
  };
  const sender: Subscriber = { outlet, knows: { turnEvents: false, approvals: false, media: false } };
  const hub = new Hub();
  hub.attach("s", sender);
  const deps = { hub, log: new MemoryLog(), user: "ann", report: (error: unknown) => void reports.push(error) };
  const turn: RunningTurn = toRunningTurn({
    session: "s",
    turn: "t",
    text: "hello",
    channel: "tui",
    requestId: "r",
    attachments: [],
    sender,
    followers: new Set(),
  });
  return { teller: new TurnTeller(deps), turn, sender, frames, reports };
}

Deno.test("TurnTeller says a turn from its begin to its end, and remembers the end until it is dropped", async () => {
  const { teller, turn, frames } = open();
  teller.begin(turn);
  teller.tellNow(turn, delta("hi"));
  await teller.tell(turn, turnDone("hi"));
  assert.deepEqual(frames.map(({ type }) => type), ["turn_started", "assistant_delta", "turn_completed"]);
  assert.equal(turn.said, "hi");
  assert.equal(teller.outcome("s").length, 1);
  assert.equal(teller.dropOutcome("s"), true);
  assert.deepEqual(teller.outcome("s"), []);
});

Deno.test("tellFailed() and refuse() say our own codes, and of a bug an id", () => {
  const { teller, turn, sender, frames, reports } = open();
  teller.tellFailed(turn, new AppError("cancelled", "enough"));
  teller.tellFailed(turn, new TypeError("/etc"));
  teller.refuse(sender, { ...turn }, new AppError("queue_full", "later"));
  assert.deepEqual(frames.map(({ type }) => type), ["turn_cancelled", "error", "error"]);
  assert.match(String(frames[1]!.payload.message), /^internal error \(/);
  assert.equal(frames[2]!.payload.message, "later");
  assert.equal(reports.length, 1);
});
