/** What a reply can hold, and what a caller can do to it: calls, counts, endings, cancelling, leaving, two at once. */
import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import type { ModelEvent } from "#/core/provider.ts";
import { countingSignal } from "../fake/counting_signal.ts";
import type { Dialect, Said } from "../fake/dialect.ts";
import { answer, noAnswer, raw, type Reply, waitFor } from "../fake/openai_reply.ts";
import {
  ask,
  callsOf,
  failureOf,
  openAgainst,
  saying,
  stream,
  testDialect,
  toReply,
  toRequest,
} from "./dialect_kit.ts";
import { usageOf, wordsOf } from "./dialect_kit.ts";
import { withVendor } from "../fake/openai_server.ts";
import { collect } from "./provider_contract.ts";

const HALF: readonly Said[] = [{ kind: "text", text: "half" }];
/** SPEC: cancel stops within 50 ms. The quickest of a few is under it, the slowest on a busy machine is not. */
const CANCEL_MS = 50;
const CANCEL_BUSY_MS = 1_000;

/** Tool calls, token counts and finish reasons; then cancelling at each point. */
export function testReplies(dialect: Dialect): void {
  testCalls(dialect);
  testEnds(dialect);
  testCancel(dialect);
  testAtOnce(dialect);
}

function call(id: string, args: string, fragments = 4): Said {
  return { kind: "call", id, name: "file_read", args, fragments };
}

function testCalls(dialect: Dialect): void {
  const say = (said: readonly Said[]) => ask(dialect, stream(saying(dialect, said, { reason: "tool_calls" })));

  testDialect(
    dialect,
    "stream() yields each tool call whole, in order, with its id and arguments that parse",
    async () => {
      const args = ['{"path":"/shared/ä.txt"}', '{"n":1e3,"deep":{"list":[true,null,"🌊\\n"]}}', "{}"];
      const calls = callsOf(await say([...HALF, ...args.map((text, at) => call(`call_${at}`, text))]));
      assert.deepEqual(calls.map(({ id, name }) => [id, name]), args.map((_, at) => [`call_${at}`, "file_read"]));
      assert.deepEqual(calls.map((made) => JSON.parse(made.arguments)), args.map((text) => JSON.parse(text)));
    },
  );

  testDialect(dialect, "stream() gives a call without arguments an empty object", async () => {
    assert.deepEqual(callsOf(await say([call("call_0", "")])).map((made) => JSON.parse(made.arguments)), [{}]);
  });

  testDialect(
    dialect,
    "stream() gives each call an id of its own when the vendor repeats one or gives none",
    async () => {
      const calls = callsOf(
        await say([call("call_0", '{"path":"/a"}'), call("call_0", '{"path":"/b"}'), call("", '{"path":"/c"}')]),
      );
      assert.deepEqual(calls.map((made) => JSON.parse(made.arguments).path), ["/a", "/b", "/c"]);
      assert.equal(new Set(calls.map(({ id }) => id)).size, 3);
      assert.ok(calls.every(({ id }) => id.length > 0 && id.length <= LIMITS.idCharsMax));
    },
  );

  testDialect(dialect, "stream() gives no id that the conversation has already", async () => {
    const earlier = { id: "call_0", name: "file_read", arguments: "{}" };
    const events = await ask(dialect, stream(saying(dialect, [call("call_0", "{}")], { reason: "tool_calls" })), {
      request: {
        messages: [
          { role: "user", content: "Hi" },
          { role: "assistant", content: "", toolCalls: [earlier] },
          { role: "tool", toolCallId: "call_0", name: "file_read", content: "x", ok: true },
        ],
      },
    });
    const [made] = callsOf(events);
    assert.ok(made && made.id !== "call_0" && made.id !== "", `${made?.id}`);
  });

  testDialect(dialect, "stream() drops arguments beyond the limit, and more calls than a reply may begin", async () => {
    const big = JSON.stringify({ text: "x".repeat(LIMITS.argsBytesMax) });
    const [made] = (await say([call("call_0", big)])).flatMap((event) =>
      event.type === "tool_call" ? [event.call] : []
    );
    assert.deepEqual([made?.arguments, made?.droppedBytes], ["", big.length]);
    const many = Array.from({ length: LIMITS.replyToolCallsMax + 1 }, (_, at) => call(`call_${at}`, "{}", 1));
    assert.equal(callsOf(await say(many.slice(1))).length, LIMITS.replyToolCallsMax);
    assert.equal(failureOf(await say(many)).code, "provider_protocol");
  });
}

