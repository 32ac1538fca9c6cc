import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import type { Message, ToolCall } from "#/core/message.ts";
import type { ModelEvent, ModelRequest } from "#/core/provider.ts";
import { Secret } from "#/lib/secret.ts";
import { openGemini } from "#/provider/gemini.ts";
import { collect, testProvider, textOf } from "../contract/provider_contract.ts";
import { geminiStream } from "../fake/gemini_dialect.ts";
import { answer, pause, type Reply } from "../fake/openai_reply.ts";
import { type Script, startFakeOpenAi, withVendor } from "../fake/openai_server.ts";

const KEY = "AIza-test-1234567890";
const STOP = { reason: "stop" } as const;
const say = (text: string) => ({ kind: "text", text } as const);

type Options = Parameters<typeof openGemini>[0];

function request(prompt = "Hi", more: Partial<ModelRequest> = {}): ModelRequest {
  const messages: Message[] = [{ role: "user", content: prompt }];
  return { model: "gemini-3-flash", messages, tools: [], timeoutMs: 20_000, ...more };
}

function open(vendor: { readonly url: string }, more: Partial<Options> = {}) {
  // The fake's URL ends with OpenAI's version.
  const options = { name: "acme", baseUrl: vendor.url.replace("/v1", ""), apiKey: new Secret(KEY), fetch };
  return openGemini({ ...options, apiKeySource: "ACME_KEY", ...more });
}

function ask(script: Script | Reply): Promise<ModelEvent[]> {
  return withVendor(script, (vendor) => collect(open(vendor), request()));
}

function failureOf(events: readonly ModelEvent[]): Extract<ModelEvent, { type: "failed" }> {
  const last = events.at(-1);
  assert.ok(last?.type === "failed", JSON.stringify(last));
  return last;
}

interface WirePart {
  readonly text?: string;
  readonly functionCall?: unknown;
  readonly thoughtSignature?: string;
}
const contentsOf = (body: unknown) => (body as { contents: { role: string; parts: WirePart[] }[] }).contents;

testProvider("openGemini", async () => {
  const vendor = await startFakeOpenAi((body) => {
    if (contentsOf(body).at(-1)?.parts[0]?.text === "act") {
      return geminiStream([{ kind: "call", id: "", name: "file_read", args: '{"path":"/shared/a"}' }], STOP);
    }
    const [first, ...rest] = geminiStream([say("One two three "), say("four five six.")], STOP).steps;
    return { ...geminiStream([]), steps: [first!, ...pause(20), ...rest] };
  });
  return { provider: open(vendor), talk: request("talk"), act: request("act"), close: vendor.close };
});

Deno.test("openGemini() sends the key in a header and nowhere else, with the headers of its entry", async () => {
  await withVendor(geminiStream([say("Hi")], STOP), async (vendor) => {
    await collect(open(vendor, { extraHeaders: { "X-Title": "Oxydra" } }), request());
    const { headers, path, body } = vendor.requests[0]!;
    assert.equal(path, "/v1beta/models/gemini-3-flash:streamGenerateContent?alt=sse");
    assert.equal(headers["x-goog-api-key"], KEY);
    assert.equal(headers["x-title"], "Oxydra");
    assert.deepEqual(Object.keys(headers).filter((name) => /authorization|goog-api-client/.test(name)), []);
    assert.ok(!JSON.stringify([path, body]).includes(KEY));
    await collect(open(vendor), request("Hi", { model: "tunedModels/mine" }));
    assert.equal(vendor.seen.at(-1)!.path, "/v1beta/tunedModels/mine:streamGenerateContent?alt=sse");
    await collect(openGemini({ name: "local", baseUrl: vendor.url, fetch }), request("Hi", { model: "models/m" }));
    assert.equal(vendor.requests.at(-1)!.path, "/v1/models/m:streamGenerateContent?alt=sse");
    assert.equal(vendor.requests.at(-1)!.headers["x-goog-api-key"], undefined);
  });
});

Deno.test("openGemini() refuses settings that it cannot use, without showing a value", () => {
  for (const options of [{ baseUrl: "nonsense" }, { extraHeaders: { "X-Key": "hunter2\nX-Evil: 1" } }]) {
    assert.throws(
      () => openGemini({ name: "acme", fetch, ...options }),
      (error) => error instanceof AppError && error.code === "config_invalid" && !error.message.includes("hunter2"),
    );
  }
});

Deno.test("stream() goes through two steps with tools: calls come back alone, signed, with their results", async () => {
  const script: Script = (body) => {
    const last = contentsOf(body).at(-1)!;
    if (!JSON.stringify(last).includes("functionResponse")) {
      const functionCall = { name: "file_read", args: { path: "/shared/a" } };
      return geminiStream([say("I read it. "), {
        candidates: [{ content: { parts: [{ functionCall, thoughtSignature: "c2ln" }] }, index: 0 }],
      }], STOP);
    }
    return geminiStream([say("It says "), say("hello.")], { reason: "stop", usage: { promptTokens: 9 } });
  };
  await withVendor(script, async (vendor) => {
    const provider = open(vendor);
    const messages: Message[] = [{ role: "user", content: "What does it say?" }];
    const first = await collect(provider, request("", { messages }));
    const calls = first.flatMap((event) => event.type === "tool_call" ? [event.call] : []);
    messages.push({ role: "assistant", content: textOf(first), toolCalls: calls });
    for (const { id, name } of calls) messages.push({ role: "tool", toolCallId: id, name, content: "hello", ok: true });
    const second = await collect(provider, request("", { messages }));
    assert.deepEqual(second.slice(-2), [
      { type: "usage", usage: { promptTokens: 9 } },
      { type: "done", finishReason: "stop" },
    ]);
    assert.equal(textOf(second), "It says hello.");
    const { id } = calls[0]!;
    assert.deepEqual(contentsOf(vendor.requests[1]!.body).slice(1), [
      {
        role: "model",
        parts: [{ functionCall: { id, name: "file_read", args: { path: "/shared/a" } }, thoughtSignature: "c2ln" }],
      },
      { role: "user", parts: [{ functionResponse: { id, name: "file_read", response: { output: "hello" } } }] },
    ]);
  });
});

