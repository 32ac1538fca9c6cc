import assert from "node:assert/strict";
import { parse } from "smol-toml";
import { locateKeys } from "#/config/toml_lines.ts";

const TEXT = [
  "# max_turns = 1", // 1
  'title = "x # not = a key"', // 2
  'a.b.\'c d\' = """', // 3
  "fake = 3", // 4
  '[fake]"""" # four quotes end it', // 5
  '[ "q\\u0041" . y ]', // 6
  "k = [1, # c = 1", // 7
  "  { m = 1, n = { o = 2 } },", // 8
  "]", // 9
  "[[list]]", // 10
  "x = 1", // 11
  "[[list]]", // 12
  "x = 2", // 13
  "[list.sub]", // 14
  "z = '''", // 15
  "[no]", // 16
  "'''''", // 17
  "w = 07:32:00", // 18
  "when = 1979-05-27 07:32:00Z # t = 1", // 19
  'empty = ""', // 20
  "path = 'C:\\'", // 21
  'esc = "a \\" b = 2"', // 22
  "[list.sub.deep]", // 23
  "last = { }", // 24
].join("\n");

Deno.test("locateKeys() finds the line of every kind of key and of nothing in comments and strings", () => {
  parse(TEXT);
  assert.deepEqual(Object.fromEntries(locateKeys(TEXT)), {
    "title": 2,
    "a": 3,
    "a.b": 3,
    'a.b."c d"': 3,
    "qA": 6,
    "qA.y": 6,
    "qA.y.k": 7,
    "qA.y.k[0]": 7,
    "qA.y.k[1]": 8,
    "qA.y.k[1].m": 8,
    "qA.y.k[1].n": 8,
    "qA.y.k[1].n.o": 8,
    "list": 10,
    "list[0]": 10,
    "list[0].x": 11,
    "list[1]": 12,
    "list[1].x": 13,
    "list[1].sub": 14,
    "list[1].sub.z": 15,
    "list[1].sub.w": 18,
    "list[1].sub.when": 19,
    "list[1].sub.empty": 20,
    "list[1].sub.path": 21,
    "list[1].sub.esc": 22,
    "list[1].sub.deep": 23,
    "list[1].sub.deep.last": 24,
  });
});

Deno.test("locateKeys() counts lines with CRLF, a byte order mark and no final newline", () => {
  assert.deepEqual(Object.fromEntries(locateKeys("\ufeffa = 1\r\n\r\n[t]\r\nb = 'x'")), { "a": 1, "t": 3, "t.b": 4 });
});

Deno.test("locateKeys() ends for any text, TOML or not", () => {
  for (let cut = 0; cut <= TEXT.length; cut++) {
    locateKeys(TEXT.slice(cut));
    locateKeys(TEXT.slice(0, cut));
  }
  for (const text of ["[[[[", "{{{{", "= = =", "]]}},,", '"', "'''", "a.b.=", "\0\0", "a = [", "a = {b"]) {
    locateKeys(text);
  }
});

Deno.test("locateKeys() takes a megabyte of keys on one line, of steps and of elements", () => {
  const keys = Array.from({ length: 90_000 }, (_, i) => `k${i}=1`).join(",");
  assert.equal(locateKeys(`t = {${keys}}`).get("t.k89999"), 1);
  locateKeys(`${"a.".repeat(500_000)}a = 1`);
  locateKeys(`a = [${"1,".repeat(500_000)}]`);
  locateKeys(`a = """${"x".repeat(1_000_000)}"""\n`);
});
