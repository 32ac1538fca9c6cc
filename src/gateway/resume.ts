import { AppError } from "#/core/error.ts";
import { isTurnEnd, type StoredEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import type { EventLog } from "#/core/store.ts";
import type { CatchUp, Hub, Subscriber } from "#/gateway/hub.ts";
import { toMediaFrame } from "#/gateway/media_frame.ts";
import { toFrame, type WireSession } from "#/gateway/server_frame.ts";
import { toTurn, toTurnFrames } from "#/gateway/turn_frames.ts";
import type { Turns } from "#/gateway/turns.ts";

/** What a client that was away is told from. */
export interface ResumeDeps {
  readonly hub: Hub;
  readonly turns: Pick<Turns, "running">;
  readonly log: Pick<EventLog, "read" | "blob">;
  /** Resolves after `ms`. */
  readonly delay: (ms: number) => Promise<void>;
}

/** Who asks, for what. */
export interface ResumeRequest {
  readonly request_id: string;
  readonly session: WireSession;
  /** Position of the last event that the client has; 0 for none. */
  readonly from: number;
}

/**
 * Tells one client, whose `catchUp` is at `from`, of the recorded events of its session after `from`, each as a `turn_event` that answers this request, then says
 * `resumed` and lets it see what happens live. What is recorded meanwhile comes from the log as well: no event is missing, none comes twice,
 * and their order is that of the log. A page is read when the client has read most of the last one, so one that is far behind holds nobody
 * up. Returns early when the signal fires or the client is gone. Throws AppError `usage` for a position that the session does not have:
 * the log was restored, or is not the one that the client knew.
 */
export async function runResume(
  client: Subscriber,
  request: ResumeRequest,
  deps: ResumeDeps,
  signal: AbortSignal,
): Promise<void> {
  const { from, session } = request;
  const at = client.catchUp;
  if (at === undefined) throw new TypeError("whoever resumes is marked before the log is looked into");
  try {
    await checkPosition(session.session_id, from, deps);
    const last = await tellPages(client, at, request, deps, signal);
    if (signal.aborted) return;
    // No await from the last look at `heldSeq` to here: whatever comes next is live.
    at.isLive = true;
    deps.hub.deliver(client, toResumed(request, at.seen, last, deps.turns));
  } catch (error) {
    // It asks again, from another place; until then it is told what happens.
    if (!signal.aborted) client.catchUp = undefined;
    throw error;
  }
}

async function checkPosition(session: string, from: number, { log }: ResumeDeps): Promise<void> {
  if (from === 0) return;
  const [event] = await log.read(session, { fromSeq: from, limit: 1 });
  if (event?.seq === from) return;
  throw new AppError("usage", `this session has no event ${from}; resume from 0`);
}

/** Resolves with the last event that was told which ends a turn or what a model says. */
async function tellPages(
  client: Subscriber,
  at: CatchUp,
  request: ResumeRequest,
  deps: ResumeDeps,
  signal: AbortSignal,
): Promise<StoredEvent | undefined> {
  const limit = LIMITS.resumePageEventsMax;
  let last: StoredEvent | undefined;
  let awaited = 0;
  for (;;) {
    const page = await deps.log.read(request.session.session_id, { fromSeq: at.seen + 1, limit });
    for (const event of page) {
      await waitForRoom(client, deps, signal);
      if (signal.aborted) return;
      await tell(client, event, request, deps);
      at.seen = event.seq;
      if (event.type === "model_result" || isTurnEnd(event)) last = event;
    }
    if (signal.aborted) return;
    if (page.length < limit) {
      // What was published is recorded; a read that began before that is done once more, and finds it.
      if (at.heldSeq <= at.seen || at.heldSeq === awaited) return last;
      awaited = at.heldSeq;
    }
    // Others have their turn between two pages.
    await deps.delay(0);
  }
}

async function tell(
  client: Subscriber,
  event: StoredEvent,
  { request_id, session }: ResumeRequest,
  { hub, log }: ResumeDeps,
): Promise<void> {
  const address = { request_id, session, turn: toTurn(event.turn, "running") };
  const [own] = toTurnFrames(event, address);
  hub.deliver(client, own!.frame);
  if (event.type !== "model_result" || !client.knows.media) return;
  for (const blob of event.payload.media ?? []) {
    const content = await log.blob(blob.sha256);
    if (content !== undefined) hub.deliver(client, toMediaFrame({ ...blob, content }, { request_id, session }));
  }
}

/** Until the client has read most of what waits for it. One that never does answers no ping either, and is let go for that. */
async function waitForRoom({ outlet }: Subscriber, { delay }: ResumeDeps, signal: AbortSignal): Promise<void> {
  while (
    !signal.aborted && outlet.readyState === WebSocket.OPEN && outlet.bufferedAmount > LIMITS.resumeQueueBytesMax
  ) {
    await delay(LIMITS.resumePollMs);
  }
}

function toResumed(
  { request_id, session }: ResumeRequest,
  toSeq: number,
  last: StoredEvent | undefined,
  turns: ResumeDeps["turns"],
) {
  const running = turns.running(session.session_id);
  // The log may be a step ahead of what was published: then it has told already how that turn, or that reply, ended.
  const isTold = last !== undefined && last.seq > (running?.toldSeq ?? 0) && last.turn === running?.turn.turn_id;
  return toFrame("resumed", {
    request_id,
    session,
    to_seq: toSeq,
    active_turn: isTold && isTurnEnd(last) ? undefined : running?.turn,
    text: isTold || running?.said === "" ? undefined : running?.said,
  });
}
