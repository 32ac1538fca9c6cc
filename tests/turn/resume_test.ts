import assert from "node:assert/strict";
import type { StoredEvent } from "#/core/event.ts";
import { toHistory } from "#/turn/history.ts";
import { countResumes, isParked, planResume, restoreState } from "#/turn/resume.ts";
import { TurnState } from "#/turn/turn_state.ts";
import { asks, denied, RecordingSandbox } from "../fake/recording_sandbox.ts";
import { calls, says, scriptedProvider } from "../fake/scripted_provider.ts";
import { assertValidHistory, lines, run, toDeps, toInput, toStored } from "./turn_kit.ts";

const TWO = [["file_read", { path: "/shared/a" }, "a"], ["file_read", { path: "/vault/b" }, "b"]] as const;

/** Reads under /vault ask until `answer` says otherwise. */
function openSandbox(answer: () => "ask" | "ok" | "denied") {
  return new RecordingSandbox({
    file_read(request) {
      const { path } = request.args as { path: string };
      if (!path.startsWith("/vault") || answer() === "ok") return `text of ${path}`;
      return answer() === "ask" ? asks(request) : denied("file_read", "the person said no");
    },
    file_write: () => "written",
  });
}

Deno.test("runTurn() parks at a call that asks, after the rest of its batch, and starts nothing behind it", async () => {
  const provider = scriptedProvider([{ type: "text", text: "I look. " }, ...calls(...TWO, ["file_write", {}, "c"])]);
  const events = await run(toInput(), toDeps(provider, openSandbox(() => "ask")));
  assert.deepEqual(lines(events).filter((line) => !/^progress|^text_delta/.test(line)), [
    "model_request 1 seq 1-1",
    'model_result tool_calls "I look. " calls 3',
    "tool_intent a file_read",
    "tool_intent b file_read",
    "tool_decision a granted",
    "tool_result a ok text of /shared/a",
    "tool_decision b ask",
    "approval_asked",
    "parked",
  ]);
  assert.ok(isParked(toStored(events)));
  assert.equal(isParked(toStored(events).slice(0, -1)), false);
  const history = toHistory(toStored(events), { open: "t" }).map((entry) => entry.message);
  assert.deepEqual(history.filter((message) => message.role === "tool").map((message) => message.toolCallId), ["a"]);
  assertValidHistory(toHistory(toStored(events)).map((entry) => entry.message));
});

for (
  const [answer, result, denials] of [
    ["ok", "tool_result b ok text of /vault/b", 0],
    ["denied", "tool_result b tool_denied the person said no", 1],
  ] as const
) {
  Deno.test(`runTurn() goes on after the answer ${answer}: no intent twice, then the calls that waited, then the model`, async () => {
    let said: "ask" | "ok" | "denied" = "ask";
    const sandbox = openSandbox(() => said);
    const provider = scriptedProvider(calls(...TWO, ["file_write", {}, "c"]), says("done"));
    const before = toStored(await run(toInput(), toDeps(provider, sandbox)));
    said = answer;
    const resume = planResume(before)!;
    assert.deepEqual(resume.reply?.toolCalls.map((call) => call.id), ["a", "b", "c"]);
    assert.deepEqual([...resume.known.answered], ["a"]);
    const history = toHistory(before, { open: "t" });
    const deps = toDeps(provider, sandbox);
    const after = await run(toInput({ history, lastSeq: before.length, resume }), deps);
    assert.deepEqual(lines(after).filter((line) => !/^progress|^text_delta/.test(line)), [
      `tool_decision b ${answer === "ok" ? "granted" : "denied"}`,
      result,
      "tool_intent c file_write",
      "tool_decision c granted",
      "tool_result c ok written",
      `model_request 2 seq 1-${before.length + 5}`,
      'model_result stop "done" calls 0',
      "turn_done done",
    ]);
    const end = after.at(-1)!;
    assert.deepEqual(end.type === "turn_done" && [end.payload.steps, end.payload.toolCalls, end.payload.denied], [
      2,
      3,
      denials,
    ]);
    const whole = [
      ...before,
      ...toStored(after).slice(1).map((e) => ({ ...e, seq: e.seq + before.length })),
    ] as StoredEvent[];
    assertValidHistory(toHistory(whole).map((entry) => entry.message));
  });
}

