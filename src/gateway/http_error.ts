import { AppError, type ErrorCode, toPublicError } from "#/core/error.ts";

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
  turn_suspended: 503,
  gateway_restarting: 503,
  session_taken: 503,
};

/** An error as every door over HTTP says it: the shape that clients of OpenAI's API read. */
export interface HttpError {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly code: string;
    /** The part of the request that is wrong. */
    readonly param: string | null;
  };
}

/** The body of a refusal. Pure. */
export function toHttpError(code: string, message: string, status: number, param: string | null = null): HttpError {
  return { error: { message, type: status < 500 ? "invalid_request_error" : "server_error", code, param } };
}

/** How a failure is answered. */
export interface HttpFailure {
  readonly status: number;
  readonly body: HttpError;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * What a thrown value is to the outside: our own codes speak, everything else is "internal error" and `id`. Of an AppError's parameters, `param`
 * names the part of the request, `code` is what that API calls it, `status` its status, and `retry` false tells OpenAI's clients not to repeat by
 * themselves what may have had effects.
 */
export function toHttpFailure(error: unknown, id: string): HttpFailure {
  const { code, message } = toPublicError(error, id);
  const params = error instanceof AppError ? error.params : {};
  const status = typeof params["status"] === "number" ? params["status"] : STATUS[code] ?? 500;
  const param = typeof params["param"] === "string" ? params["param"] : null;
  const said = typeof params["code"] === "string" ? params["code"] : code;
  const headers = params["retry"] === false ? { headers: { "x-should-retry": "false" } } : {};
  return { status, body: toHttpError(said, message, status, param), ...headers };
}
