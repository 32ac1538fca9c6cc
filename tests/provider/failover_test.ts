import assert from "node:assert/strict";
import { AppError, type ErrorCode } from "#/core/error.ts";
import type { ModelDescriptor } from "#/core/model.ts";
import type { ModelEvent, ModelRequest, Provider } from "#/core/provider.ts";
import { toFailed } from "#/provider/failure.ts";
import { type Candidate, type FailoverOptions, withFailover } from "#/provider/failover.ts";
import { collect, testProvider, textOf } from "../contract/provider_contract.ts";
import { ManualTime } from "../fake/manual_time.ts";
import { calls, says, scriptedProvider } from "../fake/scripted_provider.ts";

const REQUEST: ModelRequest = { model: "m1", messages: [{ role: "user", content: "x" }], tools: [], timeoutMs: 60_000 };
const GONE = toFailed("provider_unavailable", "gone");

/** Time that passes only in waits and when a test says so. */
function settings(
  more: Partial<FailoverOptions> = {},
): { time: ManualTime; options: FailoverOptions; waits: number[] } {
  const time = new ManualTime();
  const waits: number[] = [];
  const delay = (ms: number) => {
    waits.push(ms);
    time.advance(ms);
    return Promise.resolve();
  };
  const options: FailoverOptions = {
    maxAttempts: 3,
    backoffBaseMs: 250,
    backoffMaxMs: 2_000,
    jitter: false,
    random: () => 0,
    delay,
    now: time.now,
    cooldownMs: 60_000,
    ...more,
  };
  return { time, options, waits };
}

function candidate(n: number, provider: Provider, more: Partial<Candidate> = {}): Candidate {
  return { provider: `p${n}`, model: `m${n}`, open: () => Promise.resolve(provider), ...more };
}

function describe(contextTokens: number): ModelDescriptor {
  const has = { toolCall: true, reasoning: false, structuredOutput: false, input: [], output: [] };
  return { id: "m", name: "m", contextTokens, outputTokens: 1_000, source: "test", ...has };
}

/** `retry 1`, `p1/m1>p2/m2 3 provider_unavailable`, `text`, `failed provider_auth`. */
function tell(events: readonly ModelEvent[]): string[] {
  return events.map((event) => {
    if (event.type === "retry") return `retry ${event.attempt}`;
    if (event.type === "failed") return `failed ${event.code}`;
    if (event.type !== "switch") return event.type;
    const { from, to, attempt, code } = event;
    return `${from.provider}/${from.model}>${to.provider}/${to.model} ${attempt} ${code}`;
  });
}

testProvider("withFailover", () => {
  const first = scriptedProvider((request) =>
    request.tools.length > 0 ? calls(["file_read", { path: "/shared/a" }]) : [{ type: "text", text: "a" }, ...says("b")]
  );
  const { options } = settings();
  const tools = [{ name: "file_read", description: "", parameters: {} }];
  return Promise.resolve({
    provider: withFailover([candidate(1, first), candidate(2, scriptedProvider([GONE]))], options),
    talk: REQUEST,
    act: { ...REQUEST, tools },
    close: () => Promise.resolve(),
  });
});

Deno.test("withFailover() asks the next one when the attempts of one are used up, and says why", async () => {
  const [first, second] = [scriptedProvider([GONE]), scriptedProvider(says("yes"))];
  const { options, waits } = settings();
  const provider = withFailover([candidate(1, first), candidate(2, second)], options);
  const events = await collect(provider, REQUEST);
  assert.equal(provider.name, "p1");
  assert.deepEqual(tell(events), ["retry 1", "retry 2", "p1/m1>p2/m2 3 provider_unavailable", "text", "done"]);
  assert.equal(events.find((event) => event.type === "switch")!.message, "gone (3 attempts)");
  assert.deepEqual(waits, [250, 500], "a switch waits for nothing");
});

Deno.test("withFailover() gives each one its own model, descriptor and output limit", async () => {
  const [first, second, third] = [scriptedProvider([GONE]), scriptedProvider([GONE]), scriptedProvider(says("yes"))];
  const request = { ...REQUEST, descriptor: describe(1), maxOutputTokens: 77, session: "s" };
  const own = { descriptor: describe(2), maxOutputTokens: 5 };
  const list = [candidate(1, first), candidate(2, second, own), candidate(3, third)];
  await collect(withFailover(list, settings({ maxAttempts: 1 }).options), request);
  const told = [first, second, third].map(({ requests: [seen] }) => [
    seen!.model,
    seen!.descriptor?.contextTokens,
    seen!.maxOutputTokens,
    seen!.session,
  ]);
  assert.deepEqual(told, [["m1", 1, 77, "s"], ["m2", 2, 5, "s"], ["m3", undefined, undefined, "s"]]);
});

