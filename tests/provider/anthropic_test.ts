import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import type { Message } from "#/core/message.ts";
import type { ModelEvent, ModelRequest } from "#/core/provider.ts";
import { Secret } from "#/lib/secret.ts";
import { openAnthropic } from "#/provider/anthropic.ts";
import type { WireMessage } from "#/provider/anthropic_request.ts";
import { collect, textOf } from "../contract/provider_contract.ts";
import { ANTHROPIC, say, sse, toEvent } from "../fake/anthropic_dialect.ts";
import type { Said } from "../fake/dialect.ts";
import { answer, noAnswer, type Reply } from "../fake/openai_reply.ts";
import { type ChatBody, type Script, startFakeOpenAi, withVendor } from "../fake/openai_server.ts";
import { RecordingSandbox } from "../fake/recording_sandbox.ts";
import { assertSoundTurn, lines, run, toDeps, toInput } from "../turn/turn_kit.ts";

const KEY = "sk-ant-test-1234567890";

function request(prompt = "Hi", more: Partial<ModelRequest> = {}): ModelRequest {
  return { model: "claude-x", messages: [{ role: "user", content: prompt }], tools: [], timeoutMs: 20_000, ...more };
}

function open(vendor: { readonly url: string }, more: Partial<Parameters<typeof openAnthropic>[0]> = {}) {
  return openAnthropic({ name: "acme", baseUrl: vendor.url, apiKey: new Secret(KEY), fetch, ...more });
}

function ask(script: Script | Reply, more: Partial<Parameters<typeof openAnthropic>[0]> = {}): Promise<ModelEvent[]> {
  return withVendor(script, (vendor) => collect(open(vendor, more), request()));
}

function failureOf(events: readonly ModelEvent[]): Extract<ModelEvent, { type: "failed" }> {
  const last = events.at(-1);
  assert.equal(last?.type, "failed", JSON.stringify(last));
  return last as Extract<ModelEvent, { type: "failed" }>;
}

function refusal(status: number, message: string, headers: Readonly<Record<string, string>> = {}): Reply {
  return answer(status, ANTHROPIC.toErrorBody(status, message) as Record<string, unknown>, { headers });
}

const text = (content: string): Said => ({ kind: "text", text: content });
const call = (id: string, name: string, args: unknown): Said => ({
  kind: "call",
  id,
  name,
  args: JSON.stringify(args),
  fragments: 3,
});

/** Text of the last thing that a request asks. */
Deno.test("openAnthropic() sends the key, the version and the headers of its entry, and nothing about the machine", async () => {
  await withVendor(say([text("Hi")]), async (vendor) => {
    await collect(open(vendor, { extraHeaders: { "anthropic-beta": "some-beta" } }), request());
    const { headers, path, body } = vendor.requests[0]!;
    assert.equal(path, "/v1/messages");
    assert.equal(headers["x-api-key"], KEY);
    assert.equal(headers["anthropic-version"], "2023-06-01");
    assert.equal(headers["anthropic-beta"], "some-beta");
    assert.equal(headers["authorization"], undefined);
    assert.deepEqual(Object.keys(headers).filter((name) => name.startsWith("x-stainless")), []);
    assert.deepEqual([body.stream, body["max_tokens"]], [true, 8_192]);
  });
});

Deno.test("openAnthropic() refuses what cannot be sent, without showing it", () => {
  for (const options of [{ apiKey: new Secret("hunter2\nX-Evil: 1") }, { baseUrl: "ftp://hunter2" }]) {
    assert.throws(() => openAnthropic({ name: "acme", fetch, ...options }), (error) => {
      return error instanceof AppError && error.code === "config_invalid" && !error.message.includes("hunter2");
    });
  }
});

