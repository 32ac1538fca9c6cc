import { nearestName } from "#/lib/nearest.ts";
import { EXIT } from "#/cli/exit_code.ts";
import { sendDraft } from "#/cli/tui_editor.ts";
import { toSeconds } from "#/cli/tui_events.ts";
import { print, type Step, type StepContext, type TuiState } from "#/cli/tui_state.ts";
import { type Line, span, wrapLine } from "#/cli/tui_text.ts";

/** A command of the terminal. */
export interface TuiCommand {
  readonly name: string;
  /** As the help shows it; empty when it takes none. */
  readonly args: string;
  readonly about: string;
}

/** What a line that begins with `/` may be. */
export const COMMANDS: readonly TuiCommand[] = [
  { name: "/new", args: "[name]", about: "start a new session" },
  { name: "/sessions", args: "", about: "list the sessions" },
  { name: "/switch", args: "<number or id>", about: "go on in another session" },
  { name: "/cancel", args: "", about: "cancel the running turn" },
  { name: "/cancelall", args: "", about: "cancel every turn of every session" },
  { name: "/status", args: "", about: "say how the gateway, the model and this session are" },
  { name: "/help", args: "", about: "show this" },
  { name: "/exit", args: "", about: "leave; turns go on where the gateway does" },
];

const KEYS: readonly (readonly [keys: string, about: string])[] = [
  ["Enter", "send"],
  ["Alt-Enter, Ctrl-J, \\ Enter", "new line"],
  ["Up, Down", "earlier messages (of this process; a client writes no file)"],
  ["Tab", "complete a command; or answer the card that waits"],
  ["Ctrl-C", "cancel the turn; twice: leave"],
  ["Esc", "clear the message (Up brings it back)"],
  ["Ctrl-L", "draw again"],
];

/** A line that is meant as a command. `/shared/notes.txt is wrong` is a message. Pure. */
export function isCommand(text: string): boolean {
  return /^\/[a-z]*(\s|$)/i.test(text) && !text.trim().includes("\n");
}

/** Commands that begin like this text. Pure. */
export function toMatches(text: string): readonly TuiCommand[] {
  return /^\/[a-z]*$/i.test(text) ? COMMANDS.filter(({ name }) => name.startsWith(text.toLowerCase())) : [];
}

/** As much more of a command as is certain; undefined when nothing is. Pure. */
export function complete(text: string): string | undefined {
  const names = toMatches(text).map(({ name }) => name);
  const [first, ...others] = names;
  if (first === undefined) return undefined;
  if (others.length === 0) return `${first} `;
  let end = first.length;
  for (const other of others) while (!other.startsWith(first.slice(0, end))) end--;
  return end > text.length ? first.slice(0, end) : undefined;
}

/** Obeys a command. One that is unknown stays where it is written, with what is wrong. Pure. */
export function runCommand(state: TuiState, text: string, { newId }: StepContext): Step {
  const [word = "", ...rest] = text.trim().split(/\s+/);
  const name = word.toLowerCase() === "/quit" ? "/exit" : word.toLowerCase();
  const arg = rest.join(" ");
  const command = COMMANDS.find((each) => each.name === name);
  if (command === undefined) {
    const near = nearestName(name, COMMANDS.map((each) => each.name));
    const hint = `${name}: no such command; ${near === undefined ? "" : `did you mean ${near}? `}/help lists them`;
    return { state: { ...state, hint }, effects: [] };
  }
  if (command.args === "" && arg !== "") return refuse(state, `${name} takes nothing behind it`);
  const cleared = { ...state, draft: sendDraft(state.draft), hint: "" };
  if (name === "/exit") return { state: cleared, effects: [{ type: "exit", code: EXIT.done }] };
  if (name === "/help") return { state: print(cleared, ...toHelp(state.width)), effects: [] };
  if (state.link.kind === "off") return refuse(state, `${name}: the gateway is not connected`);
  return ask(state, cleared, name, arg, newId());
}