Deno.test("withFailover() offers no tools to one that has none", async () => {
  const [first, second] = [scriptedProvider([GONE]), scriptedProvider(says("yes"))];
  const tools = [{ name: "file_read", description: "", parameters: {} }];
  const own = { descriptor: { ...describe(2), toolCall: false } };
  const list = [candidate(1, first), candidate(2, second, own)];
  await collect(withFailover(list, settings({ maxAttempts: 1 }).options), { ...REQUEST, tools });
  assert.deepEqual([first, second].map(({ requests: [seen] }) => seen!.tools.length), [1, 0]);
});

Deno.test("withFailover() decides by the failure: who is asked next, and whether the first is asked first again", async () => {
  const cases: readonly [ReturnType<typeof toFailed>, "next" | "ends", "open" | "closed"][] = [
    [toFailed("provider_auth", "x"), "next", "open"],
    [toFailed("model_unknown", "x"), "next", "open"],
    [toFailed("provider_protocol", "x"), "next", "open"],
    [toFailed("provider_rate_limited", "no credit", { retryable: false }), "next", "open"],
    [toFailed("provider_rate_limited", "x", { retryAfterMs: 2_001 }), "next", "open"],
    [toFailed("provider_timeout", "x"), "next", "open"],
    [toFailed("provider_rejected", "x"), "next", "closed"],
    [toFailed("provider_rejected", "x", { tooLarge: true }), "ends", "closed"],
    [toFailed("cancelled", "x"), "ends", "closed"],
  ];
  for (const [failed, then, circuit] of cases) {
    const first = scriptedProvider([failed]);
    const second = scriptedProvider(says("yes"));
    const known = { descriptor: describe(1_000) };
    const provider = withFailover([candidate(1, first, known), candidate(2, second, known)], settings().options);
    const end = then === "next" ? [`p1/m1>p2/m2 1 ${failed.code}`, "text", "done"] : [`failed ${failed.code}`];
    assert.deepEqual(tell(await collect(provider, REQUEST)), end, failed.code);
    await collect(provider, REQUEST);
    assert.equal(first.requests.length, circuit === "open" ? 1 : 2, `circuit after ${failed.code}`);
  }
});

Deno.test("withFailover() hands what is too large only to a larger context, or to one that nobody has stated", async () => {
  const large = toFailed("provider_rejected", "too long", { tooLarge: true });
  const run = async (...contexts: (number | undefined)[]) => {
    const list = contexts.map((tokens, at) =>
      candidate(
        at + 1,
        scriptedProvider(at === 0 ? [large] : says("yes")),
        tokens === undefined ? {} : { descriptor: describe(tokens) },
      )
    );
    return tell(await collect(withFailover(list, settings().options), REQUEST))[0];
  };
  assert.equal(await run(100, 99, 101), "p1/m1>p3/m3 1 provider_rejected");
  assert.equal(await run(100, 100), "failed provider_rejected");
  assert.equal(await run(100, undefined), "p1/m1>p2/m2 1 provider_rejected");
  assert.equal(await run(undefined, 100), "p1/m1>p2/m2 1 provider_rejected");
});

Deno.test("withFailover() never asks another one after something was shown", async () => {
  const shown: readonly ModelEvent[] = [
    { type: "text", text: "a" },
    { type: "reasoning", text: "r" },
    { type: "tool_call", call: { id: "1", name: "t", arguments: "{}" } },
    { type: "media", media: { mimeType: "image/png", data: "" } },
  ];
  for (const event of shown) {
    for (const failed of [toFailed("provider_interrupted", "broke off"), toFailed("provider_auth", "no key")]) {
      const second = scriptedProvider(says("again"));
      const list = [candidate(1, scriptedProvider([event, failed])), candidate(2, second)];
      const events = await collect(withFailover(list, settings().options), REQUEST);
      assert.deepEqual(events, [event, failed]);
      assert.equal(second.requests.length, 0);
    }
  }
});

