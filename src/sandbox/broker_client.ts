import { type Outcome, type Sandbox, toCallKey, type ToolRequest } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import type { ByteReader } from "#/lib/byte_reader.ts";
import { LIMITS } from "#/core/limits.ts";
import type { FetchAttachment } from "#/sandbox/host_run.ts";
import {
  type AttachmentReply,
  AttachmentRequest,
  CallReply,
  RunnerNotice,
  type ToldRequest,
} from "#/sandbox/call_frames.ts";
import { openLink } from "#/lib/link.ts";
import type { OnOutput } from "#/sandbox/shell_live.ts";

/** A notice of nothing that this end asked for. */
export type CommonNotice = Exclude<RunnerNotice, { type: "output" }>;

/** What a guest does for its runner. `onNotice` is synchronous; a throw of it ends the link. */
export interface RunnerHandlers {
  readonly onNotice?: (notice: CommonNotice) => void;
  readonly attachment?: FetchAttachment;
}

/** A guest's end of the link to its runner. */
export interface BrokerClient {
  readonly sandbox: Sandbox;
  /** Tells the runner something outside any call. Throws AppError `frame_too_large`, or `tool_interrupted` without a runner. */
  notify(notice: unknown): Promise<void>;
  /** Settles when the runner is gone: the guest ends then. Never rejects. */
  readonly closed: Promise<AppError | undefined>;
  close(): Promise<void>;
}

const decoder = new TextDecoder();

/**
 * Opens the guest's end over its stdin (`input`, after the bootstrap was read) and stdout (`output`).
 */
export function openBrokerClient(
  io: { readonly input: ByteReader; readonly output: WritableStream<Uint8Array> },
  handlers: RunnerHandlers = {},
): BrokerClient {
  const { onNotice = () => {}, attachment } = handlers;
  const watchers = new Map<string, OnOutput>();
  const link = openLink(io, {
    onNotice(body) {
      const notice = RunnerNotice.parse(body);
      if (notice.type === "output") watchers.get(toCallKey(notice))?.({ tail: notice.tail, lines: notice.lines });
      else onNotice(notice);
    },
    async onRequest(body, signal) {
      const { attachment: place } = AttachmentRequest.parse(body);
      if (attachment === undefined) throw new AppError("tool_failed", "This turn has no attachments");
      const { mimeType, content } = await attachment(place, signal);
      return { body: { mimeType } satisfies AttachmentReply, content };
    },
  }, { contentBytesMax: LIMITS.attachmentBytesMax });
  const tell = async (told: ToldRequest) => void await link.request(told, new AbortController().signal);
  return {
    closed: link.closed,
    notify: (notice) => link.notify(notice),
    close: () => link.close(),
    sandbox: {
      answer: (approval) => tell({ approval }),
      derived: (session, from) => tell({ derived: { session, ...(from === undefined ? {} : { from }) } }),
      forget: (forget) => tell({ forget }),
      async call(request, signal, onOutput): Promise<Outcome> {
        const key = toCallKey(request);
        if (onOutput !== undefined) watchers.set(key, onOutput);
        try {
          const { body, content } = await link.request(request, signal);
          const parsed = CallReply.safeParse(body);
          if (!parsed.success) throw new AppError("protocol", "The runner's answer is malformed");
          return { ...parsed.data, text: decoder.decode(content) };
        } catch (error) {
          // Without a runner nobody knows what became of the call, and this process ends: it is asked for again by the next one.
          if (!(error instanceof AppError) || error.code === "cancelled" || error.params["ended"]) throw error;
          return toFailure(request, error);
        } finally {
          watchers.delete(key);
        }
      },
    },
  };
}

/** A call without an answer of the broker. */
function toFailure(request: ToolRequest, error: AppError): Outcome {
  const code = error.code === "frame_too_large" ? "tool_args_too_large" : error.code;
  const text = error.message;
  return {
    kind: "failed",
    tool: { name: request.tool, package: "", version: "", sha256: "" },
    code,
    text,
    outputBytes: new TextEncoder().encode(text).length,
    elapsedMs: 0,
  };
}
