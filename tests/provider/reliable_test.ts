import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import type { ModelEvent, ModelRequest, Provider } from "#/core/provider.ts";
import { delay } from "#/lib/delay.ts";
import { Secret } from "#/lib/secret.ts";
import { openOpenAi } from "#/provider/openai.ts";
import { isShown, type Patience, planWait, type RetryOptions, tryAgain } from "#/provider/reliable.ts";
import { collect, testProvider, textOf } from "../contract/provider_contract.ts";
import { SCRIPTS } from "../fake/openai_scripts.ts";
import { startFakeOpenAi } from "../fake/openai_server.ts";
import { calls, says, scriptedProvider } from "../fake/scripted_provider.ts";

const REQUEST: ModelRequest = { model: "m", messages: [{ role: "user", content: "x" }], tools: [], timeoutMs: 60_000 };

function failed(more: Partial<Extract<ModelEvent, { type: "failed" }>> = {}): ModelEvent {
  return { type: "failed", code: "provider_unavailable", message: "gone", retryable: true, ...more };
}

/** Time that passes only in waits. */
function retryOptions(more: Partial<RetryOptions> = {}): RetryOptions & { readonly waits: number[] } {
  const waits: number[] = [];
  let now = 0;
  return {
    maxAttempts: 3,
    backoffBaseMs: 250,
    backoffMaxMs: 2_000,
    jitter: false,
    random: () => 0,
    delay: (ms) => {
      waits.push(ms);
      now += ms;
      return Promise.resolve();
    },
    now: () => now,
    waits,
    ...more,
  };
}

const types = (events: readonly ModelEvent[]) => events.map((event) => event.type);

/** A provider whose calls are `tryAgain`'s. */
function withRetries(provider: Provider, options: RetryOptions): Provider {
  return { name: provider.name, stream: (request, signal) => tryAgain(provider, request, options, signal) };
}

testProvider("tryAgain", () => {
  const provider = scriptedProvider((request) =>
    request.model === "act" ? calls(["file_read", { path: "/shared/a" }]) : [{ type: "text", text: "a" }, ...says("b")]
  );
  return Promise.resolve({
    provider: withRetries(provider, retryOptions()),
    talk: REQUEST,
    act: { ...REQUEST, model: "act" },
    close: () => Promise.resolve(),
  });
});

Deno.test("tryAgain() tries again with a growing wait, and each failed attempt is an event", async () => {
  const options = retryOptions({ maxAttempts: 6 });
  const provider = scriptedProvider([failed()], [failed()], [failed()], [failed()], [failed()], says("yes"));
  const events = await collect(withRetries(provider, options), REQUEST);
  assert.deepEqual(options.waits, [250, 500, 1_000, 2_000, 2_000]);
  assert.deepEqual(events[0], {
    type: "retry",
    attempt: 1,
    waitMs: 250,
    code: "provider_unavailable",
    message: "gone",
  });
  assert.deepEqual(types(events), ["retry", "retry", "retry", "retry", "retry", "text", "done"]);
});

Deno.test("tryAgain() gives up after maxAttempts with the last failure", async () => {
  const provider = scriptedProvider([failed()]);
  const events = await collect(withRetries(provider, retryOptions()), REQUEST);
  assert.deepEqual(types(events), ["retry", "retry", "failed"]);
  assert.deepEqual(events.at(-1), failed({ message: "gone (3 attempts)" }));
  assert.equal(provider.requests.length, 3);
});

Deno.test("tryAgain() never repeats what was shown", async () => {
  const shown: readonly ModelEvent[] = [
    { type: "text", text: "a" },
    { type: "reasoning", text: "r" },
    { type: "tool_call", call: { id: "1", name: "t", arguments: "{}" } },
  ];
  for (const event of shown) {
    const provider = scriptedProvider([event, failed({ code: "provider_interrupted" })], says("again"));
    const events = await collect(withRetries(provider, retryOptions()), REQUEST);
    assert.deepEqual(types(events), [event.type, "failed"]);
    assert.equal(provider.requests.length, 1);
  }
});

Deno.test("tryAgain() does not repeat what cannot get better", async () => {
  const provider = scriptedProvider([failed({ code: "provider_auth", retryable: false })]);
  assert.deepEqual(types(await collect(withRetries(provider, retryOptions()), REQUEST)), ["failed"]);
});

Deno.test("tryAgain() waits as long as the vendor asks, up to retryAfterMsMax", async () => {
  const asked = (retryAfterMs: number) => failed({ code: "provider_rate_limited", retryAfterMs });
  const options = retryOptions();
  await collect(withRetries(scriptedProvider([asked(LIMITS.retryAfterMsMax)], says("yes")), options), REQUEST);
  assert.deepEqual(options.waits, [LIMITS.retryAfterMsMax]);
  const events = await collect(
    withRetries(scriptedProvider([asked(LIMITS.retryAfterMsMax + 1)]), retryOptions()),
    REQUEST,
  );
  assert.deepEqual(types(events), ["failed"]);
  assert.match(events[0]?.type === "failed" ? events[0].message : "", /asks to wait 31 s/);
});