Deno.test("stream() yields thoughts, text, whole calls, replay, usage and the finish reason, in any fragmentation", async () => {
  const said: readonly Said[] = [
    { kind: "reasoning", text: "Thinking… 🧠" },
    text("Grüße, 世界 🌊"),
    call("toolu_1", "file_read", { path: "/shared/ä.txt" }),
    call("toolu_2", "file_list", { path: "/tmp" }),
  ];
  const usage = {
    promptTokens: 11,
    completionTokens: 7,
    cachedTokens: 3,
    cacheWriteTokens: 2,
    reasoningTokens: 4,
    totalTokens: 18,
  };
  for (const newline of ["\n", "\r\n"] as const) {
    for (const fragmentBytes of [0, 1, 7]) {
      const events = await ask(say(said, { usage }, { fragmentBytes, newline }));
      assert.equal(textOf(events), "Grüße, 世界 🌊");
      assert.equal(events.map((event) => event.type === "reasoning" ? event.text : "").join(""), "Thinking… 🧠");
      const data = [
        { type: "thinking", thinking: "Thinking… 🧠", signature: "sig_0" },
        { type: "text", chars: 12 },
        { type: "tool_use" },
        { type: "tool_use" },
      ];
      assert.deepEqual(events.slice(-5), [
        { type: "tool_call", call: { id: "toolu_1", name: "file_read", arguments: '{"path":"/shared/ä.txt"}' } },
        { type: "tool_call", call: { id: "toolu_2", name: "file_list", arguments: '{"path":"/tmp"}' } },
        { type: "replay", replay: { provider: "acme", model: "claude-x", data } },
        { type: "usage", usage },
        { type: "done", finishReason: "tool_calls" },
      ], `${fragmentBytes} ${JSON.stringify(newline)}`);
    }
  }
});

Deno.test("stream() makes each failure a stated event", async () => {
  const half = ANTHROPIC.toEvents([text("half")], { reason: "unfinished" });
  const table: readonly (readonly [what: string, script: Script | Reply, code: string, says: RegExp])[] = [
    ["400", refusal(400, "tools.0.input_schema: bad\x1b[31m"), "provider_rejected", /tools\.0\.input_schema/],
    ["401", refusal(401, `invalid x-api-key ${KEY}`), "provider_auth", /ACME_KEY/],
    ["403", refusal(403, "not here"), "provider_auth", /not here/],
    ["404", refusal(404, "model: claude-x"), "model_unknown", /claude-x/],
    ["404 of another server", answer(404, "<h1>no</h1>"), "provider_rejected", /has no messages.*base_url/],
    ["413", refusal(413, "too large"), "provider_rejected", /smaller attachments/],
    ["429", refusal(429, "slow", { "retry-after": "3" }), "provider_rate_limited", /slow/],
    ["500", refusal(500, "oops"), "provider_unavailable", /oops/],
    ["529", refusal(529, "Overloaded"), "provider_unavailable", /Overloaded/],
    ["5 MB error body", answer(500, "x".repeat(5_000_000)), "provider_unavailable", /500/],
    ["HTML", answer(200, "<h1>hello</h1>"), "provider_protocol", /text\/html.*base_url/],
    ["garbage", sse([{ data: "{nothing" }]), "provider_protocol", /not a message stream/],
    ["JSON of another kind", sse([{ data: '{"choices":[]}' }]), "provider_protocol", /not a message stream/],
    ["overloaded in the stream", sse([...half, ANTHROPIC.toErrorEvent("busy")]), "provider_unavailable", /busy/],
    [
      "a bad request in the stream",
      sse([toEvent({ type: "error", error: { type: "invalid_request_error", message: "no" } })]),
      "provider_rejected",
      /no/,
    ],
    ["no end", sse(half), "provider_interrupted", /stopped/],
    ["cut", sse(half, { ending: "cut" }), "provider_interrupted", /broke off/],
    ["no answer", noAnswer("reset"), "provider_unavailable", /Cannot reach acme/],
  ];
  for (const [what, script, code, says] of table) {
    const events = await ask(script, { apiKeySource: "ACME_KEY" });
    const failed = failureOf(events);
    assert.equal(failed.code, code, `${what}: ${failed.message}`);
    assert.match(failed.message, says, what);
    assert.ok(!failed.message.includes(KEY) && failed.message.length < 500, what);
    assert.equal(failed.retryAfterMs, what === "429" ? 3_000 : undefined, what);
  }
});

