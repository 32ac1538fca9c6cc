import assert from "node:assert/strict";
import { findHits, toMatcher } from "../../tools-wasm/files/match.ts";

const TEXT = "one\ntwo two\nThree\n\nfive.two\n";

function lines(
  args: Parameters<typeof toMatcher>[0],
  text = TEXT,
  max = 100,
): number[] {
  return findHits(text, toMatcher(args), max).map((hit) => hit.line);
}

Deno.test("toMatcher() takes a pattern literally unless regex is set", () => {
  assert.deepEqual(lines({ pattern: "e.t" }), [5]);
  assert.deepEqual(lines({ pattern: "e.t", regex: true }), [5]);
  assert.deepEqual(lines({ pattern: "t.o" }), []);
  assert.deepEqual(lines({ pattern: "t.o", regex: true }), [2, 5]);
});

Deno.test("toMatcher() obeys case_sensitive and the (?i) that models write", () => {
  assert.deepEqual(lines({ pattern: "three" }), []);
  assert.deepEqual(lines({ pattern: "three", case_sensitive: false }), [3]);
  assert.deepEqual(lines({ pattern: "E.T", case_sensitive: false }), [5]);
  assert.deepEqual(lines({ pattern: "(?i)THREE", regex: true }), [3]);
  assert.deepEqual(
    lines({ pattern: "TH?REE", regex: true, case_sensitive: false }),
    [3],
  );
});

Deno.test("toMatcher() says what is wrong with a broken expression", () => {
  assert.throws(() => toMatcher({ pattern: "(", regex: true }), {
    code: "tool_args_invalid",
    message: /regular expression/,
  });
});

Deno.test("findHits() counts a line once, ends at its limit and ends on empty matches", () => {
  assert.deepEqual(lines({ pattern: "two" }), [2, 5]);
  assert.deepEqual(lines({ pattern: "^", regex: true }), [1, 2, 3, 4, 5]);
  assert.deepEqual(lines({ pattern: "x*", regex: true }), [1, 2, 3, 4, 5]);
  assert.deepEqual(lines({ pattern: "^", regex: true }, TEXT, 2), [1, 2]);
  assert.deepEqual(lines({ pattern: "^$", regex: true }), [4]);
  assert.deepEqual(lines({ pattern: "x*", regex: true }, ""), []);
});

Deno.test("findHits() finds a match that spans lines on the line where it starts", () => {
  assert.deepEqual(lines({ pattern: "one\ntwo" }), [1]);
  assert.deepEqual(
    lines({ pattern: "two\\s+three", regex: true, case_sensitive: false }),
    [2],
  );
});

Deno.test("findHits() gives the offsets of the line and of its first match", () => {
  assert.deepEqual(findHits(TEXT, toMatcher({ pattern: "two" }), 1), [{
    line: 2,
    start: 4,
    end: 11,
    at: 4,
  }]);
});
