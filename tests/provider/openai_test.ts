import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { ModelEvent, ModelRequest } from "#/core/provider.ts";
import { Secret } from "#/lib/secret.ts";
import { openOpenAi } from "#/provider/openai.ts";
import { collect, testProvider, textOf } from "../contract/provider_contract.ts";
import {
  answer,
  chunk,
  interleave,
  noAnswer,
  pause,
  ping,
  raw,
  reasoning,
  type Reply,
  reply,
  text,
  toolCall,
  usage,
  vendorError,
  waitFor,
} from "../fake/openai_reply.ts";
import { SCRIPTS } from "../fake/openai_scripts.ts";
import { type FakeOpenAi, type Script, startFakeOpenAi } from "../fake/openai_server.ts";

const KEY = "sk-test-1234567890";

function request(prompt = "Hi", more: Partial<ModelRequest> = {}): ModelRequest {
  return { model: "fake-1", messages: [{ role: "user", content: prompt }], tools: [], timeoutMs: 20_000, ...more };
}

function open(vendor: { readonly url: string }, more: Partial<Parameters<typeof openOpenAi>[0]> = {}) {
  return openOpenAi({ name: "acme", baseUrl: vendor.url, apiKey: new Secret(KEY), fetch, ...more });
}

async function withVendor<T>(script: Script | Reply, body: (vendor: FakeOpenAi) => Promise<T>): Promise<T> {
  const vendor = await startFakeOpenAi(typeof script === "function" ? script : () => script);
  try {
    return await body(vendor);
  } finally {
    await vendor.close();
  }
}

function ask(script: Script | Reply, more: Partial<Parameters<typeof openOpenAi>[0]> = {}): Promise<ModelEvent[]> {
  return withVendor(script, (vendor) => collect(open(vendor, more), request()));
}

function failureOf(events: readonly ModelEvent[]): Extract<ModelEvent, { type: "failed" }> {
  const last = events.at(-1);
  assert.equal(last?.type, "failed", JSON.stringify(last));
  return last as Extract<ModelEvent, { type: "failed" }>;
}

testProvider("openOpenAi", async () => {
  const vendor = await startFakeOpenAi((body) =>
    body.messages.at(-1)?.content === "act"
      ? reply([toolCall("file_read", { path: "/shared/a" }, { fragments: 3 })])
      // A model pauses to think; what it says in one breath may come as one event.
      : reply([text("One two three "), pause(20), text("four five six.")])
  );
  return { provider: open(vendor), talk: request("talk"), act: request("act"), close: vendor.close };
});

Deno.test("openOpenAi() sends the key and the headers of its entry, and nothing about the machine", async () => {
  await withVendor(reply([text("Hi")]), async (vendor) => {
    await collect(open(vendor, { extraHeaders: { "X-Title": "Oxydra" } }), request());
    const { headers, path, body } = vendor.requests[0]!;
    assert.equal(path, "/v1/chat/completions");
    assert.equal(headers["authorization"], `Bearer ${KEY}`);
    assert.equal(headers["x-title"], "Oxydra");
    assert.deepEqual(Object.keys(headers).filter((name) => name.startsWith("x-stainless")), []);
    assert.deepEqual(body.stream_options, { include_usage: true });
    assert.equal(body.tools, undefined);
  });
});

Deno.test("openOpenAi() reaches the same endpoint however the base URL is written, its query kept", async () => {
  await withVendor(reply([text("Hi")]), async (vendor) => {
    const host = vendor.url.slice(0, -3);
    for (
      const baseUrl of [host, `${host}/`, `${host}/v1`, `${host}/v1/`, `${host}/v1/chat/completions`, `${host}/v1?a=b`]
    ) {
      assert.equal((await collect(open({ url: baseUrl }), request())).at(-1)?.type, "done", baseUrl);
    }
    assert.deepEqual([...new Set(vendor.seen.map((seen) => seen.path))], [
      "/v1/chat/completions",
      "/v1/chat/completions?a=b",
    ]);
  });
});

