import assert from "node:assert/strict";
import type { EventPayloads, EventType, StoredEvent } from "#/core/event.ts";
import type { ToolCall } from "#/core/message.ts";
import { toHistory, toReplyMessage } from "#/turn/history.ts";
import { assertValidHistory, PRINCIPAL } from "./turn_kit.ts";

/** A log as it grows: each call appends one event. */
function toLog() {
  const events: StoredEvent[] = [];
  const add = <T extends EventType>(turn: string, type: T, payload: EventPayloads[T]) => {
    events.push({ seq: events.length + 1, session: "s", turn, type, v: 1, at: 0, payload, blobs: [] } as never);
  };
  return {
    events,
    user: (turn: string, text: string) => add(turn, "user_message", { text, channel: "test" }),
    reply: (turn: string, text: string, ...ids: string[]) =>
      add(turn, "model_result", { step: 1, text, toolCalls: ids.map(toCall), finishReason: "stop", usage: {} }),
    intent: (turn: string, callId: string) =>
      add(turn, "tool_intent", {
        callId,
        step: 1,
        tool: "t",
        effect: "side_effecting",
        args: {},
        argsSha256: "0",
        principal: PRINCIPAL,
      }),
    result: (turn: string, callId: string, text: string) =>
      add(turn, "tool_result", {
        callId,
        tool: "t",
        ok: true,
        code: "ok",
        text,
        outputBytes: 1,
        truncated: false,
        elapsedMs: 1,
      }),
    done: (turn: string, text: string) =>
      add(turn, "turn_done", { text, finishReason: "stop", steps: 1, toolCalls: 0, denied: 0, usage: {} }),
    fail: (turn: string) => add(turn, "turn_failed", { code: "provider_auth", message: "secret words", steps: 1 }),
    cancel: (turn: string) => add(turn, "turn_cancelled", { reason: "x", steps: 1 }),
    add,
  };
}

function toCall(id: string): ToolCall {
  return { id, name: "t", arguments: "{}" };
}

/** One line a message: `seq role text`. */
function show(events: readonly StoredEvent[]): string[] {
  const history = toHistory(events);
  assertValidHistory(history.map((entry) => entry.message));
  return history.map(({ seq, message }) => `${seq} ${message.role} ${message.content}`);
}

const UNKNOWN = "interrupted; its outcome is unknown: check before you do it again";
const NOT_RUN = "not run: the turn ended before this call started";

Deno.test("toHistory() tells a finished turn as it was", () => {
  const log = toLog();
  log.user("t1", "hi");
  log.reply("t1", "I look", "a", "b");
  log.intent("t1", "a");
  log.result("t1", "a", "A");
  log.result("t1", "b", "B");
  log.reply("t1", "seen");
  log.done("t1", "seen");
  log.user("t2", "more");
  assert.deepEqual(show(log.events), [
    "1 user hi",
    "2 assistant I look",
    "4 tool A",
    "5 tool B",
    "6 assistant seen",
    "8 user more",
  ]);
});

Deno.test("toHistory() gives every call a result, whatever swallowed it", () => {
  const log = toLog();
  log.user("t1", "hi");
  log.reply("t1", "", "a", "b", "c");
  log.intent("t1", "a");
  log.intent("t1", "b");
  log.result("t1", "b", "B");
  log.fail("t1");
  assert.deepEqual(show(log.events), [
    "1 user hi",
    "2 assistant ",
    `2 tool ${UNKNOWN}`,
    "5 tool B",
    `2 tool ${NOT_RUN}`,
    "6 assistant [this turn failed: provider_auth]",
  ]);
});

Deno.test("toHistory() keeps what was said in a turn that ended early, and says that it did", () => {
  const log = toLog();
  log.user("t1", "one");
  log.reply("t1", "half a sen");
  log.cancel("t1");
  log.user("t2", "two");
  log.reply("t2", "");
  log.fail("t2");
  log.user("t3", "three");
  log.user("t4", "four");
  assert.deepEqual(show(log.events), [
    "1 user one",
    "2 assistant half a sen\n\n[this turn was cancelled]",
    "4 user two",
    "6 assistant [this turn failed: provider_auth]",
    "7 user three",
    "8 assistant [this turn was interrupted]",
    "8 user four",
  ]);
  assert.ok(!JSON.stringify(toHistory(log.events)).includes("secret words"));
});

Deno.test("toHistory() does not let a late end touch a newer turn", () => {
  const log = toLog();
  log.user("t1", "one");
  log.user("t2", "two");
  log.reply("t2", "", "a");
  log.fail("t1");
  log.result("t2", "a", "A");
  log.reply("t2", "yes");
  log.done("t2", "yes");
  log.cancel("t1");
  assert.equal(show(log.events).at(-1), "6 assistant yes");
  assert.ok(show(log.events).includes("5 tool A"));
});

