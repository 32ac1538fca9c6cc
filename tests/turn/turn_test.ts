import assert from "node:assert/strict";
import { isDurable } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import type { ModelEvent } from "#/core/provider.ts";
import { runTurn } from "#/turn/turn.ts";
import { denied, failed, RecordingSandbox } from "../fake/recording_sandbox.ts";
import { calls, says, scriptedProvider } from "../fake/scripted_provider.ts";
import { assertSoundTurn, lines, run, toDeps, toInput, tool } from "./turn_kit.ts";

Deno.test("runTurn() answers without tools", async () => {
  const provider = scriptedProvider([
    { type: "reasoning", text: "hm" },
    { type: "text", text: "Good " },
    { type: "text", text: "day" },
    { type: "usage", usage: { promptTokens: 9, completionTokens: 2 } },
    { type: "done", finishReason: "stop" },
  ]);
  const events = await run(toInput(), toDeps(provider));
  assert.deepEqual(lines(events), [
    "model_request 1 seq 1-1",
    "progress [1/8] Calling provider",
    "reasoning_delta hm",
    "text_delta Good ",
    "text_delta day",
    'model_result stop "Good day" calls 0',
    "turn_done Good day",
  ]);
  assertSoundTurn(events);
  const usage = { promptTokens: 9, completionTokens: 2 };
  assert.deepEqual(events.at(-1)!.payload, {
    text: "Good day",
    finishReason: "stop",
    steps: 1,
    toolCalls: 0,
    denied: 0,
    usage,
  });
  assert.deepEqual(provider.requests[0]!.messages, [
    { role: "system", content: "be good" },
    { role: "user", content: "hello" },
  ]);
});

Deno.test("runTurn() runs a tool and shows its result to the model", async () => {
  const provider = scriptedProvider(calls(["file_read", { path: "/shared/a" }, "c1"]), says("It says hi"));
  const sandbox = new RecordingSandbox({ file_read: () => "hi" });
  const events = await run(toInput(), toDeps(provider, sandbox));
  assert.deepEqual(lines(events), [
    "model_request 1 seq 1-1",
    "progress [1/8] Calling provider",
    'model_result tool_calls "" calls 1',
    "progress [1/8] Executing tools: file_read",
    "tool_intent c1 file_read",
    "tool_decision c1 granted",
    "tool_result c1 ok hi",
    "model_request 2 seq 1-6",
    "progress [2/8] Calling provider",
    "text_delta It says hi",
    'model_result stop "It says hi" calls 0',
    "turn_done It says hi",
  ]);
  assertSoundTurn(events);
  assert.deepEqual(provider.requests[1]!.messages.slice(2), [
    {
      role: "assistant",
      content: "",
      toolCalls: [{ id: "c1", name: "file_read", arguments: '{"path":"/shared/a"}' }],
    },
    { role: "tool", toolCallId: "c1", name: "file_read", content: "hi", ok: true },
  ]);
  const { principal, session, turn, callId, tool, args } = sandbox.requests[0]!;
  assert.deepEqual({ principal, session, turn, callId, tool, args }, {
    principal: { user: "default", agent: ["default"], origin: "channel" },
    session: "s",
    turn: "t",
    callId: "c1",
    tool: "file_read",
    args: { path: "/shared/a" },
  });
});

Deno.test("runTurn() runs adjacent reads together and a write alone, and keeps the order of results", async () => {
  const gates = new Map(["r1", "r2"].map((id) => [id, Promise.withResolvers<string>()]));
  const sandbox = new RecordingSandbox({
    // The second read ends first: its result still comes second.
    file_read: ({ callId }) => {
      if (callId === "r2") {
        gates.get("r2")!.resolve("two");
        queueMicrotask(() => gates.get("r1")!.resolve("one"));
      }
      return gates.get(callId)?.promise ?? "three";
    },
    file_write: () => "written",
  });
  const provider = scriptedProvider(
    calls(["file_read", {}, "r1"], ["file_read", {}, "r2"], ["file_write", {}, "w"], ["file_read", { n: 3 }, "r3"]),
    says("done"),
  );
  const events = await run(toInput(), toDeps(provider, sandbox));
  assert.deepEqual(sandbox.journal, [
    "start:r1",
    "start:r2",
    "end:r2",
    "end:r1",
    "start:w",
    "end:w",
    "start:r3",
    "end:r3",
  ]);
  const order = events.filter((event) => event.type === "tool_intent" || event.type === "tool_result");
  assert.deepEqual(lines(order), [
    "tool_intent r1 file_read",
    "tool_intent r2 file_read",
    "tool_result r1 ok one",
    "tool_result r2 ok two",
    "tool_intent w file_write",
    "tool_result w ok written",
    "tool_intent r3 file_read",
    "tool_result r3 ok three",
  ]);
  assertSoundTurn(events);
});

