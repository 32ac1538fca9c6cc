import type { SessionEvent } from "#/core/event.ts";

/**
 * An event as it is shown outside: without the bytes of attachments, which stay named, and without what a vendor sealed for itself (replay data,
 * signatures of calls). Pure.
 */
export function toPublicEvent(event: SessionEvent): SessionEvent {
  if (event.type === "user_message" && event.payload.attachments !== undefined) {
    const attachments = event.payload.attachments.map(({ mimeType }) => ({ mimeType, data: "" }));
    return { ...event, payload: { ...event.payload, attachments } };
  }
  if (event.type !== "model_result") return event;
  const { replay: _, ...payload } = event.payload;
  const toolCalls = payload.toolCalls.map(({ metadata: _, ...call }) => call);
  return { ...event, payload: { ...payload, toolCalls } };
}
