import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import type { Message } from "#/core/message.ts";
import { type MeasureInput, TokenCounter, toTokenFactor } from "#/turn/tokens.ts";

const TOOL = { name: "a", description: "b", parameters: {} };

/** A counter whose tokenizer says a token a letter, and the texts that it was asked about. */
function toCounter(factor = 1) {
  const asked: string[] = [];
  let loads = 0;
  const load = () => {
    loads++;
    return Promise.resolve((text: string) => {
      asked.push(text);
      return text.length;
    });
  };
  const counter = new TokenCounter({ load, factor });
  return { counter, asked, loads: () => loads };
}

function toInput(changes: Partial<MeasureInput> = {}): MeasureInput {
  return { session: "s", system: "", tools: [], history: [], limitTokens: 1_000, ...changes };
}

function said(seq: number, content: string): { seq: number; message: Message } {
  return { seq, message: { role: "user", content } };
}

Deno.test("measure() loads no tokenizer while all bytes fit, and counts a quarter of them", async () => {
  const { counter, loads } = toCounter();
  const history = [said(1, "abcdefgh"), said(2, "漢字")];
  const measure = await counter.measure(toInput({ history, system: "abcd", tools: [TOOL], limitTokens: 1_000 }));
  const schema = JSON.stringify([TOOL]).length;
  assert.deepEqual(history.map(measure.tokensOf), [6, 6]);
  assert.equal(measure.fixedTokens, Math.ceil((4 + schema) / 4));
  assert.equal(measure.tokensMax, 8 + 4 + 6 + 4 + 4 + schema);
  const fits = await counter.measure(toInput({ history, limitTokens: 22 }));
  assert.deepEqual([fits.tokensMax, loads()], [22, 0]);
  const over = await counter.measure(toInput({ history, limitTokens: 21 }));
  assert.deepEqual([over.tokensMax, loads()], [undefined, 1]);
  assert.deepEqual(history.map(over.tokensOf), [12, 6]);
});

Deno.test("measure() counts calls, attachments and the factor of the model", async () => {
  const { counter } = toCounter(1.5);
  const media = { mimeType: "image/png", data: "x".repeat(1_000_000) };
  const call = { id: "c", name: "abcd", arguments: "abcd" };
  const messages: Message[] = [
    { role: "user", content: "abcd", attachments: [media, media] },
    { role: "assistant", content: "", toolCalls: [call, call] },
    { role: "tool", toolCallId: "c", name: "t", content: "abc", ok: true },
  ];
  const history = messages.map((message, seq) => ({ seq, message }));
  const { tokensOf, fixedTokens } = await counter.measure(
    toInput({ history, system: "abc", tools: [TOOL], limitTokens: 1 }),
  );
  assert.deepEqual(history.map(tokensOf), [6 + 4 + 3_000, 24 + 12, 5 + 4]);
  assert.equal(fixedTokens, Math.ceil((3 + JSON.stringify([TOOL]).length) * 1.5));
  assert.equal(counter.count("abcd"), 6);
});

Deno.test("measure() counts a message, a prompt and a tool once, and again what changed at its place", async () => {
  const { counter, asked, loads } = toCounter();
  const measured = async (changes: Partial<MeasureInput>) => {
    asked.length = 0;
    const input = toInput({ system: "sys", tools: [TOOL], limitTokens: 1, ...changes });
    const measure = await counter.measure(input);
    input.history.forEach(measure.tokensOf);
    return [...asked];
  };
  const history = [said(1, "one"), said(2, "two")];
  assert.deepEqual(await measured({ history }), ["sys", JSON.stringify([TOOL]), "one", "two"]);
  // The same words in new objects, as the log gives them in the next turn.
  assert.deepEqual(await measured({ history: [said(1, "one"), said(2, "two"), said(3, "three")] }), ["three"]);
  assert.deepEqual(await measured({ history: [said(1, "one [and a note]")], system: "other" }), [
    "other",
    JSON.stringify([TOOL]),
    "one [and a note]",
  ]);
  assert.deepEqual(await measured({ history: [said(1, "one")], system: "other", session: "another" }), ["one"]);
  assert.equal(loads(), 1);
  const lost = (seq: number, content: string): MeasureInput["history"][number] => ({
    seq,
    message: { role: "tool", toolCallId: "c", name: "t", content, ok: false },
  });
  const withLost = [said(9, "asked"), lost(9, "not run")];
  await measured({ history: withLost });
  assert.deepEqual(await measured({ history: withLost }), [], "two messages of one place");
});

