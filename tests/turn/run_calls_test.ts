import assert from "node:assert/strict";
import type { OutputSoFar, Sandbox } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import type { TurnEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import { canonicalJson } from "#/lib/canonical_json.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import type { CallContext } from "#/turn/call_context.ts";
import { runCalls } from "#/turn/run_calls.ts";
import { settleCalls, startCall, waitForCall } from "#/turn/running_call.ts";
import { TurnState } from "#/turn/turn_state.ts";
import { ManualTime } from "../fake/manual_time.ts";
import { RecordingSandbox } from "../fake/recording_sandbox.ts";
import { lines, PRINCIPAL, TOOLS } from "./turn_kit.ts";

function toContext(sandbox: Pick<Sandbox, "call">): CallContext & { readonly time: ManualTime } {
  const time = new ManualTime();
  const state = new TurnState([], 0, 8);
  state.steps = 1;
  return {
    session: "s",
    turn: "t",
    principal: PRINCIPAL,
    tools: new Map(TOOLS.map((tool) => [tool.schema.name, tool])),
    toolCallsMax: 100,
    state,
    sandbox,
    control: new AbortController(),
    now: time.now,
    delay: time.delay,
    time,
  };
}

const CALL = {
  kind: "ready",
  call: { id: "c", name: "file_read", arguments: "{}" },
  effect: "read_only",
  args: {},
} as const;

Deno.test("runCalls() writes into the intent what is sent, by whom, with a hash that does not depend on the order of names", async () => {
  const context = toContext(new RecordingSandbox({ file_write: () => "w" }));
  const events: TurnEvent[] = [];
  const call = { id: "w", name: "file_write", arguments: '{"text":"x","path":"/shared/a"}' };
  for await (const event of runCalls([call], context)) events.push(event);
  const intent = events.find((event) => event.type === "tool_intent")!;
  assert.deepEqual(intent.payload, {
    callId: "w",
    step: 1,
    tool: "file_write",
    effect: "side_effecting",
    args: { text: "x", path: "/shared/a" },
    argsSha256: await sha256Hex(canonicalJson({ path: "/shared/a", text: "x" })),
    principal: PRINCIPAL,
  });
  assert.equal(context.state.toolCalls, 1);
});

Deno.test("runCalls() announces the tools that will run, and nothing when none will", async () => {
  const context = toContext(new RecordingSandbox({ file_read: () => "r" }));
  const events: TurnEvent[] = [];
  for await (const event of runCalls([CALL.call, { id: "x", name: "nope", arguments: "" }], context)) {
    events.push(event);
  }
  assert.equal(lines(events)[0], "progress [1/8] Executing tools: file_read");
  const none: TurnEvent[] = [];
  for await (const event of runCalls([{ id: "x", name: "nope", arguments: "" }], context)) none.push(event);
  assert.deepEqual(none.map((event) => event.type), ["tool_result"]);
});

Deno.test("startCall() starts nothing when the turn was stopped", async () => {
  const sandbox = new RecordingSandbox({ file_read: () => "r" });
  const context = toContext(sandbox);
  context.control.abort(new AppError("cancelled", "x"));
  assert.deepEqual(await startCall(CALL, context).end, { kind: "not_started" });
  assert.deepEqual([sandbox.requests, context.state.toolCalls], [[], 0]);
});

Deno.test("waitForCall() beats while a call runs and gives its end", async () => {
  const answer = Promise.withResolvers<string>();
  const context = toContext(new RecordingSandbox({ file_read: () => answer.promise }));
  const waiting = waitForCall(startCall(CALL, context), context);
  const beat = waiting.next();
  context.time.advance(LIMITS.heartbeatMs - 1);
  context.time.advance(1);
  assert.deepEqual(lines([(await beat).value as TurnEvent]), ["progress [1/8] Still executing: file_read (5s)"]);
  answer.resolve("late");
  const end = (await waiting.next()).value;
  assert.ok(end !== undefined && "kind" in end && end.kind === "outcome" && end.outcome.text === "late");
  assert.equal(context.time.pending, 0);
});

Deno.test("waitForCall() shows how the output of a call ends, scrubbed, the last of what came; its heartbeat goes on", async () => {
  const ends = Promise.withResolvers<string>();
  let say: (output: OutputSoFar) => void = () => {};
  const sandbox = new RecordingSandbox({ file_read: () => ends.promise });
  const context = toContext({
    call(request, signal, onOutput) {
      say = onOutput!;
      return sandbox.call(request, signal);
    },
  });
  const waiting = waitForCall(startCall(CALL, context), context);
  const output = waiting.next();
  say({ tail: "first\n", lines: 1 });
  say({ tail: "first\npassword=hunter2hunter2\n", lines: 2 });
  const { value } = await output;
  assert.deepEqual(value, {
    type: "progress",
    payload: {
      progress: {
        kind: "tool_output",
        toolNames: ["file_read"],
        callId: "c",
        tail: "first\npassword=[REDACTED:password]\n",
        lines: 2,
      },
      message: "[1/8] Still executing: file_read (2 lines of output)",
      step: 1,
      stepsMax: 8,
    },
  });
  const beat = waiting.next();
  context.time.advance(LIMITS.heartbeatMs);
  assert.deepEqual(lines([(await beat).value as TurnEvent]), ["progress [1/8] Still executing: file_read (5s)"]);
  const end = waiting.next();
  say({ tail: "late\n", lines: 3 });
  ends.resolve("done");
  assert.equal((await end).done || (await waiting.next()).done, true);
  assert.equal(context.time.pending, 0);
});

Deno.test("waitForCall() gives a call up killGraceMs after the stop, not before", async () => {
  const context = toContext({ call: () => new Promise<never>(() => {}) });
  const waiting = waitForCall(startCall(CALL, context), context).next();
  context.control.abort(new AppError("cancelled", "x"));
  context.time.advance(LIMITS.killGraceMs - 1);
  const first = await Promise.race([waiting, new Promise((resolve) => setTimeout(resolve, 0, "still waiting"))]);
  assert.equal(first, "still waiting");
  context.time.advance(1);
  assert.deepEqual(await waiting, { done: true, value: { kind: "lost" } });
});

Deno.test("settleCalls() waits for all calls, but not for ever", async () => {
  const context = toContext({ call: () => new Promise<never>(() => {}) });
  const settled = settleCalls([startCall(CALL, context)], context);
  context.time.advance(LIMITS.killGraceMs);
  await settled;
  await settleCalls([], context);
  assert.equal(context.time.pending, 0);
});
