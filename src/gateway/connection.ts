import type { GivenAnswer } from "#/core/capability.ts";
import { AppError, type ErrorCode } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { toInlineMedia } from "#/gateway/attachments.ts";
import {
  type ClientFrame,
  type Hello,
  parseClientFrame,
  PROTOCOL_VERSION,
  type SendTurn,
  type SteerFrame,
} from "#/gateway/client_frame.ts";
import { Directory, type DirectoryDeps } from "#/gateway/directory.ts";
import type { Hub, Outlet, Subscriber } from "#/gateway/hub.ts";
import type { ResumeDeps } from "#/gateway/resume.ts";
import { checkFrame } from "#/gateway/scope.ts";
import {
  encodeFrame,
  type GatewayInfo,
  type StartupStatus,
  toFrame,
  toHelloAck,
  toKnows,
  toTold,
  type WireSession,
} from "#/gateway/server_frame.ts";
import type { Caller } from "#/gateway/token.ts";
import type { Turns, TurnsDeps } from "#/gateway/turns.ts";

/** Runs `run` once after `ms`; the answer takes that back. */
export type After = (ms: number, run: () => void) => () => void;

/** What every connection of a gateway shares. */
export interface ConnectionDeps extends Omit<DirectoryDeps, "caller"> {
  readonly log: DirectoryDeps["log"] & ResumeDeps["log"] & TurnsDeps["log"];
  readonly hub: Hub;
  readonly turns: Turns;
  /** Takes what one frame is worth from what its token may ask now; milliseconds to wait when that is nothing. */
  readonly spend: (caller: Caller) => number;
  readonly info: GatewayInfo;
  readonly startupStatus: StartupStatus;
  readonly after: After;
  /** Passes an answer on to the runner. Throws AppError `approval_refused`, `approval_unknown`, `usage`. */
  readonly answer: (given: GivenAnswer) => Promise<void>;
  readonly report: (error: unknown, id: string) => void;
}

/** Close codes of our own (RFC 6455 §7.4.2 leaves 4000–4999 to applications); each comes with a reason in words. */
export const CLOSE = {
  protocol: 4000,
  helloTimeout: 4001,
  helloRefused: 4002,
  flooding: 4003,
  frameTooLarge: 4009,
  revoked: 4010,
} as const;

interface Greeted extends Subscriber {
  session: WireSession;
}

/** A frame that waits costs at least this, so that a million empty ones are bounded as well. */
const FRAME_CHARS_MIN = 1_024;
const HELLO_FIRST = "the first frame must be hello";
const NO_EVENTS = "what was missed comes as turn_event frames; announce `turn_events` in hello";

/**
 * One client from its first frame to its last. Frames are obeyed one after another, in their order; a turn is only started here,
 * never waited for. What is wrong with a frame is said in an `error` frame and the connection goes on; what makes the
 * connection pointless (no hello, wrong version, foreign user, flooding, an oversized frame) ends it with a code and a reason.
 */
export class Connection {
  readonly #outlet: Outlet;
  readonly #deps: ConnectionDeps;
  readonly #caller: Caller;
  readonly #directory: Directory;
  readonly #cancelTimeout: () => void;
  /** Ends what a `resume` still has to tell. */
  #resuming = new AbortController();
  #client: Greeted | undefined;
  #inbox: Promise<void> = Promise.resolve();
  #inboxChars = 0;
  #over = false;

  constructor(outlet: Outlet, deps: ConnectionDeps, caller: Caller) {
    this.#outlet = outlet;
    this.#deps = deps;
    this.#caller = caller;
    this.#directory = new Directory({ ...deps, caller });
    this.#cancelTimeout = deps.after(LIMITS.helloTimeoutMs, () => this.#end(CLOSE.helloTimeout, "no hello in time"));
  }