Deno.test("openOpenAi() sends no Authorization without a key", async () => {
  await withVendor(reply([text("Hi")]), async (vendor) => {
    await collect(openOpenAi({ name: "local", baseUrl: vendor.url, fetch }), request());
    assert.equal(vendor.requests[0]!.headers["authorization"], undefined);
  });
});

Deno.test("openOpenAi() refuses a header that HTTP cannot carry, without showing it", () => {
  for (const options of [{ extraHeaders: { "X-Key": "hunter2\nX-Evil: 1" } }, { apiKey: new Secret("hunter2 ключ") }]) {
    assert.throws(() => openOpenAi({ name: "acme", fetch, ...options }), (error) => {
      return error instanceof AppError && error.code === "config_invalid" && !error.message.includes("hunter2");
    });
  }
});

Deno.test("stream() yields text, reasoning, whole tool calls, usage and the finish reason, in any fragmentation", async () => {
  const pieces = [
    reasoning("Thinking… 🧠"),
    reasoning("More.", "reasoning"),
    ping(),
    text("Grüße, 世界 🌊 and more", { deltas: 9 }),
    interleave(
      toolCall("file_read", { path: "/shared/ä.txt" }, { index: 0, fragments: 6, splitName: true }),
      toolCall("file_list", { path: "/tmp" }, { index: 1, fragments: 4, repeatHead: true }),
    ),
    chunk({ choices: [] }),
    chunk({ choices: [{ index: 1, delta: { content: "another choice" } }] }),
  ];
  for (const newline of ["\n", "\r\n"] as const) {
    for (const fragmentBytes of [0, 1, 7, 100]) {
      const events = await ask(reply(pieces, { fragmentBytes, newline, usage: usage(11, 7, 3) }));
      assert.equal(textOf(events), "Grüße, 世界 🌊 and more");
      assert.equal(events.map((event) => event.type === "reasoning" ? event.text : "").join(""), "Thinking… 🧠More.");
      assert.deepEqual(events.slice(-4), [
        { type: "tool_call", call: { id: "call_0", name: "file_read", arguments: '{"path":"/shared/ä.txt"}' } },
        { type: "tool_call", call: { id: "call_1", name: "file_list", arguments: '{"path":"/tmp"}' } },
        { type: "usage", usage: { promptTokens: 11, completionTokens: 7, cachedTokens: 3, totalTokens: 18 } },
        { type: "done", finishReason: "tool_calls" },
      ], `${fragmentBytes} ${JSON.stringify(newline)}`);
    }
  }
});

Deno.test("stream() says each delta as it comes, before the next one is there", async () => {
  const gate = Promise.withResolvers<void>();
  await withVendor(reply([text("first"), waitFor(gate.promise), text("second")]), async (vendor) => {
    const events = open(vendor).stream(request(), new AbortController().signal)[Symbol.asyncIterator]();
    assert.deepEqual((await events.next()).value, { type: "text", text: "first" });
    gate.resolve();
    assert.deepEqual((await events.next()).value, { type: "text", text: "second" });
    await events.return?.();
  });
});

Deno.test("stream() ends well when the vendor marks the end in its own way", async () => {
  const ends: readonly (readonly [what: string, reply: Reply, finish: string])[] = [
    ["no [DONE]", reply([text("Hi")], { done: false }), "stop"],
    ["no finish reason", reply([text("Hi")], { finish: null }), "stop"],
    ["no finish reason, byte by byte", reply([text("Hi")], { finish: null, fragmentBytes: 1 }), "stop"],
    ["no finish reason, a call", reply([text("Hi"), toolCall("a", {})], { finish: null }), "tool_calls"],
    ["broken after the finish reason", reply([text("Hi")], { done: false, ending: "cut" }), "stop"],
    ["nothing after [DONE] counts", reply([text("Hi"), raw("")], { ending: "cut" }), "stop"],
    ["length", reply([text("Hi")], { finish: "length" }), "length"],
    ["no empty line at the end", reply([text("Hi"), raw("data: [DONE]")], { finish: null, done: false }), "stop"],
  ];
  for (const [what, script, finish] of ends) {
    const events = await ask(script);
    assert.equal(textOf(events), "Hi", what);
    assert.deepEqual(events.at(-1), { type: "done", finishReason: finish }, what);
  }
});

