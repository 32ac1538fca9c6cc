import { LIMITS } from "#/core/limits.ts";
import { encodeFrame, type Knows, type ServerFrame } from "#/gateway/server_frame.ts";
import type { EventQueue, Told } from "#/gateway/event_queue.ts";
import type { Outgoing } from "#/gateway/turn_frames.ts";

/** Where a client's frames go. A server-side WebSocket is one. */
export interface Outlet {
  /** Bytes accepted and not yet taken by the network. */
  readonly bufferedAmount: number;
  /** As WebSocket's: 1 is open. */
  readonly readyState: number;
  send(text: string): void;
  close(code: number, reason: string): void;
}

/** One greeted client. */
export interface Subscriber {
  /** What its hello announced of what we add to the reference's protocol. */
  readonly knows: Knows;
  readonly outlet: Outlet;
  /** Set when it asked for what it missed; see `CatchUp`. */
  catchUp?: CatchUp | undefined;
}

/** How far a client that resumes has been told of its session. It is told of each recorded event once: from the log, or live. */
export interface CatchUp {
  /** Of the last event that it was told of from the log. */
  seen: number;
  /** The newest event that was published while it was told the older ones: the log has it. */
  heldSeq: number;
  isLive: boolean;
}

/** Close code for a client that reads too slowly; it can come back and read the log. */
export const CLOSE_SLOW = 4008;

/**
 * Who watches which session. Publishing is synchronous, keeps nothing and waits for nobody: what a client has not read yet lies in
 * its own socket, bounded by `clientQueueBytesMax` (deltas are dropped) and `clientQueueHardBytesMax` (the client is let go).
 */
export class Hub {
  readonly #watchers = new Map<string, Set<Subscriber>>();
  readonly #sessionOf = new Map<Subscriber, string>();
  readonly #observers = new Map<string, Set<EventQueue>>();

  /** From now on the subscriber sees this session, and no other. */
  attach(session: string, subscriber: Subscriber): void {
    this.detach(subscriber);
    const watchers = this.#watchers.get(session) ?? new Set();
    watchers.add(subscriber);
    this.#watchers.set(session, watchers);
    this.#sessionOf.set(subscriber, session);
  }

  /** Does nothing for a stranger. */
  detach(subscriber: Subscriber): void {
    const session = this.#sessionOf.get(subscriber);
    if (session === undefined) return;
    this.#sessionOf.delete(subscriber);
    const watchers = this.#watchers.get(session);
    watchers?.delete(subscriber);
    if (watchers?.size === 0) this.#watchers.delete(session);
  }

  /** From now on the queue is told every event of this session, until what is returned is called. */
  observe(session: string, queue: EventQueue): () => void {
    const observers = this.#observers.get(session) ?? new Set();
    this.#observers.set(session, observers.add(queue));
    return () => {
      observers.delete(queue);
      if (observers.size === 0 && this.#observers.get(session) === observers) this.#observers.delete(session);
    };
  }

  /** An event, as it is: recorded already, or live. */
  tell(session: string, { turn, event }: Told): void {
    for (const queue of this.#observers.get(session) ?? []) queue.tell(turn, event);
  }

  /** The session is no more, or the gateway closes: whoever observes it has seen everything. */
  endObservers(session?: string): void {
    const ended = session === undefined ? [...this.#observers.values()] : [this.#observers.get(session) ?? []];
    for (const queue of ended.flatMap((queues) => [...queues])) queue.end();
  }

  /** To everyone who watches the session. Each frame is encoded at most once per kind of client. */
  publish(session: string, outgoing: readonly Outgoing[]): void {
    const watchers = this.#watchers.get(session);
    if (watchers === undefined) return;
    for (const told of outgoing) {
      const { frame, droppable } = told;
      const texts = new Map<string, string | undefined>();
      // A copy: a client that is let go on the way leaves the set.
      for (const subscriber of [...watchers]) {
        if (!isDue(told, subscriber.catchUp)) continue;
        const { knows } = subscriber;
        const kind = `${knows.turnEvents} ${knows.approvals} ${knows.media} ${knows.usage === true}`;
        if (!texts.has(kind)) texts.set(kind, encodeFrame(frame, knows));
        this.#push(subscriber, texts.get(kind), droppable);
      }
    }
  }

  /** True while somebody watches the session whose hello announced it. */
  isWatched(session: string, by: keyof Knows): boolean {
    return [...this.#watchers.get(session) ?? []].some((subscriber) => subscriber.knows[by] === true);
  }

  /** To one client: an answer, never dropped. */
  deliver(subscriber: Subscriber, frame: ServerFrame): void {
    this.#push(subscriber, encodeFrame(frame, subscriber.knows), false);
  }

  #push(subscriber: Subscriber, text: string | undefined, droppable: boolean): void {
    const { outlet } = subscriber;
    if (text === undefined || outlet.readyState !== WebSocket.OPEN) return;
    const queued = outlet.bufferedAmount;
    if (droppable && queued > LIMITS.clientQueueBytesMax) return;
    // A single frame larger than the bound may still go to a client that has read everything.
    if (queued > 0 && queued + text.length > LIMITS.clientQueueHardBytesMax) {
      this.detach(subscriber);
      outlet.close(CLOSE_SLOW, "this client reads too slowly; what it missed is in the log");
      return;
    }
    outlet.send(text);
  }
}

/** False for what a client that resumes has from the log already, or gets from it in a moment; text that streams meanwhile it gets with `resumed`. */
function isDue({ seq, droppable }: Outgoing, catchUp: CatchUp | undefined): boolean {
  if (catchUp === undefined) return true;
  if (seq === undefined) return catchUp.isLive || !droppable;
  if (seq <= catchUp.seen) return false;
  if (!catchUp.isLive) catchUp.heldSeq = Math.max(catchUp.heldSeq, seq);
  return catchUp.isLive;
}
