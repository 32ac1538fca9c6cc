/** Whatever part of a turn was recorded: it goes on to the end that the whole turn had, and no call is made that was answered. */
import assert from "node:assert/strict";
import { isDurable, isTurnEnd, type StoredEvent, type TurnEvent } from "#/core/event.ts";
import type { ModelEvent } from "#/core/provider.ts";
import { toHistory } from "#/turn/history.ts";
import { planResume } from "#/turn/resume.ts";
import type { TurnInput } from "#/turn/turn.ts";
import { failed, RecordingSandbox } from "../fake/recording_sandbox.ts";
import { calls, says, scriptedProvider } from "../fake/scripted_provider.ts";
import { assertValidHistory, run, toDeps, toInput, toStored } from "./turn_kit.ts";

const used: ModelEvent = { type: "usage", usage: { promptTokens: 10, completionTokens: 5 } };
const read = (n: number): [string, unknown, string] => ["file_read", { n }, `r${n}`];
const write = (n: number): [string, unknown, string] => ["file_write", { n }, `w${n}`];
const same = (id: string): [string, unknown, string] => ["file_read", { same: true }, id];
const empty: ModelEvent[] = [used, { type: "done", finishReason: "stop" }];
const lost: ModelEvent[] = [
  { type: "text", text: "Half of " },
  { type: "failed", code: "provider_interrupted", message: "cut off", retryable: false },
];
const said = (text: string): ModelEvent[] => [{ type: "text", text }, used];

/** Replies of a model, and what the turn may use. */
const TURNS: readonly (readonly [
  name: string,
  replies: readonly (readonly ModelEvent[])[],
  budgets?: Partial<TurnInput["budgets"]>,
])[] = [
  ["an answer", [says("Hello")]],
  ["reads together, writes alone", [
    [...said("I look. "), ...calls(read(1), read(2), write(3), read(4))],
    [used, ...calls(write(5), write(6))],
    says("Done"),
  ]],
  ["a call that fails, one of no tool, and one without sense", [
    calls(["file_list", {}, "l"], ["nothing", {}, "n"], ["file_write", "{", "b"], write(1)),
    says("Done"),
  ]],
  ["an empty reply, then an answer", [calls(write(1)), empty, says("Done")]],
  ["two empty replies", [calls(write(1)), empty, empty]],
  ["two empty replies behind a text", [[...said("Before. "), ...calls(write(1))], empty, empty]],
  ["a reply that is cut off", [calls(write(1)), lost]],
  ["too many steps", [calls(write(1)), calls(write(2)), calls(write(3)), says("never")], { stepsMax: 2 }],
  ["too many tokens", [[used, ...calls(write(1))], says("never")], { tokensMax: 15 }],
  ["too many calls", [calls(write(1), write(2)), calls(write(3)), says("never")], { toolCallsMax: 2 }],
  ["too many calls in one reply", [calls(write(1), write(2), write(3)), says("Done")], { toolCallsMax: 2 }],
  ["a model that repeats itself", [calls(same("1")), calls(same("2")), calls(same("3")), calls(same("4")), says("no")]],
];

const toSandbox = () =>
  new RecordingSandbox({
    file_read: ({ callId }) => `read ${callId.startsWith("r") ? callId : "the same"}`,
    file_write: ({ callId }) => ({
      ...failed("file_write", "file_exists", `wrote ${callId}`),
      auditHead: { seq: 7, sha256: "ab" },
    }),
    file_list: () => failed("file_list", "tool_failed", "no such folder"),
  });

function toEnd(events: readonly TurnEvent[]): unknown {
  const end = events.filter(isDurable).find(isTurnEnd)!;
  return { type: end.type, payload: end.payload };
}

/** Messages and results as a reader of the log sees them. */
const toTold = (events: readonly StoredEvent[]) => toHistory(events).map(({ message }) => message);

for (const [name, replies, changes = {}] of TURNS) {
  Deno.test(`planResume() and runTurn() behind every event of ${name} come to the same end, and repeat nothing`, async () => {
    const budgets = { ...toInput().budgets, ...changes };
    const whole = await run(toInput({ budgets }), toDeps(scriptedProvider(...replies), toSandbox()));
    const recorded = toStored(whole);
    for (let length = 1; length < recorded.length; length++) {
      const before = recorded.slice(0, length);
      const resume = planResume(before)!;
      const done = before.filter((event) => event.type === "model_result").length;
      const sandbox = toSandbox();
      const input = toInput({ budgets, history: toHistory(before, { open: "t" }), lastSeq: length, resume });
      const after = await run(input, toDeps(scriptedProvider(...replies.slice(done), says("too much")), sandbox));
      const all = [
        ...before,
        ...toStored(after).slice(1).map((event) => ({ ...event, seq: event.seq - 1 + length })),
      ] as StoredEvent[];
      const where = `behind ${length}: ${before.at(-1)!.type}`;
      // A budget says what it was for in other words when its event came first.
      const isBudget = before.at(-1)!.type === "budget";
      const [end, expected] = [toEnd(after), toEnd(whole)] as { payload: { message?: string } }[];
      if (isBudget) delete end!.payload.message, delete expected!.payload.message;
      assert.deepEqual(end, expected, where);
      assert.deepEqual(toTold(all), toTold(recorded), where);
      for (const type of ["tool_intent", "tool_decision", "tool_result"] as const) {
        const idsOf = (events: readonly StoredEvent[]) =>
          events.flatMap((event) => event.type === type ? [(event.payload as { callId: string }).callId] : []);
        assert.deepEqual(idsOf(all), idsOf(recorded), `${type} ${where}`);
      }
      const answered = new Set(before.flatMap((event) => event.type === "tool_result" ? [event.payload.callId] : []));
      const intended = new Set(before.flatMap((event) => event.type === "tool_intent" ? [event.payload.callId] : []));
      for (const { callId, resumed } of sandbox.requests) {
        assert.ok(!answered.has(callId), `${callId} again ${where}`);
        assert.equal(resumed ?? false, intended.has(callId), `${callId} ${where}`);
      }
      assertValidHistory(toTold(all));
    }
  });
}
