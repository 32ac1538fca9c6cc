import type { ToolCall } from "#/core/message.ts";

/**
 * The arguments of an earlier call as JSON of an object, whatever the model wrote. Vendors parse them and answer 400 or 500 to anything
 * else: one slip of the model would make the session unusable. Pure.
 */
export function toJsonArguments(call: ToolCall): string {
  if (call.droppedBytes !== undefined) return JSON.stringify({ dropped_bytes: call.droppedBytes });
  try {
    const value: unknown = JSON.parse(call.arguments);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return call.arguments;
  } catch {
    return JSON.stringify({ invalid_json: call.arguments });
  }
  return JSON.stringify({ not_an_object: call.arguments });
}
