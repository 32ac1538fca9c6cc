import type { ErrorCode } from "#/core/error.ts";
import type { ModelEvent } from "#/core/provider.ts";
import { toOneLine } from "#/lib/printable.ts";
import { toNetTarget } from "#/provider/base_url.ts";
import { present } from "#/provider/present.ts";
import type { ProviderOptions } from "#/provider/warm_provider.ts";

/** The event that ends a call that went wrong. */
export type Failed = Extract<ModelEvent, { type: "failed" }>;

/** What a message may name. */
export interface FailureContext {
  /** Entry name of the provider. */
  readonly name: string;
  readonly model: string;
  /** What it serves, in the singular: `chat completion`, `message`. */
  readonly what: string;
  /** Host and port, or the whole base URL without a query. */
  readonly where: string;
  /** Environment variable or setting that the key came from. */
  readonly keySource: string;
  /** The key itself: it is cut out of everything that a vendor says. */
  readonly key: string;
  /** Values of headers that may be one. */
  readonly otherKeys?: readonly string[];
  /** Integer ms UTC, for dates in Retry-After. */
  readonly now: number;
}

/** What messages about one call may name. Pure but for the clock. */
export function toFailureContext(
  options: Pick<ProviderOptions, "name" | "apiKey" | "apiKeySource" | "extraHeaders" | "now">,
  call: { readonly model: string; readonly baseUrl: string; readonly what: string },
): FailureContext {
  return {
    name: options.name,
    model: call.model,
    what: call.what,
    where: toNetTarget(call.baseUrl),
    keySource: options.apiKeySource ?? "its api_key",
    key: options.apiKey?.reveal() ?? "",
    otherKeys: Object.values(options.extraHeaders ?? {}).flatMap((value) => [value, ...value.split(/\s+/)])
      .filter((value) => value.length >= KEY_CHARS_MIN),
    now: options.now?.() ?? Date.now(),
  };
}

const VENDOR_TEXT_CHARS_MAX = 300;
/** A shorter header value is a word like `true`, which messages may hold. */
const KEY_CHARS_MIN = 8;
/** A message whose end, or whose object's end, is missing. */
const CUT_MESSAGE = /"message"\s*:\s*"((?:[^"\\]+|\\.)*)/;
const RETRYABLE: ReadonlySet<ErrorCode> = new Set([
  "provider_rate_limited",
  "provider_unavailable",
  "provider_interrupted",
  "provider_timeout",
]);

/** A failed event; by default rate limits, lost connections, outages and timeouts may be tried again. */
export function toFailed(
  code: ErrorCode,
  message: string,
  options: { retryable?: boolean; retryAfterMs?: number | undefined; tooLarge?: boolean } = {},
): Failed {
  const { retryable = RETRYABLE.has(code), retryAfterMs, tooLarge } = options;
  return { type: "failed", code, message, retryable, ...present({ retryAfterMs, tooLarge: tooLarge || undefined }) };
}

/** A stream that ended without its vendor's word for it. */
export function toCutOff(name: string): Failed {
  return toFailed("provider_interrupted", `The stream of ${name} stopped before its end.`);
}

