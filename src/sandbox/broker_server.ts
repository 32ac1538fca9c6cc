import type { z } from "zod";
import type { Sandbox } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import type { ByteReader } from "#/lib/byte_reader.ts";
import { LIMITS } from "#/core/limits.ts";
import type { FetchAttachment } from "#/sandbox/host_run.ts";
import {
  AttachmentReply,
  type AttachmentRequest,
  CallRequest,
  type RunnerNotice,
  ToldRequest,
} from "#/sandbox/call_frames.ts";
import { openLink } from "#/lib/link.ts";
import { oneAtATime } from "#/sandbox/shell_live.ts";

/** A guest's notices and who hears them. */
export interface GuestNotices<Notice> {
  /** Strict; what does not fit ends the link. */
  readonly schema: z.ZodType<Notice>;
  /** Synchronous. */
  readonly onNotice: (notice: Notice) => void;
}

/** The runner's end of a guest's link. */
export interface BrokerServer {
  /** Settles when the link has ended: undefined for its end, else what the guest did wrong. Never rejects. */
  readonly closed: Promise<AppError | undefined>;
  /**
   * Asks the guest for an attachment. Throws AppError `protocol` for an answer that is none, `cancelled`, `tool_interrupted` without a
   * guest, and `tool_failed` with what the guest says.
   */
  readonly attachment: FetchAttachment;
  /** Tells the guest something outside any call. Throws AppError `tool_interrupted` when it is gone. */
  notify(notice: RunnerNotice): Promise<void>;
  /** Closes both streams; the guest sees the end of its stdin. */
  close(): Promise<void>;
}

const encoder = new TextEncoder();

/**
 * Serves a guest's tool calls over its stdout (`input`) and stdin (`output`). A call that is malformed, carries a field too many
 * or fails gets an answer; a frame that is none of ours ends the link.
 */
export function serveBroker<Notice>(
  io: { readonly input: ByteReader; readonly output: WritableStream<Uint8Array> },
  broker: Sandbox,
  notices: GuestNotices<Notice>,
): BrokerServer {
  const link = openLink(io, {
    async onRequest(body, signal) {
      const { data: told } = ToldRequest.safeParse(body);
      if (told !== undefined) {
        if ("approval" in told) await broker.answer(told.approval);
        else if ("derived" in told) await broker.derived(told.derived.session, told.derived.from);
        else await broker.forget(told.forget);
        return { body: {}, content: new Uint8Array(0) };
      }
      const parsed = CallRequest.safeParse(body);
      if (!parsed.success) throw new AppError("protocol", "The call is malformed, so it was refused");
      const { session, turn, callId } = parsed.data;
      const onOutput = oneAtATime((output) => link.notify({ v: 1, type: "output", session, turn, callId, ...output }));
      const { text, ...reply } = await broker.call(parsed.data, signal, onOutput);
      return { body: reply, content: encoder.encode(text) };
    },
    onNotice(body) {
      const parsed = notices.schema.safeParse(body);
      if (!parsed.success) throw new AppError("protocol", "A notice is malformed");
      notices.onNotice(parsed.data);
    },
  }, { contentBytesMax: LIMITS.attachmentBytesMax });
  return {
    closed: link.closed,
    close: () => link.close(),
    notify: (notice) => link.notify(notice),
    async attachment(place, signal) {
      const { body, content } = await link.request({ attachment: place } satisfies AttachmentRequest, signal)
        .catch(toGuestError);
      const parsed = AttachmentReply.safeParse(body);
      if (!parsed.success) throw new AppError("protocol", "The guest's answer is malformed");
      return { ...parsed.data, content };
    },
  };
}

/** The code of a guest is its claim, and codes go to the audit log: a failure that says "ok" would be written down as one. */
function toGuestError(error: unknown): never {
  if (!(error instanceof AppError) || error.code === "cancelled" || error.code === "tool_interrupted") throw error;
  throw new AppError("tool_failed", error.message, { cause: error });
}
