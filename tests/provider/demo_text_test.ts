import assert from "node:assert/strict";
import { countSyllables, writePiece } from "#/provider/demo_text.ts";

const TOPICS = [
  "rivers",
  "the deep sea",
  "snow",
  "autumn leaves",
  "quantum chromodynamics",
  "a",
  "42",
  "über",
  "silence",
  "night",
];

Deno.test("countSyllables() counts English words", () => {
  const table: Readonly<Record<string, number>> = {
    rivers: 2,
    snow: 1,
    stone: 1,
    table: 2,
    wanted: 2,
    houses: 2,
    leaves: 1,
    moved: 1,
    "the deep sea": 3,
    "remembers the cloud": 5,
    chromodynamics: 5,
    "": 0,
    "42": 1,
    "日本": 2,
  };
  for (const [text, count] of Object.entries(table)) assert.equal(countSyllables(text), count, text);
});

Deno.test("writePiece() writes a haiku of 5, 7 and 5 syllables", () => {
  for (const topic of TOPICS) {
    const lines = writePiece("haiku", topic).trimEnd().split("\n");
    assert.deepEqual(lines.map(countSyllables), [5, 7, 5], lines.join(" / "));
  }
});

Deno.test("writePiece() is deterministic, ends with a newline and holds its topic once", () => {
  for (const piece of ["haiku", "poem", "note"] as const) {
    for (const topic of TOPICS.filter((name) => name.length > 2)) {
      const text = writePiece(piece, topic);
      assert.equal(text, writePiece(piece, topic));
      assert.ok(text.endsWith("\n") && !text.endsWith("\n\n"));
      assert.equal(text.split(topic).length, 2, `${piece} ${topic}: ${text}`);
    }
  }
  assert.notEqual(writePiece("haiku", "rivers"), writePiece("haiku", "stones"));
});

Deno.test("writePiece() makes something of any topic", () => {
  for (const topic of ["", " \n ", "x".repeat(100_000), "\u0000", "\ud800", "!!!"]) {
    const text = writePiece("haiku", topic);
    assert.ok(text.length > 10 && text.length < 400, topic.slice(0, 20));
    assert.equal(text.trimEnd().split("\n").length, 3);
  }
});