const thought = { type: "thinking", thinking: "hm", signature: "s" };

/** A conversation in the middle of a turn whose first reply thought. */
function thoughtful(provider: string, model: string): Message[] {
  const replay = { provider, model, data: [thought, { type: "tool_use" }] };
  return [
    { role: "user", content: "go" },
    { role: "assistant", content: "", toolCalls: [{ id: "t1", name: "file_read", arguments: "{}" }], replay },
    { role: "tool", toolCallId: "t1", name: "file_read", content: "r", ok: true },
  ];
}

const BOUND =
  "messages.1.content.0: Invalid `signature` in `thinking` block. The block is bound to a different conversation.";

function thoughtsIn(body: ChatBody): number {
  return JSON.stringify(body.messages).split('"thinking":"hm"').length - 1;
}

Deno.test("stream() sends thoughts back to the entry and the model that had them", async () => {
  await withVendor(say([text("Hi")]), async (vendor) => {
    for (const [provider, model] of [["acme", "claude-x"], ["other", "claude-x"], ["acme", "claude-y"]] as const) {
      await collect(open(vendor), request("", { messages: thoughtful(provider, model) }));
    }
    assert.deepEqual(vendor.requests.map(({ body }) => thoughtsIn(body)), [1, 0, 0]);
    assert.deepEqual((vendor.requests[0]!.body.messages[1] as unknown as WireMessage).content[0], thought);
  });
});

Deno.test("stream() asks once more without the thoughts that a vendor does not take back, and keeps them to itself then", async () => {
  const script: Script = (body) => thoughtsIn(body) > 0 ? refusal(400, BOUND) : say([text("Hi")]);
  await withVendor(script, async (vendor) => {
    const provider = open(vendor);
    const messages = thoughtful("acme", "claude-x");
    for (let at = 0; at < 2; at++) assert.equal(textOf(await collect(provider, request("", { messages }))), "Hi");
    assert.deepEqual(vendor.requests.map(({ body }) => thoughtsIn(body)), [1, 0, 0]);
    await collect(provider, request("", { messages: thoughtful("acme", "claude-x") }));
    assert.deepEqual(vendor.requests.map(({ body }) => thoughtsIn(body)), [1, 0, 0, 1, 0]);
  });
});

Deno.test("stream() asks once only: for another reason, without thoughts, and when that is refused too", async () => {
  const count = async (message: string, messages: Message[]) => {
    return await withVendor(refusal(400, message), async (vendor) => {
      const events = await collect(open(vendor), request("", { messages }));
      assert.equal(events.length, 1);
      assert.equal(failureOf(events).code, "provider_rejected");
      return vendor.requests.length;
    });
  };
  assert.equal(await count("max_tokens: too large", thoughtful("acme", "claude-x")), 1);
  assert.equal(await count(BOUND, thoughtful("other", "claude-x")), 1);
  assert.equal(await count(BOUND, thoughtful("acme", "claude-x")), 2);
});

Deno.test("stream() gives both calls together the time of one", async () => {
  const script: Script = async (_body, n) => {
    if (n > 0) return noAnswer("hang");
    await new Promise((resolve) => setTimeout(resolve, 200));
    return refusal(400, BOUND);
  };
  await withVendor(script, async (vendor) => {
    const startedAt = performance.now();
    const call = request("", { messages: thoughtful("acme", "claude-x"), timeoutMs: 400 });
    assert.equal(failureOf(await collect(open(vendor), call)).code, "provider_timeout");
    assert.equal(vendor.requests.length, 2);
    const tookMs = performance.now() - startedAt;
    assert.ok(tookMs > 350 && tookMs < 550, `${tookMs} ms`);
  });
});

