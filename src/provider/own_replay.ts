import type { Message, ToolCall } from "#/core/message.ts";
import type { ModelEvent, ModelName } from "#/core/provider.ts";
import type { WarmProvider } from "#/provider/warm_provider.ts";

/**
 * What a vendor wants back with its replies is marked with `at`, its host and port, and goes nowhere else: an entry keeps its name when
 * somebody, or a folder, gives it another address. What has no mark, or another one, is left out of a request.
 */
export function withOwnReplay(provider: WarmProvider, at: string): WarmProvider {
  return {
    name: provider.name,
    warm: () => provider.warm(),
    async *stream(request, signal) {
      const messages = request.messages.map((message) => toOwn(message, at));
      for await (const event of provider.stream({ ...request, messages }, signal)) yield toMarked(event, at);
    },
  };
}

/** Whether this entry and model made what `mark` names: nobody else is sent what a vendor wanted back. */
export function isMadeBy(mark: ModelName | undefined, { provider, model }: ModelName): boolean {
  return mark?.provider === provider && mark.model === model;
}

function toMarked(event: ModelEvent, at: string): ModelEvent {
  if (event.type === "replay") return { type: "replay", replay: { ...event.replay, at } };
  if (event.type !== "tool_call" || !isTable(event.call.metadata)) return event;
  return { type: "tool_call", call: { ...event.call, metadata: { ...event.call.metadata, at } } };
}

function toOwn(message: Message, at: string): Message {
  if (message.role !== "assistant") return message;
  const { replay, toolCalls, ...rest } = message;
  const calls = toolCalls.map((call) => isFrom(call.metadata, at) ? call : withoutMetadata(call));
  return { ...rest, toolCalls: calls, ...(replay?.at === at ? { replay } : {}) };
}

function withoutMetadata({ metadata: _metadata, ...call }: ToolCall): ToolCall {
  return call;
}

function isFrom(value: unknown, at: string): boolean {
  return isTable(value) && value["at"] === at;
}

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
