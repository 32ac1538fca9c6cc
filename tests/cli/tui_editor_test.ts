import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { type Draft, DRAFT_START, editDraft, insert, layoutDraft, sendDraft, setDraft } from "#/cli/tui_editor.ts";
import type { KeyName } from "#/cli/tui_keys.ts";

const at = (text: string): Draft => ({ ...DRAFT_START, text: text.replace("|", ""), cursor: text.indexOf("|") });
const show = ({ text, cursor }: Draft) => `${text.slice(0, cursor)}|${text.slice(cursor)}`;
const press = (draft: Draft, ...keys: KeyName[]) =>
  keys.reduce<Draft>((all, name) => editDraft(all, { type: "key", name }, 20)!, draft);

Deno.test("editDraft() moves and deletes by grapheme, word and line", () => {
  const cases: readonly (readonly [string, KeyName, string])[] = [
    ["a👨‍👩‍👧|b", "left", "a|👨‍👩‍👧b"],
    ["a|👨‍👩‍👧b", "right", "a👨‍👩‍👧|b"],
    ["e\u0301|", "backspace", "|"],
    ["a|漢b", "delete", "a|b"],
    ["|", "backspace", "|"],
    ["|", "left", "|"],
    ["a|", "right", "a|"],
    ["a|", "delete", "a|"],
    ["one\n|two", "backspace", "one|two"],
    ["one|\ntwo", "right", "one\n|two"],
    ["one|\ntwo", "delete", "one|two"],
    ["one two|", "word-left", "one |two"],
    ["one| two", "word-right", "one two|"],
    ["one two |", "kill-word", "one |"],
    ["a\nbc|d\ne", "home", "a\n|bcd\ne"],
    ["a\nb|cd\ne", "end", "a\nbcd|\ne"],
    ["a\nbc|d\ne", "kill-line", "a\n|d\ne"],
    ["a\nbc|d\ne", "kill-rest", "a\nbc|\ne"],
    ["|\na", "home", "|\na"],
    ["ab|c", "newline", "ab\n|c"],
  ];
  for (const [before, key, after] of cases) assert.equal(show(press(at(before), key)), after, `${before} ${key}`);
  assert.equal(editDraft(DRAFT_START, { type: "key", name: "tab" }, 20), undefined);
});

Deno.test("editDraft() moves between the lines as they are laid out, then into the history and back", () => {
  const draft: Draft = { ...DRAFT_START, history: ["first", "second"] };
  const typed = editDraft(draft, { type: "text", text: "mine", alone: false }, 20)!;
  assert.equal(press(typed, "up").text, "second");
  assert.equal(press(typed, "up", "up").text, "first");
  assert.equal(press(typed, "up", "up", "up").text, "first");
  assert.equal(press(typed, "up", "up", "down", "down").text, "mine");
  assert.equal(press(typed, "down").text, "mine");
  assert.equal(show(press(at("abcdef\nxy|"), "up")), "ab|cdef\nxy");
  assert.equal(show(press(at("ab|cdef\nxy"), "down")), "abcdef\nxy|");
  const wrapped = at(`${"x".repeat(25)}|`);
  assert.equal(press(wrapped, "up").cursor, 5);
});

Deno.test("insert() takes a text up to the limit of a message and refuses more as a whole", () => {
  const full = setDraft(DRAFT_START, "x".repeat(LIMITS.promptCharsMax - 1));
  assert.equal(insert(full, "y")!.text.length, LIMITS.promptCharsMax);
  assert.equal(insert(full, "yy"), undefined);
  assert.equal(editDraft(full, { type: "too-long" }, 20), undefined);
});

Deno.test("sendDraft() remembers what was sent, once, and forgets the oldest at its limits", () => {
  const send = (draft: Draft, text: string) => sendDraft(setDraft(draft, text));
  assert.deepEqual(send(send(send(DRAFT_START, "a"), "a"), " ").history, ["a"]);
  let many = DRAFT_START;
  for (let i = 0; i <= LIMITS.tuiHistoryMax; i++) many = send(many, `m${i}`);
  assert.deepEqual([many.history.length, many.history[0], many.text], [LIMITS.tuiHistoryMax, "m1", ""]);
  let large = DRAFT_START;
  const chars = LIMITS.promptCharsMax - 1;
  for (let i = 0; i < 7; i++) large = send(large, `${i}${"x".repeat(chars)}`);
  assert.equal(large.history.length, Math.floor(LIMITS.tuiHistoryCharsMax / LIMITS.promptCharsMax));
  assert.equal(large.history.at(-1)![0], "6");
});

Deno.test("layoutDraft() breaks at the width, counts wide characters twice and shows the rows around the cursor", () => {
  assert.deepEqual(layoutDraft(at("漢字|漢"), 5, 4), { lines: ["漢字", "漢"], x: 0, y: 1 });
  assert.deepEqual(layoutDraft(at("漢|字漢"), 5, 4), { lines: ["漢字", "漢"], x: 2, y: 0 });
  assert.deepEqual(layoutDraft(at("ab|"), 5, 4), { lines: ["ab"], x: 2, y: 0 });
  assert.deepEqual(layoutDraft(at("|"), 5, 4), { lines: [""], x: 0, y: 0 });
  const ten = Array.from({ length: 10 }, (_, i) => String(i)).join("\n");
  assert.deepEqual(layoutDraft(at(`${ten}|`), 5, 3), { lines: ["7", "8", "9"], x: 1, y: 2 });
  assert.deepEqual(layoutDraft(at(`|${ten}`), 5, 3), { lines: ["0", "1", "2"], x: 0, y: 0 });
  assert.deepEqual(layoutDraft(at("a\x1b[2J\t|"), 20, 3), { lines: ["a\\x1b[2J  "], x: 10, y: 0 });
});

Deno.test("layoutDraft() of a very long message lays out what is around the cursor and puts the cursor where it is", () => {
  const long = setDraft(DRAFT_START, `${"line of text\n".repeat(20_000)}the end`);
  const { lines, x, y } = layoutDraft(long, 40, 4);
  assert.deepEqual([lines.at(-1), x, y], ["the end", 7, 3]);
  const one = setDraft(DRAFT_START, "漢".repeat(200_000));
  assert.equal(layoutDraft(one, 40, 4).lines.length, 4);
  assert.equal(layoutDraft({ ...long, cursor: 0 }, 40, 4).lines[0], "line of text");
});
