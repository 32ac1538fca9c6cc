import { isTurnEnd } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import type { EventLog } from "#/core/store.ts";
import { toChain } from "#/gateway/conversation.ts";
import { toReplyText } from "#/gateway/reply_text.ts";

/** What finds conversations. */
export interface ConversationsDeps {
  readonly log: Pick<EventLog, "listSessions" | "read" | "turn">;
  readonly user: string;
}

/** Where a conversation stands. */
interface Tip {
  readonly session: string;
  /** Of the last event of its last turn. */
  readonly seq: number;
}

/** Reads the hash that a turn's id was made with by `toTurnId`. */
const CHAINED = /^c\.([0-9a-f]{32})\./;

/** The id of a turn that a program asked for with its whole conversation: what is said by then, and the client's key. */
export function toTurnId(after: string, key: string): string {
  return `c.${after}.${key}`;
}

/**
 * Finds the session of a program that sends its whole conversation each time: the one that has just that, no more and no less, and that the
 * same token began. A conversation is taken up once, so the same request twice (regenerate) is two sessions. After a start this is read from the
 * log; bounded by `apiConversationsMax` and `apiSessionsReadMax`, and what is not found begins a new session.
 */
export class Conversations {
  readonly #deps: ConversationsDeps;
  readonly #tips = new Map<string, Tip>();
  /** Tips that a turn has gone on from. */
  readonly #taken = new Map<string, Tip>();
  readonly #placed = new Map<string, Promise<string>>();
  readonly #read = new Map<string, Promise<void>>();

  constructor(deps: ConversationsDeps) {
    this.#deps = deps;
  }

  /**
   * The session for this turn of `channel`: where the same turn ran before, else the one whose conversation is `before`, else `fresh`.
   * Two requests with one turn id get the same one, also at the same time.
   */
  async place(channel: string, request: { turn: string; before: string; fresh: string }): Promise<string> {
    // `fresh` follows from the turn's id: a retry of a first message finds it without a look.
    if (request.before === "") return request.fresh;
    await this.#readOnce(channel);
    const key = toKey(channel, request.turn);
    const placed = this.#placed.get(key) ??
      this.#take(toKey(channel, request.before)).then((tip) => tip ?? request.fresh);
    remember(this.#placed, key, placed);
    // A log that cannot be read now may be later.
    placed.catch(() => this.#placed.delete(key));
    return await placed;
  }

  /** The turn was refused before it began: whoever asks again finds the conversation where it was. */
  giveBack(channel: string, { turn, before }: { turn: string; before: string }): void {
    const taken = this.#taken.get(toKey(channel, before));
    if (taken !== undefined) remember(this.#tips, toKey(channel, before), taken);
    this.#placed.delete(toKey(channel, turn));
  }

  /** A turn has ended: from here its client goes on with `tip`. */
  note(channel: string, tip: string, place: Tip): void {
    remember(this.#tips, toKey(channel, tip), place);
  }

  /** The session that has just this conversation; nobody else gets it. */
  async #take(key: string): Promise<string | undefined> {
    const tip = this.#tips.get(key);
    if (tip === undefined) return undefined;
    this.#tips.delete(key);
    remember(this.#taken, key, tip);
    // Somebody else may have gone on in this session meanwhile, or deleted it.
    const types = ["user_message", "forgotten"] as const;
    const [more] = await this.#deps.log.read(tip.session, { fromSeq: tip.seq + 1, limit: 1, types });
    return more === undefined ? tip.session : undefined;
  }

  #readOnce(channel: string): Promise<void> {
    const reading = this.#read.get(channel) ?? this.#readChannel(channel);
    this.#read.set(channel, reading);
    reading.catch(() => this.#read.delete(channel));
    return reading;
  }

  async #readChannel(channel: string): Promise<void> {
    const rows = await this.#deps.log.listSessions(this.#deps.user, { includeArchived: false });
    const own = rows.filter((row) => row.channel === channel).slice(0, LIMITS.apiSessionsReadMax);
    for (const { id } of own.toReversed()) await this.#readSession(channel, id);
  }

  async #readSession(channel: string, session: string): Promise<void> {
    // Small ones; a user's message may be megabytes of pictures.
    const types = ["model_request", "turn_done", "turn_failed", "turn_cancelled"] as const;
    const events = await this.#deps.log.read(session, { fromSeq: 1, limit: LIMITS.historyEventsMax, types });
    for (const { turn } of events) remember(this.#placed, toKey(channel, turn), Promise.resolve(session));
    const last = events.findLast(isTurnEnd);
    const after = CHAINED.exec(last?.turn ?? "")?.[1];
    if (last?.type !== "turn_done" || after === undefined) return;
    const text = toReplyText(await this.#deps.log.turn(session, last.turn));
    const tip = await toChain(after, [{ role: "assistant", text, media: [] }]);
    remember(this.#tips, toKey(channel, tip), { session, seq: last.seq });
  }
}

function toKey(channel: string, name: string): string {
  return `${channel}\n${name}`;
}

function remember<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > LIMITS.apiConversationsMax && oldest !== undefined) map.delete(oldest);
}
