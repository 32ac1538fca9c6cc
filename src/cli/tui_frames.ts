import { NOT_TAKEN, type ServerFrame } from "#/cli/connection.ts";
import { type ListedSession, toSessionLines, toStatusLines } from "#/cli/tui_commands.ts";
import { setDraft } from "#/cli/tui_editor.ts";
import { applyEvent, catchSaid } from "#/cli/tui_events.ts";
import { print, sendAgain, type Step, type TuiState, withoutFocus, withoutLive } from "#/cli/tui_state.ts";
import { type Line, span, wrapLine } from "#/cli/tui_text.ts";

/** What one frame of the gateway adds to the terminal. Pure. Throws TypeError for one that has not the shape of its type. */
export function applyFrame(state: TuiState, frame: ServerFrame): Step {
  const { payload } = frame;
  switch (frame.type) {
    case "turn_event": {
      const turn = payload.turn?.turn_id;
      const isHere = (payload.session?.session_id ?? state.session) === state.session;
      if (turn === undefined || payload.event === undefined || !isHere) return { state, effects: [] };
      return applyEvent(state, payload.event, turn);
    }
    case "resumed":
      return applyResumed(state, payload);
    case "error":
      return applyError(state, payload);
    case "session_created":
    case "session_switched":
      return changeSession(state, payload);
    case "session_list": {
      const sessions = [...payload.sessions as ListedSession[]]
        .sort((a, b) => String(b.last_active_at).localeCompare(String(a.last_active_at)));
      const next = { ...state, listed: sessions.map(({ session_id }) => session_id) };
      return { state: print(next, ...toSessionLines(sessions, next)), effects: [] };
    }
    case "health_status":
      return { state: print(state, ...toStatusLines(payload.message ?? "ready", state)), effects: [] };
    case "scheduled_notification":
      return { state: print(state, [], ...toNote(`⏰ ${payload.message ?? ""}`, state.width)), effects: [] };
    default:
      return { state, effects: [] };
  }
}

/** Everything up to here was told; of the running model call, what it has said. What has not ended is asked for once more under its id. */
function applyResumed(state: TuiState, payload: ServerFrame["payload"]): Step {
  const { active_turn: active, text } = payload;
  const told = { ...state, gap: false, asked: new Map() };
  const state1 = active !== undefined && text !== undefined ? catchSaid(told, active.turn_id, text) : told;
  const isLost = state1.live !== undefined && active === undefined &&
    !state1.sent.some((s) => s.turn === state1.live!.turn);
  return { state: isLost ? withoutLive(state1) : state1, effects: sendAgain(state1) };
}

function applyError(state: TuiState, payload: ServerFrame["payload"]): Step {
  const { request_id, message = "refused", code, turn } = payload;
  // How a turn ended is told by its last event.
  if (turn?.state === "failed" && state.seq !== undefined) return { state, effects: [] };
  const what = request_id === undefined ? undefined : state.asked.get(request_id);
  if (what === "resume") {
    // A gateway of before, or a log that is another one: what has not ended is asked for by its id.
    return { state: { ...state, asked: new Map() }, effects: sendAgain(state) };
  }
  const sent = state.sent.find((each) => each.request === request_id);
  // It is closing: the message goes to the next one.
  if (sent !== undefined && turn === undefined && NOT_TAKEN.has(code ?? "")) return { state, effects: [] };
  const told = print(state, ...toNote(`✗ ${what === undefined ? "" : `${what}: `}${message}`, state.width));
  if (sent === undefined) return { state: told, effects: [] };
  const kept = { ...told, sent: told.sent.filter((each) => each !== sent) };
  // What was refused is not lost; what had begun is not said twice.
  const draft = kept.draft.text === "" && turn === undefined ? setDraft(kept.draft, sent.prompt) : kept.draft;
  return { state: { ...kept, draft }, effects: [] };
}

function changeSession(state: TuiState, payload: ServerFrame["payload"]): Step {
  const id = payload.session?.session_id;
  if (id === undefined) return { state, effects: [] };
  const { seq: _, ...rest } = withoutFocus(withoutLive(state));
  const name = payload.display_name === undefined ? id : `${payload.display_name} (${id})`;
  const next = { ...rest, session: id, cards: [], gap: false, sent: rest.sent.filter(({ session }) => session === id) };
  return { state: print(next, [], ...toNote(`session ${name}`, state.width)), effects: [{ type: "read-cards" }] };
}

function toNote(text: string, width: number): Line[] {
  return wrapLine([span(text, text.startsWith("✗") ? { color: "red" } : { dim: true })], width, [span("  ")]);
}
