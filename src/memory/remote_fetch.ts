import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { readBounded } from "#/lib/read_bounded.ts";
import type { RemoteAddress } from "#/memory/remote_address.ts";
import { storeFailed } from "#/memory/store_error.ts";

/** What a remote store is asked through. */
export interface RemoteFetchOptions {
  readonly address: RemoteAddress;
  readonly fetch: typeof fetch;
  /** One request and its answer; default `remoteStoreMs`. */
  readonly timeoutMs?: number;
  /** Default `remoteAnswerBytesMax`. */
  readonly answerBytesMax?: number;
}

/** What an HTTP status means; one that is not here is no answer of a libSQL server. */
const STATUSES: readonly (readonly [status: (status: number) => boolean, reason: string, text: string])[] = [
  [
    (status) => status === 401 || status === 403,
    "auth",
    "it refuses memory.auth_token: look at the token and its database",
  ],
  [(status) => status === 429, "busy", "it gets too many requests: try again"],
  // Not followed: whoever answers would choose where the token and the conversation go.
  [
    (status) => status >= 300 && status < 400,
    "refused",
    "it sends us to another address, which is not followed: set memory.remote_url to where it is",
  ],
  [(status) => status >= 500, "unreachable", "it has an error of its own: look at the service's status"],
];

/**
 * `fetch` for the client of one remote store: to that address and no other (an answer can name another for the next request), no redirect,
 * one time limit for a request and its answer, and an answer that is bounded and whole before anything parses it. Throws AppError
 * `store_failed`: `auth`, `busy`, `refused`, `unreachable`, `timeout`, `too_large`, `protocol`.
 */
export function toRemoteFetch(options: RemoteFetchOptions): (request: Request) => Promise<Response> {
  const { address: { url, name }, timeoutMs = LIMITS.remoteStoreMs, answerBytesMax = LIMITS.remoteAnswerBytesMax } =
    options;
  return async (request) => {
    if (!request.url.startsWith(url)) {
      throw storeFailed(name, "refused", "it wants the next request at another address");
    }
    const signal = AbortSignal.timeout(timeoutMs);
    try {
      const response = await options.fetch(request, { redirect: "manual", signal });
      if (!response.ok) {
        await response.body?.cancel();
        const known = STATUSES.find(([is]) => is(response.status));
        if (known !== undefined) throw storeFailed(name, known[1], `${known[2]} (HTTP ${response.status})`);
        throw storeFailed(
          name,
          "protocol",
          `it is no libSQL database: look at memory.remote_url (HTTP ${response.status})`,
        );
      }
      return new Response(response.body === null ? "" : await readBounded(response.body, answerBytesMax), {
        headers: { "content-type": "application/json" },
      });
    } catch (cause) {
      if (cause instanceof AppError) throw cause;
      if (signal.aborted) throw storeFailed(name, "timeout", `no whole answer within ${timeoutMs} ms`, cause);
      if (cause instanceof RangeError) {
        throw storeFailed(name, "too_large", `an answer has more than ${answerBytesMax} bytes`, cause);
      }
      const text = cause instanceof Deno.errors.NotCapable
        ? "the process may not connect to it"
        : "it cannot be reached, or the connection was cut";
      throw storeFailed(name, "unreachable", text, cause);
    }
  };
}
