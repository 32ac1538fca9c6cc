import type { ApprovalCard, GivenAnswer } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { Connection } from "#/cli/connection.ts";
import { isTicking } from "#/cli/tui_layout.ts";
import { reduce } from "#/cli/tui_reduce.ts";
import { startState, type TuiEffect, type TuiInput, type TuiState } from "#/cli/tui_state.ts";
import type { TuiView } from "#/cli/tui_view.ts";

/** What a terminal application reaches. */
export interface TuiAppDeps {
  readonly view: Pick<TuiView, "draw" | "clear">;
  readonly size: () => { readonly columns: number; readonly rows: number };
  /** The runner's own cards and answers to them; undefined where the runner is elsewhere: there cards come with the events. */
  readonly cards: {
    readonly read: () => Promise<readonly ApprovalCard[]>;
    readonly answer: (given: GivenAnswer) => Promise<void>;
  } | undefined;
  readonly exit: (code: number) => void;
  readonly now: () => number;
  readonly newId: () => string;
}

/** Carries what happens to the reducer, its state to the view, and its effects to where they belong. */
export class TuiApp {
  readonly #deps: TuiAppDeps;
  #state: TuiState;
  #connection: Connection | undefined;
  #drawnAt = 0;
  #drawing: ReturnType<typeof setTimeout> | undefined;
  #ticking: ReturnType<typeof setInterval> | undefined;
  #cardsAt = 0;

  constructor(deps: TuiAppDeps) {
    this.#deps = deps;
    const { columns, rows } = deps.size();
    this.#state = startState(columns, rows, deps.now(), deps.cards === undefined);
  }

  /** What is shown. */
  get state(): TuiState {
    return this.#state;
  }

  /** Where frames go; undefined while there is no connection. */
  set connection(connection: Connection | undefined) {
    this.#connection = connection;
  }

  /** Something happened. Never throws for what a gateway or a person did. */
  dispatch(input: TuiInput): void {
    const { state, effects } = reduce(this.#state, input, {
      now: this.#deps.now(),
      newId: this.#deps.newId,
    });
    this.#state = state;
    for (const effect of effects) this.#obey(effect);
    this.#schedule();
  }

  /** Draws what waits, at once. */
  flush(): void {
    clearTimeout(this.#drawing);
    this.#drawing = undefined;
    this.#drawnAt = this.#deps.now();
    this.#deps.view.draw(this.#state);
    if (this.#state.printed.length > 0) this.#state = { ...this.#state, printed: [] };
  }

  /** Stops its timers. */
  stop(): void {
    clearTimeout(this.#drawing);
    clearInterval(this.#ticking);
  }

  #schedule(): void {
    const wait = Math.max(0, this.#drawnAt + LIMITS.tuiFrameMs - this.#deps.now());
    // What came in the same moment is one frame.
    this.#drawing ??= setTimeout(() => this.flush(), wait);
    if (!isTicking(this.#state)) {
      clearInterval(this.#ticking);
      this.#ticking = undefined;
    } else this.#ticking ??= setInterval(() => this.#tick(), 1_000);
  }

  #tick(): void {
    const isDue = this.#deps.now() - this.#cardsAt >= LIMITS.tuiCardsPollMs;
    if (this.#state.cards.length + this.#state.cardsElsewhere > 0 && isDue) this.#obey({ type: "read-cards" });
    this.dispatch({ type: "tick" });
  }

  #obey(effect: TuiEffect): void {
    switch (effect.type) {
      case "send":
        return this.#connection?.send(effect.frame, effect.payload);
      case "read-cards":
        return void this.#readCards();
      case "answer":
        return void this.#answer(effect.given, effect.session);
      case "redraw":
        return this.#deps.view.clear();
      case "exit":
        return this.#deps.exit(effect.code);
    }
  }

  async #readCards(): Promise<void> {
    if (this.#deps.cards === undefined) return;
    this.#cardsAt = this.#deps.now();
    try {
      this.dispatch({ type: "cards", cards: await this.#deps.cards.read() });
    } catch (error) {
      this.#complain(error);
    }
  }

  async #answer(given: GivenAnswer, session: string): Promise<void> {
    if (this.#deps.cards === undefined) {
      const { id, answer, until } = given;
      const more = until === undefined ? {} : { until: new Date(until).toISOString() };
      const payload = { request_id: this.#deps.newId(), session_id: session, approval_id: id, answer, ...more };
      return this.#connection?.send("approval_answer", payload);
    }
    try {
      await this.#deps.cards.answer(given);
    } catch (error) {
      this.#complain(error);
    }
    await this.#readCards();
  }

  #complain(error: unknown): void {
    if (!(error instanceof AppError)) throw error;
    // Answered in the same moment somewhere else, or the runner is gone, which the link says as well.
    if (error.code === "approval_unknown" || error.code === "gateway_unreachable") return;
    this.dispatch({ type: "told", text: error.message });
  }
}
