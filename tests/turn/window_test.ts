import assert from "node:assert/strict";
import type { AppError } from "#/core/error.ts";
import type { Message } from "#/core/message.ts";
import type { HistoryMessage } from "#/turn/history.ts";
import { canonicalJson } from "#/lib/canonical_json.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import { planWindow, WindowHasher } from "#/turn/window.ts";
import type { Measure } from "#/turn/tokens.ts";
import { assertValidHistory } from "./turn_kit.ts";

/** Counts a message as 20 tokens, whatever it says. */
const MEASURE: Measure = {
  fixedTokens: 0,
  notesTokens: 0,
  tokensOf: () => 20,
  tokensMax: undefined,
  historyMax: undefined,
  toOwnTokens: (tokens) => tokens,
};

/** A message of 20 tokens from a letter: `u`ser, `a`ssistant, `c`all (assistant with one call), `t`ool result. */
function toMessage(letter: string, seq: number): Message {
  const content = `${letter}${seq}`.padEnd(64, ".");
  if (letter === "u") return { role: "user", content };
  if (letter === "t") return { role: "tool", toolCallId: "c", name: "t", content, ok: true };
  const toolCalls = letter === "c" ? [{ id: "c", name: "t", arguments: "" }] : [];
  return { role: "assistant", content: letter === "c" ? content.slice(20) : content, toolCalls };
}

function toHistory(letters: string): HistoryMessage[] {
  return [...letters].map((letter, index) => ({ seq: index + 1, message: toMessage(letter, index + 1) }));
}

/** The letters that fit into `limitTokens`, with the gaps closed. */
function plan(letters: string, limitTokens: number): string {
  const window = planWindow({ system: "", history: toHistory(letters), measure: MEASURE, limitTokens });
  const shown = window.messages.slice(1);
  assertValidHistory(shown);
  assert.equal(window.dropped, letters.length - shown.length);
  assert.ok(window.tokens <= limitTokens);
  assert.equal(window.toSeq, letters.length);
  return shown.map((message) => {
    if (message.role !== "assistant") return message.role[0];
    return message.toolCalls.length === 0 ? "a" : "c";
  }).join("");
}

Deno.test("planWindow() fills newest first with whole exchanges", () => {
  const cases: readonly [string, number, string][] = [
    ["u", 20, "u"],
    ["uau", 60, "uau"],
    ["uau", 59, "u"],
    ["uauau", 60, "uau"],
    // Older history starts at a user message, so that an answer without its question goes.
    ["uauau", 40, "u"],
    ["uctctau", 1_000, "uctctau"],
    ["uctau", 100, "uctau"],
    ["uctau", 99, "u"],
    // The question stays although what came between does not.
    ["uctct", 60, "uct"],
    ["uctct", 100, "uctct"],
    ["uauctct", 100, "uctct"],
    ["uauctct", 99, "uct"],
    ["uauctctct", 100, "uctct"],
  ];
  for (const [letters, limit, expected] of cases) {
    assert.equal(plan(letters, limit), expected, `${letters} in ${limit}`);
  }
});

Deno.test("planWindow() keeps question and newest exchange, or refuses", () => {
  for (const [letters, limit] of [["u", 19], ["uau", 19], ["uct", 59], ["uctct", 59]] as const) {
    assert.throws(
      () => plan(letters, limit),
      (error: AppError) => error.code === "budget_exceeded" && error.params["limit"] === limit,
    );
  }
  assert.throws(() => plan("", 100), RangeError);
  assert.throws(() => plan("a", 100), RangeError);
});

Deno.test("planWindow() counts what every call carries", () => {
  const input = { system: "s", history: toHistory("uau"), measure: { ...MEASURE, fixedTokens: 10 }, limitTokens: 70 };
  assert.equal(planWindow(input).dropped, 0);
  assert.equal(planWindow({ ...input, measure: { ...MEASURE, fixedTokens: 11 } }).dropped, 2);
});

Deno.test("planWindow() says which events it shows", () => {
  const input = { system: "s", history: toHistory("uauau"), measure: { ...MEASURE, fixedTokens: 1 }, limitTokens: 62 };
  const { messages, fromSeq, toSeq, dropped, tokens } = planWindow(input);
  assert.deepEqual([messages[0], fromSeq, toSeq, dropped, tokens], [{ role: "system", content: "s" }, 3, 5, 2, 61]);
});

Deno.test("planWindow() takes of a conversation of 1,000 turns what fits", () => {
  const history = toHistory("uctctau".repeat(1_000).slice(0, -1) + "u");
  const window = planWindow({ system: "", history, measure: MEASURE, limitTokens: 126_976 });
  assert.ok(window.tokens > 126_000 && window.tokens <= 126_976);
});

Deno.test("WindowHasher is the same for the same window and another for any other, by whichever hasher", async () => {
  const input = { system: "s", history: toHistory("uau"), measure: MEASURE, limitTokens: 1_000 };
  const hasher = new WindowHasher();
  const window = planWindow(input);
  const hash = await hasher.hash(window, []);
  assert.equal(hash, await sha256Hex(canonicalJson([window.messages, []])), "the canonical JSON as a whole");
  assert.equal(hash, await new WindowHasher().hash(planWindow({ ...input, limitTokens: 999 }), []));
  assert.match(hash, /^[0-9a-f]{64}$/);
  const others = [
    hasher.hash(planWindow({ ...input, system: "S" }), []),
    hasher.hash(planWindow({ ...input, history: toHistory("u") }), []),
    hasher.hash(planWindow(input), [{ name: "t", description: "", parameters: {} }]),
  ];
  for (const other of others) assert.notEqual(await other, hash);
});