Deno.test("measure() keeps countedSessionsMax sessions, and not what is no longer read of one", async () => {
  const { counter, asked } = toCounter();
  const measured = async (session: string, history = [said(1, "one")]) => {
    asked.length = 0;
    const { tokensOf } = await counter.measure(toInput({ session, history, limitTokens: 1 }));
    history.forEach(tokensOf);
    return asked.filter((text) => text === "one").length;
  };
  for (let i = 0; i < LIMITS.countedSessionsMax; i++) await measured(`s${i}`);
  assert.equal(await measured("s0"), 0, "kept");
  await measured("one more");
  assert.equal(await measured("s0"), 0, "spoken to since");
  assert.equal(await measured("s1"), 1, "silent for longest");
  counter.drop("s0");
  assert.equal(await measured("s0"), 1, "counted anew");
  const long = Array.from({ length: 2 * LIMITS.historyEventsMax + 1 }, (_, seq) => said(seq, "one"));
  await measured("long", long);
  assert.equal(await measured("long"), 1);
});

Deno.test("measure() takes the recorded count for what an earlier turn has counted, while that is below the limit", async () => {
  const history = [
    said(1, "x".repeat(10)),
    said(3, "x".repeat(500)),
    said(5, "x".repeat(500)),
    said(7, "x".repeat(10)),
  ];
  const counted = { fromSeq: 3, toSeq: 5, tokens: 100 };
  const measured = async (changes: Partial<MeasureInput>, factor = 1) => {
    const { counter, loads } = toCounter(factor);
    const measure = await counter.measure(toInput({ history, counted, system: "abc", ...changes }));
    return [measure.tokensMax, measure.historyMax, loads()];
  };
  // Two messages of 14, 100 that are on record, 64 for what may have changed, and the system prompt.
  assert.deepEqual(await measured({ limitTokens: 195 }), [195, 192, 0]);
  assert.deepEqual(await measured({ limitTokens: 194 }), [undefined, undefined, 1]);
  assert.deepEqual(await measured({ limitTokens: 1_055, counted: undefined }), [1_039, 1_036, 0]);
  assert.deepEqual((await measured({ limitTokens: 400 }, 1.5))[1], 28 + 150 + 64, "of this model");
  const few = { ...counted, tokens: 100_000 };
  assert.deepEqual((await measured({ limitTokens: 1_055, counted: few }))[1], 1_036, "never more than the bytes");
});

Deno.test("measure() says a count in tokens of its own, for whichever model asks next", async () => {
  const { counter } = toCounter(1.5);
  assert.equal((await counter.measure(toInput())).toOwnTokens(301), 201);
});

Deno.test("measure() keeps countedMessagesMax messages of all sessions", async () => {
  const { counter, asked } = toCounter();
  const measured = async (session: string, messages: number) => {
    asked.length = 0;
    const history = Array.from({ length: messages }, (_, seq) => said(seq + 1, "one"));
    const { tokensOf } = await counter.measure(toInput({ session, history, limitTokens: 1 }));
    history.forEach(tokensOf);
    return asked.length;
  };
  const part = LIMITS.countedMessagesMax / 4;
  for (const session of ["a", "b", "c", "d"]) await measured(session, part);
  assert.equal(await measured("a", part), 0, "at the limit");
  await measured("e", 1);
  await measured("e", 1);
  assert.equal(await measured("a", part), 0);
  assert.equal(await measured("b", part), part, "silent for longest");
});

Deno.test("measure() forgets what a summary stands for by now", async () => {
  const { counter, asked } = toCounter();
  const measured = async (history: MeasureInput["history"]) => {
    asked.length = 0;
    const notes = [said(0, "notes").message];
    const { tokensOf } = await counter.measure(toInput({ history, notes, limitTokens: 1 }));
    history.forEach(tokensOf);
    return asked.length;
  };
  const history = Array.from({ length: 100 }, (_, n) => said(n + 1, "one"));
  assert.equal(await measured(history), 103, "what every call carries, the notes and the history");
  assert.equal(await measured(history.slice(90)), 0);
  assert.equal(await measured(history), 90, "the notes and the newest ten are known still");
  assert.equal(await measured(history.slice(50)), 0);
  assert.equal(await measured(history), 0, "so few are kept");
});

Deno.test("measure() opens the tokenizer once for turns that begin together", async () => {
  const { counter, loads } = toCounter();
  const input = toInput({ history: [said(1, "long")], limitTokens: 1 });
  await Promise.all([counter.measure(input), counter.measure({ ...input, session: "t" })]);
  assert.equal(loads(), 1);
});

Deno.test("toTokenFactor() knows whose tokenizer is ours", () => {
  const cases = [
    ["gpt-5.2", 1],
    ["openai/gpt-4o-mini", 1],
    ["o3", 1],
    ["claude-opus-5", 1.5],
    ["anthropic/claude-sonnet-4.5", 1.5],
    ["gemini-3-pro", 1.15],
    ["llama-4", 1.15],
    ["proto3", 1.15],
  ] as const;
  for (const [model, factor] of cases) assert.equal(toTokenFactor(model), factor, model);
});
