import type { SessionMessage } from "#/session/session.ts";

type Message = Required<SessionMessage>;

/** The message of a turn, and nothing else of it. */
export function toMessage({ session, turn, text, channel, requestId, attachments }: Message): Message {
  return { session, turn, text, channel, requestId, attachments };
}

/** True when the second says what the first did: then it is a retry. Pure. */
export function isSameMessage(left: Omit<Message, "requestId">, right: Message): boolean {
  return left.text === right.text && left.attachments.length === right.attachments.length &&
    left.attachments.every(({ mimeType, data }, at) =>
      mimeType === right.attachments[at]?.mimeType && data === right.attachments[at]?.data
    );
}