Deno.test("withFailover() shows nothing twice, whatever fails when", async () => {
  const words = ["one ", "two ", "three"];
  const codes: ErrorCode[] = ["provider_unavailable", "provider_timeout", "provider_auth", "provider_interrupted"];
  let seed = 7;
  const random = (n: number) => (seed = (seed * 48_271) % 2_147_483_647) % n;
  for (let run = 0; run < 500; run++) {
    const list = Array.from({ length: 1 + random(4) }, (_, at) => {
      const scripts = Array.from({ length: 4 }, (): ModelEvent[] => {
        const said = words.slice(0, random(5) < 3 ? 0 : 1 + random(3)).map((text): ModelEvent => ({
          type: "text",
          text,
        }));
        if (said.length === words.length) return said;
        return [...said, toFailed(codes[random(codes.length)]!, "x")];
      });
      return candidate(at + 1, scriptedProvider(...scripts));
    });
    const provider = withFailover(list, settings().options);
    for (let call = 0; call < 3; call++) {
      const events = await collect(provider, REQUEST);
      const text = textOf(events);
      assert.ok(words.join("").startsWith(text), `run ${run}: "${text}"`);
      const ends = events.filter(({ type }) => type === "done" || type === "failed");
      assert.deepEqual(ends, events.slice(-1), "exactly one end, at the end");
      assert.equal(ends[0]!.type === "done", text === words.join(""));
      const firstShown = events.findIndex(({ type }) => type === "text");
      const lastChange = events.findLastIndex(({ type }) => type === "retry" || type === "switch");
      assert.ok(firstShown === -1 || lastChange < firstShown, "no attempt after the first text");
    }
  }
});

Deno.test("withFailover() says what each one answered when none could", async () => {
  const list = [
    candidate(1, scriptedProvider([GONE])),
    candidate(2, scriptedProvider([toFailed("provider_auth", "p2 refused the API key (401). Check P2_KEY.")])),
  ];
  const events = await collect(withFailover(list, settings().options), REQUEST);
  const end = events.at(-1)!;
  assert.ok(end.type === "failed");
  assert.equal(end.code, "provider_auth");
  assert.equal(
    end.message,
    "No model answered.\n  p1/m1: gone (3 attempts)\n  p2/m2: p2 refused the API key (401). Check P2_KEY.",
  );
});

Deno.test("withFailover() passes over one that failed, tries it once after the cooldown, and asks it first again when it answers", async () => {
  let isUp = false;
  const first = scriptedProvider(() => isUp ? says("first") : [GONE]);
  const second = scriptedProvider(says("second"));
  const { options, time } = settings();
  const provider = withFailover([candidate(1, first), candidate(2, second)], options);
  await collect(provider, REQUEST);
  const events = await collect(provider, REQUEST);
  assert.deepEqual(tell(events), ["p1/m1>p2/m2 0 provider_unavailable", "text", "done"]);
  assert.match(events[0]!.type === "switch" ? events[0]!.message : "", /failed before .* is asked again in 60 s/);
  time.advance(60_000);
  assert.deepEqual(tell(await collect(provider, REQUEST))[0], "p1/m1>p2/m2 1 provider_unavailable", "one attempt");
  assert.equal(first.requests.length, 4);
  isUp = true;
  assert.equal(textOf(await collect(provider, REQUEST)), "second", "its trial opened it again");
  time.advance(60_000);
  assert.deepEqual(tell(await collect(provider, REQUEST)), ["text", "done"]);
  assert.deepEqual(tell(await collect(provider, REQUEST)), ["text", "done"]);
});

Deno.test("withFailover() lets one call try a half-open one while others go on to the next", async () => {
  const gate = Promise.withResolvers<ModelEvent>();
  const first = scriptedProvider([toFailed("provider_auth", "x")], [gate.promise, {
    type: "done",
    finishReason: "stop",
  }]);
  const { options, time } = settings();
  const provider = withFailover([candidate(1, first), candidate(2, scriptedProvider(says("second")))], options);
  await collect(provider, REQUEST);
  time.advance(60_000);
  const trying = collect(provider, REQUEST);
  const other = await collect(provider, REQUEST);
  assert.equal(textOf(other), "second");
  assert.match(other[0]!.type === "switch" ? other[0]!.message : "", /is being tried by another turn/);
  gate.resolve({ type: "text", text: "first" });
  assert.equal(textOf(await trying), "first");
  assert.equal(first.requests.length, 2);
});

Deno.test("withFailover() never fails without a try: what is open is asked once, the one nearest to its end first", async () => {
  const first = scriptedProvider([toFailed("provider_rate_limited", "x", { retryAfterMs: 600_000 })], says("first"));
  const second = scriptedProvider([toFailed("provider_auth", "x")]);
  const { options } = settings();
  const provider = withFailover([candidate(1, first), candidate(2, second)], options);
  assert.equal(tell(await collect(provider, REQUEST)).at(-1), "failed provider_auth");
  assert.deepEqual(tell(await collect(provider, REQUEST)), [
    "p1/m1>p2/m2 0 provider_rate_limited",
    "p2/m2>p1/m1 1 provider_auth",
    "text",
    "done",
  ]);
  assert.deepEqual([first.requests.length, second.requests.length], [2, 2]);
});