Deno.test("stream() makes each failure a stated event", async () => {
  const table: readonly (readonly [what: string, script: Script | Reply, code: string, says: RegExp])[] = [
    ["401", vendorError(401, `Incorrect API key provided: ${KEY}`), "provider_auth", /ACME_KEY/],
    ["403", vendorError(403, "not here"), "provider_auth", /not here/],
    ["404", vendorError(404, "no such model"), "model_unknown", /fake-1/],
    ["429", vendorError(429, "slow", { "retry-after": "3" }), "provider_rate_limited", /slow/],
    ["400", vendorError(400, "bad\x1b[31m\nthing"), "provider_rejected", /bad/],
    ["500", SCRIPTS["broken"]!, "provider_unavailable", /500/],
    ["529", answer(529, "overloaded"), "provider_unavailable", /529/],
    ["302", answer(302, "", { headers: { location: "http://127.0.0.1:1/" } }), "provider_protocol", /302/],
    ["5 MB error body", SCRIPTS["huge_error"]!, "provider_unavailable", /500/],
    ["error body that never ends", answer(500, "wait", { ending: "hang" }), "provider_unavailable", /500/],
    ["HTML", SCRIPTS["html"]!, "provider_protocol", /text\/html.*base_url/],
    ["JSON without a stream", answer(200, { choices: [] }), "provider_protocol", /application\/json/],
    ["garbage", SCRIPTS["garbage"]!, "provider_protocol", /not a chat completion stream/],
    ["JSON of another kind", reply([chunk({ choices: "none" })]), "provider_protocol", /not a chat completion/],
    ["a number", reply([raw("data: 5\n\n")]), "provider_protocol", /not a chat completion/],
    [
      "an error in the stream",
      reply([chunk({ error: { code: 502, message: "upstream" } })]),
      "provider_unavailable",
      /upstream/,
    ],
    [
      "nothing at all",
      answer(200, "", { headers: { "content-type": "text/event-stream" } }),
      "provider_interrupted",
      /stopped/,
    ],
    ["no end", reply([text("half")], { finish: null, done: false }), "provider_interrupted", /stopped/],
    ["cut", SCRIPTS["half"]!, "provider_interrupted", /broke off/],
    [
      "reset in the middle",
      reply([text("half")], { finish: null, done: false, ending: "reset" }),
      "provider_interrupted",
      /./,
    ],
    ["no answer", noAnswer("cut"), "provider_unavailable", /Cannot reach acme/],
    ["reset", noAnswer("reset"), "provider_unavailable", /Cannot reach acme/],
  ];
  for (const [what, script, code, says] of table) {
    const events = await ask(script, { apiKeySource: "ACME_KEY" });
    const failed = failureOf(events);
    assert.equal(failed.code, code, `${what}: ${failed.message}`);
    assert.match(failed.message, says, what);
    assert.ok(!failed.message.includes(KEY) && failed.message.length < 500, what);
    assert.equal(events.filter((event) => event.type === "failed" || event.type === "done").length, 1, what);
    assert.equal(failed.retryAfterMs, what === "429" ? 3_000 : undefined, what);
  }
});

Deno.test("stream() keeps the text that came before a stream broke", async () => {
  const events = await ask(SCRIPTS["half"]!);
  assert.equal(textOf(events), "This will never be finis");
});