Deno.test("stream() makes each of Google's errors a stated event", async () => {
  const error = (code: number, status: string, message: string, ...details: unknown[]) => ({
    error: { code, message, status, details },
  });
  const rpc = (type: string, fields: object) => ({ "@type": `type.googleapis.com/google.rpc.${type}`, ...fields });
  const invalidKey = error(
    400,
    "INVALID_ARGUMENT",
    "API key not valid. Please pass a valid API key.",
    rpc("ErrorInfo", { reason: "API_KEY_INVALID", domain: "googleapis.com" }),
    rpc("LocalizedMessage", { locale: "en-US" }),
  );
  const quota = error(
    429,
    "RESOURCE_EXHAUSTED",
    "You exceeded your current quota. Please retry in 34.07s.",
    rpc("QuotaFailure", { violations: [] }),
    rpc("RetryInfo", { retryDelay: "34.074824224s" }),
  );
  const overloaded = error(503, "UNAVAILABLE", "The model is overloaded.");
  const table: readonly (readonly [what: string, reply: Reply, code: string, says: RegExp, retryAfterMs?: number])[] = [
    ["a bad key", answer(400, invalidKey), "provider_auth", /refused the API key \(400\)\. Check ACME_KEY/],
    ["a bad key, in a list", answer(400, JSON.stringify([invalidKey])), "provider_auth", /Check ACME_KEY/],
    ["a bad argument", answer(400, error(400, "INVALID_ARGUMENT", "No.")), "provider_rejected", /\(400\): No\./],
    ["no model", answer(404, error(404, "NOT_FOUND", "models/x is not found")), "model_unknown", /gemini-3-flash/],
    ["quota", answer(429, quota), "provider_rate_limited", /exceeded your current quota/, 34_075],
    ["overload", answer(503, overloaded), "provider_unavailable", /overloaded/],
    ["overload in the stream", geminiStream([say("Hi"), overloaded]), "provider_unavailable", /overloaded/],
    [
      "a list in the stream",
      geminiStream([[quota] as unknown as object as Record<string, unknown>]),
      "provider_rate_limited",
      /quota/,
      34_075,
    ],
    ["no end", geminiStream([say("half")]), "provider_interrupted", /stopped before its end/],
    ["another kind of JSON", geminiStream([{ candidates: "none" }]), "provider_protocol", /not a Gemini model stream/],
    ["an empty 404", answer(404, ""), "provider_rejected", /has no Gemini models \(404\)\. Check base_url/],
  ];
  for (const [what, reply, code, says, retryAfterMs] of table) {
    const failed = failureOf(await ask(reply));
    assert.equal(failed.code, code, `${what}: ${failed.message}`);
    assert.match(failed.message, says, what);
    assert.equal(failed.retryAfterMs, retryAfterMs, what);
    assert.ok(!failed.message.includes(KEY), what);
  }
});

Deno.test("stream() asks once more without signatures that the vendor does not take back", async () => {
  const metadata = { provider: "acme", model: "gemini-3-flash", thoughtSignature: "c2ln" };
  const toolCalls: ToolCall[] = [{ id: "c", name: "a", arguments: "{}", metadata }];
  const messages: Message[] = [
    { role: "user", content: "U" },
    { role: "assistant", content: "", toolCalls },
    { role: "tool", toolCallId: "c", name: "a", content: "", ok: true },
  ];
  const signatureOf = (body: unknown) => contentsOf(body)[1]!.parts[0]!.thoughtSignature;
  const refuses = (message: string): Script => (body) =>
    signatureOf(body) === "c2ln" ? answer(400, { error: { code: 400, message } }) : geminiStream([say("Yes.")], STOP);
  await withVendor(refuses("Corrupted thought signature."), async (vendor) => {
    const events = await collect(open(vendor), request("", { messages }));
    assert.equal(textOf(events), "Yes.");
    assert.deepEqual(vendor.requests.map(({ body }) => signatureOf(body)), [
      "c2ln",
      "skip_thought_signature_validator",
    ]);
    assert.equal(events.filter((event) => event.type === "failed").length, 0);
  });
  await withVendor(refuses("Function call is missing a thought_signature"), async (vendor) => {
    assert.equal(failureOf(await collect(open(vendor), request("", { messages }))).code, "provider_rejected");
    assert.equal(vendor.requests.length, 1);
  });
  await withVendor(() => answer(400, { error: { message: "Invalid thought signature" } }), async (vendor) => {
    assert.equal(failureOf(await collect(open(vendor), request("", { messages }))).code, "provider_rejected");
    assert.equal(vendor.requests.length, 2);
  });
});
