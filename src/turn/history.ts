import type { EventPayloads, StoredEvent } from "#/core/event.ts";
import type { Message, Replay, ToolCall } from "#/core/message.ts";

/** A message and the event that it comes from. */
export interface HistoryMessage {
  readonly seq: number;
  readonly message: Message;
}

/** The kinds that `toHistory` reads; others may be left out of what it is given. */
export const HISTORY_TYPES = [
  "user_message",
  "model_result",
  "tool_intent",
  "tool_result",
  "steering",
  "turn_done",
  "turn_failed",
  "turn_cancelled",
] as const satisfies readonly StoredEvent["type"][];

const UNKNOWN_OUTCOME = "interrupted; its outcome is unknown: check before you do it again";
const NOT_RUN = "not run: the turn ended before this call started";

/**
 * The conversation that events tell, whatever happened to their turns: every tool call has its result (one that a crash or a cancel
 * swallowed gets a sentence that says so), a turn that ended early keeps its user message, its partial text and a note, and an
 * assistant's text stands between any two user messages. Attachments stay on the message of turn `attachmentsOf` only; older ones
 * leave a line. The calls of turn `open` that have no result yet get none: it goes on. Pure; `events` ascend by seq, and may start in
 * the middle of a turn.
 */
export function toHistory(
  events: readonly StoredEvent[],
  options: { readonly attachmentsOf?: string; readonly open?: string } = {},
): HistoryMessage[] {
  const transcript = new Transcript(options.open);
  for (const event of events) {
    switch (event.type) {
      case "user_message":
        transcript.openTurn(event, toUserMessage(event.payload, event.turn === options.attachmentsOf));
        break;
      case "model_result":
        // What was asked for its own sake, e.g. a summary, nobody in the conversation has said.
        if (event.payload.purpose !== undefined) break;
        transcript.addReply(event.seq, event.payload);
        break;
      case "tool_intent":
        transcript.noteIntent(event.payload.callId);
        break;
      case "tool_result":
        transcript.addResult(event.seq, event.payload);
        break;
      case "steering":
        transcript.steer(event.seq, event.payload.text);
        break;
      case "turn_done":
        transcript.endTurn(event.turn, event.seq, undefined);
        break;
      case "turn_failed":
        transcript.endTurn(event.turn, event.seq, `this turn failed: ${event.payload.code}`);
        break;
      case "turn_cancelled":
        transcript.endTurn(event.turn, event.seq, "this turn was cancelled");
        break;
    }
  }
  return transcript.finish();
}

/** What the model is shown of its own reply, or undefined when it said nothing; its media leave a line. Pure. */
export function toReplyMessage({ text, toolCalls, replay, media = [] }: {
  readonly text: string;
  readonly toolCalls: readonly ToolCall[];
  readonly replay?: Replay | undefined;
  readonly media?: readonly { readonly mimeType: string }[];
}): Message | undefined {
  const note = media.length === 0 ? [] : [`[made and shown: ${media.map(({ mimeType }) => mimeType).join(", ")}]`];
  const content = [...(text === "" ? [] : [text]), ...note].join("\n");
  if (content === "" && toolCalls.length === 0) return undefined;
  return { role: "assistant", content, toolCalls, ...(replay ? { replay } : {}) };
}

/**
 * Adds what a person said to the end of a conversation: as a message of theirs, or, where theirs is the last one, as more of it, because some
 * models refuse two in a row. `seq` is the event's.
 */
export function addSteering(messages: HistoryMessage[], seq: number, text: string): void {
  const last = messages.at(-1);
  if (last?.message.role !== "user") return void messages.push({ seq, message: { role: "user", content: text } });
  const content = last.message.content === "" ? text : `${last.message.content}\n\n${text}`;
  messages[messages.length - 1] = { seq: last.seq, message: { ...last.message, content } };
}

function toUserMessage({ text, attachments = [] }: EventPayloads["user_message"], withAttachments: boolean): Message {
  if (attachments.length === 0) return { role: "user", content: text };
  if (withAttachments) return { role: "user", content: text, attachments };
  const kinds = attachments.map((attachment) => attachment.mimeType).join(", ");
  return { role: "user", content: `${text}\n[attached then, no longer shown: ${kinds}]` };
}

/** The exchange whose results are still coming. */
interface OpenExchange {
  readonly seq: number;
  readonly calls: readonly ToolCall[];
  readonly intended: Set<string>;
  readonly results: Map<string, HistoryMessage>;
}

class Transcript {
  readonly #messages: HistoryMessage[] = [];
  #turn: string | undefined;
  #exchange: OpenExchange | undefined;
  readonly #open: string | undefined;

  constructor(open: string | undefined) {
    this.#open = open;
  }

  openTurn({ turn, seq }: Pick<StoredEvent, "turn" | "seq">, message: Message): void {
    if (this.#turn !== undefined) this.endTurn(this.#turn, seq, "this turn was interrupted");
    this.#turn = turn;
    this.#messages.push({ seq, message });
  }

  addReply(seq: number, payload: EventPayloads["model_result"]): void {
    this.#closeExchange();
    const message = toReplyMessage(payload);
    if (message === undefined) return;
    this.#messages.push({ seq, message });
    const calls = payload.toolCalls;
    if (calls.length > 0) this.#exchange = { seq, calls, intended: new Set(), results: new Map() };
  }

  noteIntent(callId: string): void {
    this.#exchange?.intended.add(callId);
  }

  addResult(seq: number, { callId, tool: name, text: content, ok }: EventPayloads["tool_result"]): void {
    const message: Message = { role: "tool", toolCallId: callId, name, content, ok };
    this.#exchange?.results.set(callId, { seq, message });
  }

  steer(seq: number, text: string): void {
    this.#closeExchange();
    addSteering(this.#messages, seq, text);
  }

  endTurn(turn: string, seq: number, note: string | undefined): void {
    // A turn that was closed late, after newer ones were recorded, must not end one of those.
    if (turn !== this.#turn) return;
    this.#closeExchange();
    this.#turn = undefined;
    const last = this.#messages.at(-1);
    const spoken = last?.message.role === "assistant" ? last.message.content : undefined;
    if (spoken === undefined) this.#say(seq, `[${note ?? "this turn ended without further text"}]`);
    else if (note !== undefined) {
      this.#messages.pop();
      this.#say(last!.seq, `${spoken}\n\n[${note}]`);
    }
  }

  finish(): HistoryMessage[] {
    this.#closeExchange(this.#open !== undefined && this.#turn === this.#open);
    return this.#messages;
  }

  #say(seq: number, content: string): void {
    this.#messages.push({ seq, message: { role: "assistant", content, toolCalls: [] } });
  }

  #closeExchange(goesOn = false): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    this.#exchange = undefined;
    for (const call of exchange.calls) {
      if (goesOn && !exchange.results.has(call.id)) continue;
      const content = exchange.intended.has(call.id) ? UNKNOWN_OUTCOME : NOT_RUN;
      this.#messages.push(
        exchange.results.get(call.id) ??
          { seq: exchange.seq, message: { role: "tool", toolCallId: call.id, name: call.name, content, ok: false } },
      );
    }
  }
}