Deno.test("tryAgain() keeps all attempts within request.timeoutMs", async () => {
  const provider = scriptedProvider([failed()]);
  const request = { ...REQUEST, timeoutMs: 600 };
  const events = await collect(withRetries(provider, retryOptions({ maxAttempts: 9 })), request);
  assert.deepEqual(types(events), ["retry", "failed"]);
  assert.deepEqual(provider.requests.map((seen) => seen.timeoutMs), [600, 350]);
});

Deno.test("tryAgain() ends a silent attempt by attemptTimeoutMs, and tries it again", async () => {
  const provider = scriptedProvider([failed({ code: "provider_timeout" })], says("yes"));
  const events = await collect(withRetries(provider, retryOptions({ attemptTimeoutMs: 900 })), REQUEST);
  assert.deepEqual(types(events), ["retry", "text", "done"]);
  assert.deepEqual(provider.requests.map((seen) => seen.silenceMs), [900, 900]);
});

Deno.test("tryAgain() with somebody else to ask waits less, tries silence once and leaves them time", async () => {
  const run = async (event: ModelEvent, patience: Patience, more: Partial<RetryOptions> = {}) => {
    const provider = scriptedProvider([event]);
    const { signal } = new AbortController();
    const events: ModelEvent[] = [];
    for await (const next of tryAgain(provider, REQUEST, retryOptions(more), signal, patience)) events.push(next);
    return { told: types(events), asked: provider.requests, last: events.at(-1)! };
  };
  const half = { withinMs: 30_000, attemptsMax: 3 };
  const limited = (retryAfterMs: number) => failed({ code: "provider_rate_limited", retryAfterMs });
  assert.equal((await run(limited(2_000), half)).asked.length, 3);
  const refused = await run(limited(2_001), half);
  assert.equal(refused.asked.length, 1);
  assert.match(refused.last.type === "failed" ? refused.last.message : "", /^gone \(it asks to wait 3 s\)$/);
  assert.equal((await run(failed({ code: "provider_timeout" }), half)).asked.length, 1);
  assert.equal((await run(failed(), { ...half, attemptsMax: 1 })).asked.length, 1);
  const short = await run(failed(), { withinMs: 600, attemptsMax: 9 });
  assert.deepEqual(short.told, ["retry", "failed"], "the second wait would end after withinMs");
  assert.deepEqual(short.asked.map((seen) => [seen.silenceMs, seen.timeoutMs]), [[600, 60_000], [350, 59_750]]);
});

Deno.test("isShown() is what a second attempt would say twice", () => {
  const shown: ModelEvent[] = [
    { type: "text", text: "" },
    { type: "reasoning", text: "" },
    { type: "tool_call", call: { id: "1", name: "t", arguments: "" } },
    { type: "media", media: { mimeType: "image/png", data: "" } },
  ];
  assert.ok(shown.every(isShown));
  assert.ok(![failed(), { type: "usage", usage: {} } as const, ...says("").slice(1)].some(isShown));
});

Deno.test("tryAgain() ends cancelled when the signal fires in a wait", async () => {
  const controller = new AbortController();
  const options = retryOptions({ delay, backoffBaseMs: 60_000, backoffMaxMs: 60_000, now: () => 0 });
  const request = { ...REQUEST, timeoutMs: 600_000 };
  const events: ModelEvent[] = [];
  for await (const event of withRetries(scriptedProvider([failed()]), options).stream(request, controller.signal)) {
    events.push(event);
    if (event.type === "retry") queueMicrotask(() => controller.abort());
  }
  assert.deepEqual(events.map((event) => event.type === "failed" ? event.code : event.type), ["retry", "cancelled"]);
});

Deno.test("planWait() spreads by half with jitter and never overflows", () => {
  const options = { maxAttempts: 1_000, backoffBaseMs: 100, backoffMaxMs: 1_000, jitter: true, random: () => 0.5 };
  assert.equal(planWait({}, 1, options), 75);
  assert.equal(planWait({}, 999, options), 750);
  assert.equal(planWait({ retryAfterMs: 5_000 }, 1, options), 5_000);
  assert.equal(planWait({}, 1_000, options), undefined);
});

Deno.test("tryAgain() gets an answer from a vendor that says 429 first", async () => {
  const vendor = await startFakeOpenAi(SCRIPTS["limited"]!);
  const provider = openOpenAi({ name: "acme", baseUrl: vendor.url, apiKey: new Secret("sk-1"), fetch });
  const options = retryOptions();
  const events = await collect(withRetries(provider, options), REQUEST);
  await vendor.close();
  assert.equal(textOf(events), "Second try.");
  assert.deepEqual(options.waits, [1_000]);
});
