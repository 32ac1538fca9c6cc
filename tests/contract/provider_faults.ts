/** What can go wrong on the way to a vendor and back, and the one event that each of it ends in. */
import assert from "node:assert/strict";
import type { ErrorCode } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { ModelEvent, ModelRequest } from "#/core/provider.ts";
import { openProvider } from "#/provider/registry.ts";
import type { ProviderOptions } from "#/provider/warm_provider.ts";
import type { Dialect, Said } from "../fake/dialect.ts";
import { answer, noAnswer, pause, ping, raw, type Reply, reply, type Step, waitFor } from "../fake/openai_reply.ts";
import { ask, failureOf, KEY, KEY_SOURCE, NOW, openAgainst, saying, stream } from "./dialect_kit.ts";
import { testDialect, toReply, toRequest, wordsOf } from "./dialect_kit.ts";
import { withVendor } from "../fake/openai_server.ts";
import { collect } from "./provider_contract.ts";
import { toSse } from "./sse_forms.ts";

/** One row of the table. */
export interface Fault {
  readonly name: string;
  readonly code: ErrorCode;
  readonly retryable: boolean;
  /** What the message tells the person. */
  readonly says: RegExp;
  readonly retryAfterMs?: number;
  /** Text that was shown before. */
  readonly keeps?: string;
  /** The longest that it may take. */
  readonly withinMs: number;
  run(dialect: Dialect): Promise<ModelEvent[]>;
}

/** Silence that ends a call in these tests, and its whole time. */
const IDLE_MS = 200;
const TIMEOUT_MS = 600;
/** A busy machine, on top of a deadline. */
const SLACK_MS = 2_500;
const HALF: readonly Said[] = [{ kind: "text", text: "half" }];
const EVENT_STREAM = { headers: { "content-type": "text/event-stream" } };

type Settings = Partial<ProviderOptions> & { readonly request?: Partial<ModelRequest> };
type Make = (dialect: Dialect) => Reply;

/** An answer other than 2xx with the vendor's own body, which repeats the key. */
function status(code: number, headers: Record<string, string> = {}, says = "because of reasons"): Make {
  return (dialect) => answer(code, toBody(dialect, code, `${says}, ${KEY}`), { headers });
}

function toBody(dialect: Dialect, code: number, message: string): string {
  return JSON.stringify(dialect.toErrorBody(code, message));
}

/** The first half of a stream, then these steps. */
function afterHalf(steps: readonly Step[], ending: Reply["ending"] = "end"): Make {
  return (dialect) =>
    toReply([...saying(dialect, HALF, { reason: "unfinished" }).flatMap((e) => raw(e)), ...steps], ending);
}

type Row = readonly [name: string, make: Make, code: ErrorCode, says: RegExp, more?: Partial<Fault> & Settings];

const RETRYABLE: readonly ErrorCode[] = [
  "provider_rate_limited",
  "provider_unavailable",
  "provider_interrupted",
  "provider_timeout",
];

function toFault([name, make, code, says, more = {}]: Row): Fault {
  const { retryable = RETRYABLE.includes(code), withinMs = SLACK_MS, ...rest } = more;
  const settings = { idleMs: IDLE_MS * 5, ...rest };
  return { run: (dialect) => ask(dialect, make(dialect), settings), name, code, says, retryable, withinMs, ...rest };
}

const REFUSED: readonly Row[] = [
  ["401", status(401), "provider_auth", /ACME_KEY/],
  ["401 without a body", () => answer(401, ""), "provider_auth", /ACME_KEY/],
  ["403", status(403), "provider_auth", /ACME_KEY.*reasons/],
  ["404 of a model", status(404, {}, "model fake-1 not found"), "model_unknown", /"fake-1"/],
  ["404 of a page", () => answer(404, "<html>nginx</html>"), "provider_rejected", /base_url/],
  ["408", status(408), "provider_timeout", /408/],
  ["413", status(413), "provider_rejected", /413.*new session/],
  ["413 of a proxy", () => answer(413, "<html>nginx</html>"), "provider_rejected", /413.*new session/],
  ["429", status(429), "provider_rate_limited", /429.*reasons/],
  ["429, Retry-After 3", status(429, { "retry-after": "3" }), "provider_rate_limited", /429/, { retryAfterMs: 3_000 }],
  [
    "429, Retry-After a date",
    status(429, { "retry-after": new Date(NOW + 7_000).toUTCString() }),
    "provider_rate_limited",
    /429/,
    { retryAfterMs: 7_000 },
  ],
  [
    "429, Retry-After in ms",
    status(429, { "retry-after-ms": "1250", "retry-after": "2" }),
    "provider_rate_limited",
    /429/,
    { retryAfterMs: 1_250 },
  ],
  ["429, Retry-After nonsense", status(429, { "retry-after": "soon" }), "provider_rate_limited", /429/],
  ["500", status(500), "provider_unavailable", /500.*reasons/],
  ["502 with a page", () => answer(502, "<html>Bad gateway</html>"), "provider_unavailable", /502/],
  ["503, Retry-After 1", status(503, { "retry-after": "1" }), "provider_unavailable", /503/, { retryAfterMs: 1_000 }],
  ["529", status(529, {}, "Overloaded"), "provider_unavailable", /529.*Overloaded/],
  [
    "400 for a tool's schema",
    status(400, {}, "tools.0.file_read: invalid schema: 'type' is missing"),
    "provider_rejected",
    /file_read: invalid schema/,
  ],
  ["400 with escapes of a terminal", status(400, {}, "\x1b[31mred\x07\r\nX-Evil: 1"), "provider_rejected", /red/],
  ["400 with a body of 5 MB", status(400, {}, "too much ".repeat(600_000)), "provider_rejected", /400.*too much/],
  ["500 with 5 MB of no JSON", () => answer(500, "x".repeat(5_000_000)), "provider_unavailable", /500/],
  [
    "500 with a body that never ends",
    (dialect) => answer(500, toBody(dialect, 500, "wait"), { ending: "hang" }),
    "provider_unavailable",
    /500/,
    { withinMs: LIMITS.providerErrorBodyMs + SLACK_MS },
  ],
  ["500 that breaks off", () => answer(500, "{", { ending: "reset" }), "provider_unavailable", /500/],
];

