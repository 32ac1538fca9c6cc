import assert from "node:assert/strict";
import {
  type FailureContext,
  fromStatus,
  fromStreamError,
  fromTransport,
  parseRetryAfter,
  toFailed,
} from "#/provider/failure.ts";

const CONTEXT: FailureContext = {
  name: "acme",
  model: "gpt-x",
  what: "chat completion",
  where: "api.acme.test:443",
  keySource: "ACME_KEY",
  key: "sk-1234567890",
  now: Date.UTC(2026, 0, 1),
};
const vendor = (message: string, code?: string) => JSON.stringify({ error: { message, code } });

Deno.test("fromStatus() maps each status to a code, with words for the person", () => {
  const table: readonly (readonly [status: number, body: string, code: string, retryable: boolean, says: RegExp])[] = [
    [401, vendor("Incorrect key sk-1234567890"), "provider_auth", false, /ACME_KEY/],
    [403, vendor("Country not supported"), "provider_auth", false, /ACME_KEY.*Country not supported/],
    [404, vendor("The model does not exist"), "model_unknown", false, /gpt-x/],
    [404, '{"error":"model not found, try pulling it"}', "model_unknown", false, /try pulling it/],
    [404, "<html>", "provider_rejected", false, /base_url/],
    [404, '{"detail":"Not Found"}', "provider_rejected", false, /base_url/],
    [400, vendor("no such model", "model_not_found"), "model_unknown", false, /gpt-x/],
    [400, vendor("Too long"), "provider_rejected", false, /Too long/],
    [402, '{"message":"Pay first"}', "provider_rejected", false, /your account there.*Pay first/],
    [400, vendor("Invalid schema for function 'a'", "invalid_function_parameters"), "provider_rejected", false, TOOL],
    [400, vendor("tools.0.custom.input_schema: JSON schema is invalid"), "provider_rejected", false, TOOL],
    [400, vendor("Unknown name \"x\" at 'tools[0].function_declarations[0]'"), "provider_rejected", false, TOOL],
    [413, "", "provider_rejected", false, /413.*smaller attachments/],
    [
      422,
      `{"error":{"message":"A \\"long\\" one: ${"x".repeat(9_999)}`,
      "provider_rejected",
      false,
      /422\): A .*long.* one/,
    ],
    [422, '{"detail":[{"msg":"bad"}]}', "provider_rejected", false, /bad/],
    [429, vendor("Slow down"), "provider_rate_limited", true, /Slow down/],
    [429, vendor("No credit", "insufficient_quota"), "provider_rate_limited", false, /No credit/],
    [408, "", "provider_timeout", true, /408/],
    [500, "x".repeat(9_999), "provider_unavailable", true, /500/],
    [503, '[{"error":{"message":"Overloaded"}}]', "provider_unavailable", true, /Overloaded/],
    [529, "", "provider_unavailable", true, /529/],
    [301, "", "provider_protocol", false, /base_url/],
  ];
  for (const [status, body, code, retryable, says] of table) {
    const failed = fromStatus(status, new Headers(), body, CONTEXT);
    assert.deepEqual([failed.code, failed.retryable], [code, retryable], `${status} ${body.slice(0, 40)}`);
    assert.match(failed.message, says);
    assert.ok(failed.message.length < 500);
  }
});

const TOOL = /a tool \(400\); choose another model, or remove its package \(oxydra tools remove\): /;
const anthropic = (type: string, message: string) =>
  JSON.stringify({ type: "error", error: { type, message }, request_id: "req_1" });

