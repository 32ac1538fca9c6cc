import { AppError, type ErrorCode } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { SessionEvent } from "#/core/event.ts";
import { toPrintable, toPrintableJson } from "#/lib/printable.ts";
import { type Connection, NOT_TAKEN, type ServerFrame } from "#/cli/connection.ts";
import type { CardDesk } from "#/cli/card_desk.ts";
import { EXIT, toExitCode } from "#/cli/exit_code.ts";
import { RENDER_START, renderEvent, type RenderState } from "#/cli/render.ts";
import { TurnFeed } from "#/cli/turn_feed.ts";

/** Where a client writes. `paint` is true on a terminal that takes colour. */
export interface Screen {
  readonly json: boolean;
  readonly paint: boolean;
  out(text: string): void;
  err(text: string): void;
  /** Writes what the model made to a file and says where, or why not; absent when nobody wants that. */
  readonly save?: (attachment: NonNullable<ServerFrame["payload"]["attachment"]>) => Promise<string>;
}

/** A connection that may be made again when it breaks; see `SteadyConnection`. */
export interface TurnConnection extends Connection {
  /** False when no gateway comes back. Absent where a broken connection stays broken. */
  reconnect?(): Promise<boolean>;
}

/**
 * Sends one prompt and shows its turn until it ends, over restarts of the gateway: the same turn is asked for again, and nothing is shown
 * twice. Returns the exit code of that turn. `watch.onCancel` is called back with the function that asks the gateway to cancel it;
 * `watch.desk` asks the person what a call may do.
 */
export async function runClientTurn(
  connection: TurnConnection,
  prompt: string,
  screen: Screen,
  watch: TurnWatch,
): Promise<number> {
  const turn = crypto.randomUUID();
  const request = crypto.randomUUID();
  const ask = () =>
    connection.send("send_turn", { request_id: request, session_id: connection.sessionId, turn_id: turn, prompt });
  ask();
  return await followTurn(connection, { turn, request, ask }, screen, watch);
}

/** Who hears of a running turn: the one who may cancel it, and the desk where its cards are answered. */
export interface TurnWatch {
  readonly onCancel: (cancel: (() => void) | undefined) => void;
  readonly desk: Pick<CardDesk, "open" | "close" | "closeAll">;
}

/** A turn to be shown. */
export interface FollowedTurn {
  readonly turn: string;
  /** The id of its frames, and what sends it again; a turn that somebody else sent has neither. */
  readonly request?: string;
  readonly ask?: () => void;
  /** Whether such a turn still waits for a person. */
  readonly isOpen?: () => Promise<boolean>;
}

/** Shows a turn that somebody sent, from now until it ends. Returns its exit code. */
export async function followTurn(
  connection: TurnConnection,
  followed: FollowedTurn,
  screen: Screen,
  watch: TurnWatch,
): Promise<number> {
  const target = { session_id: connection.sessionId, turn_id: followed.turn };
  watch.onCancel(() => connection.send("cancel_active_turn", { request_id: crypto.randomUUID(), ...target }));
  try {
    return await new Follower(connection, followed, screen, watch).run();
  } finally {
    watch.onCancel(undefined);
    watch.desk.closeAll();
  }
}

class Follower {
  readonly #connection: TurnConnection;
  readonly #followed: FollowedTurn;
  readonly #screen: Screen;
  readonly #desk: TurnWatch["desk"];
  readonly #feed = new TurnFeed();
  #render = RENDER_START;
  #askedAgain = false;
  /** Times that the connection was made again since an event of this turn came. */
  #returns = 0;

  constructor(connection: TurnConnection, followed: FollowedTurn, screen: Screen, watch: TurnWatch) {
    this.#connection = connection;
    this.#followed = followed;
    this.#screen = screen;
    this.#desk = watch.desk;
  }

  /** Returns the exit code. */
  async run(): Promise<number> {
    for (;;) {
      const frame = await this.#connection.next();
      const code = frame === undefined ? await this.#comeBack() : await this.#take(frame);
      if (code !== undefined) return code;
    }
  }

