import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { fitsCard, isTicking, layoutScreen } from "#/cli/tui_layout.ts";
import { lineWidth } from "#/cli/tui_text.ts";
import { Driven, makeCard, RESULT } from "./tui_kit.ts";

/** Everything at once: text, tools, messages that wait, cards, a long message, a hint. */
function makeBusy(width: number, height: number): Driven {
  const driven = new Driven({ width, height });
  driven.connect("a-session-with-a-rather-long-name");
  driven.state = { ...driven.state, session: "s" };
  driven.event("user_message", { text: "go", channel: "tui" });
  driven.live("text_delta", { text: "a long paragraph ".repeat(60) });
  for (let i = 0; i < LIMITS.tuiToolsMax + 2; i++) {
    driven.event("tool_intent", {
      callId: `c${i}`,
      tool: "file_read",
      args: { path: `/shared/漢字/${"x".repeat(90)}` },
    });
  }
  for (let i = 0; i < 4; i++) {
    driven.text(`message ${i} 漢字`);
    driven.key("enter");
  }
  driven.on({ type: "cards", cards: [makeCard("1"), makeCard("2")] });
  driven.press({ type: "paste", text: "line\n".repeat(20) + "漢字".repeat(40) });
  return driven;
}

Deno.test("layoutScreen() is never as high as the terminal nor wider, and its cursor is in it, whatever the size", () => {
  for (const width of [1, 2, 10, 20, 40, 60, 100]) {
    for (const height of [1, 4, 6, 10, 24, 60]) {
      const busy = makeBusy(width, height);
      for (const hint of ["", "a hint that is a little longer than a line is wide, so that it wraps"]) {
        const { lines, cursor } = layoutScreen({ ...busy.state, hint });
        const size = `${width}x${height}`;
        assert.ok(lines.length <= Math.max(4, height - 1), `${size}: ${lines.length} lines`);
        assert.ok(lines.every((line) => lineWidth(line) <= Math.max(width, 4)), `${size}: ${lines.map(lineWidth)}`);
        assert.ok(
          cursor.y >= 0 && cursor.y < lines.length && cursor.x < Math.max(width, 4),
          `${size}: ${cursor.x},${cursor.y}`,
        );
      }
    }
  }
});

Deno.test("layoutScreen() shows of a long reply its end, and says how much is above", () => {
  const driven = new Driven({ width: 40, height: 12 });
  driven.connect();
  driven.event("user_message", { text: "go", channel: "tui" });
  driven.live("text_delta", { text: Array.from({ length: 80 }, (_, i) => `word${i}`).join(" ") });
  const screen = driven.screen();
  assert.match(screen[0]!, /^… \d+ lines above$/);
  assert.match(screen.join("\n"), /word79/);
});

Deno.test("layoutScreen() names at most as many tools as it may, and counts the rest", () => {
  const text = makeBusy(80, 60).screen().join("\n");
  assert.equal(text.match(/file_read/g)!.length, LIMITS.tuiToolsMax);
  assert.match(text, /· and 2 more[^]*waits: message 0[^]*and 2 more/);
  assert.equal(text.match(/^(?:› | {2})[l漢字]/gm)!.length, LIMITS.tuiDraftRowsMax);
});

Deno.test("layoutScreen() shows below a tool how its output ends, five rows of it, as text, until the call is over", () => {
  const driven = new Driven({ width: 30, height: 20 });
  driven.connect();
  driven.event("tool_intent", { callId: "c", tool: "shell_exec", args: { command: "make" } });
  const tail = Array.from({ length: 8 }, (_, at) => `step ${at} \u001b[2J\tof a long long build\n`).join("");
  const progress = { kind: "tool_output", toolNames: ["shell_exec"], callId: "c", tail, lines: 8 };
  driven.live("progress", { progress, message: "m", step: 1, stepsMax: 8 });
  const rows = () => layoutScreen(driven.state).lines.map((line) => line.map(({ text }) => text).join(""));
  assert.deepEqual(
    rows().filter((row) => row.includes("│")),
    [3, 4, 5, 6, 7].map((at) => `  │ step ${at} \\x1b[2J  of a long…`),
  );
  driven.event("tool_result", { callId: "c", tool: "shell_exec", ok: true, code: "ok", text: "done", elapsedMs: 1 });
  assert.deepEqual(rows().filter((row) => row.includes("│")), []);
});

Deno.test("fitsCard() is false where a part of the card would be hidden, and then its keys are not offered", () => {
  const driven = new Driven({ width: 80, height: 24 });
  driven.connect();
  const long = makeCard("1", { lines: Array.from({ length: 30 }, (_, i) => `write /shared/file${i}`) });
  assert.deepEqual([fitsCard(makeCard("1"), driven.state), fitsCard(long, driven.state)], [true, false]);
  driven.on({ type: "cards", cards: [long] });
  assert.match(driven.screen().join("\n"), /too small for its card/);
  assert.doesNotMatch(driven.screen().join("\n"), /Tab, then a key/);
});

Deno.test("the status line has the model, the session, the connection and what the turn used", () => {
  const driven = new Driven({ width: 70 });
  assert.match(driven.screen().join("\n"), /connecting/);
  driven.connect("my-session");
  assert.match(driven.screen()[0]!, /^── demo\/demo · my-session ─+$/);
  driven.event("user_message", { text: "go", channel: "tui" });
  driven.event("model_result", { ...RESULT, text: "x" });
  driven.now += 65_000;
  driven.on({ type: "tick" });
  assert.match(driven.screen().join("\n"), /my-session · 1 min 5 s · 1\.2k tokens · \$0\.0031/);
  driven.lose();
  assert.match(driven.screen().join("\n"), /no gateway; next try in 3 s/);
});

Deno.test("isTicking() is true only while time shows", () => {
  const driven = new Driven();
  assert.equal(isTicking(driven.state), true, "connecting");
  driven.connect();
  assert.equal(isTicking(driven.state), false);
  driven.on({ type: "cards", cards: [makeCard("1")] });
  assert.equal(isTicking(driven.state), true);
});
