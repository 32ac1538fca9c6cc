import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { ModelEvent, ModelRequest } from "#/core/provider.ts";
import { type ReplyOptions, ResponsesReply } from "#/provider/responses_reply.ts";
import { StreamError } from "#/provider/sse.ts";
import type { Said, SaidEnd } from "../fake/dialect.ts";
import { RESPONSES } from "../fake/responses_dialect.ts";

const REQUEST: ModelRequest = { model: "m", messages: [], tools: [], timeoutMs: 1_000 };
const item = (fields: object, output_index = 0) => ({ output_index, item: fields });
const done = (fields: object, output_index = 0) => ({
  type: "response.output_item.done",
  ...item(fields, output_index),
});
const completed = (fields: object = {}) => ({ type: "response.completed", response: { id: "resp_1", ...fields } });

/** What a reader makes of values, its last events included. */
function readAll(values: readonly unknown[], options: Partial<ReplyOptions> = {}): ModelEvent[] {
  const reply = new ResponsesReply(REQUEST, { name: "acme", ...options });
  const events = values.flatMap((value) => reply.read(value));
  assert.equal(
    reply.isComplete,
    events.length >= 0 && values.some((value) => /completed|incomplete/.test(typeOf(value))),
  );
  return [...events, ...reply.finish()];
}

function typeOf(value: unknown): string {
  return (value as { type: string }).type.replace(/^response\.(?!completed|incomplete).*/, "");
}

function readSaid(said: readonly Said[], end: SaidEnd, options: Partial<ReplyOptions> = {}): ModelEvent[] {
  return readAll(RESPONSES.toEvents(said, end).map(({ data }) => JSON.parse(data)), options);
}

Deno.test("ResponsesReply turns a whole reply into events, each thing once", () => {
  const usage = { promptTokens: 11, completionTokens: 7, cachedTokens: 3, reasoningTokens: 2, totalTokens: 18 };
  const said: Said[] = [
    { kind: "reasoning", text: "Hm." },
    { kind: "text", text: "Hello." },
    { kind: "call", id: "c1", name: "file_read", args: '{"path":"/shared/ä"}', fragments: 5 },
    { kind: "call", id: "c2", name: "now", args: "" },
    { kind: "media", mimeType: "image/webp", data: "AAAA" },
  ];
  assert.deepEqual(readSaid(said, { reason: "tool_calls", usage }, { covers: "f1" }), [
    { type: "reasoning", text: "Hm." },
    { type: "text", text: "Hello." },
    { type: "media", media: { mimeType: "image/webp", data: "AAAA" } },
    { type: "tool_call", call: { id: "c1", name: "file_read", arguments: '{"path":"/shared/ä"}' } },
    { type: "tool_call", call: { id: "c2", name: "now", arguments: "{}" } },
    { type: "usage", usage },
    {
      type: "replay",
      replay: {
        provider: "acme",
        model: "m",
        data: {
          kept: { id: "resp_1", covers: "f1" },
          thoughts: {
            type: "reasoning",
            id: "item_0",
            summary: [{ type: "summary_text", text: "Hm." }],
            encrypted_content: "sealed:0",
          },
        },
      },
    },
    { type: "done", finishReason: "tool_calls" },
  ]);
});

Deno.test("ResponsesReply takes what comes whole from vendors that stream no pieces", () => {
  const events = readAll([
    done({ type: "message", content: [{ type: "output_text", text: "Hi" }, { type: "refusal", refusal: " no" }] }),
    { type: "response.function_call_arguments.done", output_index: 1, arguments: '{"a":1}' },
    done({ type: "function_call", call_id: "c1", name: "t", arguments: '{"a":1}' }, 1),
    done({ type: "function_call", call_id: "c2", name: "u", arguments: '{"b":2}' }, 2),
    done({ type: "image_generation_call", result: "AAAA", output_format: "svg" }, 3),
    done({ type: "image_generation_call", result: null }, 4),
    completed(),
  ]);
  assert.deepEqual(events, [
    { type: "text", text: "Hi" },
    { type: "text", text: " no" },
    { type: "media", media: { mimeType: "image/svg+xml", data: "AAAA" } },
    { type: "tool_call", call: { id: "c1", name: "t", arguments: '{"a":1}' } },
    { type: "tool_call", call: { id: "c2", name: "u", arguments: '{"b":2}' } },
    { type: "done", finishReason: "tool_calls" },
  ]);
});

Deno.test("ResponsesReply shows refusals as text, both kinds of thoughts, and parts them", () => {
  const events = readAll([
    { type: "response.reasoning_summary_part.added", summary_index: 0 },
    { type: "response.reasoning_summary_text.delta", delta: "One." },
    { type: "response.reasoning_summary_part.added", summary_index: 1 },
    { type: "response.reasoning_text.delta", delta: "Two." },
    { type: "response.refusal.delta", delta: "I will not." },
    completed(),
  ]);
  assert.deepEqual(events.map((event) => "text" in event ? event.text : event.type), [
    "One.",
    "\n\n",
    "Two.",
    "I will not.",
    "done",
  ]);
});