Deno.test("runTurn() runs at most parallelReadsMax reads at once", async () => {
  const reads = Array.from({ length: 20 }, (_, n) => ["file_read", { n }, `r${n}`] as const);
  const sandbox = new RecordingSandbox({ file_read: async ({ callId }) => (await Promise.resolve(), callId) });
  const events = await run(toInput(), toDeps(scriptedProvider(calls(...reads), says("ok")), sandbox));
  assert.equal(sandbox.runningMost, LIMITS.parallelReadsMax);
  const results = events.filter((event) => event.type === "tool_result").map((event) => event.payload.text);
  assert.deepEqual(results, reads.map(([, , id]) => id));
});

Deno.test("runTurn() starts a side effect only when its reader has pulled past the intent", async () => {
  const sandbox = new RecordingSandbox({ file_read: () => "r", file_write: () => "w" });
  const script = calls(["file_read", {}, "r1"], ["file_read", {}, "r2"], ["file_write", {}, "w1"]);
  const events = runTurn(
    toInput(),
    toDeps(scriptedProvider(script, says("ok")), sandbox),
    new AbortController().signal,
  );
  for await (const event of events) {
    if (event.type !== "tool_intent") continue;
    // Everything that could run ahead has its chance before the reader pulls again.
    await new Promise((resolve) => setTimeout(resolve, 0));
    sandbox.journal.push(`seen:${event.payload.callId}`);
  }
  assert.deepEqual(sandbox.journal.filter((entry) => !entry.startsWith("end")), [
    "seen:r1",
    "seen:r2",
    "start:r1",
    "start:r2",
    "seen:w1",
    "start:w1",
  ]);
});

Deno.test("runTurn() tells the model what is wrong with a call, and goes on", async () => {
  const script: ModelEvent[] = [
    ...calls(
      ["file_read", '{"path": "/shared/a', "broken"],
      ["file_raed", {}, "typo"],
      ["file_read", "[1]", "list"],
      ["file_read", "", "none"],
    ).slice(0, -1),
    { type: "tool_call", call: { id: "huge", name: "file_write", arguments: "", droppedBytes: 10_485_760 } },
    { type: "done", finishReason: "tool_calls" },
  ];
  const sandbox = new RecordingSandbox({ file_read: () => "fine" });
  const events = await run(toInput(), toDeps(scriptedProvider(script, says("ok")), sandbox));
  assertSoundTurn(events);
  const results = events.filter((event) => event.type === "tool_result").map((event) => event.payload);
  assert.deepEqual(results.map(({ callId, code, ok }) => [callId, code, ok]), [
    ["broken", "tool_args_invalid", false],
    ["typo", "tool_unknown", false],
    ["list", "tool_args_invalid", false],
    ["none", "ok", true],
    ["huge", "tool_args_too_large", false],
  ]);
  assert.match(results[0]!.text, /not valid JSON .*position.*They end with "{\\"path/);
  assert.match(results[1]!.text, /Did you mean file_read\?/);
  assert.match(results[4]!.text, /10485760 bytes, the limit is 1048576/);
  assert.deepEqual(sandbox.requests.map((request) => [request.callId, request.args]), [["none", {}]]);
  assert.deepEqual(events.filter((event) => event.type === "tool_intent").map((event) => event.payload.callId), [
    "none",
  ]);
  assert.equal(events.at(-1)!.type, "turn_done");
});

Deno.test("runTurn() passes on what the runner says about arguments, policy and failures", async () => {
  const sandbox = new RecordingSandbox({
    file_read: () => failed("file_read", "tool_args_invalid", "path: expected a string"),
    file_list: () => denied("file_list", "fs.list /vault is not granted"),
    file_write: () => failed("file_write", "path_outside", "/etc is outside the roots"),
  });
  const provider = scriptedProvider(
    calls(["file_read", {}, "a"], ["file_list", {}, "b"], ["file_write", {}, "c"]),
    says("I may not"),
  );
  const events = await run(toInput(), toDeps(provider, sandbox));
  const results = events.filter((event) => event.type === "tool_result" || event.type === "tool_decision");
  assert.deepEqual(lines(results), [
    "tool_result a tool_args_invalid path: expected a string",
    "tool_decision b denied",
    "tool_result b tool_denied fs.list /vault is not granted",
    "tool_result c path_outside /etc is outside the roots",
  ]);
  const end = events.at(-1)!;
  assert.ok(end.type === "turn_done" && end.payload.denied === 1 && end.payload.toolCalls === 3);
});