function testEnds(dialect: Dialect): void {
  for (const reason of ["stop", "length"] as const) {
    testDialect(dialect, `stream() ends with the finish reason ${reason}`, async () => {
      const events = await ask(dialect, stream(saying(dialect, HALF, { reason })));
      assert.deepEqual(events.at(-1), { type: "done", finishReason: reason });
    });
  }

  testDialect(
    dialect,
    "stream() counts tokens once, cached ones within the prompt, thoughts within the reply",
    async () => {
      const said = { promptTokens: 1_000, completionTokens: 60, cachedTokens: 400, reasoningTokens: 20 };
      const reply = stream(saying(dialect, HALF, { reason: "stop", usage: { ...said, totalTokens: 1_060 } }));
      const { totalTokens = 1_060, ...usage } = usageOf(await ask(dialect, reply)) ?? {};
      assert.deepEqual({ ...usage, cacheWriteTokens: undefined }, { ...said, cacheWriteTokens: undefined });
      assert.equal(totalTokens, 1_060);
    },
  );

  testDialect(dialect, "stream() shows thoughts apart from text, and bounds both", async () => {
    const thought: Said = { kind: "reasoning", text: "Thinking." };
    const events = await ask(dialect, stream(saying(dialect, [thought, ...HALF])));
    assert.deepEqual([wordsOf(events, "reasoning"), wordsOf(events, "text")], ["Thinking.", "half"]);
    const text = "x".repeat(LIMITS.replyCharsMax / 4);
    const fits: Said[] = [1, 2, 3, 4].map(() => ({ kind: "text", text }));
    assert.equal((await ask(dialect, stream(saying(dialect, fits)))).at(-1)?.type, "done");
    const over = failureOf(await ask(dialect, stream(saying(dialect, [...fits, { kind: "text", text: "y" }]))));
    assert.deepEqual([over.code, over.retryable], ["provider_protocol", false]);
  });

  // Claude makes none.
  if (dialect.type !== "anthropic") testMedia(dialect);

  testDialect(dialect, "stream() shows each delta before the vendor has said the next", async () => {
    // One character each, so that no vendor can cut one.
    const words = Array.from({ length: 50 }, (_, at) => String.fromCodePoint(0x4e00 + at));
    const events = saying(dialect, words.map((text) => ({ kind: "text", text })));
    const shown = new Map(words.map((word) => [word, Promise.withResolvers<void>()]));
    // The vendor waits for each word to be seen: one that is kept back is waited for by both sides.
    const steps = events.flatMap((event) => {
      const word = words.find((each) => event.includes(`"${each}"`));
      return [...raw(event), ...(word === undefined ? [] : waitFor(shown.get(word)!.promise))];
    });
    assert.ok(steps.filter(({ kind }) => kind === "wait").length >= words.length);
    const seen: string[] = [];
    await withVendor(toReply(steps), async (vendor) => {
      const provider = await openAgainst(dialect, vendor, { idleMs: 5_000 });
      for await (const event of provider.stream(toRequest(), new AbortController().signal)) {
        if (event.type !== "text") continue;
        seen.push(event.text);
        shown.get(event.text)?.resolve();
      }
    });
    assert.equal(seen.join(""), words.join(""));
  });
}

function testMedia(dialect: Dialect): void {
  const media = (n: number): Said => ({ kind: "media", mimeType: "image/png", data: `aGFsZg${n}=` });

  testDialect(dialect, "stream() yields what the model made, in any cut", async () => {
    const events = saying(dialect, [...HALF, media(1), media(2)]).join("");
    const expected = [1, 2].map((n) => ({ type: "media", media: { mimeType: "image/png", data: `aGFsZg${n}=` } }));
    for (const pieces of [[events], events.split(""), events.split(/(?=aGF)/)]) {
      const found = (await ask(dialect, stream(pieces))).filter(({ type }) => type === "media");
      assert.deepEqual(found, expected);
    }
  });
}

/** Answers, by the point at which the caller gives up. `text` is read before that. */
function cancelPoints(dialect: Dialect): readonly (readonly [where: string, reply: Reply, text: string])[] {
  const half = saying(dialect, HALF, { reason: "unfinished" });
  return [
    ["before the head", noAnswer("hang"), ""],
    ["behind the head", stream([], "hang"), ""],
    ["in the body", stream(half, "hang"), "half"],
    ["inside an event", stream([...half, 'data: {"ty'], "hang"), "half"],
    ["in an error body", answer(500, "wait", { ending: "hang" }), ""],
  ];
}

