import type { Outcome, OutputSoFar } from "#/core/capability.ts";
import type { TurnEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import type { CallContext } from "#/turn/call_context.ts";
import type { ReadyCall } from "#/turn/check_call.ts";
import { scrubSecrets } from "#/turn/scrub.ts";

/** How a call ended, seen from the loop. */
export type CallEnd =
  | { readonly kind: "outcome"; readonly outcome: Outcome }
  /** The turn was stopped between the intent and the start. */
  | { readonly kind: "not_started" }
  /** The turn was stopped, and the runner did not say within `killGraceMs` what became of the call. */
  | { readonly kind: "lost" }
  | { readonly kind: "threw"; readonly error: unknown };

/** A call that the runner works on. */
export interface RunningCall {
  readonly name: string;
  /** Integer ms UTC. */
  readonly id: string;
  readonly startedAt: number;
  readonly output: LatestOutput;
  /** Never rejects. */
  readonly end: Promise<CallEnd>;
}

/** Starts a call whose intent the consumer has pulled past, unless the turn was stopped meanwhile. `isKnown`: an earlier run may have. */
export function startCall(call: ReadyCall, context: CallContext, isKnown = false): RunningCall {
  const startedAt = context.now();
  const { id, name } = call.call;
  const output = new LatestOutput();
  const started = { name, id, startedAt, output };
  if (context.control.signal.aborted) return { ...started, end: Promise.resolve({ kind: "not_started" }) };
  context.state.toolCalls++;
  const { session, turn, principal } = context;
  const request = {
    principal,
    session,
    turn,
    callId: id,
    tool: name,
    args: call.args,
    ...(isKnown ? { resumed: true as const } : {}),
  };
  const end = context.sandbox.call(request, context.control.signal, (so) => output.put(so)).then(
    (outcome): CallEnd => ({ kind: "outcome", outcome }),
    (error): CallEnd => ({ kind: "threw", error }),
  );
  return { ...started, end };
}

/**
 * Waits for a call, with a heartbeat every `heartbeatMs` and what it shows of its output. When the turn is stopped the call still has `killGraceMs` to say what it did:
 * a write that was finished is recorded as finished.
 */
export async function* waitForCall(call: RunningCall, context: CallContext): AsyncGenerator<TurnEvent, CallEnd, void> {
  const timers = new AbortController();
  const lost = toLost(context, timers.signal);
  try {
    const toBeat = () => context.delay(LIMITS.heartbeatMs, timers.signal).then(() => "beat" as const);
    let beat = toBeat();
    while (true) {
      const first = await Promise.race([call.end, lost, beat, call.output.come]);
      if (typeof first === "object") return first;
      const event = first === "beat" ? toHeartbeat(call, context) : toOutput(call, context);
      if (first === "beat") beat = toBeat();
      if (!context.control.signal.aborted) yield event;
    }
  } finally {
    timers.abort();
  }
}

/** Resolves when all calls are over or, after `killGraceMs`, are given up. */
export async function settleCalls(calls: readonly RunningCall[], context: CallContext): Promise<void> {
  const timer = new AbortController();
  await Promise.race([Promise.all(calls.map((call) => call.end)), context.delay(LIMITS.killGraceMs, timer.signal)]);
  timer.abort();
}

function toLost(context: CallContext, timers: AbortSignal): Promise<CallEnd> {
  const { signal } = context.control;
  return new Promise((resolve) => {
    const wait = () => void context.delay(LIMITS.killGraceMs, timers).then(() => resolve({ kind: "lost" }));
    if (signal.aborted) wait();
    else signal.addEventListener("abort", wait, { once: true, signal: timers });
  });
}

/** The last thing that was said of an output: whoever comes late misses what was said before. */
class LatestOutput {
  #latest: OutputSoFar | undefined;
  #come = Promise.withResolvers<"output">();

  put(output: OutputSoFar): void {
    this.#latest = output;
    this.#come.resolve("output");
  }

  /** Resolves when there is something to take. */
  get come(): Promise<"output"> {
    return this.#come.promise;
  }

  take(): OutputSoFar {
    const taken = this.#latest;
    if (taken === undefined) throw new TypeError("there is nothing to take");
    this.#latest = undefined;
    this.#come = Promise.withResolvers();
    return taken;
  }
}

function toHeartbeat(call: RunningCall, context: CallContext): TurnEvent {
  const elapsedSecs = Math.floor((context.now() - call.startedAt) / 1_000);
  return context.state.progress(
    { kind: "tool_heartbeat", toolNames: [call.name], elapsedSecs },
    `Still executing: ${call.name} (${elapsedSecs}s)`,
  );
}

function toOutput({ name, id, output }: RunningCall, context: CallContext): TurnEvent {
  const { tail, lines } = output.take();
  return context.state.progress(
    { kind: "tool_output", toolNames: [name], callId: id, tail: scrubSecrets(tail).text, lines },
    `Still executing: ${name} (${lines} ${lines === 1 ? "line" : "lines"} of output)`,
  );
}
