/** What must hold for the window of any conversation, with notes before it or without. */
import assert from "node:assert/strict";
import type { AppError } from "#/core/error.ts";
import type { Message } from "#/core/message.ts";
import type { HistoryMessage } from "#/turn/history.ts";
import { toNoteMessages } from "#/turn/notes.ts";
import { planSummary } from "#/turn/summary_plan.ts";
import type { Measure } from "#/turn/tokens.ts";
import { planWindow } from "#/turn/window.ts";
import { assertValidHistory } from "./turn_kit.ts";

const ROUNDS = 3_000;
/** A message of 1 to 40 tokens says so itself. */
const tokensOf = ({ message }: HistoryMessage) => message.content.length;

/** Repeatable: the round's number is the seed (mulberry32). */
function toRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** Turns with up to three exchanges of up to three calls; the last one is anywhere in its work. */
function toHistory(random: (below: number) => number): HistoryMessage[] {
  const messages: Message[] = [];
  const text = () => "x".repeat(1 + random(40));
  const turns = 1 + random(12);
  for (let turn = 1; turn <= turns; turn++) {
    messages.push({ role: "user", content: text() });
    const exchanges = random(4);
    for (let n = 0; n < exchanges; n++) {
      const toolCalls = Array.from({ length: 1 + random(3) }, (_, at) => ({ id: `${at}`, name: "t", arguments: "" }));
      messages.push({ role: "assistant", content: text(), toolCalls });
      for (const { id } of toolCalls) {
        messages.push({ role: "tool", toolCallId: id, name: "t", content: text(), ok: true });
      }
    }
    if (turn < turns) messages.push({ role: "assistant", content: text(), toolCalls: [] });
  }
  return messages.map((message, at) => ({ seq: 10 + 2 * at, message }));
}

function toMeasure(fixedTokens: number, notesTokens: number): Measure {
  return {
    fixedTokens: fixedTokens + notesTokens,
    notesTokens,
    tokensOf,
    tokensMax: undefined,
    historyMax: undefined,
    toOwnTokens: (tokens) => tokens,
  };
}

Deno.test("planWindow() of any conversation is valid, in order and within the limit, with notes and last question in it", () => {
  const seen = { planned: 0, refused: 0, dropped: 0, noted: 0 };
  for (let seed = 0; seed < ROUNDS; seed++) {
    const random = toRandom(seed);
    const history = toHistory(random);
    const summary = { fromSeq: 1, toSeq: 9, epoch: 1, text: "n".repeat(random(60)) };
    const notes = random(2) === 0 ? [] : toNoteMessages({ summary }, 1_000);
    const notesTokens = notes.length === 0 ? 0 : summary.text.length + 10;
    const [fixed, limitTokens] = [random(50), 40 + random(800)];
    const measure = toMeasure(fixed, notesTokens);
    const question = history.findLastIndex(({ message }) => message.role === "user");
    try {
      const window = planWindow({ system: "s", history, notes, measure, limitTokens });
      const [system, ...shown] = window.messages;
      assert.equal(system!.role, "system");
      assertValidHistory(shown);
      assert.ok(window.tokens <= limitTokens, `${seed}: over the limit`);
      assert.deepEqual(shown.slice(0, notes.length), notes, `${seed}: notes first`);
      const said = shown.slice(notes.length);
      const sizes = said.reduce((sum, { content }) => sum + content.length, fixed + notesTokens);
      assert.equal(window.tokens, sizes, `${seed}: counted once`);
      // In order: a subsequence of the history by identity.
      const places = said.map((message) => history.findIndex((entry) => entry.message === message));
      assert.ok(places.every((place, at) => place >= 0 && (at === 0 || place > places[at - 1]!)), `${seed}: order`);
      assert.ok(places.includes(question), `${seed}: the last question`);
      assert.equal(places.at(-1), history.length - 1, `${seed}: the newest message`);
      assert.deepEqual([window.fromSeq, window.toSeq], [history[places[0]!]!.seq, history.at(-1)!.seq]);
      assert.equal(window.dropped, history.length - said.length);
      assert.equal(window.isWhole, places.at(-1)! - places[0]! === places.length - 1, `${seed}: a range`);
      seen.planned++;
      if (window.dropped > 0) seen.dropped++;
      if (notes.length > 0) seen.noted++;
    } catch (error) {
      assert.equal((error as AppError).code, "budget_exceeded", `${seed}: ${error}`);
      seen.refused++;
    }
  }
  assert.ok(Object.values(seen).every((count) => count > ROUNDS / 20), JSON.stringify(seen));
});

Deno.test("planSummary() of any conversation leaves a whole window that begins with a question and is smaller", () => {
  let planned = 0;
  for (let seed = 0; seed < ROUNDS; seed++) {
    const random = toRandom(seed);
    const history = toHistory(random);
    const measure = toMeasure(random(50), 0);
    const limitTokens = 100 + random(600);
    const settings = {
      triggerRatio: 0.5 + random(50) / 100,
      targetRatio: 0.2 + random(60) / 100,
      minTurns: 1 + random(4),
    };
    const plan = planSummary({ history, measure, limitTokens, settings, summary: undefined });
    const total = history.reduce((sum, entry) => sum + tokensOf(entry), measure.fixedTokens);
    if (total <= settings.triggerRatio * limitTokens) assert.equal(plan, undefined);
    if (plan === undefined) continue;
    planned++;
    const kept = history.filter(({ seq }) => seq > plan.toSeq);
    assert.deepEqual([...plan.replaced, ...kept], history, `${seed}: nothing is lost or twice`);
    assert.equal(kept[0]!.message.role, "user");
    assertValidHistory(kept.map(({ message }) => message));
    assertValidHistory(plan.replaced.map(({ message }) => message));
    assert.ok(plan.replaced.filter(({ message }) => message.role === "user").length >= settings.minTurns);
  }
  assert.ok(planned > ROUNDS / 10, `${planned}`);
});