Deno.test("runTurn() answers more calls than a reply may hold without running them", async () => {
  const many = Array.from(
    { length: LIMITS.toolCallsPerStepMax + 2 },
    (_, n) => ["file_read", { n }, `c${n}`] as const,
  );
  const sandbox = new RecordingSandbox({ file_read: () => "x" });
  const events = await run(toInput(), toDeps(scriptedProvider(calls(...many), says("ok")), sandbox));
  assertSoundTurn(events);
  assert.equal(sandbox.requests.length, LIMITS.toolCallsPerStepMax);
  const codes = events.filter((event) => event.type === "tool_result").map((event) => event.payload.code);
  assert.deepEqual(codes.slice(-3), ["ok", "tool_calls_too_many", "tool_calls_too_many"]);
});

Deno.test("runTurn() shows retries and keeps them in the result", async () => {
  const provider = scriptedProvider([
    { type: "retry", attempt: 1, waitMs: 250, code: "provider_rate_limited", message: "429" },
    ...says("late"),
  ]);
  const events = await run(toInput(), toDeps(provider));
  assert.equal(lines(events)[2], "progress [1/8] Attempt 2 in 0.3 s: 429");
  const result = events.find((event) => event.type === "model_result");
  assert.deepEqual(result!.payload.retries, [
    { attempt: 1, waitMs: 250, code: "provider_rate_limited", message: "429" },
  ]);
});

Deno.test("runTurn() fails when the provider fails, and keeps what was shown", async () => {
  const broken = { type: "failed", code: "provider_interrupted", message: "cut", retryable: true } as const;
  const cases: readonly [readonly ModelEvent[], string][] = [
    [[{ type: "failed", code: "provider_auth", message: "set OPENAI_API_KEY", retryable: false }], ""],
    [[{ type: "text", text: "half a sen" }, broken], "half a sen"],
    [[{ type: "text", text: "I will" }, calls(["file_write", {}])[0]!, broken], "I will"],
  ];
  for (const [script, text] of cases) {
    const sandbox = new RecordingSandbox({ file_write: () => "w" });
    const events = await run(toInput(), toDeps(scriptedProvider(script), sandbox));
    assertSoundTurn(events);
    const result = events.findLast((event) => event.type === "model_result")!;
    assert.deepEqual([result.payload.text, result.payload.finishReason, result.payload.toolCalls], [
      text,
      "failed",
      [],
    ]);
    const end = events.at(-1)!;
    const cause = script.at(-1)!;
    assert.ok(end.type === "turn_failed" && cause.type === "failed");
    assert.deepEqual([end.payload.code, end.payload.message], [cause.code, cause.message]);
    assert.deepEqual(sandbox.requests, []);
  }
});

Deno.test("runTurn() asks once more after an empty reply, and fails after the second", async () => {
  const empty: ModelEvent[] = [{ type: "done", finishReason: "stop" }];
  const provider = scriptedProvider(empty, says("here"));
  const events = await run(toInput(), toDeps(provider));
  assert.equal(lines(events).at(-1), "turn_done here");
  assert.deepEqual(provider.requests.map((request) => request.messages.length), [2, 2]);
  assert.match(provider.requests[1]!.messages[0]!.content, /^be good\n\nYour last reply was empty/);

  const failing = await run(toInput(), toDeps(scriptedProvider(empty)));
  assertSoundTurn(failing);
  assert.match(lines(failing).at(-1)!, /^turn_failed provider_protocol The model answered twice with nothing/);
});

Deno.test("runTurn() takes a picture without words as an answer, keeps its bytes, and tells the model of it", async () => {
  const media = { mimeType: "image/png", data: btoa("picture") };
  const drawn: ModelEvent[] = [{ type: "media", media }, { type: "done", finishReason: "stop" }];
  const provider = scriptedProvider([...drawn.slice(0, 1), ...calls(["file_read", {}])], drawn);
  const events = await run(toInput(), toDeps(provider, new RecordingSandbox({ file_read: () => "x" })));
  assertSoundTurn(events);
  assert.equal(lines(events).at(-1), "turn_done ");
  const results = events.filter((event) => event.type === "model_result");
  assert.deepEqual(results.map((event) => event.blobs?.map((blob) => new TextDecoder().decode(blob.content))), [
    ["picture"],
    ["picture"],
  ]);
  assert.deepEqual(results[0]!.payload.media, results[1]!.payload.media);
  assert.equal(provider.requests[1]!.messages[2]!.content, "[made and shown: image/png]");
});

Deno.test("runTurn() forgets an empty reply when the next one is none", async () => {
  const empty: ModelEvent[] = [{ type: "done", finishReason: "stop" }];
  const provider = scriptedProvider(empty, calls(["file_read", {}]), empty, says("here"));
  const events = await run(toInput(), toDeps(provider, new RecordingSandbox({ file_read: () => "x" })));
  assert.equal(lines(events).at(-1), "turn_done here");
});