  /** Takes what the socket brought. Never throws; resolves when it was obeyed. */
  receive(content: string | ArrayBuffer): Promise<void> {
    if (this.#over) return this.#inbox;
    // A UTF-16 code unit is at least one byte. What is longer in bytes alone was refused by the socket, which takes 64 MiB.
    const length = typeof content === "string" ? content.length : content.byteLength;
    if (length > LIMITS.wsFrameBytesMax) {
      this.#end(CLOSE.frameTooLarge, `a frame has at most ${LIMITS.wsFrameBytesMax} bytes`);
      return this.#inbox;
    }
    const chars = Math.max(length, FRAME_CHARS_MIN);
    this.#inboxChars += chars;
    if (this.#inboxChars > LIMITS.clientInboxCharsMax) {
      this.#end(CLOSE.flooding, "frames come faster than they can be obeyed");
      return this.#inbox;
    }
    this.#inbox = this.#inbox.then(() => this.#obey(content)).finally(() => this.#inboxChars -= chars);
    return this.#inbox;
  }

  /** The socket is gone. Turns go on; nothing is obeyed any more, what was received and waits included. */
  closed(): void {
    this.#over = true;
    this.#resuming.abort();
    this.#cancelTimeout();
    if (this.#client !== undefined) this.#deps.hub.detach(this.#client);
  }

  /** Its token opens nothing any more. */
  revoke(): void {
    this.#end(CLOSE.revoked, "this token was revoked, or has expired");
  }

  async #obey(content: string | ArrayBuffer): Promise<void> {
    if (this.#over) return;
    const parsed = parseClientFrame(content);
    if (!parsed.ok) {
      this.#refuse(parsed.requestId, "protocol", parsed.message);
      if (this.#client === undefined) this.#end(CLOSE.protocol, HELLO_FIRST, { already: true });
      return;
    }
    const { frame } = parsed;
    try {
      this.#checkRate();
      checkFrame(this.#caller, frame);
      if (this.#client !== undefined) await this.#answer(this.#client, frame);
      else if (frame.type === "hello") await this.#greet(frame.payload);
      else this.#end(CLOSE.protocol, HELLO_FIRST, { requestId: frame.payload.request_id });
    } catch (error) {
      const { code, message } = toTold(error, this.#deps);
      this.#refuse(frame.payload.request_id, code, message);
      if (this.#client === undefined) this.#end(CLOSE.helloRefused, "hello was refused", { already: true });
    }
  }

  #checkRate(): void {
    const waitMs = this.#deps.spend(this.#caller);
    if (waitMs === 0) return;
    throw new AppError("queue_full", `too many frames with this token; try again in ${waitMs} ms`, {
      params: { waitMs },
    });
  }

  async #greet(hello: Hello): Promise<void> {
    this.#cancelTimeout();
    const { hub, turns, user } = this.#deps;
    if (hello.protocol_version !== PROTOCOL_VERSION) {
      const theirs = `protocol version ${hello.protocol_version}`;
      throw new AppError("protocol", `${theirs}; this gateway speaks ${PROTOCOL_VERSION}`);
    }
    if (hello.user_id !== user) throw new AppError("gateway_refused", "this gateway belongs to another user");
    const capabilities = hello.capabilities ?? [];
    // Cards are for who may answer them, and what a day cost tells of sessions that are not a channel's.
    const isChannel = this.#caller.scope === "channel";
    const knows = toKnows(capabilities.filter((name) => !isChannel || name === "turn_events" || name === "media"));
    const resumeFrom = hello.resume_from ?? undefined;
    if (resumeFrom !== undefined && !knows.turnEvents) throw new AppError("usage", NO_EVENTS);
    const row = hello.create_new_session
      ? await this.#directory.create(null, null)
      : await this.#directory.resolve(hello.session_id ?? undefined, capabilities.includes("named_sessions"));
    if (this.#over) return;
    const session = { user_id: user, session_id: row.id };
    const client: Greeted = { outlet: this.#outlet, knows, session };
    this.#client = client;
    const active = turns.active(row.id);
    hub.deliver(client, toHelloAck(hello.request_id, session, active));
    hub.deliver(client, toFrame("gateway_info", { request_id: hello.request_id, ...this.#deps.info }));
    // A client of the reference learns here how the turn ended that it lost; ours asks by the turn's id.
    if (active === undefined && !knows.turnEvents) {
      for (const { frame } of turns.outcome(row.id)) hub.deliver(client, frame);
    }
    hub.attach(row.id, client);
    if (resumeFrom !== undefined) return this.#resume(client, hello.request_id, resumeFrom);
    await this.#tellApprovals(client);
  }

  /** In the background: a client that is far behind can still cancel. */
  #resume(client: Greeted, request_id: string, from: number): void {
    this.#resuming.abort();
    this.#resuming = new AbortController();
    const { signal } = this.#resuming;
    const { after } = this.#deps;
    const delay = (ms: number) => new Promise<void>((resolve) => void after(ms, resolve));
    const { session } = client;
    // Now, not when it is read: what is published from here on is in the log.
    client.catchUp = { seen: from, heldSeq: 0, isLive: false };
    const resumed = async () => {
      // The first of its clients comes long after the start, which does not wait for this.
      const { runResume } = await import("#/gateway/resume.ts");
      if (signal.aborted) return;
      await runResume(client, { request_id, session, from }, { ...this.#deps, delay }, signal);
      if (!signal.aborted) await this.#tellApprovals(client);
    };
    resumed().catch((error: unknown) => {
      if (signal.aborted) return;
      const { code, message } = toTold(error, this.#deps);
      this.#refuse(request_id, code, message);
    });
  }

  /** What waits for a person is shown to each client that comes. */
  async #tellApprovals(client: Greeted): Promise<void> {
    const { hub, turns } = this.#deps;
    if (!client.knows.approvals) return;
    for (const { frame } of await turns.approvals(client.session.session_id)) hub.deliver(client, frame);
  }

  async #answer(client: Greeted, frame: ClientFrame): Promise<void> {
    const { hub, turns } = this.#deps;
    switch (frame.type) {
      case "hello":
        throw new AppError("protocol", "hello was said already on this connection");
      case "send_turn":
        return await this.#send(client, frame.payload);
      case "cancel_active_turn":
        this.#checkSession(client, frame.payload.session_id);
        if (this.#cancel(client, frame.payload.turn_id)) return;
        throw new AppError("usage", "there is no such turn to cancel");
      case "cancel_all_active_turns":
        if (await this.#cancelAll() > 0) return;
        throw new AppError("usage", "there is no turn to cancel");
      case "health_check":
        return hub.deliver(client, this.#health(client, frame.payload.request_id));
      case "create_session": {
        const { request_id, display_name, agent_name } = frame.payload;
        const row = await this.#directory.create(display_name ?? null, agent_name ?? null);
        const session = this.#move(client, row.id);
        const names = { display_name: row.displayName ?? undefined, agent_name: row.agent };
        return hub.deliver(client, toFrame("session_created", { request_id, session, ...names }));
      }
      case "list_sessions": {
        const { request_id, include_archived, include_subagent_sessions } = frame.payload;
        const options = { includeArchived: include_archived, includeSubagents: include_subagent_sessions };
        const sessions = await this.#directory.list(options);
        return hub.deliver(client, toFrame("session_list", { request_id, sessions }));
      }
      case "steer": {
        this.#checkSession(client, frame.payload.session_id);
        // Not waited for: a tool may run for minutes before the turn takes it, and a cancel may come behind it.
        return void this.#steer(client, frame.payload);
      }
      case "approval_answer": {
        const { session_id, approval_id: id, answer, until } = frame.payload;
        this.#checkSession(client, session_id);
        return await this.#deps.answer({ id, answer, ...(until ? { until: Date.parse(until) } : {}) });
      }
      case "resume":
        this.#checkSession(client, frame.payload.session_id);
        if (!client.knows.turnEvents) throw new AppError("usage", NO_EVENTS);
        return this.#resume(client, frame.payload.request_id, frame.payload.from);
      case "switch_session": {
        const row = await this.#directory.find(frame.payload.session_id);
        const session = this.#move(client, row.id);
        const { request_id } = frame.payload;
        const active_turn = turns.active(row.id);
        hub.deliver(client, toFrame("session_switched", { request_id, session, active_turn }));
        return await this.#tellApprovals(client);
      }
    }
  }

  async #send(client: Greeted, frame: SendTurn): Promise<void> {
    this.#checkSession(client, frame.session_id);
    if (frame.turn_id === "") throw new AppError("usage", "send_turn.turn_id is empty");
    if (frame.prompt.trim() === "" && frame.attachments.length === 0) {
      throw new AppError("usage", "the message is empty");
    }
    await this.#deps.turns.start(client, {
      session: frame.session_id,
      turn: frame.turn_id,
      text: frame.prompt,
      channel: this.#directory.channel,
      requestId: frame.request_id,
      attachments: toInlineMedia(frame.attachments),
    });
  }

  async #steer(client: Greeted, { request_id, turn_id, message_id, text, session_id }: SteerFrame): Promise<void> {
    const { hub, turns } = this.#deps;
    const { session } = client;
    try {
      const message = { id: message_id, text, channel: this.#directory.channel, requestId: request_id };
      const how = await turns.steer({ session: session_id, turn: turn_id }, message);
      hub.deliver(client, toFrame("steer_accepted", { request_id, session, message_id, how }));
    } catch (error) {
      const { code, message } = toTold(error, this.#deps);
      hub.deliver(client, toFrame("error", { request_id, session, message, code }));
    }
  }

  /** The reference reads no turn id here and cancels what runs: so it is for its clients, whose id may be of a turn that just ended. */
  #cancel(client: Greeted, turn: string): boolean {
    const { session: { session_id }, knows } = client;
    const { turns } = this.#deps;
    return turns.cancel(session_id, turn) || (!knows.turnEvents && turns.cancel(session_id, ""));
  }

  async #cancelAll(): Promise<number> {
    const { turns } = this.#deps;
    if (this.#caller.scope === "owner") return turns.cancelAll();
    const rows = await this.#directory.list({ includeArchived: true, includeSubagents: true });
    const theirs = new Set(rows.map((row) => row.session_id));
    return turns.cancelAll(undefined, (session) => theirs.has(session));
  }

  #checkSession(client: Greeted, session: string): void {
    if (session === client.session.session_id) return;
    throw new AppError("usage", "this connection is in another session; send switch_session first");
  }

  #move(client: Greeted, id: string): WireSession {
    client.session = { user_id: this.#deps.user, session_id: id };
    this.#resuming.abort();
    client.catchUp = undefined;
    if (!this.#over) this.#deps.hub.attach(id, client);
    return client.session;
  }

  #health(client: Greeted, requestId: string) {
    const { startupStatus, turns } = this.#deps;
    const reasons = startupStatus.degraded_reasons?.map((reason) => reason.detail).join(" | ") ?? "";
    return toFrame("health_status", {
      request_id: requestId,
      healthy: true,
      session: client.session,
      active_turn: turns.active(client.session.session_id),
      startup_status: startupStatus,
      message: reasons === "" ? "ready" : `ready, with limits: ${reasons}`,
    });
  }

  #refuse(requestId: string | undefined, code: ErrorCode, message: string): void {
    const frame = toFrame("error", { request_id: requestId, session: this.#client?.session, message, code });
    if (this.#client !== undefined) return this.#deps.hub.deliver(this.#client, frame);
    const text = encodeFrame(frame, toKnows([]));
    if (text !== undefined && this.#outlet.readyState === WebSocket.OPEN) this.#outlet.send(text);
  }

  /** Ends the connection; before hello, where no frame says why yet, an `error` frame says it as well, as the reference does. */
  #end(code: number, reason: string, said: { readonly requestId?: string; readonly already?: boolean } = {}): void {
    if (this.#over) return;
    if (this.#client === undefined && said.already !== true) this.#refuse(said.requestId, "protocol", reason);
    this.closed();
    this.#outlet.close(code, reason);
  }
}
