import assert from "node:assert/strict";
import { findHits, toMatcher } from "../../tools-wasm/files/match.ts";
import { planPrefilter } from "../../tools-wasm/files/prefilter.ts";

const CASES: readonly [pattern: string, literal: string, lineLocal: boolean][] = [
  ["needle_\\d+", "needle_", true],
  ["needle_[0-9]+", "needle_", true],
  ["\\w+_[a-z]", "_", true],
  ["(?:.*)needle", "needle", true],
  ["a\\.b\\(c", "a.b(c", true],
  ["colou?r", "colo", true],
  ["ab+cd", "ab", true],
  ["ab{2}cd", "cd", true],
  ["(foo|bar)_x", "_x", true],
  ["foo|bar", "", false],
  ["foo\\s+bar", "foo", false],
  ["foo[^x]", "foo", false],
  ["foo\\nbar", "foo", false],
  ["foo\nbar", "foo\nbar", false],
  ["foo(?s:.)bar", "foo", false],
  ["foo[\t-\r]", "foo", false],
  ["\\u0041bc", "", false],
  ["\\x41bc", "", false],
  ["\\012bc", "", false],
  ["(?<n>a)\\k<n>bc", "", false],
  ["(a)\\1bc", "", false],
  ["(unclosed", "", false],
  ["[unclosed", "", false],
  ["trailing\\", "", false],
  ["", "", true],
];

Deno.test("planPrefilter() takes only what each match must contain", () => {
  for (const [pattern, literal, lineLocal] of CASES) {
    const plan = planPrefilter(pattern);
    assert.equal(plan.literal, literal, pattern);
    if (literal !== "") assert.equal(plan.lineLocal, lineLocal, pattern);
  }
});

/** Lines on which a match starts, the slow way: the same engine over the whole text, without any prefilter. */
function linesTheSlowWay(text: string, pattern: string): number[] {
  const lines = new Set<number>();
  const regex = new RegExp(pattern, "gm");
  for (let from = 0; from <= text.length;) {
    regex.lastIndex = from;
    const found = regex.exec(text);
    if (
      found === null ||
      (found.index === text.length &&
        (found.index === 0 || text.endsWith("\n")))
    ) break;
    lines.add(text.slice(0, found.index).split("\n").length);
    const feed = text.indexOf("\n", found.index);
    if (feed < 0) break;
    from = feed + 1;
  }
  return [...lines];
}

Deno.test("findHits() finds the same lines with and without the prefilter, for 20,000 random patterns", () => {
  let seed = 42;
  const random = (
    below: number,
  ) => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648, Math.floor(seed / 65_536) % below);
  const atoms = [
    "a",
    "b",
    "_",
    "\\.",
    ".",
    "\\w",
    "\\d",
    "\\s",
    "\\S",
    "[ab]",
    "[^a]",
    "(a|b)",
    "(?:ab)?",
    "^",
    "$",
    "\\b",
    "(?=b)",
    "(?!a)",
    "1",
    "\\n",
    "\\u0061",
    "\\x62",
    "\\1",
    "|",
    "(?<=a)",
  ];
  const suffixes = ["", "", "", "*", "+", "?", "{2}", "{0,1}", "*?"];
  const letters = "ab_.1 \n\nab\r";
  let compared = 0;
  for (let round = 0; round < 20_000; round++) {
    let pattern = "";
    for (let count = 1 + random(5); count > 0; count--) {
      pattern += atoms[random(atoms.length)]! +
        suffixes[random(suffixes.length)]!;
    }
    let text = "";
    for (let count = random(40); count > 0; count--) {
      text += letters[random(letters.length)]!;
    }
    try {
      new RegExp(pattern);
    } catch {
      continue;
    }
    compared++;
    const hits = findHits(text, toMatcher({ pattern, regex: true }), 1_000).map(
      (hit) => hit.line,
    );
    assert.deepEqual(
      hits,
      linesTheSlowWay(text, pattern),
      `${JSON.stringify(pattern)} in ${JSON.stringify(text)}`,
    );
  }
  assert.ok(compared > 10_000, `only ${compared} patterns were valid`);
});