Deno.test("runTurn() takes the text before the tools as the answer when nothing follows them", async () => {
  const first: ModelEvent[] = [{ type: "text", text: "Saved." }, ...calls(["file_write", {}])];
  const provider = scriptedProvider(first, [{ type: "done", finishReason: "stop" }]);
  const events = await run(toInput(), toDeps(provider, new RecordingSandbox({ file_write: () => "ok" })));
  assert.equal(lines(events).at(-1), "turn_done Saved.");
  assertSoundTurn(events);
});

Deno.test("runTurn() answers the third equal call with a hint and stops at the fourth", async () => {
  const sandbox = new RecordingSandbox({ file_write: () => "same" });
  const provider = scriptedProvider(calls(["file_write", { a: 1 }]));
  const events = await run(toInput(), toDeps(provider, sandbox));
  assertSoundTurn(events);
  assert.equal(sandbox.requests.length, 2);
  const codes = events.filter((event) => event.type === "tool_result").map((event) => event.payload.code);
  assert.deepEqual(codes, ["ok", "ok", "turn_stuck", "turn_stuck"]);
  const end = events.at(-1)!;
  assert.ok(end.type === "turn_failed" && end.payload.code === "turn_stuck" && end.payload.steps === 4);
});

Deno.test("runTurn() cuts a long result for the model and keeps the whole as a blob", async () => {
  const output = "é".repeat(20_000);
  const provider = scriptedProvider(calls(["file_read", {}]), says("long"));
  const events = await run(toInput(), toDeps(provider, new RecordingSandbox({ file_read: () => output })));
  const result = events.find((event) => event.type === "tool_result")!;
  assert.ok(result.payload.truncated);
  assert.ok(new TextEncoder().encode(result.payload.text).length <= LIMITS.toolResultBytesMax);
  assert.match(result.payload.text, /é\n\[output truncated — original size: 40000 bytes\]$/);
  assert.equal(new TextDecoder().decode(result.blobs![0]!.content), output);
  assert.equal(provider.requests[1]!.messages.at(-1)!.content, result.payload.text);
});

Deno.test("runTurn() throws a programmer error on, after what runs was stopped", async () => {
  const sandbox = new RecordingSandbox({
    file_read: ({ callId }) => {
      if (callId === "bad") throw new TypeError("a bug");
      return new Promise(() => {});
    },
  });
  const provider = scriptedProvider(calls(["file_read", {}, "bad"], ["file_read", { n: 1 }, "good"]));
  await assert.rejects(run(toInput(), toDeps(provider, sandbox)), TypeError);
  assert.deepEqual(sandbox.journal, ["start:bad", "end:bad", "start:good", "end:good"]);
});

Deno.test("runTurn() passes maxOutputTokens, the time of a call and the tools to the provider and into the log", async () => {
  const provider = scriptedProvider(says("ok"));
  const events = await run(toInput({ maxOutputTokens: 77, tools: [tool("file_read")] }), toDeps(provider));
  const request = provider.requests[0]!;
  assert.deepEqual([request.model, request.maxOutputTokens, request.timeoutMs], ["m", 77, 60_000]);
  assert.deepEqual(request.tools.map((entry) => entry.name), ["file_read"]);
  const recorded = events.find((event) => event.type === "model_request")!;
  assert.deepEqual(recorded.payload.parameters, { timeoutMs: 60_000, maxOutputTokens: 77, tools: ["file_read"] });
  assert.match(recorded.payload.window.sha256, /^[0-9a-f]{64}$/);
});

Deno.test("runTurn() says for each model call which events of the log it saw", async () => {
  const provider = scriptedProvider(
    calls(["file_read", {}, "a"], ["file_read", "{", "b"]),
    calls(["file_list", {}, "c"]),
    says("ok"),
  );
  const history = [
    { seq: 3, message: { role: "user", content: "x" } },
    { seq: 5, message: { role: "assistant", content: "y", toolCalls: [] } },
    { seq: 9, message: { role: "user", content: "z" } },
  ] as const;
  const sandbox = new RecordingSandbox({ file_read: () => "1", file_list: () => "2" });
  const events = (await run(toInput({ history, lastSeq: 9 }), toDeps(provider, sandbox))).filter(isDurable);
  const ranges = events.filter((event) => event.type === "model_request").map((event) => event.payload.window);
  const placeOf = (callId: string) =>
    10 + events.findIndex((event) => event.type === "tool_result" && event.payload.callId === callId);
  assert.deepEqual(ranges.map((range) => [range.fromSeq, range.toSeq, range.messages]), [
    [3, 9, 4],
    [3, placeOf("b"), 7],
    [3, placeOf("c"), 9],
  ]);
});
