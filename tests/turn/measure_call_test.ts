import assert from "node:assert/strict";
import { measureCall, type Room, toUsableTokens } from "#/turn/measure_call.ts";
import { TokenCounter } from "#/turn/tokens.ts";

const CONTENT = { session: "s", system: "", tools: [], history: [], notes: {} };

/** A token a character. */
function counter(): TokenCounter {
  return new TokenCounter({ load: () => Promise.resolve((text: string) => text.length), factor: 1 });
}

Deno.test("toUsableTokens() keeps the safety buffer free, at most a quarter", () => {
  assert.equal(toUsableTokens({ limitTokens: 8_000, safetyTokens: 1_024 }), 6_976);
  assert.equal(toUsableTokens({ limitTokens: 1_000, safetyTokens: 1_024 }), 750);
});

Deno.test("measureCall() counts exactly as soon as a summary could be due", async () => {
  const room = { limitTokens: 100, safetyTokens: 0 };
  const summary = { triggerRatio: 0.8, targetRatio: 0.5, minTurns: 6 };
  const isExact = async (chars: number, settings: Room) => {
    const history = [{ seq: 1, message: { role: "user", content: "x".repeat(chars) } as const }];
    return (await measureCall({ ...CONTENT, history }, settings, counter())).measure.tokensMax === undefined;
  };
  assert.equal(await isExact(76, { ...room, summary }), false, "80 of 80");
  assert.equal(await isExact(77, { ...room, summary }), true, "81 of 80");
  assert.equal(await isExact(96, room), false, "100 of 100");
  assert.equal(await isExact(97, room), true, "101 of 100");
});

Deno.test("measureCall() counts the notes among what every call carries, and cuts them for a small window", async () => {
  const text = "n".repeat(10_000);
  const notes = { summary: { fromSeq: 1, toSeq: 2, epoch: 1, text } };
  const at = async (limitTokens: number) => {
    const call = await measureCall({ ...CONTENT, notes }, { limitTokens, safetyTokens: 0 }, counter());
    assert.equal(call.limitTokens, limitTokens);
    const chars = call.notes.reduce((sum, { content }) => sum + content.length, 0);
    return { chars, ...call.measure };
  };
  const whole = await at(5_000);
  assert.deepEqual([whole.notesTokens, whole.fixedTokens], [whole.chars + 8, whole.chars + 8]);
  const cut = await at(1_000);
  assert.ok(whole.chars > 10_000 && cut.chars < 2_500);
});
