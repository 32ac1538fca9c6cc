import assert from "node:assert/strict";
import type { SessionEvent, StoredEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import { TurnFeed } from "#/cli/turn_feed.ts";
import { delta, stored, turnDone, userMessage } from "../gateway/scripted_source.ts";

const at = (seq: number, event: SessionEvent): StoredEvent => ({ ...event as StoredEvent, seq });
const result = (seq: number, text: string) =>
  at(seq, stored("model_result", { step: 1, text, toolCalls: [], finishReason: "stop", usage: {} }));
const message = at(1, userMessage("hello"));
const request = (seq: number) => at(seq, stored("budget", { kind: "steps" as never, used: 1, limit: 1 }));

/** What is shown: places of recorded events, and texts. */
function show(feed: TurnFeed, events: readonly SessionEvent[]): (number | string)[] {
  return events.flatMap((event) => toShown(feed.take(event)));
}

const toShown = (events: readonly SessionEvent[]): (number | string)[] =>
  events.map((event) => "seq" in event ? event.seq : event.type === "text_delta" ? event.payload.text : event.type);

Deno.test("TurnFeed gives everything on as it comes while the connection holds", () => {
  const events = [message, request(7), delta("he"), delta("llo"), result(9, "hello"), at(12, turnDone("hello"))];
  assert.deepEqual(show(new TurnFeed(), events), [1, 7, "he", "llo", 9, 12]);
});

Deno.test("TurnFeed shows a turn that is told again once, and of its text what is new", () => {
  const texts: readonly (readonly [string[], string, (number | string)[]])[] = [
    // The step is made again: the same words, other pieces, and on.
    [["h", "ello the", "re"], "hello there", ["o the", "re", 3]],
    [["hello there"], "hello there", ["o there", 3]],
    // Nothing streams any more: the result says the rest.
    [[], "hello there", ["o there", 3]],
    // Another text: on a line of its own, when it is whole.
    [["Good", " day"], "Good day", ["\nGood day", 3]],
    // The stream goes on in the middle, because only the connection broke.
    [[" there"], "hello there", ["o there", 3]],
    [["hell"], "hell", [3]],
  ];
  for (const [pieces, whole, shown] of texts) {
    const feed = new TurnFeed();
    assert.deepEqual(show(feed, [message, request(2), delta("he"), delta("ll")]), [1, 2, "he", "ll"]);
    feed.reconnected();
    const again = [message, request(2), ...pieces.map(delta), result(3, whole), at(4, turnDone(whole))];
    assert.deepEqual(show(feed, again), [...shown, 4], pieces.join("|"));
  }
});

Deno.test("TurnFeed says nothing of a summary's text, also when a turn is told again", () => {
  const summary = at(
    2,
    stored("model_result", {
      step: 1,
      text: "notes",
      toolCalls: [],
      finishReason: "stop",
      usage: {},
      purpose: "summary",
    }),
  );
  const feed = new TurnFeed();
  feed.reconnected();
  assert.deepEqual(show(feed, [message, summary, result(3, "hello")]), [1, 2, "hello", 3]);
});

Deno.test("TurnFeed brings what comes too early into its place", () => {
  const feed = new TurnFeed();
  show(feed, [message]);
  feed.reconnected();
  // The next step streams already while what was missed is being told.
  const early = [request(4), delta("tw"), delta("o")];
  assert.deepEqual(show(feed, early), []);
  assert.deepEqual(show(feed, [message, request(2)]), [2]);
  assert.deepEqual(show(feed, [result(3, "one")]), ["one", 3, 4, "tw", "o"]);
  assert.deepEqual(show(feed, [result(5, "two"), at(6, turnDone("two"))]), [5, 6]);
  assert.ok(!feed.lacksSome);
});

Deno.test("TurnFeed that had shown nothing yet begins with the message", () => {
  const feed = new TurnFeed();
  feed.reconnected();
  assert.deepEqual(show(feed, [delta("lo"), request(2), message]), [1, 2]);
  assert.deepEqual(show(feed, [result(3, "hello"), at(4, turnDone("hello"))]), ["hello", 3, 4]);
});

Deno.test("TurnFeed asks for all of it when the end came before the rest, and then takes it as it comes", () => {
  const feed = new TurnFeed();
  show(feed, [message]);
  feed.reconnected();
  assert.deepEqual(show(feed, [delta("x"), at(9, turnDone("hello"))]), ["x"]);
  assert.ok(feed.lacksSome);
  feed.expectReplay();
  assert.ok(!feed.lacksSome);
  // Between two events of a turn may be some of its session.
  const all = [message, request(4), result(7, "hello"), at(9, turnDone("hello"))];
  assert.deepEqual(show(feed, all), [4, "\nhello", 7, 9]);
});

Deno.test("flush() shows what is kept in its order, and an end without a place is never kept", () => {
  const feed = new TurnFeed();
  show(feed, [message]);
  feed.reconnected();
  show(feed, [at(9, turnDone("a")), request(5)]);
  assert.deepEqual(toShown(feed.flush()), [5, 9]);
  const other = new TurnFeed();
  show(other, [message]);
  other.reconnected();
  assert.deepEqual(show(other, [at(0, turnDone("not recorded"))]), [0]);
});

Deno.test("TurnFeed keeps clientFramesMax events, and the end beyond them", () => {
  const feed = new TurnFeed();
  show(feed, [message]);
  feed.reconnected();
  for (let seq = 10; seq < 10 + LIMITS.clientFramesMax + 5; seq++) feed.take(request(seq));
  feed.take(at(1_000_000, turnDone("end")));
  assert.ok(feed.lacksSome);
  assert.equal(feed.flush().length, LIMITS.clientFramesMax + 1);
});