const MISTAKEN: readonly Row[] = [
  ["a page with 200", () => answer(200, "<html>Log in</html>"), "provider_protocol", /text\/html.*base_url/],
  ["JSON instead of a stream", () => answer(200, { ok: true }), "provider_protocol", /application\/json.*base_url/],
  [
    "text/plain instead of a stream",
    (dialect) => answer(200, saying(dialect, HALF).join(""), { headers: { "content-type": "text/plain" } }),
    "provider_protocol",
    /text\/plain.*base_url/,
  ],
  ["204", () => answer(204, ""), "provider_protocol", /base_url/],
  ["no event at all", () => answer(200, "", EVENT_STREAM), "provider_interrupted", /stopped|broke off/],
  ["nothing but pings", () => stream([": ping\n\n: ping\n\n"]), "provider_interrupted", /stopped|broke off/],
  ["no JSON in an event", afterHalf(raw("data: {broken\n\n")), "provider_protocol", /not a/, { keeps: "half" }],
  ["a number in an event", afterHalf(raw("data: 5\n\n")), "provider_protocol", /not a/, { keeps: "half" }],
  ["null in an event", afterHalf(raw("data: null\n\n")), "provider_protocol", /not a/, { keeps: "half" }],
  ["a list in an event", afterHalf(raw('data: ["x"]\n\n')), "provider_protocol", /not a/, { keeps: "half" }],
  [
    "gzip that is none",
    () =>
      answer(200, "\x1f\x8bgarbage", { headers: { "content-type": "text/event-stream", "content-encoding": "gzip" } }),
    "provider_interrupted",
    /broke off/,
  ],
  [
    "one event of more than 32 MB",
    afterHalf([
      ...raw("data: "),
      ...Array.from({ length: LIMITS.providerEventBytesMax / 1_048_576 + 1 }, () => raw("x".repeat(1_048_576))).flat(),
    ]),
    "provider_protocol",
    /without an end/,
    { keeps: "half", withinMs: SLACK_MS * 4, idleMs: 5_000 },
  ],
];

const BROKEN: readonly Row[] = [
  ["closed without an answer", () => noAnswer("cut"), "provider_unavailable", /Cannot reach acme at 127/],
  ["reset without an answer", () => noAnswer("reset"), "provider_unavailable", /Cannot reach acme at 127/],
  ["reset in the middle", afterHalf(pause(20), "reset"), "provider_interrupted", /broke off/, { keeps: "half" }],
  ["closed in the middle", afterHalf([], "cut"), "provider_interrupted", /broke off/, { keeps: "half" }],
  ["ended in the middle", afterHalf([]), "provider_interrupted", /stopped|broke off/, { keeps: "half" }],
  ["ended inside an event", afterHalf(raw('data: {"a')), "provider_interrupted", /stopped/, { keeps: "half" }],
  ["silent from the start", () => noAnswer("hang"), "provider_timeout", /sent nothing for 0.2 s/, { idleMs: IDLE_MS }],
  [
    "silent behind the head",
    () => stream([], "hang"),
    "provider_timeout",
    /sent nothing for 0.2 s/,
    { idleMs: IDLE_MS },
  ],
  [
    "silent in the middle",
    afterHalf([], "hang"),
    "provider_timeout",
    /sent nothing for 0.2 s/,
    { keeps: "half", idleMs: IDLE_MS },
  ],
  [
    "pings without an end",
    afterHalf(Array.from({ length: 500 }, () => [...ping(), ...pause(20)]).flat(), "hang"),
    "provider_timeout",
    /longer than 0.6 s/,
    { keeps: "half", retryable: false, request: { timeoutMs: TIMEOUT_MS } },
  ],
  [
    "an error in the stream",
    (dialect) => afterHalf(raw(toSse(dialect.toErrorEvent(`Overloaded ${KEY}`))))(dialect),
    "provider_unavailable",
    /Overloaded/,
    { keeps: "half" },
  ],
];