/** What an HTTP answer other than 2xx means. `body` is what was read of it, at most `providerErrorBytesMax`. */
export function fromStatus(status: number, headers: Headers, body: string, context: FailureContext): Failed {
  const { name, model, where } = context;
  const vendor = vendorError(body);
  const says = vendor.message === "" ? "" : `: ${redact(vendor.message, context)}`;
  const retryAfterMs = parseRetryAfter(headers, context.now) ?? vendor.retryAfterMs;
  if (status === 401 || vendor.reason === "API_KEY_INVALID") {
    const fix = context.key === "" ? `It got no key: set ${context.keySource}` : `Check ${context.keySource}`;
    return toFailed("provider_auth", `${name} refused the API key (${status}). ${fix}.`);
  }
  if (status === 403) {
    return toFailed("provider_auth", `${name} does not allow this with the key from ${context.keySource} (403)${says}`);
  }
  if (status === 404 && /^(not found)?\.?$/i.test(vendor.message)) {
    return toFailed("provider_rejected", `${where} has no ${context.what}s (404). Check base_url of ${name}.`);
  }
  if (status === 404 || vendor.code === "model_not_found") {
    return toFailed("model_unknown", `${name} does not know the model "${model}" (${status})${says}`);
  }
  if (status === 429) {
    const broke = vendor.code === "insufficient_quota" || vendor.code === "billing_hard_limit_reached";
    return toFailed("provider_rate_limited", `${name} limits the rate (429)${says}`, {
      retryable: !broke,
      retryAfterMs,
    });
  }
  if (status === 413) {
    const fix = "send smaller attachments or begin a new session";
    return toFailed("provider_rejected", `${name} takes no request of this size (413); ${fix}${says}`);
  }
  if (status === 408) return toFailed("provider_timeout", `${name} gave up waiting (408)${says}`);
  if (status >= 500) {
    return toFailed("provider_unavailable", `${name} is not available (${status})${says}`, { retryAfterMs });
  }
  if (status < 400) {
    return toFailed("provider_protocol", `${where} answered ${status} instead of a stream. Check base_url of ${name}.`);
  }
  if (status === 402) {
    return toFailed("provider_rejected", `${name} wants to be paid first (402); see your account there${says}`);
  }
  if (TOOL_SCHEMA.test(`${vendor.code} ${vendor.message}`)) {
    const fix = "choose another model, or remove its package (oxydra tools remove)";
    return toFailed("provider_rejected", `${name} does not take the schema of a tool (${status}); ${fix}${says}`);
  }
  const tooLarge = isAboutSize(vendor);
  return toFailed("provider_rejected", `${name} rejected the request (${status})${says}`, { tooLarge });
}

/** OpenAI, Anthropic, Gemini. */
const TOOL_SCHEMA = /schema for function|invalid_function_parameters|input_schema|function_declarations/i;

/** OpenAI: `context_length_exceeded`; Anthropic: "prompt is too long"; Gemini: "input token count … exceeds the maximum"; llama.cpp: "exceeds the available context size". */
function isAboutSize({ message, code, type }: ReturnType<typeof vendorError>): boolean {
  return /context_length|exceed_context|(prompt|input) is too long|context (length|size|window)|token count.*exceeds/i
    .test(`${code} ${type} ${message}`);
}

/** Names that vendors give errors inside a stream, where no status stands (docs.anthropic.com/en/api/errors). */
const STATUS_OF: ReadonlyMap<string, number> = new Map([
  ["invalid_request_error", 400],
  ["authentication_error", 401],
  ["billing_error", 402],
  ["permission_error", 403],
  ["not_found_error", 404],
  ["request_too_large", 413],
  ["rate_limit_error", 429],
  ["api_error", 500],
  ["timeout_error", 504],
  ["overloaded_error", 529],
]);

/** What an error inside a stream means: `data: {"error": {…}}`, with a status number or a name as its code. */
export function fromStreamError(error: unknown, context: FailureContext): Failed {
  const vendor = vendorError(JSON.stringify({ error }));
  const says = vendor.message === "" ? "" : `: ${redact(vendor.message, context)}`;
  const status = Number(vendor.code) || (STATUS_OF.get(vendor.type) ?? 0);
  if (status >= 400 && status < 600) return fromStatus(status, new Headers(), JSON.stringify({ error }), context);
  if (/rate_limit/.test(vendor.code + vendor.type)) {
    return toFailed("provider_rate_limited", `${context.name} limits the rate${says}`);
  }
  if (/invalid|not_found|context_length|image|policy/.test(vendor.code + vendor.type)) {
    const tooLarge = isAboutSize(vendor);
    return toFailed("provider_rejected", `${context.name} rejected the request${says}`, { tooLarge });
  }
  return toFailed("provider_unavailable", `${context.name} stopped with an error${says}`);
}

