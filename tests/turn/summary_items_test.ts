import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { findItems, holdsWhole, type Said, SPEAKERS, toComparable } from "#/turn/summary_items.ts";

function found(text: string, changes: Partial<Said> = {}): string[] {
  return findItems({ by: "person", text, ...changes }).map((item) => `${item.kind}: ${item.text}`);
}

Deno.test("findItems() finds what a summary must not lose, and leaves the rest", () => {
  const id = "0198f1a2-0000-7000-8000-000000000000";
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ["Nothing special here, only 3 words and a dot.", []],
    ["Write to anna.b+x@example.com!", ["reference: anna.b+x@example.com"]],
    ["See (https://example.com/a?b=1&c=2).", ["reference: https://example.com/a?b=1&c=2"]],
    ["In /shared/a bb.txt and /tmp/x/, or ~/y.", [
      "reference: /shared/a",
      "reference: bb.txt",
      "reference: /tmp/x/",
      "reference: ~/y",
    ]],
    ["It ends with /shared/a.txt.", ["reference: /shared/a.txt"]],
    ["src/turn/turn.ts, ../x/y.md and and/or", ["reference: src/turn/turn.ts", "reference: ../x/y.md"]],
    [`note-${id} or ${id}`, [`reference: note-${id}`, `reference: ${id}`]],
    ["commit 7a63e80f1 of INV-2024-001, v1.2.3, #42, A4", [
      "reference: 7a63e80f1",
      "reference: INV-2024-001",
      "reference: v1.2.3",
      "reference: #42",
      "reference: A4",
    ]],
    ["report.pdf, Grüße.docx and e.g. this", ["reference: report.pdf", "reference: Grüße.docx"]],
    ["`fooBar()` and `x`", ["reference: fooBar()"]],
    ["10 MB, €1,250.50, 7 %, 5 days, -3 °C, 1 file", [
      "number: 10 MB",
      "number: €1,250.50",
      "number: 7 %",
      "number: 5 days",
      "number: -3 °C",
    ]],
    ["on 2024-10-05 at 10:30, March 5, 12. Dezember", [
      "number: 2024-10-05",
      "number: 10:30",
      "number: March 5",
      "number: 12",
    ]],
    ["合计 250 元, 截止 3月5日", [
      "number: 250 元",
      "reference: 3月5日",
      "commitment: 合计 250 元, 截止 3月5日",
    ]],
  ];
  for (const [text, expected] of cases) assert.deepEqual(found(text), expected, text);
});

Deno.test("findItems() takes what binds someone from those who can be bound", () => {
  const text = "It is fine. I will send it by Friday! See 12 pages in /shared/a.";
  const [numbers, path] = [["number: 12"], "reference: /shared/a"];
  assert.deepEqual(found(text), ["commitment: I will send it by Friday!", ...numbers, path]);
  assert.deepEqual(found(text, { by: "notes" }), found(text));
  assert.deepEqual(found(text, { by: "assistant" }), found(text));
  assert.deepEqual(found(text, { by: "assistant", isStep: true }), [...numbers, path], "done at once");
  assert.deepEqual(found(text, { by: "call" }), [...numbers, path]);
  assert.deepEqual(found(text, { by: "result" }), [path], "a page binds nobody");
  assert.deepEqual(SPEAKERS, ["person", "notes", "assistant", "call", "result"]);
});

Deno.test("findItems() says in which sentence each stood", () => {
  const [item] = findItems({ by: "person", text: "Hello.\n- My number is 4711. Bye." });
  assert.deepEqual([item!.text, item!.line], ["4711", "My number is 4711."]);
});

Deno.test("findItems() reads summaryScanCharsMax of a text, whatever stands in it, in time that its length makes", () => {
  const max = LIMITS.summaryScanCharsMax;
  assert.deepEqual(found(`${"x ".repeat(max / 2 - 2)} 42`), ["number: 42"]);
  assert.deepEqual(found(`${"x ".repeat(max / 2)} 42`), []);
  // Each of these makes a pattern that looks ahead or backtracks without a bound take minutes.
  for (
    const part of ["a-", "a.", "a/", "1.", "a", "0a", "1’", "/", "@", "a@", "`", "+", "a:", "/a.", "must ", "-1", "é_"]
  ) {
    assert.ok(found(part.repeat(max / part.length)).length <= max, part);
  }
});

Deno.test("holdsWhole() finds an item by itself, and not as a part of a longer one", () => {
  const cases: readonly (readonly [item: string, text: string, expected: boolean])[] = [
    ["/shared/a.txt", "see /shared/a.txt", true],
    ["/shared/a.txt", "see /shared/a.txt.", true],
    ["/shared/a.txt", "(/shared/a.txt), too", true],
    ["/shared/a.txt", "see /shared/a.txt.bak", false],
    ["/shared/a.txt", "see /shared/a.txt.bak and /shared/a.txt", true],
    ["/shared/a.txt", "x/shared/a.txt", false],
    ["/shared/a", "/shared/a/b", false],
    ["/shared", "/shared-old", false],
    ["a.txt", "/shared/a.txt", false],
    ["/shared/a.txt", "/shared/\u0430.txt", false],
    ["10", "100", false],
    ["10", "10", true],
    ["10", "10.5", false],
    ["10", "1,10", false],
    ["10", "ten (10), or so", true],
    ["10", "10, 20", true],
    ["10", "2024-10-05", false],
    ["10", "v10", false],
    ["10", "-10", false],
    ["10 MB", "10MB", true],
    ["10 MB", "10 GB", false],
    ["10 MB", "110 MB", false],
    ["1,000", "1000 of them", true],
    ["1,000", "10,000", false],
    ["€ 5", "€5", true],
    ["Anna@Example.com", "anna@example.com", true],
    ["anna@example.com", "joanna@example.com", false],
    ["anna@example.com", "anna@example.com.evil.org", false],
    ["https://a.org/x", "https://a.org/xy", false],
    ["#42", "#421", false],
  ];
  for (const [item, text, expected] of cases) {
    assert.equal(holdsWhole(toComparable(text), toComparable(item)), expected, `${item} in ${text}`);
  }
});
