import { type ErrorCode, toPublicError } from "#/core/error.ts";

/** Codes that are not a failure of ours, and the HTTP status of each (RFC 9110 §15). */
const STATUS: Readonly<Partial<Record<ErrorCode, number>>> = {
  usage: 400,
  protocol: 400,
  gateway_refused: 403,
  session_unknown: 404,
  model_unknown: 404,
  turn_conflict: 409,
  frame_too_large: 413,
  queue_full: 429,
  quota_exceeded: 429,
  provider_rate_limited: 429,
  provider_auth: 502,
  provider_rejected: 502,
  provider_unavailable: 502,
  provider_protocol: 502,
  provider_interrupted: 502,
  provider_timeout: 504,
  store_failed: 503,
  cancelled: 503,
};

/** An error as every door over HTTP says it: the shape that clients of OpenAI's API read. */
export interface HttpError {
  readonly error: { readonly message: string; readonly type: string; readonly code: string; readonly param: null };
}

/** The body of a refusal. Pure. */
export function toHttpError(code: string, message: string, status: number): HttpError {
  return { error: { message, type: status < 500 ? "invalid_request_error" : "server_error", code, param: null } };
}

/** What a thrown value is to the outside: our own codes speak, everything else is "internal error" and `id`. */
export function toHttpFailure(error: unknown, id: string): { readonly status: number; readonly body: HttpError } {
  const { code, message } = toPublicError(error, id);
  const status = STATUS[code] ?? 500;
  return { status, body: toHttpError(code, message, status) };
}
