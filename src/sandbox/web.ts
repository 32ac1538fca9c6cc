import type { Capability, Decision } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { Egress } from "#/sandbox/egress_client.ts";
import type { HostAnswer } from "#/sandbox/files.ts";
import { type HttpCapability, toHttpNeed } from "#/core/http_need.ts";
import type { NetHostCall } from "#/sandbox/host_call.ts";
import { toScrubber } from "#/sandbox/outcome.ts";
import type { Secrets } from "#/sandbox/secrets.ts";

type FetchCall = Extract<NetHostCall, { fn: "http.fetch" }>;

/** What a request reaches the world by. */
export interface WebDeps {
  readonly egress: Pick<Egress, "request">;
  readonly secrets: Secrets;
  /** Judges a redirect's target as if it had been asked for. */
  readonly decide: (need: Capability) => Decision;
}

/** What the grant leaves for one request and its redirects. */
export interface WebBounds {
  readonly bytesMax: number;
  readonly redirectsMax: number;
}

/** Answers that name another place (RFC 9110 §15.4); 304 and 300 are for the tool. */
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** Headers that belong to one origin: another one gets neither what the tool put in nor what we did. */
const OWN_TO_ORIGIN = /cookie|auth|key|token|secret|session|password|credential/i;

/**
 * Makes a request that the grant opens, and follows its redirects: each target is judged by policy like a request of its own, a secret is
 * spent on its declared hosts and goes nowhere else. Throws AppError: `tool_denied` for a target that policy does not give, `secret_denied`,
 * what egress throws, `egress_failed` for too many redirects.
 */
export async function fetchGranted(
  call: FetchCall,
  bounds: WebBounds,
  deps: WebDeps,
  signal: AbortSignal,
): Promise<HostAnswer> {
  const origin = originOf(call.url);
  let { url, method, body } = call;
  let isHome = true;
  for (let hop = 0;; hop++) {
    // Once left, for good: a stranger that redirects back would choose the path that a secret is spent on.
    isHome &&= originOf(url) === origin;
    const { head, content } = await deps.egress.request({
      url,
      method,
      headers: toHeaders(call, url, isHome, deps.secrets),
      body: new TextEncoder().encode(body).toBase64(),
      downBytesMax: Math.min(bounds.bytesMax, LIMITS.responseBytesMax),
      timeoutMs: LIMITS.webTimeoutMs,
    }, signal).catch((error) => {
      if (hop === 0 || !(error instanceof AppError)) throw error;
      throw new AppError(error.code, `${call.url} redirects to ${url}: ${error.message}`, { cause: error });
    });
    const location = REDIRECTS.has(head.status) ? locationOf(head.headers, url) : undefined;
    if (location === undefined || bounds.redirectsMax === 0) {
      const { status, headers, truncated } = head;
      return { value: { status, url, headers, bytes: content.length, truncated }, content };
    }
    if (hop >= bounds.redirectsMax) {
      throw new AppError("egress_failed", `${call.url} redirects more than ${bounds.redirectsMax} times`);
    }
    // As browsers do: a form's answer is fetched (RFC 9110 §15.4.2–4).
    if (head.status === 303 || (head.status < 303 && method === "POST")) {
      if (method !== "HEAD") method = "GET";
      body = "";
    }
    const bytesUpMax = new TextEncoder().encode(body).length;
    const refused = judge(location, { methods: [method], bytesUpMax, bytesDownMax: bounds.bytesMax }, deps);
    if (refused !== undefined) throw new AppError("tool_denied", `${url} redirects to ${refused}`);
    url = location;
  }
}

/** Why a redirect is not followed; undefined when it is. */
function judge(
  location: string,
  rest: Pick<HttpCapability, "methods" | "bytesUpMax" | "bytesDownMax">,
  deps: WebDeps,
): string | undefined {
  // Before policy, whose answer goes to the audit log with the whole address.
  if (toScrubber([], deps.secrets.values)(location) !== location) return "an address that holds the value of a secret";
  if (location.length > LIMITS.urlCharsMax) return `an address of more than ${LIMITS.urlCharsMax} characters`;
  try {
    const decision = deps.decide(toHttpNeed(location, { ...rest, scope: "exact", redirectsMax: 0 }));
    return decision.kind === "granted" ? undefined : `${location}, which is not granted: ${decision.reason}`;
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== "tool_args_invalid") throw error;
    return `${location}, which is not granted: ${error.message}`;
  }
}

function toHeaders(call: FetchCall, url: string, isHome: boolean, secrets: Secrets): [string, string][] {
  const headers = call.headers.filter(([name]) => isHome || !OWN_TO_ORIGIN.test(name))
    .map(([name, value]): [string, string] => [name, value]);
  if (!headers.some(([name]) => name.toLowerCase() === "user-agent")) headers.push(["user-agent", "oxydra"]);
  if (!isHome) return headers;
  // Without the brackets of an IPv6 address, as capabilities and declared hosts name it.
  const host = new URL(url).hostname.replace(/^\[|\]$/g, "");
  for (const { header, name } of call.secrets) headers.push([header, secrets.spend(name, host).reveal()]);
  return headers;
}

function originOf(url: string): string {
  return URL.parse(url)?.origin ?? "";
}

/** The target of a redirect as an address; undefined when there is none that could be one. The fragment stays with the client. */
function locationOf(headers: readonly (readonly [string, string])[], base: string): string | undefined {
  const text = headers.find(([name]) => name.toLowerCase() === "location")?.[1];
  const url = text === undefined ? null : URL.parse(text, base);
  if (url === null) return undefined;
  url.hash = "";
  return url.href;
}
