import { AppError } from "#/core/error.ts";
import { type EventType, isTurnEnd, type NewEvent, type StoredEvent } from "#/core/event.ts";
import type { AppendOptions, Durability, EventLog, SessionRow, UsageRow } from "#/core/store.ts";

/** An append as a test sees it. */
export interface SeenAppend {
  readonly types: readonly EventType[];
  readonly durability: Durability;
}

/** An event log in memory: everything that crosses it goes through JSON, as it would on a disk. */
export class MemoryLog implements EventLog {
  readonly appends: SeenAppend[] = [];
  /** Asked before each append; what it throws is what the append throws. */
  beforeAppend: (events: readonly NewEvent[]) => void = () => {};
  readonly #sessions = new Map<string, SessionRow>();
  readonly #events: StoredEvent[] = [];
  readonly #leases = new Map<string, string>();
  readonly #blobs = new Map<string, Uint8Array>();
  #now = 1_000;

  sessions(): Promise<never> {
    return Promise.reject(new Error("this log changes no sessions"));
  }

  ensureSession(
    session: Pick<SessionRow, "id" | "user" | "agent" | "channel" | "displayName" | "parent">,
  ): Promise<SessionRow> {
    const at = this.#now++;
    const row = this.#sessions.get(session.id) ?? { ...session, createdAt: at, lastActiveAt: at, archived: false };
    this.#sessions.set(row.id, row);
    return Promise.resolve(row);
  }

  session(id: string): Promise<SessionRow | undefined> {
    return Promise.resolve(this.#sessions.get(id));
  }

  listSessions(user: string): Promise<readonly SessionRow[]> {
    return Promise.resolve([...this.#sessions.values()].filter((row) => row.user === user));
  }

  append(
    session: string,
    turn: string,
    events: readonly NewEvent[],
    options: AppendOptions,
  ): Promise<readonly StoredEvent[]> {
    return Promise.resolve().then(() => {
      this.beforeAppend(events);
      const { owner, claimMs } = options;
      if (owner !== undefined && claimMs !== undefined && !this.#leases.has(session)) this.#leases.set(session, owner);
      if (owner !== undefined && this.#leases.get(session) !== owner) {
        throw new AppError("session_taken", "another gateway");
      }
      if (!this.#sessions.has(session)) throw new AppError("session_unknown", `there is no session ${session}`);
      for (const [at, { payload: { epoch } }] of events.filter((event) => event.type === "summary").entries()) {
        if (epoch === (this.#lastSummary(session)?.payload.epoch ?? 0) + at + 1) continue;
        throw new AppError("store_failed", "another summary", { params: { reason: "epoch", session } });
      }
      this.appends.push({ types: events.map((event) => event.type), durability: options.durability });
      return events.map((event) => this.#store(session, turn, event));
    });
  }

  claim(session: string, owner: string): Promise<boolean> {
    if (!this.#leases.has(session)) this.#leases.set(session, owner);
    return Promise.resolve(this.#leases.get(session) === owner);
  }

  renew(session: string, owner: string): Promise<boolean> {
    return Promise.resolve(this.#leases.get(session) === owner);
  }

  release(session: string, owner: string): Promise<void> {
    if (this.#leases.get(session) === owner) this.#leases.delete(session);
    return Promise.resolve();
  }

  read(
    session: string,
    options: { readonly fromSeq: number; readonly limit: number; readonly types?: readonly EventType[] },
  ): Promise<readonly StoredEvent[]> {
    const { fromSeq, limit, types } = options;
    const events = this.#of(session).filter((event) =>
      event.seq >= fromSeq && (types === undefined || types.includes(event.type))
    );
    return Promise.resolve(events.slice(0, limit));
  }

  readBack(
    session: string,
    options: { readonly beforeSeq: number; readonly limit: number; readonly types?: readonly EventType[] },
  ): Promise<readonly StoredEvent[]> {
    const { beforeSeq, limit, types } = options;
    const events = this.#of(session).filter((event) =>
      event.seq < beforeSeq && (types === undefined || types.includes(event.type))
    );
    return Promise.resolve(events.toReversed().slice(0, limit));
  }

  lastSummary(session: string): Promise<Extract<StoredEvent, { type: "summary" }> | undefined> {
    return Promise.resolve(this.#lastSummary(session));
  }

  #lastSummary(session: string): Extract<StoredEvent, { type: "summary" }> | undefined {
    return this.#of(session).findLast((event) => event.type === "summary");
  }

  turn(session: string, turn: string): Promise<readonly StoredEvent[]> {
    return Promise.resolve(this.#of(session).filter((event) => event.turn === turn));
  }

  openTurns(): Promise<readonly { readonly session: string; readonly turn: string }[]> {
    return Promise.resolve(this.#without("parked"));
  }

  leftTurns(): Promise<readonly { readonly session: string; readonly turn: string }[]> {
    return Promise.resolve(this.#without("parked").filter(({ session }) => !this.#leases.has(session)));
  }

  parkedTurns(): Promise<readonly { readonly session: string; readonly turn: string }[]> {
    const open = new Set(this.#without("parked").map(({ session, turn }) => `${session}\0${turn}`));
    return Promise.resolve(this.#without().filter(({ session, turn }) => !open.has(`${session}\0${turn}`)));
  }

  /** Turns that have no end, and whose last event is not of these kinds. */
  #without(...kinds: string[]): { session: string; turn: string }[] {
    const open = new Map<string, { session: string; turn: string }>();
    for (const event of this.#events) {
      const key = `${event.session}\0${event.turn}`;
      if (isTurnEnd(event) || kinds.includes(event.type)) open.delete(key);
      else open.set(key, { session: event.session, turn: event.turn });
    }
    return [...open.values()];
  }

  usage(): Promise<readonly UsageRow[]> {
    return Promise.resolve([]);
  }

  blob(sha256: string): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.#blobs.get(sha256));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #of(session: string): StoredEvent[] {
    return this.#events.filter((event) => event.session === session);
  }

  #store(session: string, turn: string, event: NewEvent): StoredEvent {
    const blobs = (event.blobs ?? []).map(({ content, ...ref }) => {
      this.#blobs.set(ref.sha256, content);
      return ref;
    });
    const payload = JSON.parse(JSON.stringify(event.payload));
    const { type, v } = event;
    const seq = this.#of(session).length + 1;
    const stored = { seq, session, turn, type, v, at: this.#now++, payload, blobs } as StoredEvent;
    this.#events.push(stored);
    return stored;
  }
}
