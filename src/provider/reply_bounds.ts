import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";

/** Throws AppError `provider_protocol` for a reply that goes on without an end: too many UTF-16 code units, or too many tool calls. */
export function checkReply(name: string, chars: number, calls: number): void {
  if (chars > LIMITS.replyCharsMax) {
    throw new AppError("provider_protocol", `The reply of ${name} is longer than ${LIMITS.replyCharsMax} characters.`);
  }
  if (calls > LIMITS.replyToolCallsMax) {
    throw new AppError("provider_protocol", `${name} began more than ${LIMITS.replyToolCallsMax} tool calls.`);
  }
}