Deno.test("runTurn() that still waits parks again, and tells of no card twice", async () => {
  const sandbox = openSandbox(() => "ask");
  const provider = scriptedProvider(calls(...TWO));
  const before = toStored(await run(toInput(), toDeps(provider, sandbox)));
  const input = toInput({
    history: toHistory(before, { open: "t" }),
    lastSeq: before.length,
    resume: planResume(before)!,
  });
  const again = await run(input, toDeps(provider, sandbox));
  assert.deepEqual(lines(again).filter((line) => !line.startsWith("progress")), ["parked"]);
});

Deno.test("runTurn() that is cancelled while it waits for the runner ends cancelled, not parked", async () => {
  const control = new AbortController();
  const sandbox = new RecordingSandbox({
    file_read(request) {
      control.abort("enough");
      return asks(request);
    },
  });
  const provider = scriptedProvider(calls(["file_read", { path: "/vault/b" }, "b"]));
  const events = await run(toInput(), toDeps(provider, sandbox), control.signal);
  assert.deepEqual(lines(events).slice(-1), ["turn_cancelled enough"]);
});

Deno.test("planResume() has nothing for a turn without a reply; restoreState() puts back what was used", async () => {
  assert.equal(planResume([]), undefined);
  const usage = { type: "usage", usage: { promptTokens: 5, completionTokens: 2 } } as const;
  const provider = scriptedProvider(
    [usage, ...calls(["file_read", { path: "/shared/a" }, "x"])],
    [{ type: "text", text: "Now the vault. " }, usage, ...calls(["file_read", { path: "/vault/b" }, "y"])],
  );
  const before = toStored(await run(toInput(), toDeps(provider, openSandbox(() => "ask"))));
  const resume = planResume(before)!;
  const state = new TurnState([], 0, 8);
  restoreState(state, resume);
  assert.deepEqual([state.steps, state.toolCalls, state.denied, state.tokens, state.shownText], [
    2,
    1,
    0,
    14,
    "Now the vault. ",
  ]);
  assert.deepEqual(resume.answered.map(({ call, text }) => [call.id, text]), [["x", "text of /shared/a"]]);
});

Deno.test("countResumes() counts since the last reply, result or wait for a person", () => {
  const events = (...types: string[]) => types.map((type, at) => ({ type, seq: at + 1 }) as unknown as StoredEvent);
  assert.equal(countResumes(events("user_message", "resumed", "model_request", "resumed")), 2);
  for (const type of ["model_result", "tool_result", "parked"]) {
    assert.equal(countResumes(events("user_message", "resumed", type, "resumed", "tool_intent")), 1, type);
  }
  assert.equal(countResumes([]), 0);
});

Deno.test("planResume() counts a call that was cut off with what was reserved for it, and its step not at all", async () => {
  const provider = scriptedProvider(calls(["file_write", {}, "a"]), says("Done"));
  const price = { input: 1, output: 1 };
  const recorded = toStored(
    await run(
      toInput(),
      toDeps(provider, openSandbox(() => "ok"), { price, models: [{ provider: "scripted", model: "m", price }] }),
    ),
  );
  const second = recorded.findLastIndex((event) => event.type === "model_request");
  const whole = planResume(recorded.slice(0, second))!;
  const cut = planResume(recorded.slice(0, second + 1))!;
  const request = recorded[second]!;
  assert.ok(request.type === "model_request" && request.payload.reserved! > 0);
  assert.deepEqual([whole.steps, cut.steps, cut.reply, whole.reply?.toolCalls.length], [1, 1, undefined, 1]);
  assert.equal(cut.cost, whole.cost! + request.payload.reserved!);
});