function testCancel(dialect: Dialect): void {
  testDialect(dialect, "stream() with a signal that has fired asks nobody", async () => {
    await withVendor(stream(saying(dialect, HALF)), async (vendor) => {
      const events = await collect(await openAgainst(dialect, vendor), toRequest(), AbortSignal.abort());
      assert.deepEqual(events.map((event) => event.type === "failed" ? event.code : event.type), ["cancelled"]);
      assert.equal(vendor.seen.length, 0);
    });
  });

  for (const [where, reply, before] of cancelPoints(dialect)) {
    testDialect(
      dialect,
      `stream() cancelled ${where} ends at once, and the vendor sees the connection close`,
      async () => {
        const times: number[] = [];
        for (let round = 0; round < 3; round++) times.push(await cancelOnce(dialect, reply, before));
        assert.ok(Math.min(...times) < CANCEL_MS && Math.max(...times) < CANCEL_BUSY_MS, times.join());
      },
    );
  }

  testDialect(dialect, "stream() cancelled between two events says nothing more", async () => {
    const said: Said[] = [{ kind: "reasoning", text: "a" }, { kind: "text", text: "b" }, call("call_0", "{}")];
    // In one packet: all of it is there when the caller gives up.
    await withVendor(stream([saying(dialect, said, { reason: "tool_calls" }).join("")]), async (vendor) => {
      const controller = new AbortController();
      const provider = await openAgainst(dialect, vendor);
      const events: ModelEvent[] = [];
      for await (const event of provider.stream(toRequest(), controller.signal)) {
        events.push(event);
        controller.abort();
      }
      assert.deepEqual(events.map((event) => event.type === "failed" ? event.code : event.type), [
        "reasoning",
        "cancelled",
      ]);
    });
  });

  testDialect(dialect, "stream() left after the first event closes the connection", async () => {
    await withVendor(stream(saying(dialect, HALF, { reason: "unfinished" }), "hang"), async (vendor) => {
      const provider = await openAgainst(dialect, vendor);
      for await (const event of provider.stream(toRequest(), new AbortController().signal)) {
        assert.equal(event.type, "text");
        break;
      }
      await vendor.requests[0]!.left;
    });
  });

  testDialect(dialect, "stream() leaves no listener on its caller's signal, however it ends", async () => {
    const { control, listeners } = countingSignal();
    const hanging = stream(saying(dialect, HALF, { reason: "unfinished" }), "hang");
    const endings: readonly Reply[] = [stream(saying(dialect, HALF)), answer(500, "x"), noAnswer("reset"), hanging];
    for (const reply of endings) {
      await withVendor(reply, async (vendor) => {
        const provider = await openAgainst(dialect, vendor);
        for await (const event of provider.stream(toRequest(), control.signal)) {
          if (reply === hanging && event.type === "text") break;
        }
      });
      assert.equal(listeners(), 0);
    }
  });

  testDialect(dialect, "stream() does nothing before it is read", async () => {
    await withVendor(stream(saying(dialect, HALF)), async (vendor) => {
      const provider = await openAgainst(dialect, vendor);
      provider.stream(toRequest(), new AbortController().signal);
      await collect(provider, toRequest());
      assert.equal(vendor.seen.length, 1);
    });
  });
}

/** Ms from the cancel to the last event. */
async function cancelOnce(dialect: Dialect, reply: Reply, before: string): Promise<number> {
  const asked = Promise.withResolvers<void>();
  const script = () => {
    asked.resolve();
    return reply;
  };
  return await withVendor(script, async (vendor) => {
    const provider = await openAgainst(dialect, vendor);
    const controller = new AbortController();
    const events = provider.stream(toRequest(), controller.signal)[Symbol.asyncIterator]();
    for (let text = ""; text !== before;) {
      const { value } = await events.next();
      text += value?.type === "text" ? value.text : assert.fail(JSON.stringify(value));
    }
    const pending = events.next();
    await asked.promise;
    // The answer is on its way.
    await new Promise((resolve) => setTimeout(resolve, 20));
    const startedAt = performance.now();
    controller.abort();
    const { value } = await pending;
    const ms = performance.now() - startedAt;
    assert.equal(value?.type === "failed" && value.code, "cancelled");
    assert.equal((await events.next()).done, true);
    await vendor.requests[0]!.left;
    return ms;
  });
}

function testAtOnce(dialect: Dialect): void {
  testDialect(
    dialect,
    "stream() serves calls at once without mixing them, and one's cancel ends no other",
    async () => {
      const started = Promise.withResolvers<void>();
      const script = (_body: unknown, n: number): Reply => {
        if (n === 1) started.resolve();
        const [first, ...rest] = saying(dialect, [{ kind: "text", text: `a${n}` }, { kind: "text", text: `b${n}` }]);
        return toReply([...raw(first!), ...waitFor(started.promise), ...rest.flatMap((event) => raw(event))]);
      };
      await withVendor(script, async (vendor) => {
        const provider = await openAgainst(dialect, vendor, { idleMs: 5_000 });
        const controller = new AbortController();
        const replies = await Promise.all([
          collect(provider, toRequest()),
          collect(provider, toRequest()),
          (async () => {
            const cancelled = collect(provider, toRequest(), controller.signal);
            await started.promise;
            controller.abort();
            return await cancelled;
          })(),
        ]);
        const texts = replies.map((events) => wordsOf(events, "text"));
        for (const text of texts.slice(0, 2)) assert.match(text, /^a(\d)b\1$/);
        assert.notEqual(texts[0], texts[1]);
        const last = replies[2]!.at(-1)!;
        assert.ok(last.type === "done" || last.type === "failed" && last.code === "cancelled");
      });
    },
  );
}