Deno.test("ResponsesReply skips what it does not know, whatever is in it", () => {
  const strange = [
    { type: "response.audio.delta", delta: 5 },
    { type: "response.output_text.annotation.added", annotation: null },
    { type: "keepalive" },
    { type: "response.output_item.added", item: { type: "web_search_call", action: {} } },
    done({ type: "web_search_call", status: "completed" }),
  ];
  assert.deepEqual(readAll([...strange, completed()]), [{ type: "done", finishReason: "stop" }]);
});

Deno.test("ResponsesReply says why a reply was cut, and keeps no place to go on from", () => {
  const table = [["max_output_tokens", "length"], ["content_filter", "content_filter"], [undefined, "incomplete"]];
  for (const [reason, finishReason] of table) {
    const response = { id: "resp_1", ...(reason ? { incomplete_details: { reason } } : {}) };
    assert.deepEqual(readAll([{ type: "response.incomplete", response }], { covers: "f1" }), [{
      type: "done",
      finishReason,
    }]);
  }
});

Deno.test("ResponsesReply keeps an id only when it was asked to and the vendor keeps the response", () => {
  const kept = (fields: object, options: Partial<ReplyOptions>) =>
    readAll([completed(fields)], options).some((event) => event.type === "replay");
  assert.equal(kept({}, { covers: "f1" }), true);
  assert.equal(kept({ store: true }, {}), false);
  assert.equal(kept({ store: false }, { covers: "f1" }), false);
  assert.equal(kept({ id: null }, { covers: "f1" }), false);
});

Deno.test("ResponsesReply sends back no thoughts of a reply that had several: each belongs before what it led to", () => {
  const thoughts = { type: "reasoning", id: "rs", summary: [], encrypted_content: "x" };
  const count = (items: readonly object[]) =>
    readAll([...items.map((each, at) => done(each, at)), completed()]).filter((e) => e.type === "replay").length;
  assert.equal(count([thoughts]), 1);
  assert.equal(count([thoughts, thoughts]), 0);
  assert.equal(count([{ ...thoughts, encrypted_content: null }]), 0);
});

Deno.test("ResponsesReply refuses an answer that does not go on from where it was told to", () => {
  const created = (previous: unknown) => ({ type: "response.created", response: { previous_response_id: previous } });
  const delta = { type: "response.output_text.delta", delta: "Hi" };
  const read = (...values: readonly unknown[]) => () => readAll(values, { chain: "resp_0" });
  for (
    const values of [[created(null), delta], [created("resp_9"), delta], [delta], [completed()], [
      created(null),
      completed(),
    ]]
  ) {
    assert.throws(read(...values), (error) => error instanceof AppError && error.code === "provider_rejected");
  }
  assert.equal(read(created("resp_0"), delta, completed())().at(-1)?.type, "done");
});

Deno.test("ResponsesReply throws what the vendor failed with", () => {
  const failures = [
    { type: "response.failed", response: { error: { code: "server_error", message: "sorry" } } },
    { type: "response.failed", response: {} },
    { type: "error", code: "server_error", message: "sorry" },
  ];
  for (const failure of failures) assert.throws(() => readAll([failure]), StreamError);
});

Deno.test("ResponsesReply refuses what is no event", () => {
  const delta = "response.output_text.delta";
  for (
    const wrong of [5, null, {}, { type: 5 }, { type: delta }, { type: delta, delta: 5 }, {
      type: "response.completed",
    }]
  ) {
    assert.throws(() => new ResponsesReply(REQUEST, { name: "acme" }).read(wrong), JSON.stringify(wrong));
  }
  assert.throws(() => readAll([done({ type: "image_generation_call", result: "<html>" })]), /not base64/);
});

Deno.test("ResponsesReply bounds text and calls", () => {
  const half = "x".repeat(LIMITS.replyCharsMax / 2);
  const reply = new ResponsesReply(REQUEST, { name: "acme" });
  reply.read({ type: "response.output_text.delta", delta: half });
  reply.read({ type: "response.reasoning_text.delta", delta: half });
  assert.throws(() => reply.read({ type: "response.refusal.delta", delta: "x" }), /longer than/);
  const calls = Array.from(
    { length: LIMITS.replyToolCallsMax + 1 },
    (_, at) => done({ type: "function_call", call_id: `c${at}`, name: "t", arguments: "{}" }, at),
  );
  assert.equal(readAll([...calls.slice(1), completed()]).length, LIMITS.replyToolCallsMax + 1);
  assert.throws(() => readAll(calls), /more than/);
});

Deno.test("ResponsesReply without its end event is interrupted", () => {
  const [only, ...rest] = readAll([{ type: "response.created", response: {} }]);
  assert.ok(only?.type === "failed" && only.code === "provider_interrupted");
  assert.deepEqual(rest, []);
});
