import { AppError } from "#/core/error.ts";
import { isTurnEnd, type NewEvent, type StoredEvent } from "#/core/event.ts";
import type { InlineMedia } from "#/core/message.ts";
import type { AppendOptions, Durability, EventLog } from "#/core/store.ts";
import type { ToolEffect } from "#/core/tool.ts";
import { isParked, planResume } from "#/turn/resume.ts";

/** Who writes, and for how long its word holds. */
export interface LeaseTerms {
  /** `<node>:<start>`, see `EventLog.claim`. */
  readonly owner: string;
  /** Where other gateways may go on with a turn: recorded with each call that a runner is asked for. */
  readonly node?: string | undefined;
  readonly ttlMs: number;
  /** Resolves after `ms`, or at once when the signal fires. */
  delay(ms: number, signal: AbortSignal): Promise<void>;
}

/** The end of the log as one turn writes it. */
export class TurnLog {
  readonly #log: EventLog;
  readonly #session: string;
  readonly #turn: string;
  readonly #effects = new Map<string, ToolEffect>();
  readonly #lease: LeaseTerms | undefined;
  #isClaimed = false;
  #steps = 0;
  #isParked = false;

  /** `before`: what the turn has recorded already. With a lease the first append claims the session, and each is refused when it is gone. */
  constructor(
    log: EventLog,
    session: string,
    turn: string,
    { before = [], lease }: { readonly before?: readonly StoredEvent[]; readonly lease?: LeaseTerms | undefined } = {},
  ) {
    this.#log = log;
    this.#session = session;
    this.#turn = turn;
    this.#lease = lease;
    for (const event of before) this.#note(event);
  }

  /** The turn's last event parks it. */
  get isParked(): boolean {
    return this.#isParked;
  }

  /** Model calls recorded so far. */
  get steps(): number {
    return this.#steps;
  }

  /**
   * Records one event. What a call that may change something intended, was allowed and did survives a power cut; the rest survives a
   * crash of any process. Throws AppError `store_failed`, `session_taken` when another gateway has the session.
   */
  async append(event: NewEvent): Promise<StoredEvent> {
    this.#note(event);
    const durability = this.#durabilityOf(event);
    const { owner, ttlMs } = this.#lease ?? {};
    const [stored] = await this.#log.append(this.#session, this.#turn, [event], {
      durability,
      ...(owner === undefined ? {} : { owner }),
      ...(ttlMs === undefined || this.#isClaimed ? {} : { claimMs: ttlMs }),
    });
    this.#isClaimed = true;
    return stored!;
  }

  #note(event: NewEvent | StoredEvent): void {
    if (isStep(event)) this.#steps++;
    if (event.type === "tool_intent") this.#effects.set(event.payload.callId, event.payload.effect);
    this.#isParked = event.type === "parked";
  }

  #durabilityOf(event: NewEvent): Durability {
    if (event.type !== "tool_intent" && event.type !== "tool_decision" && event.type !== "tool_result") return "normal";
    const effect = this.#effects.get(event.payload.callId) ?? "read_only";
    return effect === "read_only" ? "normal" : "full";
  }
}

/** A model call for the turn's answer. */
function isStep(event: NewEvent | StoredEvent): boolean {
  return event.type === "model_request" && event.payload.purpose === undefined;
}

/** Where a turn is. */
export interface TurnPlace {
  readonly session: string;
  readonly turn: string;
}

/** What a client says in one turn. */
export interface TurnText extends TurnPlace {
  readonly text: string;
  readonly attachments?: readonly InlineMedia[];
}

/** The recorded events of this turn; none when it is new. Throws AppError `turn_conflict` when that id was used for something else. */
export async function readTurn(log: EventLog, message: TurnText): Promise<readonly StoredEvent[]> {
  const events = await log.turn(message.session, message.turn);
  const first = events.find((event) => event.type === "user_message");
  if (first === undefined) return events;
  const isSame = first.payload.text === message.text &&
    JSON.stringify(first.payload.attachments ?? []) === JSON.stringify(message.attachments ?? []);
  if (isSame) return events;
  throw new AppError("turn_conflict", `Turn ${message.turn} was sent before with another text`);
}

/**
 * Ends a turn that waits for a person, as cancelled: its calls did not run, and the record says so. Returns the events; none for a turn that does not
 * wait (any more). Throws AppError `store_*`, `session_taken` when another gateway goes on with it.
 */
export async function cancelParked(
  log: EventLog,
  { session, turn }: TurnPlace,
  reason: string,
  lease?: LeaseTerms,
): Promise<readonly StoredEvent[]> {
  const events = await log.turn(session, turn);
  const resume = isParked(events) ? planResume(events) : undefined;
  if (resume === undefined) return [];
  const { intended, answered } = resume.known;
  const waiting = resume.reply?.toolCalls.filter(({ id }) => intended.has(id) && !answered.has(id)) ?? [];
  const text = `Not run: it waited for an approval, and ${reason}`;
  const results = waiting.map((call): NewEvent => ({
    type: "tool_result",
    v: 1,
    payload: {
      callId: call.id,
      tool: call.name,
      ok: false,
      code: "cancelled",
      text,
      outputBytes: 0,
      truncated: false,
      elapsedMs: 0,
    },
  }));
  const end: NewEvent = { type: "turn_cancelled", v: 1, payload: { reason, steps: resume.steps } };
  return await log.append(session, turn, [...results, end], toOptions(lease));
}

/** No other message came in the session of these events of a turn since. */
export async function isNewest(log: EventLog, events: readonly StoredEvent[]): Promise<boolean> {
  const [first] = events;
  if (first === undefined) return false;
  const later = await log.read(first.session, { fromSeq: first.seq + 1, limit: 1, types: ["user_message"] });
  return later.length === 0;
}

/** Closes a turn that will not go on; returns its end. */
export async function closeTurn(
  log: EventLog,
  session: string,
  turn: string,
  {
    message = "The turn was interrupted: the program stopped while it ran",
    lease,
  }: { readonly message?: string; readonly lease?: LeaseTerms | undefined } = {},
): Promise<StoredEvent> {
  const events = await log.turn(session, turn);
  const end = events.find(isTurnEnd);
  if (end !== undefined) return end;
  const steps = events.filter(isStep).length;
  const payload = { code: "turn_interrupted", message, steps } as const;
  const [stored] = await log.append(session, turn, [{ type: "turn_failed", v: 1, payload }], toOptions(lease));
  return stored!;
}

/** The end of a turn that does not run: the session is claimed for it, and given back by it. */
function toOptions(lease: LeaseTerms | undefined): AppendOptions {
  const owned = lease === undefined ? {} : { owner: lease.owner, claimMs: lease.ttlMs };
  return { durability: "normal", ...owned };
}
