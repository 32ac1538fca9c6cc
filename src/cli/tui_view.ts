import { createElement } from "react";
import { Box, render, Static, Text, useCursor } from "ink";
import { layoutScreen } from "#/cli/tui_layout.ts";
import type { TuiState } from "#/cli/tui_state.ts";
import type { Line, Span } from "#/cli/tui_text.ts";

/** The terminal as Ink draws it. */
export interface TuiView {
  /** Writes the lines that are finished into the scrollback, and the rest of the screen below them. */
  draw(state: TuiState): void;
  /** Forgets what is on the screen, so that the next `draw` writes all of it. */
  clear(): void;
  /** Takes the live part away; what was finished stays. */
  close(): Promise<void>;
}

/** Ink draws at most this often. */
const FRAMES_PER_SECOND = 30;

/**
 * Opens the view on stdout. It holds no state of its own: what it shows is a pure function of the last `draw`. Ink knows how to draw again
 * only what changed, to leave the scrollback alone, and to put a frame on the screen at once (synchronized output, DEC mode 2026).
 */
export function openView(paint: boolean): TuiView {
  // Static writes each item once; a new one, by its key, for the lines of each frame keeps none of them in memory.
  let frames = 0;
  const app = render(null, {
    exitOnCtrlC: false,
    patchConsole: false,
    incrementalRendering: true,
    maxFps: FRAMES_PER_SECOND,
    interactive: true,
  });
  return {
    draw(state) {
      app.rerender(createElement(TuiScreen, { state, paint, frame: state.printed.length > 0 ? ++frames : frames }));
    },
    clear: () => app.clear(),
    async close() {
      // Ink leaves its last frame behind: an empty one leaves nothing of the live part.
      app.rerender(null);
      app.unmount();
      await app.waitUntilExit();
    },
  };
}

/** The whole screen: finished lines on their way out, and the live part. */
function TuiScreen({ state, paint, frame }: { state: TuiState; paint: boolean; frame: number }) {
  const { lines, cursor } = layoutScreen(state);
  useCursor().setCursorPosition(cursor);
  const items = state.printed;
  return createElement(
    Box,
    { flexDirection: "column" },
    createElement(Static, {
      key: `out-${frame}`,
      items,
      children: (line: Line, at: number) => createElement(TuiLine, { key: at, line, paint }),
    }),
    ...lines.map((line, at) => createElement(TuiLine, { key: `line-${at}`, line, paint })),
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
