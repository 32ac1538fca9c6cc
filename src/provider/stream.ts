import { z } from "zod";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { ModelEvent, ModelRequest } from "#/core/provider.ts";
import { type FailureContext, fromStreamError, toFailed } from "#/provider/failure.ts";
import { readJsonEvents, StreamError } from "#/provider/sse.ts";
import { Wire } from "#/provider/wire.ts";

/** What has come of one reply: the JSON of a vendor's events in, our events out. */
export interface ReplyReader {
  /** The vendor has said how the reply ended; nothing that matters follows. */
  readonly isComplete: boolean;
  /** Events of one value. Throws ZodError for what is none, AppError beyond a bound, StreamError for an error in it. */
  read(value: unknown): ModelEvent[];
  /** The last events, `done` or `failed` at their end. `ended` says that the vendor marked the end of the stream itself. */
  finish(ended: boolean): Iterable<ModelEvent>;
}

/** One call of a vendor that answers by server-sent events. */
export interface StreamedCall {
  readonly request: ModelRequest;
  readonly reader: ReplyReader;
  readonly context: FailureContext;
  readonly fetch: typeof fetch;
  /** The key is among them. */
  readonly headers: Readonly<Record<string, string>>;
  /** Silence that ends the call; default `providerIdleMs`. */
  readonly idleMs?: number | undefined;
  /** Sends the request through `wire.fetch`, by the vendor's package or without. */
  readonly open: (wire: Wire) => Promise<ReadableStream<Uint8Array>>;
}

/** Streams one call: deadlines, bounds and texts of failures are the same for every vendor. Never throws for trouble of a vendor or a network. */
export async function* streamReply(call: StreamedCall, signal: AbortSignal): AsyncGenerator<ModelEvent> {
  const { request, reader, context } = call;
  const wire = new Wire({
    fetch: call.fetch,
    headers: call.headers,
    context,
    idleMs: call.idleMs ?? LIMITS.providerIdleMs,
    silenceMs: request.silenceMs,
    timeoutMs: request.timeoutMs,
  }, signal);
  try {
    for await (const values of readJsonEvents(await call.open(wire), wire)) {
      wire.sawEvent();
      for (const event of joinDeltas(values.flatMap((value) => reader.read(value)))) {
        if (signal.aborted) break;
        yield event;
      }
      if (reader.isComplete) wire.expectEnd();
    }
    const failure = !reader.isComplete || signal.aborted ? wire.failure() : undefined;
    if (failure) yield failure;
    else yield* reader.finish(wire.isDone);
  } catch (error) {
    // A vendor that breaks the connection after its finish reason has said everything.
    if (reader.isComplete && !signal.aborted && !(error instanceof AppError)) yield* reader.finish(true);
    else yield explain(error, wire, context);
  } finally {
    wire.close();
  }
}

/** Text and thoughts that arrived together become one event each: a burst costs the way to the screen once, not per token. */
export function joinDeltas(events: readonly ModelEvent[]): ModelEvent[] {
  const joined: ModelEvent[] = [];
  for (const event of events) {
    const last = joined.at(-1);
    if ((event.type === "text" || event.type === "reasoning") && last?.type === event.type) {
      joined[joined.length - 1] = { type: event.type, text: last.text + event.text };
    } else joined.push(event);
  }
  return joined;
}

function explain(error: unknown, wire: Wire, context: FailureContext): ModelEvent {
  if (error instanceof AppError) return toFailed(error.code, error.message);
  if (error instanceof Error && wire.failure() === undefined) {
    if (error instanceof StreamError) return fromStreamError(error.error, context);
    if (error instanceof SyntaxError || error instanceof z.ZodError) {
      return toFailed("provider_protocol", `${context.name} sent something that is not a ${context.what} stream.`);
    }
  }
  return wire.failure(error) ?? toFailed("provider_interrupted", `The stream of ${context.name} broke off.`);
}
