import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { openTokenizer } from "#/turn/tokenizer.ts";
import { assertLinear } from "../fixture/linear.ts";
import counts from "../fixture/o200k_counts.json" with { type: "json" };

const count = await openTokenizer();

Deno.test("openTokenizer() counts what another implementation of o200k_base counts, text by text", () => {
  const texts = Object.entries(counts);
  assert.ok(texts.length > 300);
  for (const [text, expected] of texts) assert.equal(count(text), expected, JSON.stringify(text));
});

Deno.test("openTokenizer() takes special tokens, single surrogates and nothing for text", () => {
  assert.equal(count(""), 0);
  assert.equal(count("<|endoftext|>"), counts["<|endoftext|>" as keyof typeof counts] ?? 7);
  assert.equal(count("\ud800"), count("\ufffd"));
  assert.equal(count("constructor __proto__"), 4);
});

Deno.test("openTokenizer() cuts long texts at no half of a pair, for at most two tokens a cut", () => {
  const words = " The quick brown fox jumps over the lazy dog.";
  const times = Math.ceil(3 * LIMITS.tokenBlockCharsMax / words.length);
  const more = count(words.repeat(times)) - count(words) * times;
  assert.ok(more > 0 && more <= 6, `${more} tokens for three cuts`);
  const wave = "\u{1f30a}".repeat(LIMITS.tokenBlockCharsMax / 2);
  assert.equal(count(`x${wave}`), 1 + count(wave), "the block ends inside a pair");
});

Deno.test("openTokenizer() cuts a run that no rule cuts at tokenPieceBytesMax", () => {
  const run = (bytes: number) => count("q".repeat(bytes));
  const max = LIMITS.tokenPieceBytesMax;
  assert.equal(run(2 * max), 2 * run(max));
  assert.equal(run(max + 1), run(max) + 1);
});

Deno.test("openTokenizer() needs linear time for texts that are made to take more", () => {
  const base64 = crypto.getRandomValues(new Uint8Array(60_000)).toBase64();
  const pieces = [
    "a",
    "A",
    "\u{1f30a}",
    base64,
    "漢字仮名交じり文",
    " ",
    `${" ".repeat(999)}x`,
    "\n",
    "e\u0301",
    "'",
    "\ufffd",
  ];
  for (const piece of pieces) assertLinear(piece, count);
});
