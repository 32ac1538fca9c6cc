import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import type { Said } from "#/turn/summary_items.ts";
import { findReplyFault, type SummaryRequest, toExtract, toSummaryMessages } from "#/turn/summary_text.ts";

const SAID: readonly Said[] = [
  { by: "notes", text: "what was before" },
  { by: "person", text: "first question\nwith a second line" },
  { by: "assistant", text: "" },
  { by: "call", text: '{"path":"/shared/a"}' },
  { by: "result", text: "content" },
  { by: "person", text: "second question" },
];

function body(changes: Partial<SummaryRequest> = {}): string {
  const request = { said: SAID, wordsMax: 100, mark: "abc", tokensMax: 1_000, ...changes };
  const messages = toSummaryMessages(request, (text) => text.length);
  assert.deepEqual(messages.map(({ role }) => role), ["system", "user"]);
  return messages[1]!.content;
}

Deno.test("toSummaryMessages() shows the conversation as data between marks, in one message", () => {
  assert.equal(
    body(),
    `<<<abc>>>
EARLIER NOTES:
what was before

PERSON:
first question
with a second line

ASSISTANT CALLS A TOOL WITH:
{"path":"/shared/a"}

A TOOL RETURNS:
content

PERSON:
second question
<<<end abc>>>

Write the notes now.`,
  );
  const [system] = toSummaryMessages({ said: SAID, wordsMax: 77, mark: "abc", tokensMax: 9 }, () => 0);
  assert.match(system!.content, /at most 77 words/);
  assert.match(system!.content, /<<<abc>>> and <<<end abc>>>/);
});

Deno.test("toSummaryMessages() leaves out the oldest messages that do not fit, never the earlier notes", () => {
  const small = body({ tokensMax: 85 });
  assert.match(
    small,
    /what was before\n\n\[2 older messages are left out\]\n\nA TOOL RETURNS:\ncontent\n\nPERSON:\nsecond/,
  );
  assert.match(body({ tokensMax: 8 }), /what was before\n\n\[4 older messages are left out\]\n<<<end/);
});

Deno.test("toSummaryMessages() shows the beginning and the end of what is long", () => {
  const [result, message] = [LIMITS.summaryResultCharsMax, LIMITS.summaryMessageCharsMax];
  for (
    const [by, max] of [["result", result], ["call", result], ["person", message], ["assistant", message]] as const
  ) {
    const at = (length: number) => body({ said: [{ by, text: `<${"x".repeat(length - 2)}>` }], tokensMax: 1e9 });
    assert.ok(!at(max).includes("characters"), by);
    assert.match(at(max + 1), /<x+\n\[… 1 characters …\]\nx+>/, by);
  }
  assert.match(body({ said: [{ by: "notes", text: "n".repeat(101) }], tokensMax: 50 }), /n{50}\n\[… 1 characters …\]/);
  const notes = body({ said: [{ by: "notes", text: "n".repeat(message * 2) }], tokensMax: 1e9 });
  assert.ok(notes.includes("n".repeat(message * 2)));
});

Deno.test("toSummaryMessages() names what an attempt left out", () => {
  assert.match(body({ missing: ["/a/b", "4711"] }), /<<<end abc>>>\n\nAn earlier attempt.*\n- \/a\/b\n- 4711\n\nWrite/);
});

Deno.test("toExtract() is the earlier notes and first lines of what the person said, the newest that fit", () => {
  const all = "what was before\nWhat the person asked, in order:\n- first question\n- second question";
  assert.equal(toExtract(SAID, 1_000), all);
  assert.equal(toExtract(SAID, 40), "what was before\nWhat the person asked, in order:\n- second question");
  assert.equal(toExtract([], 100), "");
  const long = toExtract([{ by: "person", text: "x".repeat(5_000) }], 1_000);
  assert.ok(long.length < 300);
});

Deno.test("findReplyFault() tells a summary from what is none", () => {
  const reply = { text: "The person wants x.", toolCalls: [], finishReason: "stop", tokens: 5, tokensMax: 5 };
  const cases = [
    [{}, undefined],
    [{ text: " \n" }, "empty"],
    [{ toolCalls: [{}] }, "tool_call"],
    [{ finishReason: "content_filter" }, "refused"],
    [{ finishReason: "SAFETY" }, "refused"],
    [{ text: "I'm sorry, but I can't do that." }, "refused"],
    [{ text: "Es tut mir leid, das geht nicht." }, "refused"],
    [{ text: `Sorry was what the person said. ${"And more. ".repeat(50)}` }, undefined],
    [{ tokens: 6 }, "too_long"],
    [{ finishReason: "length" }, undefined],
  ] as const;
  for (const [changes, expected] of cases) assert.equal(findReplyFault({ ...reply, ...changes }), expected);
});
