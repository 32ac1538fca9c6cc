import type { GivenAnswer } from "#/core/capability.ts";
import { AppError, type ErrorCode, toPublicError } from "#/core/error.ts";
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
import { CHANNEL, type Directory } from "#/gateway/directory.ts";
import type { Hub, Outlet, Subscriber } from "#/gateway/hub.ts";
import {
  encodeFrame,
  type GatewayInfo,
  type StartupStatus,
  toFrame,
  toHelloAck,
  type WireSession,
} from "#/gateway/server_frame.ts";
import type { Turns } from "#/gateway/turns.ts";

/** Runs `run` once after `ms`; the answer takes that back. */
export type After = (ms: number, run: () => void) => () => void;

/** What every connection of a gateway shares. */
export interface ConnectionDeps {
  readonly user: string;
  readonly hub: Hub;
  readonly turns: Turns;
  readonly directory: Directory;
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
} as const;

interface Greeted extends Subscriber {
  session: WireSession;
}

/** A frame that waits costs at least this, so that a million empty ones are bounded as well. */
const FRAME_CHARS_MIN = 1_024;
const HELLO_FIRST = "the first frame must be hello";

/**
 * One client from its first frame to its last. Frames are obeyed one after another, in their order; a turn is only started here,
 * never waited for. What is wrong with a frame is said in an `error` frame and the connection goes on; what makes the
 * connection pointless (no hello, wrong version, foreign user, flooding, an oversized frame) ends it with a code and a reason.
 */
export class Connection {
  readonly #outlet: Outlet;
  readonly #deps: ConnectionDeps;
  readonly #cancelTimeout: () => void;
  #client: Greeted | undefined;
  #inbox: Promise<void> = Promise.resolve();
  #inboxChars = 0;
  #over = false;

  constructor(outlet: Outlet, deps: ConnectionDeps) {
    this.#outlet = outlet;
    this.#deps = deps;
    this.#cancelTimeout = deps.after(LIMITS.helloTimeoutMs, () => this.#end(CLOSE.helloTimeout, "no hello in time"));
  }

