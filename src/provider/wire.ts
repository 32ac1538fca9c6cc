import { LIMITS } from "#/core/limits.ts";
import { type Failed, type FailureContext, fromStatus, fromTransport, toFailed } from "#/provider/failure.ts";

/** What one call needs of the outside. */
export interface WireOptions {
  readonly fetch: typeof fetch;
  /** Sent as they are; the key is among them. */
  readonly headers: Readonly<Record<string, string>>;
  readonly context: FailureContext;
  readonly idleMs: number;
  /** Longest time without an event; what only keeps the connection open is none. */
  readonly silenceMs?: number | undefined;
  readonly timeoutMs: number;
}

/** Why a call was ended from our side. */
type Stop = "cancelled" | "idle" | "silent" | "timeout" | "closed";

/**
 * The connection of one model call, under a vendor's package: it gets `fetch`, which sends the key, refuses redirects, reads a
 * bounded part of error bodies and watches silence; the packages have no idle deadline, read error bodies whole, follow redirects
 * and send facts about the machine. One timer serves both deadlines, so a chunk costs one clock reading.
 */
export class Wire {
  readonly #options: WireOptions;
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal;
  readonly #startedAt = performance.now();
  readonly #abort = () => this.#stop("cancelled");
  #idleMs: number;
  #lastAt = this.#startedAt;
  #lastEventAt = this.#startedAt;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped: Stop | undefined;
  #failure: Failed | undefined;
  #bytesSinceEvent = 0;
  #answered = false;
  #isDone = false;

  constructor(options: WireOptions, signal: AbortSignal) {
    this.#options = options;
    this.#idleMs = options.idleMs;
    this.#outer = signal;
    signal.addEventListener("abort", this.#abort);
    if (signal.aborted) this.#stop("cancelled");
    else this.#arm();
  }

  /** Fires when the call is cancelled, out of time or closed. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** True when the vendor marked the end itself. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** The vendor's `[DONE]` came. */
  sawDone(): void {
    this.#isDone = true;
  }

  /** Bytes of the reply arrived. Ends the call when they make no event. */
  sawBytes(count: number): void {
    this.#lastAt = performance.now();
    this.#bytesSinceEvent += count;
    if (this.#bytesSinceEvent <= LIMITS.providerEventBytesMax) return;
    this.#failure = toFailed("provider_protocol", `${this.#options.context.name} sent an event without an end.`);
    this.#controller.abort();
  }

  /** An event came out of the bytes so far. */
  sawEvent(): void {
    this.#bytesSinceEvent = 0;
    this.#lastEventAt = this.#lastAt;
  }

  /** The reply is complete; what still may come is not waited for long. */
  expectEnd(): void {
    if (this.#idleMs <= LIMITS.providerTailMs) return;
    this.#idleMs = LIMITS.providerTailMs;
    this.#arm();
  }

  /** What went wrong, or undefined when nothing did on this level. `error` is what was thrown, if anything. */
  failure(error?: unknown): Failed | undefined {
    const { name, where } = this.#options.context;
    if (this.#outer.aborted || this.#stopped === "cancelled") return toFailed("cancelled", "cancelled");
    if (this.#failure) return this.#failure;
    if (this.#stopped === "timeout") {
      const seconds = Math.round(this.#options.timeoutMs / 100) / 10;
      return toFailed("provider_timeout", `${name} took longer than ${seconds} s.`, { retryable: false });
    }
    if (this.#stopped === "idle" || this.#stopped === "silent") {
      const ms = this.#stopped === "idle" ? this.#idleMs : this.#options.silenceMs!;
      return toFailed("provider_timeout", `${name} at ${where} sent nothing for ${Math.round(ms / 100) / 10} s.`);
    }
    if (error === undefined) return undefined;
    if (this.#answered) return toFailed("provider_interrupted", `The stream of ${name} broke off before its end.`);
    return fromTransport(error, this.#options.context);
  }

  /** Ends the connection and every timer. */
  close(): void {
    this.#stop("closed");
    this.#outer.removeEventListener("abort", this.#abort);
  }

  /** `fetch` for the package. Throws what `failure()` then explains. */
  readonly fetch = async (url: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const { context } = this.#options;
    const headers = new Headers({ "accept": "text/event-stream", "content-type": "application/json" });
    for (const [name, value] of Object.entries(this.#options.headers)) headers.set(name, value);
    // A redirect would carry the key to another host.
    const response = await this.#options.fetch(url, {
      method: "POST",
      body: init?.body ?? null,
      headers,
      redirect: "manual",
      signal: this.signal,
    }).catch((error) => {
      this.#failure = this.#stopped ? undefined : fromTransport(error, context);
      throw error;
    });
    this.#answered = true;
    this.#lastAt = performance.now();
    const type = response.headers.get("content-type") ?? "text/event-stream";
    if (!response.ok) {
      const body = await readSome(response.body);
      this.#failure = fromStatus(response.status, response.headers, body, context);
    } else if (!type.includes("event-stream") || !response.body) {
      await response.body?.cancel();
      const what = response.body ? type.split(";")[0] : "nothing";
      const message = `${context.where} answered with ${what} instead of a stream. Check base_url of ${context.name}.`;
      this.#failure = toFailed("provider_protocol", message);
    }
    if (this.#failure) throw new TypeError("the answer is no stream");
    return response;
  };

  #arm(): void {
    clearTimeout(this.#timer);
    if (this.#stopped) return;
    const now = performance.now();
    const idleIn = this.#lastAt + this.#idleMs - now;
    const silentIn = this.#lastEventAt + (this.#options.silenceMs ?? Infinity) - now;
    const endIn = this.#startedAt + this.#options.timeoutMs - now;
    if (endIn <= 0) this.#stop("timeout");
    else if (idleIn <= 0) this.#stop("idle");
    else if (silentIn <= 0) this.#stop("silent");
    else this.#timer = setTimeout(() => this.#arm(), Math.ceil(Math.min(idleIn, silentIn, endIn)));
  }

  #stop(why: Stop): void {
    this.#stopped ??= why;
    clearTimeout(this.#timer);
    this.#controller.abort();
  }
}

/** The first `providerErrorBytesMax` bytes that come within `providerErrorBodyMs`. */
async function readSome(body: ReadableStream<Uint8Array> | null): Promise<string> {
  if (!body) return "";
  const reader = body.getReader();
  const timer = setTimeout(() => void reader.cancel().catch(() => {}), LIMITS.providerErrorBodyMs);
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (let bytes = 0; bytes < LIMITS.providerErrorBytesMax;) {
      const { done, value } = await reader.read();
      if (done) break;
      text += decoder.decode(value.subarray(0, LIMITS.providerErrorBytesMax - bytes), { stream: true });
      bytes += value.length;
    }
  } catch {
    // What came until the connection broke is enough for a message.
  } finally {
    clearTimeout(timer);
    void reader.cancel().catch(() => {});
  }
  return text;
}