  /** The connection broke: undefined when there is another one, and the turn goes on. */
  async #comeBack(): Promise<number | undefined> {
    const { turn, ask, isOpen } = this.#followed;
    if (++this.#returns > LIMITS.reconnectsInVainMax) {
      return this.#lose("the gateway breaks every connection; what this turn had recorded is kept");
    }
    try {
      if (await this.#connection.reconnect?.()) {
        if (ask === undefined) {
          if (await isOpen?.()) return undefined;
          return this.#lose("the gateway was restarted, and this turn went on meanwhile; its events are in the log");
        }
        this.#feed.reconnected();
        this.#askedAgain = false;
        ask();
        return undefined;
      }
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      return this.#lose(`${toPrintable(error.message)} (turn ${turn})`);
    }
    return this.#lose("the gateway went away in the middle of this turn; what it had recorded is kept");
  }

  #lose(why: string): number {
    this.#screen.err(`oxydra: ${why}\n`);
    return EXIT.internal;
  }

  async #take({ type, payload }: ServerFrame): Promise<number | undefined> {
    const { turn, request } = this.#followed;
    const isOwn = request !== undefined && payload.request_id === request;
    if (type === "error" && isOwn) {
      // Not taken, because the gateway restarts in a moment: it is sent again when that is over.
      if (NOT_TAKEN.has(payload.code ?? "") && payload.turn === undefined && this.#connection.reconnect) {
        return undefined;
      }
      // Its end, said once more for clients of the reference; what comes before it is on its way.
      if (payload.turn !== undefined && this.#feed.lacksSome) return undefined;
      return this.#lose(toPrintable(payload.message ?? "refused"));
    }
    const { attachment, event } = payload;
    if (attachment !== undefined && this.#screen.save && (request === undefined || isOwn)) {
      this.#screen.err(`  ${await this.#screen.save(attachment)}\n`);
      return undefined;
    }
    if (type !== "turn_event" || payload.turn?.turn_id !== turn || event === undefined) return undefined;
    this.#returns = 0;
    return this.#showAll(this.#feed.take(event)) ?? this.#catchUp();
  }

  /** The end came before something else: asked for again once, and then shown with what there is. */
  #catchUp(): number | undefined {
    if (!this.#feed.lacksSome) return undefined;
    if (this.#askedAgain) return this.#showAll(this.#feed.flush());
    this.#askedAgain = true;
    this.#feed.expectReplay();
    this.#followed.ask?.();
    return undefined;
  }

  #showAll(events: readonly SessionEvent[]): number | undefined {
    for (const event of events) {
      this.#render = show(event, this.#render, this.#screen);
      if (event.type === "approval_asked") this.#desk.open(cardIdOf(event.payload.card));
      if (event.type === "approval_answered" && event.payload.id !== undefined) this.#desk.close(event.payload.id);
      const code = toTurnExit(event);
      if (code !== undefined) return code;
    }
    return undefined;
  }
}

function show(event: SessionEvent, render: RenderState, screen: Screen): RenderState {
  if (screen.json) {
    screen.out(toPrintableJson(event) + "\n");
    return render;
  }
  const { state, rendered } = renderEvent(event, render, screen.paint);
  if (rendered.out !== "") screen.out(rendered.out);
  if (rendered.err !== "") screen.err(rendered.err);
  if (event.type === "model_result" && event.payload.media !== undefined && !screen.save) {
    screen.err("  it is in the log; --save-media DIR also writes it to a file\n");
  }
  return state;
}

/** Which card: all that is believed of what came through the gateway. */
function cardIdOf(card: unknown): string {
  return String((card as { id?: unknown } | null)?.id ?? "");
}

/** The exit code of an event that ends a turn: a turn in which policy refused a call ends with 5, so that a script notices. */
function toTurnExit(event: SessionEvent): number | undefined {
  switch (event.type) {
    case "turn_done":
      return event.payload.denied > 0 ? EXIT.denied : EXIT.done;
    case "turn_failed":
      return toExitCode(event.payload.code satisfies ErrorCode);
    case "turn_cancelled":
      return EXIT.interrupted;
    default:
      return undefined;
  }
}