Deno.test("stream() says where nobody listens", async () => {
  const vendor = await startFakeOpenAi(() => reply([]));
  await vendor.close();
  const failed = failureOf(await collect(open(vendor), request()));
  assert.equal(failed.code, "provider_unavailable");
  assert.ok(failed.message.includes(`127.0.0.1:${vendor.port}`), failed.message);
});

Deno.test("stream() counts silence, and a comment is not silence", async () => {
  const stalled = failureOf(await ask(SCRIPTS["stall"]!, { idleMs: 60 }));
  assert.deepEqual([stalled.code, stalled.retryable], ["provider_timeout", true]);
  const headless = failureOf(await ask(noAnswer("hang"), { idleMs: 60 }));
  assert.equal(headless.code, "provider_timeout");
  const pings = Array.from({ length: 12 }, () => [...ping(), { kind: "pause", ms: 40 } as const]);
  const alive = await ask(reply([...pings, text("still here")]), { idleMs: 250 });
  assert.equal(textOf(alive), "still here");
});

Deno.test("stream() ends at request.timeoutMs although deltas keep coming", async () => {
  const events = await withVendor(SCRIPTS["slow"]!, async (vendor) => {
    return await collect(open(vendor), request("Hi", { timeoutMs: 250 }));
  });
  const failed = failureOf(events);
  assert.deepEqual([failed.code, failed.retryable], ["provider_timeout", false]);
  assert.ok(textOf(events).startsWith("tick"));
});

Deno.test("stream() is cancelled wherever it waits, and the vendor sees the connection close", async () => {
  const scripts: Readonly<Record<string, Reply>> = {
    "before the head": noAnswer("hang"),
    "in the body": reply([text("x")], { finish: null, done: false, ending: "hang" }),
    "in an error body": answer(500, "wait", { ending: "hang" }),
  };
  for (const [where, script] of Object.entries(scripts)) {
    const asked = Promise.withResolvers<void>();
    const answered = () => {
      asked.resolve();
      return script;
    };
    await withVendor(answered, async (vendor) => {
      const provider = open(vendor);
      await provider.warm();
      const controller = new AbortController();
      const events = provider.stream(request(), controller.signal)[Symbol.asyncIterator]();
      let pending = events.next();
      if (where === "in the body") {
        await pending;
        pending = events.next();
      }
      await asked.promise;
      controller.abort();
      const event = (await pending).value;
      assert.equal(event?.type === "failed" && event.code, "cancelled", where);
      assert.equal((await events.next()).done, true);
      await vendor.requests[0]!.left;
    });
  }
});

Deno.test("stream() closes the connection when its reader leaves", async () => {
  await withVendor(reply([text("x")], { finish: null, done: false, ending: "hang" }), async (vendor) => {
    for await (const _event of open(vendor).stream(request(), new AbortController().signal)) break;
    await vendor.requests[0]!.left;
  });
});

Deno.test("stream() drops 10 MB of arguments while they come, and keeps broken JSON as it is", async () => {
  const huge = await ask(SCRIPTS["huge_args"]!);
  const call = huge.find((event) => event.type === "tool_call")!;
  assert.deepEqual(call, {
    type: "tool_call",
    call: { id: "call_0", name: "file_write", arguments: "", droppedBytes: 10_000_039 },
  });
  const broken = (await ask(SCRIPTS["broken_args"]!)).find((event) => event.type === "tool_call");
  assert.equal(broken?.type === "tool_call" && broken.call.arguments, '{"path": "/shared/a');
});

