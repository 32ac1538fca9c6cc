import { EventEmitter } from "node:events";
import { createElement } from "react";
import { Box, render, Static, Text, useCursor } from "ink";
import { layoutScreen, type ScreenLayout } from "#/cli/tui_layout.ts";
import type { TuiState } from "#/cli/tui_state.ts";
import { type Line, lineWidth, type Span } from "#/cli/tui_text.ts";

/** The terminal as Ink draws it. */
export interface TuiView {
  /** Writes the lines that are finished into the scrollback, and the rest of the screen below them. */
  draw(state: TuiState): void;
  /** The terminal has another size now; what is drawn next is for that. */
  resize(): void;
  /** Forgets what is on the screen, so that the next `draw` writes all of it. */
  clear(): void;
  /** Takes the live part away; what was finished stays. */
  close(): Promise<void>;
}

/** What a view draws on. */
export interface TuiScreenDeps {
  readonly paint: boolean;
  readonly size: () => { readonly columns: number; readonly rows: number };
  /** Never throws. */
  readonly write: (text: string) => void;
}

/** Ink draws at most this often. */
const FRAMES_PER_SECOND = 30;

/** What Ink takes for stdout. A frame of it is several writes in a row: here they are one, so that no terminal shows half of it. */
class FrameStream extends EventEmitter {
  readonly isTTY = true;
  readonly writable = true;
  readonly #deps: TuiScreenDeps;
  #pending = "";

  constructor(deps: TuiScreenDeps) {
    super();
    this.#deps = deps;
  }

  get columns(): number {
    return this.#deps.size().columns;
  }

  get rows(): number {
    return this.#deps.size().rows;
  }

  write(text: string, ...rest: unknown[]): boolean {
    if (this.#pending === "") queueMicrotask(() => this.flush());
    this.#pending += text;
    const done = rest.find((each) => typeof each === "function");
    if (typeof done === "function") queueMicrotask(() => done());
    return true;
  }

  flush(): void {
    const [text] = [this.#pending, this.#pending = ""];
    if (text !== "") this.#deps.write(text);
  }
}

/**
 * Opens the view. It holds no state of its own: what it shows is a pure function of the last `draw`. Ink knows how to draw again
 * only what changed, to leave the scrollback alone, and to put a frame on the screen at once (synchronized output, DEC mode 2026).
 */
export function openView(deps: TuiScreenDeps): TuiView {
  // Static writes each item once; a new one, by its key, for the lines of each frame keeps none of them in memory.
  let frames = 0;
  let drawn: ScreenLayout = { lines: [], cursor: { x: 0, y: 0 } };
  const stream = new FrameStream(deps);
  const app = render(null, {
    stdout: stream as unknown as NodeJS.WriteStream,
    exitOnCtrlC: false,
    patchConsole: false,
    incrementalRendering: true,
    maxFps: FRAMES_PER_SECOND,
    interactive: true,
  });
  return {
    draw(state) {
      drawn = layoutScreen(state);
      const frame = state.printed.length > 0 ? ++frames : frames;
      app.rerender(createElement(TuiScreen, { layout: drawn, printed: state.printed, paint: deps.paint, frame }));
    },
    resize() {
      stream.write(toErase(drawn, deps.size().columns));
      stream.emit("resize");
    },
    clear: () => app.clear(),
    async close() {
      // Ink leaves its last frame behind: an empty one leaves nothing of the live part.
      app.rerender(null);
      app.unmount();
      await app.waitUntilExit();
      stream.flush();
    },
  };
}

/**
 * A terminal that became narrower has broken the lines of the last frame into more rows, which Ink does not count: erases them, and leaves
 * the cursor where Ink believes that it is. Pure.
 */
export function toErase({ lines, cursor }: ScreenLayout, columns: number): string {
  const rowsOf = (line: Line) => Math.max(1, Math.ceil(lineWidth(line) / columns));
  if (lines.every((line) => rowsOf(line) === 1)) return "";
  const above = lines.slice(0, cursor.y).reduce((sum, line) => sum + rowsOf(line), Math.floor(cursor.x / columns));
  const down = lines.length - cursor.y;
  return `${above > 0 ? `\x1b[${above}A` : ""}\r\x1b[J${"\n".repeat(lines.length)}${down > 0 ? `\x1b[${down}A` : ""}`;
}

interface ScreenProps {
  readonly layout: ScreenLayout;
  readonly printed: readonly Line[];
  readonly paint: boolean;
  readonly frame: number;
}

/** The whole screen: finished lines on their way out, and the live part. */
function TuiScreen({ layout, printed, paint, frame }: ScreenProps) {
  useCursor().setCursorPosition(layout.cursor);
  return createElement(
    Box,
    { flexDirection: "column" },
    createElement(Static, {
      key: `out-${frame}`,
      items: printed,
      children: (line: Line, at: number) => createElement(TuiLine, { key: at, line, paint }),
    }),
    ...layout.lines.map((line, at) => createElement(TuiLine, { key: `line-${at}`, line, paint })),
  );
}

/** One line. It fits already; `truncate` says so to Ink. */
function TuiLine({ line, paint }: { line: Line; paint: boolean }) {
  const spans = line.length === 0
    ? [" "]
    : line.map((each, at) => createElement(Text, { key: at, ...toProps(each, paint) }, each.text));
  return createElement(Text, { wrap: "truncate" }, ...spans);
}

function toProps({ bold, italic, dim, underline, strike, inverse, color }: Span, paint: boolean) {
  return {
    bold,
    italic,
    dimColor: dim,
    underline,
    strikethrough: strike,
    inverse,
    ...(paint && color !== undefined ? { color } : {}),
  };
}
