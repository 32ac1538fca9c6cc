import { isStored, type SessionEvent, type StoredEvent } from "#/core/event.ts";
import { joinPair } from "#/gateway/turn_frames.ts";

/** Between what the model said before a tool call and what it said after. */
const BREAK = "\n\n";

/**
 * The text of a turn as it grows: all that the model said, also between its tool calls. Live pieces come as they come; each recorded result of
 * a model call completes what was lost of it on the way, so that the whole is the same for every reader, and for the log.
 */
export class ReplyText {
  /** Of the model call that runs. */
  #call = "";
  #waiting = "";
  #hasSpoken = false;

  /** What there is to show after this event. */
  take(event: SessionEvent): string {
    if (event.type === "text_delta") return this.#add(event.payload.text);
    // A summary is said to nobody.
    if (event.type !== "model_result" || event.payload.purpose !== undefined) return "";
    const { text } = event.payload;
    const rest = text.startsWith(this.#call) ? text.slice(this.#call.length) : "";
    const shown = this.#add(rest) + this.#waiting.toWellFormed();
    this.#call = "";
    this.#waiting = "";
    return shown;
  }

  #add(piece: string): string {
    const isFirst = this.#call === "" && piece !== "";
    this.#call += piece;
    const pair = joinPair(this.#waiting, piece);
    this.#waiting = pair.waiting;
    const shown = isFirst && this.#hasSpoken ? BREAK + pair.text : pair.text;
    this.#hasSpoken ||= shown !== "";
    return shown;
  }
}

/** What a client of the API was told of a turn, from its recorded events. Pure. */
export function toReplyText(events: readonly StoredEvent[]): string {
  const reply = new ReplyText();
  return events.filter(isStored).map((event) => reply.take(event)).join("");
}