Deno.test("toHistory() closes a turn whose answer stood before its tools", () => {
  const log = toLog();
  log.user("t1", "save");
  log.reply("t1", "Saved.", "a");
  log.result("t1", "a", "A");
  log.done("t1", "Saved.");
  log.user("t2", "thanks");
  assert.deepEqual(show(log.events).slice(3), ["4 assistant [this turn ended without further text]", "5 user thanks"]);
});

Deno.test("toHistory() takes a log that starts in the middle of a turn", () => {
  const log = toLog();
  log.user("t1", "hi");
  log.reply("t1", "", "a");
  log.intent("t1", "a");
  log.result("t1", "a", "A");
  log.reply("t1", "done");
  log.done("t1", "done");
  log.user("t2", "more");
  for (let from = 1; from < log.events.length; from++) {
    const messages = toHistory(log.events.slice(from)).map((entry) => entry.message);
    assert.equal(messages.at(-1)!.content, "more");
    assert.ok(messages[0]!.role !== "tool");
  }
  assert.deepEqual(toHistory([]), []);
});

Deno.test("toHistory() shows attachments of one turn only", () => {
  const log = toLog();
  const attachments = [{ mimeType: "image/png", data: "AAAA" }, { mimeType: "application/pdf", data: "BBBB" }];
  log.add("t1", "user_message", { text: "see", channel: "test", attachments });
  log.reply("t1", "seen");
  log.done("t1", "seen");
  log.add("t2", "user_message", { text: "again", channel: "test", attachments });
  const messages = toHistory(log.events, { attachmentsOf: "t2" }).map((entry) => entry.message);
  assert.deepEqual(messages[0], {
    role: "user",
    content: "see\n[attached then, no longer shown: image/png, application/pdf]",
  });
  assert.deepEqual(messages[2], { role: "user", content: "again", attachments });
});

Deno.test("toHistory() of a log cut anywhere is valid", () => {
  const log = toLog();
  log.user("t1", "hi");
  log.reply("t1", "x", "a", "b");
  log.intent("t1", "a");
  log.intent("t1", "b");
  log.result("t1", "a", "A");
  log.result("t1", "b", "B");
  log.reply("t1", "", "a");
  log.intent("t1", "a");
  log.result("t1", "a", "A again");
  log.reply("t1", "done");
  log.done("t1", "done");
  for (let length = 1; length <= log.events.length; length++) {
    const cut = toLog();
    cut.events.push(...log.events.slice(0, length));
    show(cut.events);
    cut.user("t2", "next");
    assert.equal(show(cut.events).at(-1), `${length + 1} user next`);
  }
});

Deno.test("toReplyMessage() leaves a line for what the model made, and nothing for a reply without anything", () => {
  const media = [{ mimeType: "image/png" }, { mimeType: "audio/wav" }];
  const contentOf = (text: string, more = {}) => toReplyMessage({ text, toolCalls: [], ...more })?.content;
  assert.equal(contentOf("Here.", { media }), "Here.\n[made and shown: image/png, audio/wav]");
  assert.equal(contentOf("", { media: media.slice(0, 1) }), "[made and shown: image/png]");
  assert.equal(contentOf("Here.", { media: [] }), "Here.");
  assert.equal(toReplyMessage({ text: "", toolCalls: [] }), undefined);
  assert.deepEqual(toReplyMessage({ text: "", toolCalls: [toCall("a")] }), {
    role: "assistant",
    content: "",
    toolCalls: [toCall("a")],
  });
});

Deno.test("toHistory() knows a turn whose only answer was a picture", () => {
  const log = toLog();
  log.user("t", "Draw a cat");
  const media = [{ sha256: "0", bytes: 1, mimeType: "image/png" }];
  log.add("t", "model_result", { step: 1, text: "", toolCalls: [], finishReason: "stop", usage: {}, media });
  log.done("t", "");
  const history = toHistory(log.events);
  assertValidHistory(history.map(({ message }) => message));
  assert.deepEqual(history.map(({ message }) => message.content), ["Draw a cat", "[made and shown: image/png]"]);
});

Deno.test("toHistory() leaves out what was asked for its own sake, wherever it stands", () => {
  const log = toLog();
  const summary = {
    step: 1,
    text: "notes",
    toolCalls: [],
    finishReason: "stop",
    usage: {},
    purpose: "summary",
  } as const;
  log.user("t", "read it");
  log.add("t", "model_result", summary);
  log.reply("t", "I read.", "c");
  log.intent("t", "c");
  // The turn goes on after a restart, and its window is full by then.
  log.add("t", "model_result", summary);
  log.result("t", "c", "content");
  log.reply("t", "It says so.");
  log.done("t", "It says so.");
  const messages = toHistory(log.events).map(({ message }) => message);
  assert.deepEqual(messages.map(({ content }) => content), ["read it", "I read.", "content", "It says so."]);
  assertValidHistory(messages);
});
