import { AppError } from "#/core/error.ts";
import type { Grant } from "#/core/capability.ts";
import type { FileCall, HostAnswer } from "#/sandbox/files.ts";
import { GrantMeter } from "#/sandbox/grant.ts";
import type { HostCall, NetHostCall } from "#/sandbox/host_call.ts";

/** What serves the host calls that touch no file; each has been checked against the grant. */
export interface NetService {
  /** One request and its redirects, within what the grant leaves. */
  fetch(
    call: Extract<NetHostCall, { fn: "http.fetch" }>,
    bounds: { readonly bytesMax: number; readonly redirectsMax: number },
    signal: AbortSignal,
  ): Promise<HostAnswer>;
  /** A setting of a tool, or null. */
  setting(key: string): string | null;
  log(level: string, message: string): void;
}

/** What one tool call has touched, for the audit log. */
export interface Touched {
  readBytes: number;
  writtenBytes: number;
  upBytes: number;
  downBytes: number;
}

/**
 * Answers the host calls of one tool call: at most one at a time, each checked against the grant and counted, none after `close`.
 * Throws AppError with a sentence for the model.
 */
export class HostService {
  readonly touched: Touched = { readBytes: 0, writtenBytes: 0, upBytes: 0, downBytes: 0 };
  readonly #meter: GrantMeter;
  readonly #files: FileCall;
  readonly #net: NetService | undefined;
  readonly #now: () => number;
  #state: "idle" | "busy" | "over" = "idle";

  constructor(grant: Grant, deps: { files: FileCall; net: NetService | undefined; now: () => number }) {
    this.#meter = new GrantMeter(grant);
    this.#files = deps.files;
    this.#net = deps.net;
    this.#now = deps.now;
  }

  async answer(call: HostCall, signal: AbortSignal): Promise<HostAnswer> {
    if (this.#state === "over" || signal.aborted) throw new AppError("tool_interrupted", "The call is over");
    // Two at once would both be measured against what neither has spent yet.
    if (this.#state === "busy") throw new AppError("protocol", "One host call at a time");
    this.#state = "busy";
    try {
      const { allowance, spend } = this.#meter.take(call, this.#now());
      const answer = "path" in call
        ? await this.#files.run(call, allowance, signal)
        : await this.#serve(call, { redirectsMax: 0, ...allowance }, signal);
      spend(this.#count(call, answer));
      return answer;
    } finally {
      if (this.#state === "busy") this.#state = "idle";
    }
  }

  /** The tool call is over; a host call that still runs ends on its own and tells nobody. */
  close(): void {
    this.#state = "over";
  }

  async #serve(
    call: NetHostCall,
    bounds: { readonly bytesMax: number; readonly redirectsMax: number },
    signal: AbortSignal,
  ): Promise<HostAnswer> {
    const net = this.#net;
    if (net === undefined) throw new AppError("tool_denied", `${call.fn} is not served here`);
    switch (call.fn) {
      case "http.fetch":
        return await net.fetch(call, bounds, signal);
      case "config.get":
        return { value: { value: net.setting(call.key) } };
      case "log.write":
        net.log(call.level, call.message);
        return { value: {} };
    }
  }

  #count(call: HostCall, answer: HostAnswer): number {
    const content = answer.content?.length ?? 0;
    const { touched } = this;
    if (call.fn === "http.fetch") {
      touched.upBytes += new TextEncoder().encode(call.body).length;
      touched.downBytes += content;
    } else if (call.fn === "fs-write.write-text" || call.fn === "fs-write.write-bytes") {
      const written = "bytes" in answer.value ? answer.value.bytes : 0;
      touched.writtenBytes += written;
      return written;
    } else touched.readBytes += content;
    return content;
  }
}