const SPECIAL: readonly Fault[] = [
  {
    name: "connection refused",
    code: "provider_unavailable",
    retryable: true,
    says: /Cannot reach acme at 127\.0\.0\.1:\d+: connection refused/,
    withinMs: SLACK_MS,
    run: async (dialect) => {
      const closed = await withVendor(reply([]), (vendor) => Promise.resolve(vendor));
      return await collect(await openAgainst(dialect, closed), toRequest());
    },
  },
  {
    name: "a redirect, which is not followed",
    code: "provider_protocol",
    retryable: false,
    says: /answered 307.*base_url/,
    withinMs: SLACK_MS,
    run: (dialect) =>
      withVendor(stream(saying(dialect, HALF)), async (other) => {
        const location = `${other.url}/chat/completions`;
        const events = await ask(dialect, answer(307, "", { headers: { location } }));
        assert.equal(other.seen.length, 0, "the key would have gone there too");
        return events;
      }),
  },
];

/** Every fault, the same for each vendor. */
export const FAULTS: readonly Fault[] = [...[...REFUSED, ...MISTAKEN, ...BROKEN].map(toFault), ...SPECIAL];

/** Runs the table: each fault ends in its event, in time, and the message is fit for the person. */
export function testFaults(dialect: Dialect): void {
  for (const fault of FAULTS) {
    testDialect(dialect, `stream() ends in ${fault.code} for ${fault.name}`, async () => {
      const startedAt = performance.now();
      const events = await fault.run(dialect);
      const ms = performance.now() - startedAt;
      const failed = failureOf(events);
      assert.deepEqual(
        { code: failed.code, retryable: failed.retryable, retryAfterMs: failed.retryAfterMs },
        { code: fault.code, retryable: fault.retryable, retryAfterMs: fault.retryAfterMs },
        failed.message,
      );
      assert.match(failed.message, fault.says);
      assertSpeakable(failed.message);
      assert.ok(!JSON.stringify(events).includes(KEY), "the key is in an event");
      assert.equal(events.filter(({ type }) => type === "failed" || type === "done").length, 1);
      assert.equal(wordsOf(events, "text"), fault.keeps ?? "");
      assert.ok(ms <= fault.withinMs, `${ms.toFixed()} ms of ${fault.withinMs}`);
    });
  }

  testDialect(dialect, "stream() ends soon when a vendor keeps the connection open behind its last word", async () => {
    const said = saying(dialect, [{ kind: "text", text: "All." }]).filter((event) => !event.includes("[DONE]"));
    const startedAt = performance.now();
    const events = await ask(dialect, stream(said, "hang"));
    assert.deepEqual(events.at(-1), { type: "done", finishReason: "stop" });
    assert.ok(performance.now() - startedAt < LIMITS.providerTailMs + SLACK_MS);
  });

  testDialect(dialect, "stream() keeps what was said when the connection breaks behind the last word", async () => {
    const said = saying(dialect, [{ kind: "text", text: "All." }]).filter((event) => !event.includes("[DONE]"));
    for (const ending of ["cut", "reset"] as const) {
      const events = await ask(dialect, toReply([...said.flatMap((event) => raw(event)), ...pause(20)], ending));
      assert.equal(wordsOf(events, "text"), "All.", ending);
      assert.deepEqual(events.at(-1), { type: "done", finishReason: "stop" }, ending);
    }
  });

  testDialect(dialect, "stream() takes comments for a sign of life, and waits for a slow first word", async () => {
    const alive = Array.from({ length: 20 }, () => [...ping(), ...pause(40)]).flat();
    const said = saying(dialect, [{ kind: "text", text: "still here" }]).flatMap((event) => raw(event));
    const events = await ask(dialect, toReply([...alive, ...said]), { idleMs: 400 });
    assert.equal(wordsOf(events, "text"), "still here");
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(() => late.resolve(), 250);
    const slow = await ask(dialect, toReply([...waitFor(late.promise), ...said]), { idleMs: 5_000 });
    clearTimeout(timer);
    assert.equal(wordsOf(slow, "text"), "still here");
  });

  testDialect(dialect, "stream() says that no key was sent when none was set", async () => {
    const { message } = failureOf(
      await withVendor(status(401)(dialect), async (vendor) => {
        const { name, fetch, baseUrl } = {
          name: "acme",
          fetch: globalThis.fetch,
          baseUrl: `http://127.0.0.1:${vendor.port}`,
        };
        const provider = await openProvider(dialect.type, { name, fetch, baseUrl, apiKeySource: KEY_SOURCE });
        return await collect(provider, toRequest());
      }),
    );
    assert.match(message, new RegExp(`got no key.*${KEY_SOURCE}`));
  });
}

/** One line for a person: no stack, no internals, nothing that moves a cursor. */
export function assertSpeakable(message: string): void {
  assert.ok(message.length < 500, `${message.length} characters`);
  // deno-lint-ignore no-control-regex -- these are what must not be there
  assert.doesNotMatch(message, /[\x00-\x1f\x7f]|\bat .+:\d+:\d+|file:\/\/|TypeError|ZodError|\[object|undefined/);
}
