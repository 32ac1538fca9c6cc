/** However the bytes of a reply are written and cut, it says the same. */
import assert from "node:assert/strict";
import type { ModelEvent } from "#/core/provider.ts";
import type { Dialect, Said, SaidEnd, SseEvent } from "../fake/dialect.ts";
import { ask, callsOf, joined, stream, testDialect, usageOf, wordsOf } from "./dialect_kit.ts";
import { SSE_FORMS } from "./sse_forms.ts";

const encoder = new TextEncoder();
const RANDOM_CUTS = 200;

/** Everything that every vendor can say: two, three and four bytes a character, a joined emoji, a combining mark, quotes and line ends. */
const SAID: readonly Said[] = [
  { kind: "reasoning", text: "Erst denken… 🧠 then act." },
  { kind: "text", text: "" },
  { kind: "text", text: "Grüße, 世界 🌊 — 👩‍👩‍👧‍👦, e\u0301 and " },
  { kind: "text", text: 'a "quote", a \\ and data: [DONE]\n\nevent: done\r\n' },
  { kind: "text", text: "\u2028 done." },
  { kind: "call", id: "call_a", name: "file_read", args: '{"path":"/shared/ä 🌊.txt"}', fragments: 27 },
  { kind: "call", id: "call_b", name: "file_list", args: '{"path":"/tmp","deep":{"er":[1,2.50,null]}}', fragments: 3 },
];
const USAGE = { promptTokens: 1_000, completionTokens: 60, cachedTokens: 400, totalTokens: 1_060 };
const END: SaidEnd = { reason: "tool_calls", usage: USAGE };

/** What each vendor sends without saying anything. */
const EMPTY: Readonly<Record<Dialect["type"], readonly SseEvent[]>> = {
  openai: [
    { data: "{}" },
    { data: '{"choices":[],"prompt_filter_results":[]}' },
    { data: '{"choices":[{}]}' },
    { data: '{"choices":[{"index":0,"delta":{},"finish_reason":null}]}' },
    { data: '{"choices":[{"index":0,"delta":{"content":null,"tool_calls":null}}],"usage":null}' },
    { data: '{"choices":[{"index":1,"delta":{"content":"of another choice"}}]}' },
  ],
  openai_responses: [
    { data: '{"type":"keepalive","sequence_number":0}' },
    { event: "response.queued", data: '{"type":"response.queued","response":{"id":"resp_0","output":[]}}' },
    { event: "response.new_thing.delta", data: '{"type":"response.new_thing.delta","delta":"unseen"}' },
  ],
  anthropic: [
    { event: "ping", data: '{"type":"ping"}' },
    {
      event: "content_block_start",
      data: '{"type":"content_block_start","index":90,"content_block":{"type":"new_kind"}}',
    },
    {
      event: "content_block_delta",
      data: '{"type":"content_block_delta","index":90,"delta":{"type":"new_delta","text":"unseen"}}',
    },
    { event: "content_block_stop", data: '{"type":"content_block_stop","index":90}' },
  ],
  gemini: [
    { data: "{}" },
    { data: '{"candidates":[]}' },
    { data: '{"candidates":[{"index":0}]}' },
    { data: '{"candidates":[{"content":{"role":"model"},"index":0}]}' },
    { data: '{"candidates":[{"content":{"parts":[],"role":"model"},"index":0}]}' },
    { data: '{"candidates":[{"content":{"parts":[{"text":""},{"newKind":{}}],"role":"model"},"index":0}]}' },
  ],
};

