import assert from "node:assert/strict";
import type { ShownSession } from "#/cli/sessions_api.ts";
import { toAge, toSessionLines, toSessionTable, toShortId } from "#/cli/sessions_text.ts";

const NOW = Date.parse("2026-11-24T12:00:00Z");
const session = (more: Partial<ShownSession> = {}): ShownSession => ({
  id: "01a20da9-91ce-75a8-b0de-f1010377682e",
  name: null,
  agent: "default",
  channel: "tui",
  parent: null,
  created_at: "2026-11-20T12:00:00.000Z",
  last_active_at: "2026-11-24T09:30:00.000Z",
  archived: false,
  turns: 12,
  events: 340,
  last_text: "write about rivers",
  active_turn: null,
  ...more,
});

Deno.test("toSessionTable() fits 60 columns, whatever its cells hold", () => {
  const lines = toSessionTable([
    session({ name: "Rivers" }),
    session({ id: "01a20da9-9999-75a8-b0de-f1010377682e", active_turn: "t", turns: 99_999 }),
    session({
      id: "x".repeat(128),
      name: "a very long name ".repeat(9),
      archived: true,
      last_active_at: "1970-01-01T00:00:00Z",
    }),
    session({ id: "y", last_text: null }),
  ], NOW);
  assert.deepEqual(lines, [
    "id           session                   turns  active",
    "01a20da9-91  Rivers                       12  2 h",
    '01a20da9-99  "write about rivers"      99999  now',
    "xxxxxxxx     archived: a very long n…     12  20781 d",
    "y            (empty)                      12  2 h",
  ]);
  assert.ok(lines.every((line) => line.length <= 60));
});

Deno.test("toSessionTable() and toSessionLines() let nothing of a gateway's text move the terminal", () => {
  const evil = session({ id: "\x1b[2Jevil", name: "\x1b]0;title\x07\nline\u202e", channel: "\x9b", last_text: "\r" });
  const text = [...toSessionTable([evil], NOW), ...toSessionLines(evil, NOW)].join("");
  // deno-lint-ignore no-control-regex -- what must not be there
  assert.ok(!/[\x00-\x1f\x7f-\x9f\u202e]/.test(text), JSON.stringify(text));
});

Deno.test("toSessionLines() says what there is, and leaves out what there is not", () => {
  assert.deepEqual(toSessionLines(session({ parent: "p", archived: true }), NOW), [
    "id        01a20da9-91ce-75a8-b0de-f1010377682e",
    "agent     default",
    "from      tui",
    "branch of p",
    "created   2026-11-20 12:00 UTC, 4 d ago",
    "active    2026-11-24 09:30 UTC, 2 h ago",
    "turns     12, 340 events",
    "last      write about rivers",
    "archived  yes",
  ]);
  assert.ok(toSessionLines(session({ active_turn: "t" }), NOW).includes("active    now, in turn t"));
});

Deno.test("toShortId() takes eight characters, more where ids begin alike, all where one begins another", () => {
  assert.equal(toShortId("abcdefghij", ["abcdefghij", "zzz"]), "abcdefgh");
  assert.equal(toShortId("abcdefghij", ["abcdefghij", "abcdefghixx"]), "abcdefghij");
  assert.equal(toShortId("abcdefgh", ["abcdefgh", "abcdefgh-2"]), "abcdefgh");
  assert.equal(toShortId("s", ["s"]), "s");
});

Deno.test("toAge() says one number with its largest unit", () => {
  const ages = [-5, 0, 59_999, 60_000, 3_599_999, 3_600_000, 86_399_999, 86_400_000].map(toAge);
  assert.deepEqual(ages, ["0 s", "0 s", "59 s", "1 min", "59 min", "1 h", "23 h", "1 d"]);
});