Deno.test("fromStatus() and fromStreamError() know each error of Anthropic's, with a status and without", () => {
  const table: readonly (readonly [status: number, type: string, says: string, code: string, retryable: boolean])[] = [
    [400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum", "provider_rejected", false],
    [401, "authentication_error", "invalid x-api-key", "provider_auth", false],
    [402, "billing_error", "Pay first", "provider_rejected", false],
    [403, "permission_error", "Not for this workspace", "provider_auth", false],
    [404, "not_found_error", "model: gpt-x", "model_unknown", false],
    [413, "request_too_large", "Request exceeds the maximum size", "provider_rejected", false],
    [429, "rate_limit_error", "50 requests a minute", "provider_rate_limited", true],
    [500, "api_error", "Internal server error", "provider_unavailable", true],
    [504, "timeout_error", "Request timed out", "provider_unavailable", true],
    [529, "overloaded_error", "Overloaded", "provider_unavailable", true],
  ];
  for (const [status, type, says, code, retryable] of table) {
    const failed = fromStatus(status, new Headers({ "retry-after": "7" }), anthropic(type, says), CONTEXT);
    assert.deepEqual([failed.code, failed.retryable], [code, retryable], type);
    if (status === 401) assert.match(failed.message, /Check ACME_KEY/);
    else assert.ok(failed.message.includes(says), failed.message);
    assert.equal(failed.retryAfterMs, status === 429 || status >= 500 ? 7_000 : undefined);
    const { retryAfterMs: _, ...streamed } = failed;
    assert.deepEqual(fromStreamError({ type, message: says }, CONTEXT), streamed);
  }
});

Deno.test("fromStatus() cuts out the key and every control character", () => {
  const body = JSON.stringify({ error: { message: "key sk-1234567890 \x1b]0;owned\x07\x1b[2J\nnext\u202e" } });
  for (const status of [400, 403, 404, 429, 500]) {
    const { message } = fromStatus(status, new Headers(), body, CONTEXT);
    assert.ok(!message.includes("sk-1234567890"), message);
    // deno-lint-ignore no-control-regex -- what it looks for
    assert.ok(!/[\x00-\x1f\x7f-\x9f\u202e]/.test(message), message);
  }
});

Deno.test("fromStatus() says that a key is missing when there was none", () => {
  assert.match(fromStatus(401, new Headers(), "", { ...CONTEXT, key: "" }).message, /got no key: set ACME_KEY/);
});

Deno.test("fromStatus() reads what Google says for machines", () => {
  const google = (...details: unknown[]) => JSON.stringify([{ error: { message: "No", details } }]);
  const of = (status: number, ...details: unknown[]) => fromStatus(status, new Headers(), google(...details), CONTEXT);
  const bad = of(400, { domain: "googleapis.com" }, { reason: "API_KEY_INVALID" }, null);
  assert.deepEqual([bad.code, bad.message], ["provider_auth", "acme refused the API key (400). Check ACME_KEY."]);
  for (const status of [429, 503]) {
    assert.equal(of(status, { retryDelay: "7s" }).retryAfterMs, 7_000);
    assert.equal(of(status, {}, { retryDelay: "0.0301s" }).retryAfterMs, 31);
  }
  for (const retryDelay of ["soon", "7", "-7s", "9999999999s", 7, null, { s: 7 }]) {
    assert.equal(of(429, { retryDelay }).retryAfterMs, undefined, String(retryDelay));
  }
  const both = fromStatus(429, new Headers({ "retry-after": "2" }), google({ retryDelay: "7s" }), CONTEXT);
  assert.equal(both.retryAfterMs, 2_000);
});

Deno.test("parseRetryAfter() takes seconds, a date and OpenAI's milliseconds", () => {
  const now = Date.UTC(2026, 0, 1);
  const parse = (headers: Record<string, string>) => parseRetryAfter(new Headers(headers), now);
  assert.equal(parse({ "retry-after": "2" }), 2_000);
  assert.equal(parse({ "retry-after": " 0.5 " }), 500);
  assert.equal(parse({ "retry-after": "Thu, 01 Jan 2026 00:00:07 GMT" }), 7_000);
  assert.equal(parse({ "retry-after": "Thu, 01 Jan 2015 00:00:07 GMT" }), 0);
  assert.equal(parse({ "retry-after-ms": "120", "retry-after": "9" }), 120);
  for (const nonsense of ["soon", "-5", "1e9", "", "99999999999999"]) {
    assert.equal(parse({ "retry-after": nonsense }), undefined, nonsense);
  }
  assert.equal(parse({}), undefined);
});

Deno.test("fromStreamError() reads a status number or a name", () => {
  assert.equal(fromStreamError({ code: 502, message: "upstream" }, CONTEXT).code, "provider_unavailable");
  assert.equal(fromStreamError({ code: 429, message: "slow" }, CONTEXT).code, "provider_rate_limited");
  assert.equal(fromStreamError({ type: "rate_limit_exceeded" }, CONTEXT).code, "provider_rate_limited");
  assert.equal(fromStreamError({ type: "invalid_prompt" }, CONTEXT).code, "provider_rejected");
  assert.equal(fromStreamError({ type: "api_error", code: 429 }, CONTEXT).code, "provider_rate_limited");
  assert.equal(fromStreamError({ type: "invalid_request_error", message: "no" }, CONTEXT).code, "provider_rejected");
  assert.equal(fromStreamError("gone", CONTEXT).code, "provider_unavailable");
  assert.equal(fromStreamError(null, CONTEXT).code, "provider_unavailable");
});

Deno.test("fromStatus() and fromStreamError() mark what was refused for its tokens", () => {
  const refusals: readonly [number, object][] = [
    [400, { code: "context_length_exceeded", message: "x" }],
    [400, { type: "invalid_request_error", message: "prompt is too long: 200001 tokens > 200000 maximum" }],
    [400, { message: "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576)." }],
    [400, { type: "exceed_context_size_error", message: "the request exceeds the available context size" }],
  ];
  for (const [status, error] of refusals) {
    const failed = fromStatus(status, new Headers(), JSON.stringify({ error }), CONTEXT);
    assert.deepEqual([failed.code, failed.tooLarge], ["provider_rejected", true], JSON.stringify(error));
  }
  const other = fromStatus(400, new Headers(), '{"error":{"message":"Invalid schema for function x"}}', CONTEXT);
  assert.equal(other.tooLarge, undefined);
  assert.equal(fromStreamError({ code: "context_length_exceeded", message: "x" }, CONTEXT).tooLarge, true);
  assert.equal(fromStreamError({ type: "invalid_request_error" }, CONTEXT).tooLarge, undefined);
});

Deno.test("fromTransport() says what broke, and when the process itself may not connect", () => {
  const because = (message: string) =>
    fromTransport(new TypeError("fetch failed", { cause: new Error(message) }), CONTEXT);
  assert.match(because("tcp connect error: Connection refused (os error 111)").message, /connection refused/);
  assert.match(because("dns error: failed to lookup address").message, /cannot be resolved/);
  assert.match(because("invalid peer certificate: UnknownIssuer").message, /certificate/);
  assert.match(because("connection closed before message completed").message, /closed the connection/);
  assert.match(because("something else").message, /the connection failed/);
  assert.equal(because("something else").retryable, true);
  const refused = new Error("Requires net access");
  refused.name = "NotCapable";
  assert.equal(fromTransport(refused, CONTEXT).retryable, false);
});

Deno.test("toFailed() knows which codes may be tried again", () => {
  assert.deepEqual(toFailed("provider_interrupted", "x"), {
    type: "failed",
    code: "provider_interrupted",
    message: "x",
    retryable: true,
  });
  assert.equal(toFailed("provider_protocol", "x").retryable, false);
});