function ask(state: TuiState, cleared: TuiState, name: string, arg: string, request_id: string): Step {
  const send = (frame: string, payload: Record<string, unknown>): Step => ({
    state: { ...cleared, asked: new Map([[request_id, name]]) },
    effects: [{ type: "send", frame, payload: { request_id, ...payload } }],
  });
  switch (name) {
    case "/new":
      return send("create_session", arg === "" ? {} : { display_name: arg });
    case "/sessions":
      return send("list_sessions", {});
    case "/cancel":
      return send("cancel_active_turn", { session_id: state.session, turn_id: "" });
    case "/cancelall":
      return send("cancel_all_active_turns", {});
    case "/status":
      return send("health_check", {});
    default: {
      if (arg === "") return refuse(state, "/switch needs a number of /sessions, or an id");
      const id = /^\d{1,4}$/.test(arg) ? state.listed[Number(arg) - 1] : arg;
      if (id === undefined) return refuse(state, `/switch ${arg}: /sessions lists no such number`);
      return send("switch_session", { session_id: id });
    }
  }
}

function refuse(state: TuiState, hint: string): Step {
  return { state: { ...state, hint }, effects: [] };
}

function toHelp(width: number): Line[] {
  const rows = [
    ...COMMANDS.map(({ name, args, about }) => [`${name} ${args}`.trim(), about] as const),
    ...KEYS,
  ];
  return [[], ...rows.flatMap(([what, about]) => toRow(what, about, width))];
}

function toRow(what: string, about: string, width: number): Line[] {
  const column = 28;
  if (width < 60) {
    return wrapLine([span(what, { bold: true }), span(`  ${about}`, { dim: true })], width, [span("    ")]);
  }
  const left = what.padEnd(column);
  return wrapLine([span(left, { bold: true }), span(about, { dim: true })], width, [span(" ".repeat(column))]);
}

/** A session as the gateway lists it. */
export interface ListedSession {
  readonly session_id: string;
  readonly display_name?: string;
  readonly agent_name?: string;
  readonly last_active_at?: string;
}

/** The list of sessions, newest first, numbered for `/switch`. Pure. */
export function toSessionLines(sessions: readonly ListedSession[], state: TuiState): Line[] {
  if (sessions.length === 0) return [[], [span("no sessions yet", { dim: true })]];
  const digits = String(sessions.length).length;
  const rows = sessions.flatMap((session, at) => {
    const isHere = session.session_id === state.session;
    const number = String(at + 1).padStart(digits);
    const ago = state.now - Date.parse(session.last_active_at ?? "");
    const name = session.display_name ?? session.session_id;
    const more = [
      ...(session.display_name === undefined ? [] : [session.session_id]),
      ...(Number.isFinite(ago) ? [`${toAgo(ago)}`] : []),
    ];
    const mark = span(isHere ? "› " : "  ", { color: "magenta", bold: true });
    const line = [mark, span(`${number}  `, { dim: true }), span(name, { bold: isHere })];
    return wrapLine([...line, span(`  ${more.join(" · ")}`, { dim: true })], state.width, [
      span(" ".repeat(digits + 4)),
    ]);
  });
  return [[], ...rows, [span("/switch and a number goes there", { dim: true })]];
}

function toAgo(ms: number): string {
  if (ms < 60_000) return "now";
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min ago`;
  return ms < 86_400_000 ? `${Math.floor(ms / 3_600_000)} h ago` : `${Math.floor(ms / 86_400_000)} d ago`;
}

/** What `/status` says. Pure. */
export function toStatusLines(message: string, state: TuiState): Line[] {
  const rows: readonly (readonly [string, string])[] = [
    ["gateway", message],
    ["model", state.model],
    ["session", state.session],
    ["turn", state.live === undefined ? "none runs" : `runs for ${toSeconds(state.now - state.live.since)}`],
    ["waiting", `${state.sent.length} messages, ${state.cards.length + state.cardsElsewhere} cards`],
  ];
  const indent = [span(" ".repeat(9))];
  return [
    [],
    ...rows.flatMap(([name, text]) => {
      return wrapLine([span(name.padEnd(9), { dim: true }), span(text)], state.width, indent);
    }),
  ];
}