/** What a failed connection means. Nothing of the answer had come. */
export function fromTransport(error: unknown, context: FailureContext): Failed {
  if (error instanceof Error && error.name === "NotCapable") {
    const message = `This process may not connect to ${context.where}: its --allow-net does not name it.`;
    return toFailed("provider_unavailable", message, { retryable: false });
  }
  return toFailed("provider_unavailable", `Cannot reach ${context.name} at ${context.where}: ${toReason(error)}.`);
}

/** Why a connection failed, in words: the platform says "fetch failed" and keeps the rest in the cause. Pure. */
export function toReason(error: unknown): string {
  const text = chain(error);
  return REASONS.find(([pattern]) => pattern.test(text))?.[1] ?? "the connection failed";
}

const REASONS: readonly (readonly [RegExp, string])[] = [
  [/refused/i, "connection refused"],
  [/dns|lookup|name or service|no address/i, "the name cannot be resolved"],
  [/certificate|tls|ssl/i, "its TLS certificate was not accepted"],
  [/before message completed|reset|broken pipe|closed/i, "it closed the connection without an answer"],
  [/timed? ?out/i, "the connection timed out"],
  [/unreachable/i, "the network is not reachable"],
];

/** Retry-After as seconds or HTTP date, or `retry-after-ms` (OpenAI), in ms; undefined when absent or nonsense. RFC 9110 §10.2.3. */
export function parseRetryAfter(headers: Headers, now: number): number | undefined {
  const ms = headers.get("retry-after-ms");
  if (ms !== null && /^\d{1,12}(\.\d+)?$/.test(ms)) return Math.ceil(Number(ms));
  const after = headers.get("retry-after")?.trim() ?? "";
  if (/^\d{1,9}(\.\d+)?$/.test(after)) return Math.ceil(Number(after) * 1000);
  // Date.parse takes nearly anything for a date.
  const date = /^[A-Z][a-z]{2,8},? /.test(after) ? Date.parse(after) : NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

interface VendorError {
  readonly message: string;
  readonly code: string;
  readonly type: string;
  /** Of Google's ErrorInfo. */
  readonly reason: string;
  /** Of Google's RetryInfo. */
  readonly retryAfterMs: number | undefined;
}

/** Vendors put the sentence in `error.message`, `error`, `message` or `detail`; Google wraps the object in a list. */
function vendorError(body: string): VendorError {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    // A body longer than what is read of it is cut, and its first sentence is still worth showing.
    const message = CUT_MESSAGE.exec(body)?.[1] ?? "";
    return { message, code: "", type: "", reason: "", retryAfterMs: undefined };
  }
  if (Array.isArray(value)) value = value[0];
  const outer = fields(value);
  const inner = typeof outer["error"] === "string" ? { message: outer["error"] } : fields(outer["error"]);
  const message = inner["message"] ?? outer["message"] ?? outer["detail"] ?? "";
  return {
    message: typeof message === "string" ? message : JSON.stringify(message),
    code: String(inner["code"] ?? ""),
    type: String(inner["type"] ?? ""),
    ...fromDetails(inner["details"]),
  };
}

/** What Google says for machines: cloud.google.com/apis/design/errors. */
function fromDetails(details: unknown): Pick<VendorError, "reason" | "retryAfterMs"> {
  const { reason, retryDelay } = Object.assign({}, ...(Array.isArray(details) ? details.map(fields) : []));
  const seconds = /^\d{1,9}(\.\d+)?s$/.test(String(retryDelay)) ? parseFloat(retryDelay) : undefined;
  return { reason: String(reason ?? ""), retryAfterMs: seconds === undefined ? undefined : Math.ceil(seconds * 1_000) };
}

function fields(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

// Vendors echo keys, whole or masked; a whole one must not reach a log or a screen.
function redact(text: string, { key, otherKeys = [] }: FailureContext): string {
  // The longest first: one may hold another.
  const keys = [...otherKeys, ...(key === "" ? [] : [key])].sort((a, b) => b.length - a.length);
  return toOneLine(keys.reduce((clean, each) => clean.replaceAll(each, "[key]"), text), VENDOR_TEXT_CHARS_MAX);
}

function chain(error: unknown): string {
  let text = "";
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    text += `${at.name} ${at.message}\n`;
  }
  return text;
}