/** Runs every form of a stream in a few cuts, and random cuts from a printed seed. */
export function testFragments(dialect: Dialect): void {
  const events = dialect.toEvents(SAID, END);
  const whole = encoder.encode(SSE_FORMS[0]!.write(events));
  const say = (pieces: readonly Uint8Array[]) => ask(dialect, stream(pieces));

  testDialect(dialect, "stream() says what the vendor said", async () => {
    assertSaid(await say([whole]));
  });

  for (const { name, write } of SSE_FORMS) {
    testDialect(dialect, `stream() says the same with ${name}, whole, cut and byte by byte`, async () => {
      const expected = joined(await say([whole]));
      const bytes = encoder.encode(write(events));
      for (const size of [bytes.length, 1_000, 7, 1]) {
        assertSame(await say(cutEach(bytes, size)), expected, `${name}, ${size} bytes a piece`);
      }
    });
  }

  testDialect(dialect, "stream() says the same when each event, or all of them, come in one packet", async () => {
    const expected = joined(await say([whole]));
    const pieces = events.map((event) => SSE_FORMS[0]!.write([event]));
    assertSame(await ask(dialect, stream(pieces)), expected, "an event a packet");
    const pairs = pieces.flatMap((piece, at) => at % 2 === 0 ? [piece + (pieces[at + 1] ?? "")] : []);
    assertSame(await ask(dialect, stream(pairs)), expected, "two events a packet");
    // The cut is behind the first line end of the blank line.
    const straddling = pieces.join("").split(/(?<=\n)(?=\n)/);
    assertSame(await ask(dialect, stream(straddling)), expected, "cut between the two line ends");
  });

  testDialect(dialect, "stream() says the same cut at each byte of its longest event", async () => {
    const expected = joined(await say([whole]));
    const longest = Math.max(...events.map(({ data }) => encoder.encode(data).length));
    for (let at = 0; at < longest; at += 1) {
      const pieces = [...events.flatMap((event) => cutAt(encoder.encode(SSE_FORMS[0]!.write([event])), [at]))];
      assertSame(await say(pieces), expected, `cut at ${at}`);
    }
  });

  testDialect(dialect, "stream() says the same with empty and unknown events of its vendor in between", async () => {
    const expected = joined(await say([whole]));
    for (const empty of EMPTY[dialect.type]) {
      // Not before the first, which opens the message for some vendors, and not behind the end mark.
      const mixed = events.flatMap((event, at) => at === 0 ? [event] : [empty, event]);
      assertSame(await ask(dialect, stream([SSE_FORMS[0]!.write(mixed)])), expected, empty.data);
    }
  });

  const seed = Number(Deno.env.get("OXYDRA_TEST_SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0]);
  testDialect(dialect, `stream() says the same in ${RANDOM_CUTS} random forms and cuts`, async () => {
    const expected = joined(await say([whole]));
    const next = toRandom(seed);
    for (let round = 0; round < RANDOM_CUTS; round++) {
      const form = SSE_FORMS[Math.floor(next() * SSE_FORMS.length)]!;
      const bytes = encoder.encode(form.write(events));
      const cuts = Array.from({ length: Math.floor(next() ** 2 * 120) }, () => Math.floor(next() * bytes.length));
      assertSame(
        await say(cutAt(bytes, cuts)),
        expected,
        `OXYDRA_TEST_SEED=${seed}, round ${round}, ${form.name}, cuts ${cuts.toSorted((a, b) => a - b)}`,
      );
    }
  });
}

function assertSaid(events: readonly ModelEvent[]): void {
  const words = (kind: "text" | "reasoning") => SAID.map((part) => part.kind === kind ? part.text : "").join("");
  assert.equal(wordsOf(events, "text"), words("text"));
  assert.equal(wordsOf(events, "reasoning"), words("reasoning"));
  // Gemini sends arguments as objects: their text is ours, their value is the vendor's.
  const parsed = callsOf(events).map((call) => ({ ...call, arguments: JSON.parse(call.arguments) }));
  const calls = SAID.flatMap((part) =>
    part.kind === "call" ? [{ id: part.id, name: part.name, arguments: JSON.parse(part.args) }] : []
  );
  assert.deepEqual(parsed, calls);
  const { promptTokens, completionTokens, cachedTokens, totalTokens = USAGE.totalTokens } = usageOf(events) ?? {};
  assert.deepEqual({ promptTokens, completionTokens, cachedTokens, totalTokens }, USAGE);
  assert.deepEqual(events.at(-1), { type: "done", finishReason: "tool_calls" });
}

function assertSame(events: readonly ModelEvent[], expected: readonly ModelEvent[], how: string): void {
  assert.deepEqual(joined(events), expected, how);
}

function cutEach(bytes: Uint8Array, size: number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
  return pieces;
}

function cutAt(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const edges = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
  return edges.slice(1).map((end, at) => bytes.subarray(edges[at], end)).filter((piece) => piece.length > 0);
}

/** mulberry32: numbers from 0 to 1 that a seed repeats. */
function toRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = state + 0x6d2b79f5 >>> 0;
    let mixed = Math.imul(state ^ state >>> 15, state | 1);
    mixed ^= mixed + Math.imul(mixed ^ mixed >>> 7, mixed | 61);
    return ((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32;
  };
}