Deno.test("stream() bounds a reply, its calls and an event that does not end", async () => {
  const long = "x".repeat(LIMITS.replyCharsMax / 4);
  const fits = await ask(reply(Array.from({ length: 4 }, () => text(long))));
  assert.equal(fits.at(-1)?.type, "done");
  const over = failureOf(await ask(reply([...Array.from({ length: 4 }, () => text(long)), text("y")])));
  assert.deepEqual([over.code, over.retryable], ["provider_protocol", false]);
  const calls = Array.from({ length: LIMITS.replyToolCallsMax + 1 }, (_, index) => toolCall("a", {}, { index }));
  assert.equal(failureOf(await ask(reply(calls))).code, "provider_protocol");
  const piece = new Uint8Array(1_048_576).fill(120);
  const endless = Array.from({ length: LIMITS.providerEventBytesMax / piece.length + 2 }, () => raw(piece));
  const unending = failureOf(await ask(reply([raw("data: "), ...endless])));
  assert.deepEqual([unending.code, /without an end/.test(unending.message)], ["provider_protocol", true]);
});

Deno.test("stream() gives ids that the conversation does not have yet", async () => {
  await withVendor(
    reply([toolCall("a", {}, { id: "call_0" }), toolCall("b", {}, { index: 1, id: null })]),
    async (vendor) => {
      const earlier = { id: "call_0", name: "a", arguments: "{}" };
      const events = await collect(
        open(vendor),
        request("Hi", {
          messages: [
            { role: "user", content: "Hi" },
            { role: "assistant", content: "", toolCalls: [earlier] },
            { role: "tool", toolCallId: "call_0", name: "a", content: "", ok: true },
          ],
        }),
      );
      const ids = events.flatMap((event) => event.type === "tool_call" ? [event.call.id] : []);
      assert.equal(ids.length, 2);
      assert.ok(!ids.includes("call_0") && ids.every((id) => /^call_[0-9a-f]{24}$/.test(id)), ids.join());
    },
  );
});

Deno.test("stream() shows each delta before the vendor has said the next: no batch", async () => {
  const shown = Array.from({ length: 200 }, () => Promise.withResolvers<void>());
  const steps = shown.map(({ promise }, at) => [text(`${at} `), waitFor(promise)]);
  await withVendor(reply(steps.flat()), async (vendor) => {
    let at = 0;
    for await (const event of open(vendor).stream(request(), new AbortController().signal)) {
      if (event.type !== "text") continue;
      assert.equal(event.text, `${at} `);
      // The vendor waits for this word: a delta that is kept back is waited for by both sides.
      shown[at++]!.resolve();
    }
    assert.equal(at, 200);
  });
});

Deno.test("stream() works in a process that may reach one port and nothing else", async () => {
  const other = await startFakeOpenAi(() => reply([text("out of reach")]));
  await withVendor(reply([text("from the vendor")], { usage: usage(1, 2) }), async (vendor) => {
    const root = new URL("../../", import.meta.url).pathname;
    const env: Record<string, string> = { NO_COLOR: "1", HOME: Deno.env.get("HOME") ?? "" };
    for (const name of ["DENO_DIR", "NPM_CONFIG_REGISTRY"]) if (Deno.env.has(name)) env[name] = Deno.env.get(name)!;
    const flags = ["--no-prompt", "--cached-only", "--no-remote", "--frozen", `--config=${root}deno.json`];
    const run = (permission: string) =>
      new Deno.Command(Deno.execPath(), {
        args: ["run", "-q", ...flags, permission, `${root}tests/provider/openai_child.ts`, vendor.url, other.url],
        clearEnv: true,
        env,
      }).output();
    const narrow = await run(`--allow-net=127.0.0.1:${vendor.port}`);
    assert.equal(new TextDecoder().decode(narrow.stderr), "");
    assert.deepEqual(JSON.parse(new TextDecoder().decode(narrow.stdout)), {
      said: "from the vendor",
      granted: [],
      elsewhere: `This process may not connect to 127.0.0.1:${other.port}: its --allow-net does not name it.`,
    });
    assert.equal(other.seen.length, 0);
    const wide = await run("-A");
    assert.equal(JSON.parse(new TextDecoder().decode(wide.stdout)).elsewhere, "out of reach");
  });
  await other.close();
});
