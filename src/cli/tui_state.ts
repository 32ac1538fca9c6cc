import type { ApprovalCard, GivenAnswer } from "#/core/capability.ts";
import type { ServerFrame } from "#/cli/connection.ts";
import { type Draft, DRAFT_START } from "#/cli/tui_editor.ts";
import type { Key } from "#/cli/tui_keys.ts";
import { MARKDOWN_START, type MarkdownState } from "#/cli/tui_markdown.ts";
import type { Line } from "#/cli/tui_text.ts";

/** How the connection to the gateway stands. Times in ms UTC. */
export type LinkState =
  | { readonly kind: "on"; readonly session: string; readonly model: string; readonly reason: string }
  | { readonly kind: "off"; readonly tries: number; readonly nextAt: number };

/** A message that was sent and whose turn has not ended. */
export interface SentTurn {
  readonly turn: string;
  readonly request: string;
  readonly prompt: string;
  readonly session: string;
}

/** A tool call at work. */
export interface RunningTool {
  readonly callId: string;
  readonly text: string;
  readonly since: number;
  /** How its output ends so far. */
  readonly output?: readonly string[];
}

/** The turn that is shown while it runs. */
export interface LiveTurn {
  readonly turn: string;
  readonly since: number;
  readonly step: number;
  readonly markdown: MarkdownState;
  /** What the running model call has said so far, as far as it is told: the recorded text is compared with it. */
  readonly said: string;
  readonly tools: readonly RunningTool[];
  readonly tokens: number;
  /** US dollars; undefined when a price is not known. */
  readonly cost: number | undefined;
  /** The last switch of models that was told: each step repeats it. */
  readonly switched?: string;
  /** It has thought and not spoken yet. */
  readonly isThinking: boolean;
}

/** All that decides what the terminal shows. */
export interface TuiState {
  readonly session: string;
  readonly model: string;
  readonly link: LinkState;
  readonly draft: Draft;
  readonly sent: readonly SentTurn[];
  readonly live?: LiveTurn;
  /** Cards of this session, as the runner made them. */
  readonly cards: readonly ApprovalCard[];
  /** How many wait in other sessions. */
  readonly cardsElsewhere: number;
  /** The runner is elsewhere: cards are what the gateway says that they are, and answers go through it. */
  readonly isRelayed: boolean;
  /** The card whose answer is being typed. Only Tab sets it: a message that is being typed answers nothing. */
  readonly focus?: string;
  /** Ids of the last list of sessions, as `/switch 2` means them. */
  readonly listed: readonly string[];
  /** Position of the last recorded event of this session that was shown; undefined before the first. */
  readonly seq?: number;
  /** Events are missing until this turn has ended and was asked for again. */
  readonly gap: boolean;
  /** What was asked with a request id, so that an error about it can name it. */
  readonly asked: ReadonlyMap<string, string>;
  /** One line for the person, until the next key. */
  readonly hint: string;
  /** When Ctrl-C was pressed for the first time; ms UTC. */
  readonly interruptedAt: number;
  /** Lines that are finished and were not written yet. */
  readonly printed: readonly Line[];
  /** Columns and rows of the terminal. */
  readonly width: number;
  readonly height: number;
  readonly now: number;
}

/** What happens to the terminal. */
export type TuiInput =
  | { readonly type: "key"; readonly key: Key }
  | { readonly type: "frame"; readonly frame: ServerFrame }
  | { readonly type: "tick" }
  | { readonly type: "link"; readonly link: LinkState }
  | { readonly type: "cards"; readonly cards: readonly ApprovalCard[] }
  | { readonly type: "size"; readonly width: number; readonly height: number }
  /** Something to say that came from no gateway. */
  | { readonly type: "told"; readonly text: string };

/** What the reducer wants done. */
export type TuiEffect =
  | { readonly type: "send"; readonly frame: string; readonly payload: Readonly<Record<string, unknown>> }
  | { readonly type: "read-cards" }
  | { readonly type: "answer"; readonly given: GivenAnswer; readonly session: string }
  | { readonly type: "redraw" }
  | { readonly type: "exit"; readonly code: number };

/** A state and what is to be done. */
export interface Step {
  readonly state: TuiState;
  readonly effects: readonly TuiEffect[];
}

/** What a reducer may not find out by itself. */
export interface StepContext {
  /** Integer ms UTC. */
  readonly now: number;
  /** A fresh id with each call. */
  readonly newId: () => string;
}

/** A terminal before anything has happened. */
export function startState(width: number, height: number, now: number, isRelayed: boolean = false): TuiState {
  return {
    session: "",
    model: "",
    link: { kind: "off", tries: 0, nextAt: now },
    draft: DRAFT_START,
    sent: [],
    cards: [],
    cardsElsewhere: 0,
    isRelayed,
    listed: [],
    gap: false,
    asked: new Map(),
    hint: "",
    interruptedAt: 0,
    printed: [],
    width,
    height,
    now,
  };
}

/** A turn that has just begun. */
export function startTurn(turn: string, now: number): LiveTurn {
  return {
    turn,
    since: now,
    step: 0,
    markdown: MARKDOWN_START,
    said: "",
    tools: [],
    tokens: 0,
    cost: 0,
    isThinking: false,
  };
}

/** Adds finished lines. Pure. */
export function print(state: TuiState, ...lines: readonly Line[]): TuiState {
  return lines.length === 0 ? state : { ...state, printed: [...state.printed, ...lines] };
}

/** The same state without a live turn. Pure. */
export function withoutLive({ live: _, ...state }: TuiState): TuiState {
  return state;
}

/** The same state without a card in focus. Pure. */
export function withoutFocus({ focus: _, ...state }: TuiState): TuiState {
  return state;
}

/** Sends a message under its id. Pure. */
export function toSend({ turn, request, prompt, session }: SentTurn): TuiEffect {
  return {
    type: "send",
    frame: "send_turn",
    payload: { request_id: request, session_id: session, turn_id: turn, prompt },
  };
}

/** The messages of this session that have not ended, each under its id: one that ran is told to its end, one that never came begins. Pure. */
export function sendAgain(state: TuiState): TuiEffect[] {
  return state.sent.filter(({ session }) => session === state.session).map(toSend);
}