Deno.test("stream() runs a turn of two steps with tools, thoughts and a cached prefix", async () => {
  const script: Script = (_body, n) =>
    n === 0
      ? say([
        { kind: "reasoning", text: "First the folder." },
        text("I look. "),
        call("toolu_1", "file_list", { path: "/shared" }),
        call("toolu_2", "file_read", { path: "/shared/b" }),
      ])
      : n === 1
      ? say([{ kind: "reasoning", text: "Now the file." }, call("toolu_3", "file_read", { path: "/shared/a" })])
      : say([text("It says hello.")], { usage: { promptTokens: 9, completionTokens: 4 } });
  await withVendor(script, async (vendor) => {
    const sandbox = new RecordingSandbox({
      file_list: () => "a, b",
      file_read: ({ callId }) => callId === "toolu_3" ? "hello" : "world",
    });
    const deps = toDeps(open(vendor, { name: "anthropic" }), sandbox);
    const events = await run(toInput({ model: "claude-opus-4-6", reasoning: "low" }, "What is in a?"), deps);
    assertSoundTurn(events);
    assert.equal(lines(events).at(-1), "turn_done It says hello.");
    assert.deepEqual(sandbox.requests.map(({ callId, tool }) => `${callId} ${tool}`), [
      "toolu_1 file_list",
      "toolu_2 file_read",
      "toolu_3 file_read",
    ]);
    const last = vendor.requests[2]!.body;
    assert.deepEqual([last["thinking"], last["output_config"]], [
      { type: "adaptive", display: "summarized" },
      { effort: "low" },
    ]);
    const cached = { cache_control: { type: "ephemeral" } };
    const use = (id: string, name: string, path: string) => ({ type: "tool_use", id, name, input: { path } });
    const result = (id: string, content: string, more = {}) => {
      return { type: "tool_result", tool_use_id: id, content: [{ type: "text", text: content }], ...more };
    };
    assert.deepEqual(last.messages, [
      { role: "user", content: [{ type: "text", text: "What is in a?" }] },
      {
        role: "assistant",
        content: [
          { type: "thinking", thinking: "First the folder.", signature: "sig_0" },
          { type: "text", text: "I look. " },
          use("toolu_1", "file_list", "/shared"),
          use("toolu_2", "file_read", "/shared/b"),
        ],
      },
      { role: "user", content: [result("toolu_1", "a, b"), result("toolu_2", "world", cached)] },
      {
        role: "assistant",
        content: [
          { type: "thinking", thinking: "Now the file.", signature: "sig_0" },
          use("toolu_3", "file_read", "/shared/a"),
        ],
      },
      { role: "user", content: [result("toolu_3", "hello", cached)] },
    ]);
    assert.deepEqual(last["system"], [{ type: "text", text: "be good", ...cached }]);
  });
});

Deno.test("stream() works in a process that may reach one port and nothing else", async () => {
  const other = await startFakeOpenAi(() => say([text("out of reach")]));
  await withVendor(say([text("from the vendor")]), async (vendor) => {
    const root = new URL("../../", import.meta.url).pathname;
    const env: Record<string, string> = { NO_COLOR: "1", HOME: Deno.env.get("HOME") ?? "" };
    for (const name of ["DENO_DIR", "NPM_CONFIG_REGISTRY"]) if (Deno.env.has(name)) env[name] = Deno.env.get(name)!;
    const flags = ["--no-prompt", "--cached-only", "--no-remote", "--frozen", `--config=${root}deno.json`];
    const child = `${root}tests/provider/openai_child.ts`;
    const net = `--allow-net=127.0.0.1:${vendor.port}`;
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-q", ...flags, net, child, vendor.url, other.url, "anthropic"],
      clearEnv: true,
      env,
    }).output();
    assert.equal(new TextDecoder().decode(stderr), "");
    const { said, granted, elsewhere } = JSON.parse(new TextDecoder().decode(stdout));
    assert.deepEqual([said, granted], ["from the vendor", []]);
    assert.match(elsewhere, /may not connect to 127\.0\.0\.1/);
    assert.equal(other.seen.length, 0);
  });
  await other.close();
});
