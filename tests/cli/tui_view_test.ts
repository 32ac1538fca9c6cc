import assert from "node:assert/strict";
import xterm from "@xterm/headless";
import { openView, toErase } from "#/cli/tui_view.ts";
import { span } from "#/cli/tui_text.ts";
import { waitUntil } from "../fixture/system.ts";
import { Driven } from "./tui_kit.ts";

/** A view on an emulated terminal. */
function open(columns: number, paint = true) {
  const size = { columns, rows: 20 };
  const terminal = new xterm.Terminal({ cols: columns, rows: size.rows, allowProposedApi: true });
  const writes: string[] = [];
  let parsed = 0;
  const view = openView({
    paint,
    size: () => size,
    write(text) {
      writes.push(text);
      // A terminal turns a line feed into a new line (onlcr), also in raw mode.
      terminal.write(text.replaceAll(/\r?\n/g, "\r\n"), () => parsed++);
    },
  });
  const rows = () =>
    Array.from(
      { length: terminal.buffer.active.length },
      (_, at) => terminal.buffer.active.getLine(at)?.translateToString(true).trimEnd() ?? "",
    ).filter((line) => line !== "");
  const shows = (text: string) =>
    waitUntil(
      () => parsed === writes.length && rows().some((row) => row.includes(text)),
      `${text}: ${rows().join("|")}`,
    );
  return { view, size, terminal, writes, rows, shows };
}

Deno.test("openView() writes each frame at once, finished lines above it, and takes the live part away at its end", async () => {
  const { view, writes, rows, shows } = open(60);
  const driven = new Driven({ width: 60, height: 20 });
  driven.connect();
  driven.event("user_message", { text: "hello", channel: "tui" });
  driven.live("text_delta", { text: "first\nsecond" });
  view.draw(driven.state);
  driven.printed();
  await shows("second");
  driven.live("text_delta", { text: " half\n" });
  view.draw(driven.state);
  driven.printed();
  await shows("second half");
  for (const frame of writes.filter((each) => each.includes("\x1b[?2026h"))) {
    assert.equal(frame.split("\x1b[?2026h").length, frame.split("\x1b[?2026l").length, "no half of a frame");
  }
  assert.deepEqual(rows().filter((row) => /hello|first|second/.test(row)), ["› hello", "first", "second half"]);
  view.clear();
  view.draw(driven.state);
  await shows("› ".trim());
  await view.close();
  await waitUntil(() => !rows().some((row) => row.startsWith("──")), "the live part is gone");
  assert.ok(writes.join("").endsWith("\x1b[?25h"));
});

Deno.test("openView() paints only when it may", async () => {
  for (const paint of [true, false]) {
    const { view, writes, shows } = open(60, paint);
    const driven = new Driven({ width: 60 });
    driven.connect();
    view.draw(driven.state);
    await shows("demo/demo");
    await view.close();
    // The test's own environment may forbid colours to chalk; without `paint` there is none whatever it says.
    // deno-lint-ignore no-control-regex -- a colour
    if (!paint) assert.doesNotMatch(writes.join(""), /\x1b\[3[0-7]m/);
  }
});

Deno.test("a narrower terminal keeps nothing of the last frame, whose lines it has broken", async () => {
  const { view, size, terminal, rows, shows } = open(60);
  const driven = new Driven({ width: 60, height: 20 });
  driven.connect();
  driven.text("a message");
  view.draw(driven.state);
  driven.printed();
  await shows("a message");
  size.columns = 30;
  terminal.resize(30, 20);
  view.resize();
  driven.on({ type: "size", width: 30, height: 20 });
  view.draw(driven.state);
  await shows("› a message");
  const rules = () => rows().filter((row) => row.includes("──")).map((row) => row.length);
  await waitUntil(() => rules().length === 1, "one status line", 5_000).catch(() => assert.deepEqual(rules(), [30]));
  await shows("› a message");
  await view.close();
});

Deno.test("toErase() goes up as many rows as the lines above the cursor have become", () => {
  const layout = { lines: [[span("x".repeat(50))], [span("y")], [span("z")]], cursor: { x: 3, y: 2 } };
  assert.equal(toErase(layout, 50), "");
  assert.equal(toErase(layout, 20), "\x1b[4A\r\x1b[J\n\n\n\x1b[1A");
});
