import { isTurnEnd, type SessionEvent } from "#/core/event.ts";
import { toOneLine, toPrintable } from "#/lib/printable.ts";

/** What one event adds to the screen. `out` is the answer alone, so that `oxydra run … > file` keeps what was asked for. */
export interface Rendered {
  readonly out: string;
  readonly err: string;
}

/** What the renderer remembers between events. */
export interface RenderState {
  /** True when the last character on the screen is not a newline. */
  readonly midLine: boolean;
  /** The last switch of models that was shown in this turn: each step of a turn repeats it. */
  readonly switched?: string;
  /** How the output of the tool at work ends so far: the next heartbeat tells it. */
  readonly lastLine?: string;
}

/** A fresh screen. */
export const RENDER_START: RenderState = { midLine: false };

const NOTHING: Rendered = { out: "", err: "" };
const ARGUMENT_CHARS = 80;
const RESULT_CHARS = 100;
const MADE_CHARS = 600;
const MODEL_CHARS = 300;

/** The text of one event, and the state after it. Pure. Everything a model or tool wrote passes `toPrintable`. */
export function renderEvent(
  event: SessionEvent,
  state: RenderState,
  paint: boolean,
): { rendered: Rendered; state: RenderState } {
  const switched = isTurnEnd(event) ? undefined : toSwitch(event) ?? state.switched;
  if (toSwitch(event) !== undefined && switched === state.switched) return { rendered: NOTHING, state };
  const { rendered, midLine } = renderText(event, state, paint);
  const lastLine = toLastLine(event, state);
  const next = { ...(switched === undefined ? {} : { switched }), ...(lastLine === undefined ? {} : { lastLine }) };
  return { rendered, state: { midLine, ...next } };
}

function toLastLine(event: SessionEvent, { lastLine }: RenderState): string | undefined {
  if (event.type === "tool_result" || isTurnEnd(event)) return undefined;
  if (event.type !== "progress" || event.payload.progress.kind !== "tool_output") return lastLine;
  return toOutputLines(event.payload.progress).at(-1)!;
}

/** Lines of an output as it is so far, at least one, as far as they are told. Pure. */
export function toOutputLines({ tail }: { readonly tail: string }): string[] {
  return String(tail).trimEnd().split("\n");
}

function renderText(
  event: SessionEvent,
  { midLine, lastLine = "" }: RenderState,
  paint: boolean,
): { rendered: Rendered; midLine: boolean } {
  if (event.type === "text_delta") {
    const out = toPrintable(event.payload.text);
    return { rendered: { out, err: "" }, midLine: out === "" ? midLine : !out.endsWith("\n") };
  }
  const status = toStatusLine(event, lastLine);
  const out = midLine ? "\n" : "";
  if (status === null) {
    return isTurnEnd(event) ? { rendered: { out, err: "" }, midLine: false } : { rendered: NOTHING, midLine };
  }
  // Whole, with names and codes: a gateway that went bad says what it likes in every field.
  const line = toPrintable(event.type === "turn_failed" ? status : status.replaceAll("\n", " "));
  return { rendered: { out, err: paint ? `\x1b[2m${line}\x1b[0m\n` : `${line}\n` }, midLine: false };
}

/** Names a switch of models, so that an equal one is known. */
function toSwitch(event: SessionEvent): string | undefined {
  if (event.type !== "progress" || event.payload.progress.kind !== "provider_switch") return undefined;
  const { to, code } = event.payload.progress;
  return `${to.provider}/${to.model} ${code}`;
}

/** One status line for the events that a person follows, null for the rest. */
function toStatusLine(event: SessionEvent, lastLine: string): string | null {
  switch (event.type) {
    case "tool_intent":
      return `· ${event.payload.tool} ${toArgumentLine(event.payload.args)}`;
    case "tool_result": {
      const { ok, text, elapsedMs, code } = event.payload;
      if (code === "tool_denied") return `  ✗ ${toOneLine(text, RESULT_CHARS * 2)}`;
      return `  ${ok ? "✓" : "✗"} ${toOneLine(text, RESULT_CHARS)} (${Math.round(elapsedMs)} ms)`;
    }
    case "model_result": {
      const media = event.payload.media ?? [];
      const made = media.map(({ mimeType, bytes, sha256 }) =>
        `${mimeType}, ${Math.ceil(bytes / 1_000)} KB (sha256 ${sha256.slice(0, 12)})`
      );
      return media.length === 0 ? null : `· made ${toOneLine(made.join(" · "), MADE_CHARS)}`;
    }
    case "progress": {
      const { progress } = event.payload;
      if (progress.kind === "tool_heartbeat") {
        const said = lastLine === "" ? "" : ` ${toOneLine(lastLine, RESULT_CHARS)}`;
        return `  … ${progress.toolNames.join(", ")} (${progress.elapsedSecs} s)${said}`;
      }
      if (!/^(provider_(retry|switch|notice)|rolling_summary)$/.test(progress.kind)) return null;
      return `· ${toOneLine(event.payload.message.replace(/^\[\d+\/\d+\] /, ""), MODEL_CHARS)}`;
    }
    case "approval_answered": {
      const { answer, by } = event.payload;
      const isNo = answer === "no" || answer === "never";
      return `  ${isNo ? "✗" : "✓"} ${answer} (${by === "silence" ? "nobody answered" : by})`;
    }
    case "steering":
      return `› ${toOneLine(event.payload.text, RESULT_CHARS)}`;
    case "budget":
      return `· stopped by its ${event.payload.kind} budget: ${event.payload.used} of ${event.payload.limit}`;
    case "turn_failed":
      return `✗ ${event.payload.message} [${event.payload.code}]`;
    case "turn_cancelled":
      return "✗ cancelled";
    default:
      return null;
  }
}

/** The argument that tells a person most, as the model wrote it. */
function toArgumentLine(args: unknown): string {
  if (typeof args !== "object" || args === null) return "";
  const record = args as Record<string, unknown>;
  const first = record.path ?? record.pattern ?? Object.values(record)[0];
  const rest = typeof record.path === "string" && typeof record.pattern === "string"
    ? ` ${JSON.stringify(record.pattern)}`
    : "";
  return first === undefined
    ? ""
    : toOneLine(`${typeof first === "string" ? first : JSON.stringify(first)}${rest}`, ARGUMENT_CHARS);
}
