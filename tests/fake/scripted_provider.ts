import type { ModelEvent, ModelRequest, Provider } from "#/core/provider.ts";

/** What one model call yields: events, promises of events (a gate that a test opens), or a function of the request. */
export type ScriptedStep = ModelEvent | Promise<ModelEvent>;

/** One list of steps per model call. */
export type ScriptedCall = readonly ScriptedStep[] | ((request: ModelRequest, n: number) => readonly ScriptedStep[]);

/** A provider that plays lists of events, and what it was asked. */
export interface ScriptedProvider extends Provider {
  readonly requests: readonly ModelRequest[];
  /** Events handed out so far, over all calls. */
  readonly pulled: number;
}

/**
 * Plays one entry per model call; the last one repeats. A list without `done` or `failed` gets a `done`.
 * When the signal fires it yields `failed cancelled` at once, also while it waits for a promised event.
 */
export function scriptedProvider(...calls: readonly ScriptedCall[]): ScriptedProvider {
  const requests: ModelRequest[] = [];
  let pulled = 0;
  async function* stream(request: ModelRequest, signal: AbortSignal): AsyncGenerator<ModelEvent> {
    const entry = calls[Math.min(requests.length, calls.length - 1)] ?? [];
    requests.push(request);
    const steps = typeof entry === "function" ? entry(request, requests.length - 1) : entry;
    const aborted = Promise.withResolvers<undefined>();
    const abort = () => aborted.resolve(undefined);
    signal.addEventListener("abort", abort);
    try {
      for (const step of steps) {
        const event = signal.aborted ? undefined : await Promise.race([step, aborted.promise]);
        if (event === undefined || signal.aborted) {
          yield { type: "failed", code: "cancelled", message: "cancelled", retryable: false };
          return;
        }
        pulled++;
        yield event;
        if (event.type === "done" || event.type === "failed") return;
      }
      yield { type: "done", finishReason: steps.some(isToolCall) ? "tool_calls" : "stop" };
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }
  return {
    name: "scripted",
    stream,
    requests,
    get pulled() {
      return pulled;
    },
  };
}

/** Events of a plain answer. */
export function says(text: string): ModelEvent[] {
  return [{ type: "text", text }, { type: "done", finishReason: "stop" }];
}

/** Events of one or more tool calls: `calls(["file_read", { path: "/shared/a" }])`. A string is taken as JSON text. */
export function calls(...list: readonly (readonly [name: string, args: unknown, id?: string])[]): ModelEvent[] {
  const events = list.map(([name, args, id], at): ModelEvent => ({
    type: "tool_call",
    call: { id: id ?? `call_${at}`, name, arguments: typeof args === "string" ? args : JSON.stringify(args) },
  }));
  return [...events, { type: "done", finishReason: "tool_calls" }];
}

function isToolCall(step: ScriptedStep): boolean {
  return !(step instanceof Promise) && step.type === "tool_call";
}
