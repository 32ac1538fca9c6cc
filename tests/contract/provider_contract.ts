import assert from "node:assert/strict";
import type { ModelEvent, ModelRequest, Provider } from "#/core/provider.ts";

/** A provider under test, and requests that it answers in a known way. */
export interface ProviderUnderTest {
  readonly provider: Provider;
  /** Answered with text in at least two deltas. */
  readonly talk: ModelRequest;
  /** Answered with at least one tool call. */
  readonly act: ModelRequest;
  close(): Promise<void>;
}

/** All events of one call. */
export async function collect(
  provider: Provider,
  request: ModelRequest,
  signal: AbortSignal = new AbortController().signal,
): Promise<ModelEvent[]> {
  const events: ModelEvent[] = [];
  for await (const event of provider.stream(request, signal)) events.push(event);
  return events;
}

/** The text of a reply. */
export function textOf(events: readonly ModelEvent[]): string {
  return events.map((event) => event.type === "text" ? event.text : "").join("");
}

/** What every provider promises (core/provider.ts). */
export function testProvider(name: string, open: () => Promise<ProviderUnderTest>): void {
  const test = (title: string, body: (it: ProviderUnderTest) => Promise<void>) =>
    Deno.test(`${name}: ${title}`, async () => {
      const it = await open();
      try {
        await body(it);
      } finally {
        await it.close();
      }
    });

  test("stream() ends with exactly one done or failed, and says text in deltas", async ({ provider, talk }) => {
    const events = await collect(provider, talk);
    const ends = events.filter((event) => event.type === "done" || event.type === "failed");
    assert.equal(ends.length, 1);
    assert.equal(events.at(-1)?.type, "done");
    assert.ok(events.filter((event) => event.type === "text").length >= 2);
  });

  test("stream() yields tool calls whole, with an id, a name and JSON arguments", async ({ provider, act }) => {
    const calls = (await collect(provider, act)).flatMap((event) => event.type === "tool_call" ? [event.call] : []);
    assert.ok(calls.length > 0);
    assert.equal(new Set(calls.map((call) => call.id)).size, calls.length);
    for (const call of calls) {
      assert.ok(call.id !== "" && call.name !== "");
      assert.equal(typeof JSON.parse(call.arguments), "object");
    }
  });

  test("stream() with a signal that has fired yields cancelled and nothing else", async ({ provider, talk }) => {
    const events = await collect(provider, talk, AbortSignal.abort());
    assert.deepEqual(events.map((event) => event.type === "failed" ? event.code : event.type), ["cancelled"]);
  });

  test("stream() ends cancelled when the signal fires in the middle", async ({ provider, talk }) => {
    const controller = new AbortController();
    const events = provider.stream(talk, controller.signal)[Symbol.asyncIterator]();
    const first = await events.next();
    assert.equal(first.done, false);
    controller.abort();
    const last = await events.next();
    assert.ok(!last.done && last.value.type === "failed" && last.value.code === "cancelled", JSON.stringify(last));
    assert.equal((await events.next()).done, true);
  });

  test("stream() can be left after the first event", async ({ provider, talk }) => {
    for await (const event of provider.stream(talk, new AbortController().signal)) {
      assert.equal(event.type, "text");
      break;
    }
  });

  test("stream() serves two calls at once without mixing them", async ({ provider, talk, act }) => {
    const [talked, acted, alone] = await Promise.all([
      collect(provider, talk),
      collect(provider, act),
      collect(provider, talk),
    ]);
    assert.equal(textOf(talked), textOf(alone));
    assert.ok(!talked.some((event) => event.type === "tool_call"));
    assert.ok(acted.some((event) => event.type === "tool_call"));
  });

  test("stream() does nothing before it is read", async ({ provider, talk }) => {
    provider.stream(talk, new AbortController().signal);
    assert.equal((await collect(provider, talk)).at(-1)?.type, "done");
  });
}
