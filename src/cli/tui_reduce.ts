import type { ApprovalAnswer, ApprovalCard } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { ServerFrame } from "#/cli/connection.ts";
import { EXIT } from "#/cli/exit_code.ts";
import { complete, isCommand, runCommand } from "#/cli/tui_commands.ts";
import { fitsCard } from "#/cli/tui_layout.ts";
import { editDraft, insert, sendDraft } from "#/cli/tui_editor.ts";
import { applyFrame } from "#/cli/tui_frames.ts";
import type { Key, KeyName } from "#/cli/tui_keys.ts";
import {
  type LinkState,
  print,
  sendAgain,
  type Step,
  type StepContext,
  toSend,
  type TuiEffect,
  type TuiInput,
  type TuiState,
  withoutFocus,
} from "#/cli/tui_state.ts";
import { span, wrapLine } from "#/cli/tui_text.ts";

/** Keys that answer the card in focus. */
const ANSWERS: Readonly<Record<string, ApprovalAnswer>> = {
  y: "once",
  s: "session",
  u: "until",
  h: "until",
  n: "no",
  N: "never",
};
const HOUR_MS = 3_600_000;
/** Columns that the mark before a message takes. */
const MARK_COLUMNS = 2;

/** What one thing that happened makes of the terminal, and what is to be done for it. Pure but for `newId`. */
export function reduce(before: TuiState, input: TuiInput, context: StepContext): Step {
  const state = before.now === context.now ? before : { ...before, now: context.now };
  switch (input.type) {
    case "key":
      return pressKey({ ...state, hint: "" }, input.key, context);
    case "frame":
      return takeFrame(state, input.frame);
    case "tick":
      return just(expireCards(state));
    case "link":
      return changeLink(state, input.link, context);
    case "cards":
      return just(takeCards(state, input.cards));
    case "size":
      return just(withoutHiddenFocus({ ...state, width: input.width, height: input.height }));
    case "told":
      return just(print(state, ...wrapLine([span(`oxydra: ${input.text}`, { dim: true })], state.width)));
  }
}

/** A gateway that went bad sends what it likes: what has not the shape of a frame ends no terminal. */
function takeFrame(state: TuiState, frame: ServerFrame): Step {
  try {
    return applyFrame(state, frame);
  } catch (error) {
    if (error instanceof AppError) throw error;
    return just(print(state, [span("oxydra: the gateway sent what cannot be shown", { color: "red" })]));
  }
}

function just(state: TuiState, ...effects: TuiEffect[]): Step {
  return { state, effects };
}

/**
 * After a connection is back: first what was missed, asked for by position, and where that is not known the messages again that have not
 * ended, under their ids. Both tell nothing twice.
 */
function changeLink(state: TuiState, link: LinkState, { newId }: StepContext): Step {
  if (link.kind === "off") return just({ ...withoutFocus(state), link });
  const isSame = state.session === link.session;
  const next = { ...state, link, session: link.session, model: link.model };
  if (state.session === "") return just(print(next, ...toWelcome(next, link.reason)), { type: "read-cards" });
  const seq = isSame ? state.seq : undefined;
  if (seq === undefined) return { state: next, effects: [{ type: "read-cards" }, ...sendAgain(next)] };
  const request_id = newId();
  const payload = { request_id, session_id: link.session, from: seq };
  return just(
    { ...next, asked: new Map([[request_id, "resume"]]) },
    { type: "read-cards" },
    { type: "send", frame: "resume", payload },
  );
}

function toWelcome(state: TuiState, reason: string) {
  const about = reason === "" ? "" : ` · ${reason.replace(/\s+/g, " ").slice(0, 300)}`;
  const line = [span("Oxydra", { bold: true }), span(` · ${state.model}${about}`, { dim: true })];
  const help = [span("Type a message and Enter. /help lists commands and keys.", { dim: true })];
  return [...wrapLine(line, state.width), ...wrapLine(help, state.width)];
}

function takeCards(state: TuiState, cards: readonly ApprovalCard[]): TuiState {
  const here = cards.filter((card) => card.session === state.session && card.expiresAt > state.now);
  const next = { ...state, cards: here, cardsElsewhere: cards.length - here.length };
  // What a person was about to answer is answered for them by nothing else.
  return here[0]?.id === state.focus ? next : withoutFocus(next);
}

function expireCards(state: TuiState): TuiState {
  if (state.cards.every((card) => card.expiresAt > state.now)) return state;
  return takeCards(state, state.cards);
}

