import { toSaneUsage } from "#/core/cost.ts";
import { AppError, type ErrorCode } from "#/core/error.ts";
import type { EventPayloads, TurnEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import type { InlineMedia, Replay, ToolCall, Usage } from "#/core/message.ts";
import type { ModelEvent, ModelName, ModelRequest, Provider } from "#/core/provider.ts";
import { untilAborted } from "#/lib/until_aborted.ts";
import type { TurnState } from "#/turn/turn_state.ts";

/** What the loop needs of a reply: it may come from the log. */
export type LastReply = Pick<Reply, "text" | "toolCalls" | "end"> & { readonly media: readonly unknown[] };

/** How a model call ended: the model was done, it failed, or the turn's signal fired. */
export type ReplyEnd =
  | { readonly kind: "done"; readonly finishReason: string }
  | { readonly kind: "failed"; readonly code: ErrorCode; readonly message: string }
  | { readonly kind: "aborted" };

/** What came of a model call. After `failed` and `aborted` it holds what was shown until then, and no tool calls. */
export interface Reply {
  readonly text: string;
  readonly reasoning: string;
  readonly toolCalls: readonly ToolCall[];
  readonly usage: Usage;
  readonly retries: NonNullable<EventPayloads["model_result"]["retries"]>;
  /** Set when another entry than the one that was asked answered. */
  readonly answeredBy: ModelName | undefined;
  readonly replay: Replay | undefined;
  readonly media: readonly InlineMedia[];
  /** The vendor has sent something of a reply, or says what it cost: it will bill the call. */
  readonly hasBegun: boolean;
  readonly end: ReplyEnd;
}

/**
 * Runs one model call and yields what it shows. Each event is shown before the next one is asked for; when the signal fires it ends at
 * once, also while a provider stays silent. A provider that ends without `done` or `failed` counts as interrupted. What a provider
 * throws is a failure when it is an AppError, else it is thrown on.
 */
export async function* callModel(
  provider: Provider,
  request: ModelRequest,
  state: TurnState,
  signal: AbortSignal,
): AsyncGenerator<TurnEvent, Reply, void> {
  const draft = new ReplyDraft();
  if (signal.aborted) return draft.toReply({ kind: "aborted" });
  const events = provider.stream(request, signal)[Symbol.asyncIterator]();
  try {
    while (true) {
      const next = await nextEvent(events, signal);
      if (next === undefined) return draft.toReply({ kind: "aborted" });
      if (next.type === "done") return draft.toReply({ kind: "done", finishReason: next.finishReason });
      if (next.type === "failed") {
        const { code, message } = next;
        return draft.toReply(signal.aborted ? { kind: "aborted" } : { kind: "failed", code, message });
      }
      const shown = draft.add(next, state);
      const { excess: message } = draft;
      if (message !== undefined) return draft.toReply({ kind: "failed", code: "provider_protocol", message });
      if (shown !== undefined) yield shown;
    }
  } finally {
    // Not awaited: a provider that hangs must not hold up a turn that is over.
    events.return?.().catch(() => {});
  }
}

async function nextEvent(events: AsyncIterator<ModelEvent>, signal: AbortSignal): Promise<ModelEvent | undefined> {
  try {
    const next = await untilAborted(events.next(), signal);
    if (next === undefined || !next.done) return next?.value;
    const message = "The model's reply stopped before its end";
    return { type: "failed", code: "provider_interrupted", message, retryable: true };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { type: "failed", code: error.code, message: error.message, retryable: false };
  }
}

const MIME_TYPE = /^[\w.+-]{1,64}\/[\w.+-]{1,64}(; ?[\w.+-]{1,32}=[\w.+-]{1,32}){0,2}$/;

/** What is told about a call before anything of a reply came. */
const OURS: ReadonlySet<ModelEvent["type"]> = new Set(["retry", "switch", "notice"]);

class ReplyDraft {
  readonly #text: string[] = [];
  readonly #reasoning: string[] = [];
  readonly #toolCalls: ToolCall[] = [];
  readonly #retries: Reply["retries"][number][] = [];
  #usage: Usage = {};
  #answeredBy: ModelName | undefined;
  #replay: Replay | undefined;
  readonly #media: InlineMedia[] = [];
  #mediaBytes = 0;
  #hasBegun = false;
  #argsChars = 0;
  /** Characters of text and reasoning. */
  #chars = 0;
  /** Set when the reply is beyond its bounds. */
  excess: string | undefined;

  /** Takes an event in; returns what is to be shown of it. */
  add(event: Exclude<ModelEvent, { type: "done" | "failed" }>, state: TurnState): TurnEvent | undefined {
    this.#hasBegun ||= !OURS.has(event.type);
    switch (event.type) {
      case "text":
        this.#count(event.text);
        this.#text.push(event.text);
        return event.text === "" ? undefined : { type: "text_delta", payload: { text: event.text } };
      case "reasoning":
        this.#count(event.text);
        this.#reasoning.push(event.text);
        return event.text === "" ? undefined : { type: "reasoning_delta", payload: { text: event.text } };
      case "tool_call":
        this.#addCall(event.call, state);
        return undefined;
      case "usage":
        this.#usage = { ...this.#usage, ...toSaneUsage(event.usage) };
        return undefined;
      case "retry": {
        const { attempt, waitMs, code, message } = event;
        this.#retries.push({ attempt, waitMs, code, message });
        const text = `Attempt ${attempt + 1} in ${(waitMs / 1_000).toFixed(1)} s: ${message}`;
        return state.progress({ kind: "provider_retry", attempt, waitMs, code }, text);
      }
      case "switch": {
        const { from, to, attempt, code, message } = event;
        this.#replay = undefined;
        this.#retries.push({ attempt, waitMs: 0, code, message, switchedTo: to });
        this.#answeredBy = to;
        return state.progress(
          { kind: "provider_switch", to, code },
          `Asking ${to.provider}/${to.model} instead of ${from.provider}/${from.model}: ${message}`,
        );
      }
      case "notice":
        return state.progress({ kind: "provider_notice" }, event.message);
      case "replay":
        if (JSON.stringify(event.replay.data).length <= LIMITS.replayBytesMax) this.#replay = event.replay;
        return undefined;
      case "media":
        this.#addMedia(event.media);
        return undefined;
    }
  }

  toReply(end: ReplyEnd): Reply {
    return {
      text: this.#text.join(""),
      reasoning: this.#reasoning.join(""),
      toolCalls: end.kind === "done" ? this.#toolCalls : [],
      usage: this.#usage,
      retries: this.#retries,
      answeredBy: this.#answeredBy,
      replay: end.kind === "done" ? this.#replay : undefined,
      media: this.#media,
      hasBegun: this.#hasBegun || end.kind === "done",
      end,
    };
  }

  #count(text: string): void {
    this.#chars += text.length;
    const max = LIMITS.replyCharsMax;
    if (this.#chars > max) this.excess = `The model's reply is longer than ${max} characters`;
  }

  #addMedia({ mimeType, data }: InlineMedia): void {
    const bytes = Math.floor(data.length * 0.75);
    if (this.#media.length >= LIMITS.replyMediaMax) {
      this.excess = `The model made more than ${LIMITS.replyMediaMax} pictures or sounds in one reply`;
    } else if (this.#mediaBytes + bytes > LIMITS.replyMediaBytesMax) {
      const max = LIMITS.replyMediaBytesMax / 1_000_000;
      this.excess =
        `The model made pictures or sounds of more than ${max} MB in one reply; ask for fewer or smaller ones`;
    } else {
      this.#mediaBytes += bytes;
      // A vendor's word, which goes into the log, into history and to clients.
      this.#media.push({ mimeType: MIME_TYPE.test(mimeType) ? mimeType : "application/octet-stream", data });
    }
  }

  #addCall(call: ToolCall, { steps: step, callIds }: TurnState): void {
    const index = this.#toolCalls.length;
    if (index >= LIMITS.replyToolCallsMax) return;
    // A result finds its call by the id, over the whole turn: one that is absent, repeated or too long for our frames is replaced.
    const isUsable = call.id !== "" && call.id.length <= LIMITS.idCharsMax;
    const named = isUsable && !callIds.has(call.id) ? call : { ...call, id: `call_${step}_${index}` };
    callIds.add(named.id);
    this.#argsChars += call.arguments.length;
    const isKept = index < LIMITS.toolCallsPerStepMax && this.#argsChars <= LIMITS.replyArgsCharsMax;
    this.#toolCalls.push(isKept ? named : { ...named, arguments: "", droppedBytes: call.arguments.length });
  }
}
