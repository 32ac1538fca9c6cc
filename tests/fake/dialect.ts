/** How one vendor writes on the wire, for the contract suite: what is said is the same for all of them. */
import type { Usage } from "#/core/message.ts";
import type { ProviderType } from "#/provider/type.ts";
import type { ProviderOptions, WarmProvider } from "#/provider/warm_provider.ts";

/** A piece of a reply, before it is in any wire format. */
export type Said =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "reasoning"; readonly text: string }
  /** `args` is JSON text, cut into `fragments` pieces where the vendor streams arguments. */
  | {
    readonly kind: "call";
    readonly id: string;
    readonly name: string;
    readonly args: string;
    readonly fragments?: number;
  }
  | { readonly kind: "media"; readonly mimeType: string; readonly data: string };

/** How a reply ends. `unfinished` leaves out everything that would mark an end. */
export interface SaidEnd {
  readonly reason: "stop" | "tool_calls" | "length" | "unfinished";
  readonly usage?: Usage;
}

/** One server-sent event; `data` is one line. */
export interface SseEvent {
  readonly event?: string;
  readonly data: string;
}

/** One vendor. */
export interface Dialect {
  readonly type: Exclude<ProviderType, "demo">;
  open(options: ProviderOptions): WarmProvider | Promise<WarmProvider>;
  /** A reply as the events of its stream. */
  toEvents(said: readonly Said[], end: SaidEnd): readonly SseEvent[];
  /** The body of an HTTP error as the vendor writes it. */
  toErrorBody(status: number, message: string): unknown;
  /** An error in the middle of a stream: the vendor is overloaded. */
  toErrorEvent(message: string): SseEvent;
  /** Whether the stream is refused when its end mark is missing; some vendors send none. */
  readonly hasEndMark: boolean;
}
