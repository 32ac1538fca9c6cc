import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { type Key, KeyReader } from "#/cli/tui_keys.ts";

const names = (keys: readonly Key[]) =>
  keys.map((key) => key.type === "key" ? key.name : key.type === "too-long" ? key.type : `${key.type}:${key.text}`);
const read = (...chunks: string[]) => {
  const reader = new KeyReader();
  return names(chunks.flatMap((chunk) => reader.feed(chunk)));
};

Deno.test("KeyReader knows the keys of xterm, of the linux console and of the kitty protocol", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["\r", "enter"],
    ["\n", "newline"],
    ["\x1b\r", "newline"],
    ["\x1b[13;2u", "newline"],
    ["\x1b[13;3u", "newline"],
    ["\x1b[27;2;13~", "newline"],
    ["\x1b[13u", "enter"],
    ["\x1b[27u", "escape"],
    ["\x1b[99;5u", "interrupt"],
    ["\x1b[108;5:1u", "redraw"],
    ["\x1b[A", "up"],
    ["\x1bOB", "down"],
    ["\x1b[1~", "home"],
    ["\x1b[3~", "delete"],
    ["\x1bb", "word-left"],
    ["\x1b[1;5C", "word-right"],
    ["\x7f", "backspace"],
    ["\x1b\x7f", "kill-word"],
    ["\x03", "interrupt"],
    ["\t", "tab"],
    ["\x1b[?1u", "kitty"],
    ["ä", "text:ä"],
    ["\x1b[228u", "text:ä"],
  ];
  for (const [bytes, name] of cases) assert.deepEqual(read(bytes), [name], JSON.stringify(bytes));
});

Deno.test("KeyReader drops what is no key: unknown sequences, releases, answers of the terminal", () => {
  for (const bytes of ["\x1b[99;5:3u", "\x1b[?62;c", "\x1b[5;7R", "\x1b[I", "\x00", "\x1b[57441u", "\x1b[1114112u"]) {
    assert.deepEqual(read(bytes), [], JSON.stringify(bytes));
  }
});

Deno.test("KeyReader puts a sequence together that came in halves; a lone Escape is one after a moment", () => {
  assert.deepEqual(read("\x1b", "[", "A"), ["up"]);
  assert.deepEqual(read("\x1b[1", ";5D"), ["word-left"]);
  const reader = new KeyReader();
  assert.deepEqual([names(reader.feed("\x1b")), reader.waits], [[], true]);
  assert.deepEqual([names(reader.flush()), reader.waits, names(reader.flush())], [["escape"], false, []]);
  assert.deepEqual(read("\x1b\x1b[A"), ["escape", "up"]);
  const endless = new KeyReader();
  const keys = Array.from(
    { length: LIMITS.keySequenceCharsMax + 2 },
    () => endless.feed("\x1b[".slice(endless.waits ? 1 : 0)),
  );
  assert.ok(keys.length > 0);
  assert.ok(
    names(new KeyReader().feed(`\x1b[${"1;".repeat(LIMITS.keySequenceCharsMax)}`)).includes("escape"),
    "no sequence is that long",
  );
});

Deno.test("KeyReader takes what is pasted as one text, with its lines, whatever keys it looks like", () => {
  assert.deepEqual(read("\x1b[200~a\r\nb\rc\x03\x1b[A\x1b[201~\r"), ["paste:a\nb\nc\x03\x1b[A", "enter"]);
  assert.deepEqual(read("\x1b[200~ab", "c\x1b[20", "1~d"), ["paste:abc", "text:d"]);
  assert.deepEqual(read("\x1b[200~\x1b[201~"), []);
});

Deno.test("KeyReader refuses a paste over the limit as a whole, and takes one at the limit", () => {
  const full = "x".repeat(LIMITS.promptCharsMax);
  assert.deepEqual(read(`\x1b[200~${full}`, "\x1b[201~").map((name) => name.length), [6 + full.length]);
  assert.deepEqual(read(`\x1b[200~${full}`, "y", "\x1b[2", "01~z"), ["too-long", "text:z"]);
  assert.deepEqual(read(`\x1b[200~${full}${full}${full}`, "more", "\x1b[201~z"), ["too-long", "text:z"]);
});

Deno.test("KeyReader says whether a text came alone", () => {
  const [alone] = new KeyReader().feed("y");
  const [first] = new KeyReader().feed("y\r");
  assert.deepEqual([alone, first], [{ type: "text", text: "y", alone: true }, {
    type: "text",
    text: "y",
    alone: false,
  }]);
});