  /** Takes what the socket brought. Never throws; resolves when it was obeyed. */
  receive(content: unknown): Promise<void> {
    if (this.#over) return this.#inbox;
    if (typeof content !== "string") {
      this.#refuse(undefined, "protocol", "frames are text; this one is binary");
      if (this.#client === undefined) this.#end(CLOSE.protocol, HELLO_FIRST, { already: true });
      return this.#inbox;
    }
    // A UTF-16 code unit is at least one byte. What is longer in bytes alone was refused by the socket, which takes 64 MiB.
    if (content.length > LIMITS.wsFrameBytesMax) {
      this.#end(CLOSE.frameTooLarge, `a frame has at most ${LIMITS.wsFrameBytesMax} bytes`);
      return this.#inbox;
    }
    const chars = Math.max(content.length, FRAME_CHARS_MIN);
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
    this.#cancelTimeout();
    if (this.#client !== undefined) this.#deps.hub.detach(this.#client);
  }

  async #obey(text: string): Promise<void> {
    if (this.#over) return;
    const parsed = parseClientFrame(text);
    if (!parsed.ok) {
      this.#refuse(parsed.requestId, "protocol", parsed.message);
      if (this.#client === undefined) this.#end(CLOSE.protocol, HELLO_FIRST, { already: true });
      return;
    }
    const { frame } = parsed;
    try {
      if (this.#client !== undefined) await this.#answer(this.#client, frame);
      else if (frame.type === "hello") await this.#greet(frame.payload);
      else this.#end(CLOSE.protocol, HELLO_FIRST, { requestId: frame.payload.request_id });
    } catch (error) {
      const id = crypto.randomUUID();
      if (!(error instanceof AppError)) this.#deps.report(error, id);
      const { code, message } = toPublicError(error, id);
      this.#refuse(frame.payload.request_id, code, message);
      if (this.#client === undefined) this.#end(CLOSE.helloRefused, "hello was refused", { already: true });
    }
  }

  async #greet(hello: Hello): Promise<void> {
    this.#cancelTimeout();
    const { hub, turns, directory, user } = this.#deps;
    if (hello.protocol_version !== PROTOCOL_VERSION) {
      const theirs = `protocol version ${hello.protocol_version}`;
      throw new AppError("protocol", `${theirs}; this gateway speaks ${PROTOCOL_VERSION}`);
    }
    if (hello.user_id !== user) throw new AppError("gateway_refused", "this gateway belongs to another user");
    const capabilities = new Set(hello.capabilities ?? []);
    const row = hello.create_new_session
      ? await directory.create(null, null)
      : await directory.resolve(hello.session_id ?? undefined, capabilities.has("named_sessions"));
    if (this.#over) return;
    const session = { user_id: user, session_id: row.id };
    const knows = {
      turnEvents: capabilities.has("turn_events"),
      approvals: capabilities.has("approvals"),
      media: capabilities.has("media"),
      steering: capabilities.has("steering"),
    };
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
    await this.#tellApprovals(client);
  }

  /** What waits for a person is shown to each client that comes. */
  async #tellApprovals(client: Greeted): Promise<void> {
    const { hub, turns } = this.#deps;
    for (const { frame } of await turns.approvals(client.session.session_id)) hub.deliver(client, frame);
  }

  async #answer(client: Greeted, frame: ClientFrame): Promise<void> {
    const { hub, turns, directory } = this.#deps;
    switch (frame.type) {
      case "hello":
        throw new AppError("protocol", "hello was said already on this connection");
      case "send_turn":
        return await this.#send(client, frame.payload);
      case "cancel_active_turn":
        this.#checkSession(client, frame.payload.session_id);
        if (turns.cancel(client.session.session_id, frame.payload.turn_id)) return;
        throw new AppError("usage", "there is no such turn to cancel");
      case "cancel_all_active_turns":
        if (turns.cancelAll() > 0) return;
        throw new AppError("usage", "there is no turn to cancel");
      case "health_check":
        return hub.deliver(client, this.#health(client, frame.payload.request_id));
      case "create_session": {
        const { request_id, display_name, agent_name } = frame.payload;
        const row = await directory.create(display_name ?? null, agent_name ?? null);
        const session = this.#move(client, row.id);
        const names = { display_name: row.displayName ?? undefined, agent_name: row.agent };
        return hub.deliver(client, toFrame("session_created", { request_id, session, ...names }));
      }
      case "list_sessions": {
        const { request_id, include_archived, include_subagent_sessions } = frame.payload;
        const options = { includeArchived: include_archived, includeSubagents: include_subagent_sessions };
        return hub.deliver(client, toFrame("session_list", { request_id, sessions: await directory.list(options) }));
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
      case "switch_session": {
        const row = await directory.find(frame.payload.session_id);
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
      channel: CHANNEL,
      requestId: frame.request_id,
      attachments: toInlineMedia(frame.attachments),
    });
  }

  async #steer(client: Greeted, { request_id, turn_id, message_id, text, session_id }: SteerFrame): Promise<void> {
    const { hub, turns } = this.#deps;
    const { session } = client;
    try {
      const message = { id: message_id, text, channel: CHANNEL, requestId: request_id };
      const how = await turns.steer({ session: session_id, turn: turn_id }, message);
      hub.deliver(client, toFrame("steer_accepted", { request_id, session, message_id, how }));
    } catch (error) {
      const id = crypto.randomUUID();
      if (!(error instanceof AppError)) this.#deps.report(error, id);
      const { code, message } = toPublicError(error, id);
      hub.deliver(client, toFrame("error", { request_id, session, message, code }));
    }
  }

  #checkSession(client: Greeted, session: string): void {
    if (session === client.session.session_id) return;
    throw new AppError("usage", "this connection is in another session; send switch_session first");
  }

  #move(client: Greeted, id: string): WireSession {
    client.session = { user_id: this.#deps.user, session_id: id };
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
    const text = encodeFrame(frame, { turnEvents: false, approvals: false, media: false });
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