Deno.test("withFailover() of one candidate is its retries, however often it failed", async () => {
  const provider = withFailover([candidate(1, scriptedProvider([GONE]))], settings().options);
  for (let call = 0; call < 3; call++) {
    const events = await collect(provider, REQUEST);
    assert.deepEqual(tell(events), ["retry 1", "retry 2", "failed provider_unavailable"]);
    assert.deepEqual(events.at(-1), { ...GONE, message: "gone (3 attempts)" });
  }
  assert.throws(() => withFailover([], settings().options), RangeError);
});

Deno.test("withFailover() leaves time for the next: half of what is left, or attemptTimeoutMs, is a silent one's", async () => {
  const silences = async (more: Partial<FailoverOptions>) => {
    const list = [1, 2, 3].map((n) => scriptedProvider([n < 3 ? toFailed("provider_timeout", "silent") : GONE]));
    const { options } = settings({ maxAttempts: 1, ...more });
    await collect(withFailover(list.map((provider, at) => candidate(at + 1, provider)), options), REQUEST);
    return list.map(({ requests }) => requests[0]!).map(({ silenceMs, timeoutMs }) => [silenceMs, timeoutMs]);
  };
  assert.deepEqual(await silences({}), [[30_000, 60_000], [30_000, 60_000], [undefined, 60_000]]);
  assert.deepEqual(await silences({ attemptTimeoutMs: 50_000 }), [[50_000, 60_000], [50_000, 60_000], [
    50_000,
    60_000,
  ]]);
  assert.deepEqual((await silences({ attemptTimeoutMs: 1_000 }))[0], [1_000, 60_000]);
});

Deno.test("withFailover() does not begin another one when the call's time is over", async () => {
  const { options, time } = settings();
  const first = scriptedProvider(() => {
    time.advance(REQUEST.timeoutMs);
    return [GONE];
  });
  const second = scriptedProvider(says("late"));
  const events = await collect(withFailover([candidate(1, first), candidate(2, second)], options), REQUEST);
  assert.deepEqual(events, [GONE]);
  assert.equal(second.requests.length, 0);
});

Deno.test("withFailover() opens a candidate when it is asked, once, and goes on when it cannot be opened", async () => {
  let opened = 0;
  const open = () => {
    opened++;
    return Promise.reject(new AppError("config_invalid", "extra_headers cannot be sent"));
  };
  const { options } = settings();
  const list = [candidate(1, scriptedProvider(says("a"), [GONE])), candidate(2, scriptedProvider([]), { open })];
  const provider = withFailover([...list, candidate(3, scriptedProvider(says("c")))], options);
  await collect(provider, REQUEST);
  assert.equal(opened, 0);
  const events = await collect(provider, REQUEST);
  assert.deepEqual(tell(events).slice(2, 4), [
    "p1/m1>p2/m2 3 provider_unavailable",
    "p2/m2>p3/m3 1 config_invalid",
  ]);
  await collect(provider, REQUEST);
  assert.equal(opened, 1);
});

Deno.test("withFailover() throws on what is a defect of ours", async () => {
  const open = () => Promise.reject(new TypeError("defect"));
  const provider = withFailover([candidate(1, scriptedProvider([]), { open })], settings().options);
  await assert.rejects(collect(provider, REQUEST), TypeError);
});

Deno.test("withFailover() ends cancelled wherever the signal finds it, and asks nobody after it", async () => {
  const stuck = { open: () => new Promise<Provider>(() => {}) };
  const silent = () => scriptedProvider([new Promise<ModelEvent>(() => {})]);
  const cases: readonly [string, (second: Provider) => Candidate[]][] = [
    ["while one opens", (second) => [candidate(1, silent(), stuck), candidate(2, second)]],
    ["while one is silent", (second) => [candidate(1, silent()), candidate(2, second)]],
    ["while it waits", (second) => [candidate(1, scriptedProvider([GONE])), candidate(2, second)]],
  ];
  for (const [name, make] of cases) {
    const second = scriptedProvider(says("no"));
    const time = new ManualTime();
    const provider = withFailover(make(second), { ...settings().options, delay: time.delay, now: time.now });
    const control = new AbortController();
    const reading = collect(provider, REQUEST, control.signal);
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    control.abort();
    assert.equal(tell(await reading).at(-1), "failed cancelled", name);
    assert.equal(second.requests.length, 0, name);
    assert.equal(time.pending, 0, name);
  }
});