function pressKey(state: TuiState, key: Key, context: StepContext): Step {
  if (key.type === "key") {
    const step = pressControl(state, key.name, context);
    if (step !== undefined) return step;
  }
  if (state.focus !== undefined) return answerCard(state, key, context);
  const { draft } = state;
  if (key.type === "key") {
    switch (key.name) {
      case "tab":
        return pressTab(state);
      case "escape":
        return just({ ...state, draft: sendDraft(draft) });
      case "enter": {
        if (draft.text[draft.cursor - 1] !== "\\") return submit(state, context);
        const cut = { ...draft, text: draft.text.slice(0, draft.cursor - 1) + draft.text.slice(draft.cursor) };
        return just({ ...state, draft: insert({ ...cut, cursor: draft.cursor - 1 }, "\n") ?? draft });
      }
    }
  }
  const edited = editDraft(draft, key, Math.max(1, state.width - MARK_COLUMNS));
  if (edited !== undefined) return just({ ...state, draft: edited });
  const isText = key.type !== "key" || key.name === "newline";
  return just(
    isText ? { ...state, hint: `a message has at most ${LIMITS.promptCharsMax} characters; nothing was added` } : state,
  );
}

/** Keys that mean the same wherever the cursor is. */
function pressControl(state: TuiState, name: KeyName, { newId, now }: StepContext): Step | undefined {
  if (name === "redraw") return just(state, { type: "redraw" });
  if (name === "eof" && state.draft.text === "" && state.focus === undefined) {
    return just(state, { type: "exit", code: EXIT.done });
  }
  if (name !== "interrupt") return undefined;
  if (now - state.interruptedAt < LIMITS.tuiLeaveMs) return just(state, { type: "exit", code: EXIT.interrupted });
  const asked = { ...withoutFocus(state), interruptedAt: now };
  const runs = (state.live !== undefined || state.sent.length > 0) && state.link.kind === "on";
  if (!runs) return just({ ...asked, hint: "Ctrl-C again leaves" });
  const payload = { request_id: newId(), session_id: state.session, turn_id: "" };
  return just(
    { ...asked, hint: "cancelling; Ctrl-C again leaves at once" },
    { type: "send", frame: "cancel_active_turn", payload },
  );
}

function pressTab(state: TuiState): Step {
  const { draft } = state;
  if (draft.text.startsWith("/")) {
    const text = complete(draft.text);
    return just(text === undefined ? state : { ...state, draft: { ...draft, text, cursor: text.length } });
  }
  const card = state.cards[0];
  if (card === undefined) return just(state);
  if (state.isRelayed && card.answer === "owner") {
    return just({ ...state, hint: "only a terminal on the gateway's own machine may answer this: oxydra approvals" });
  }
  if (fitsCard(card, state)) return just({ ...state, focus: card.id });
  return just({ ...state, hint: "make the terminal larger to see all of the card, or use `oxydra approvals`" });
}

/** A card that does not fit any more is not answered blindly. */
function withoutHiddenFocus(state: TuiState): TuiState {
  const card = state.cards.find(({ id }) => id === state.focus);
  return card === undefined || fitsCard(card, state) ? state : withoutFocus(state);
}

/**
 * Only one key that came alone answers, and only after Tab chose the card: neither a message that was being typed when the card came, nor
 * a pasted text, nor a key for the card before. After an answer the keys belong to the message again.
 */
function answerCard(state: TuiState, key: Key, { now }: StepContext): Step {
  const card = state.cards.find(({ id }) => id === state.focus);
  if (card === undefined) return just(withoutFocus(state));
  if (key.type === "key" && (key.name === "escape" || key.name === "tab")) return just(withoutFocus(state));
  const answer = key.type === "text" && key.alone && Object.hasOwn(ANSWERS, key.text) ? ANSWERS[key.text] : undefined;
  if (answer === undefined) {
    return just({ ...state, hint: "y, s, u, n or N answers the card; Tab goes back to the message" });
  }
  const until = answer === "until" ? { until: now + HOUR_MS } : {};
  const given = { id: card.id, answer, ...until };
  return just(
    { ...withoutFocus(state), cards: state.cards.filter(({ id }) => id !== card.id) },
    { type: "answer", given, session: card.session },
  );
}

function submit(state: TuiState, context: StepContext): Step {
  const { text } = state.draft;
  if (text.trim() === "") return just(state);
  if (isCommand(text)) return runCommand(state, text, context);
  if (state.link.kind === "off") return just({ ...state, hint: "not connected: the message stays here until it is" });
  if (state.sent.length >= LIMITS.tuiSentMax) {
    return just({
      ...state,
      hint: `${LIMITS.tuiSentMax} messages wait; this one stays here until one of them is done`,
    });
  }
  const sent = { turn: context.newId(), request: context.newId(), prompt: text, session: state.session };
  return just({ ...state, draft: sendDraft(state.draft), sent: [...state.sent, sent] }, toSend(sent));
}
