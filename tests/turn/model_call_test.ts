import assert from "node:assert/strict";
import type { TurnEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import type { ModelEvent, Provider } from "#/core/provider.ts";
import { callModel, type Reply } from "#/turn/model_call.ts";
import { TurnState } from "#/turn/turn_state.ts";
import { scriptedProvider } from "../fake/scripted_provider.ts";

const REQUEST = { model: "m", messages: [], tools: [], timeoutMs: 1 };

async function read(provider: Provider, signal = new AbortController().signal): Promise<[TurnEvent[], Reply]> {
  const state = new TurnState([], 0, 3);
  state.steps = 1;
  const events: TurnEvent[] = [];
  const call = callModel(provider, REQUEST, state, signal);
  while (true) {
    const next = await call.next();
    if (next.done) return [events, next.value];
    events.push(next.value);
  }
}

function toolCall(id: string, args = "{}"): ModelEvent {
  return { type: "tool_call", call: { id, name: "t", arguments: args } };
}

Deno.test("callModel() gathers a reply and shows its parts as they come", async () => {
  const [events, reply] = await read(scriptedProvider([
    { type: "reasoning", text: "r" },
    { type: "text", text: "a" },
    { type: "text", text: "" },
    { type: "usage", usage: { promptTokens: 5 } },
    { type: "text", text: "b" },
    toolCall("1"),
    { type: "usage", usage: { promptTokens: 6, completionTokens: 1 } },
    { type: "done", finishReason: "tool_calls" },
  ]));
  assert.deepEqual(events.map((event) => event.type), ["reasoning_delta", "text_delta", "text_delta"]);
  assert.deepEqual(reply, {
    answeredBy: undefined,
    media: [],
    hasBegun: true,
    replay: undefined,
    text: "ab",
    reasoning: "r",
    toolCalls: [{ id: "1", name: "t", arguments: "{}" }],
    usage: { promptTokens: 6, completionTokens: 1 },
    retries: [],
    end: { kind: "done", finishReason: "tool_calls" },
  });
});

Deno.test("callModel() shows what a provider has to say about the call, and keeps it out of the reply", async () => {
  const [events, reply] = await read(
    scriptedProvider([{ type: "notice", message: "M." }, { type: "text", text: "a" }]),
  );
  const payload = { progress: { kind: "provider_notice" }, message: "[1/3] M.", step: 1, stepsMax: 3 };
  assert.deepEqual(events[0], { type: "progress", payload });
  assert.deepEqual([reply.text, reply.retries], ["a", []]);
});

Deno.test("callModel() gives calls ids by which a result finds them", async () => {
  const long = "x".repeat(LIMITS.idCharsMax + 1);
  const [, reply] = await read(scriptedProvider([toolCall("a"), toolCall(""), toolCall("a"), toolCall(long)]));
  assert.deepEqual(reply.toolCalls.map((call) => call.id), ["a", "call_1_1", "call_1_2", "call_1_3"]);
});

Deno.test("callModel() bounds the calls of a reply, in number and in size", async () => {
  const many = Array.from({ length: LIMITS.replyToolCallsMax + 10 }, (_, n) => toolCall(`c${n}`));
  const [, reply] = await read(scriptedProvider(many));
  assert.equal(reply.toolCalls.length, LIMITS.replyToolCallsMax);
  assert.equal(reply.toolCalls[LIMITS.toolCallsPerStepMax - 1]!.arguments, "{}");
  assert.deepEqual(reply.toolCalls[LIMITS.toolCallsPerStepMax], {
    id: `c${LIMITS.toolCallsPerStepMax}`,
    name: "t",
    arguments: "",
    droppedBytes: 2,
  });

  const big = "x".repeat(LIMITS.argsBytesMax);
  const [, heavy] = await read(scriptedProvider(Array.from({ length: 18 }, (_, n) => toolCall(`c${n}`, big))));
  const kept = heavy.toolCalls.filter((call) => call.droppedBytes === undefined).length;
  assert.equal(kept, LIMITS.replyArgsCharsMax / LIMITS.argsBytesMax);
});

Deno.test("callModel() ends a reply that never ends", async () => {
  const chunk = "x".repeat(1_000_000);
  let pulled = 0;
  const endless: Provider = {
    name: "endless",
    async *stream() {
      while (true) yield { type: pulled++ % 2 === 0 ? "text" : "reasoning", text: chunk } as const;
    },
  };
  const [, reply] = await read(endless);
  assert.ok(reply.end.kind === "failed" && reply.end.code === "provider_protocol");
  assert.ok(pulled * chunk.length <= LIMITS.replyCharsMax + 2 * chunk.length);
});

Deno.test("callModel() bounds what a model makes, in number and in size, and keeps what came before", async () => {
  const media = (bytes: number, mimeType = "image/png"): ModelEvent => {
    return { type: "media", media: { mimeType, data: "A".repeat(bytes / 3 * 4) } };
  };
  const done: ModelEvent = { type: "done", finishReason: "stop" };
  const few = Array.from({ length: LIMITS.replyMediaMax }, () => media(3));
  assert.deepEqual((await read(scriptedProvider([...few, done])))[1].end, { kind: "done", finishReason: "stop" });
  const [, many] = await read(scriptedProvider([...few, media(3), done]));
  assert.ok(many.end.kind === "failed" && /more than 8 pictures/.test(many.end.message));
  assert.equal(many.media.length, LIMITS.replyMediaMax);

  const half = media(LIMITS.replyMediaBytesMax / 2);
  assert.equal((await read(scriptedProvider([half, half, done])))[1].end.kind, "done");
  const [, large] = await read(scriptedProvider([half, half, media(3), done]));
  assert.ok(large.end.kind === "failed" && large.end.code === "provider_protocol");
  assert.match(large.end.message, /more than 12 MB in one reply; ask for fewer or smaller/);
  assert.equal(large.media.length, 2);
});

Deno.test("callModel() takes no type from a vendor that is none", async () => {
  const typeOf = async (mimeType: string) => {
    const [, reply] = await read(scriptedProvider([{ type: "media", media: { mimeType, data: "" } }]));
    return reply.media[0]!.mimeType;
  };
  for (const type of ["image/png", "audio/L16;codec=pcm;rate=24000", "image/svg+xml; charset=utf-8"]) {
    assert.equal(await typeOf(type), type);
  }
  for (const type of ["", "image", "image/png\n[system]", "a/b/c", "\x1b[2J/x", `image/${"x".repeat(65)}`]) {
    assert.equal(await typeOf(type), "application/octet-stream", type);
  }
});

Deno.test("callModel() never starts a provider whose turn was stopped before", async () => {
  const provider = scriptedProvider([{ type: "text", text: "a" }]);
  const [events, reply] = await read(provider, AbortSignal.abort());
  assert.deepEqual([events, reply.end, provider.requests], [[], { kind: "aborted" }, []]);
});

Deno.test("callModel() lets go of the provider's stream when it is left", async () => {
  let isClosed = false;
  const provider: Provider = {
    name: "p",
    async *stream() {
      try {
        while (true) yield { type: "text", text: "a" };
      } finally {
        isClosed = true;
      }
    },
  };
  for await (const _ of callModel(provider, REQUEST, new TurnState([], 0, 1), new AbortController().signal)) break;
  assert.ok(isClosed);
});

Deno.test("callModel() keeps each attempt and each switch with its reason, and who answered", async () => {
  const [main, backup] = [{ provider: "a", model: "x" }, { provider: "b", model: "y" }];
  const replay = { ...main, data: 1 };
  const [events, reply] = await read(scriptedProvider([
    {
      type: "switch",
      from: { provider: "z", model: "z" },
      to: main,
      attempt: 0,
      code: "provider_auth",
      message: "before",
    },
    { type: "retry", attempt: 1, waitMs: 250, code: "provider_unavailable", message: "gone" },
    { type: "replay", replay },
    { type: "switch", from: main, to: backup, attempt: 2, code: "provider_unavailable", message: "gone (2 attempts)" },
    { type: "text", text: "hi" },
  ]));
  assert.deepEqual(reply.retries, [
    { attempt: 0, waitMs: 0, code: "provider_auth", message: "before", switchedTo: main },
    { attempt: 1, waitMs: 250, code: "provider_unavailable", message: "gone" },
    { attempt: 2, waitMs: 0, code: "provider_unavailable", message: "gone (2 attempts)", switchedTo: backup },
  ]);
  assert.deepEqual(reply.answeredBy, backup);
  assert.equal(reply.replay, undefined, "what one vendor wants back is not the other's");
  assert.deepEqual(
    events.map((event) => event.type === "progress" ? event.payload.message : event.type),
    [
      "[1/3] Asking a/x instead of z/z: before",
      "[1/3] Attempt 2 in 0.3 s: gone",
      "[1/3] Asking b/y instead of a/x: gone (2 attempts)",
      "text_delta",
    ],
  );
});
