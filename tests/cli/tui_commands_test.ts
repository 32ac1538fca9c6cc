import assert from "node:assert/strict";
import {
  COMMANDS,
  complete,
  isCommand,
  runCommand,
  toMatches,
  toSessionLines,
  toStatusLines,
} from "#/cli/tui_commands.ts";
import { setDraft } from "#/cli/tui_editor.ts";
import { lineWidth } from "#/cli/tui_text.ts";
import { Driven, toText } from "./tui_kit.ts";

const context = { now: 0, newId: () => "r" };

Deno.test("isCommand() tells a command from a path and from a text of several lines", () => {
  for (const text of ["/help", "/", "/new my name", "/unknown"]) assert.ok(isCommand(text), text);
  for (const text of ["/shared/a", "help", " /help", "/help\nme", "/a.b"]) assert.ok(!isCommand(text), text);
});

Deno.test("complete() adds what is certain", () => {
  assert.deepEqual(["/n", "/s", "/se", "/can", "/cancel", "/x", "hello", "/help "].map(complete), [
    "/new ",
    undefined,
    "/sessions ",
    "/cancel",
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
  assert.deepEqual(toMatches("/s").map(({ name }) => name), ["/sessions", "/switch", "/status"]);
  assert.equal(toMatches("/").length, COMMANDS.length);
});

Deno.test("runCommand() asks the gateway for what each command means", () => {
  const driven = new Driven();
  driven.connect();
  const run = (text: string) => {
    const { state, effects } = runCommand(
      { ...driven.state, draft: setDraft(driven.state.draft, text) },
      text,
      context,
    );
    return { hint: state.hint, draft: state.draft.text, effect: effects[0] };
  };
  const frames: Readonly<Record<string, unknown>> = {
    "/new": ["create_session", {}],
    "/new my name": ["create_session", { display_name: "my name" }],
    "/sessions": ["list_sessions", {}],
    "/switch other": ["switch_session", { session_id: "other" }],
    "/cancel": ["cancel_active_turn", { session_id: "s", turn_id: "" }],
    "/cancelall": ["cancel_all_active_turns", {}],
    "/STATUS": ["health_check", {}],
  };
  for (const [text, wanted] of Object.entries(frames)) {
    const { effect, draft } = run(text);
    assert.ok(effect?.type === "send", text);
    const { request_id, ...payload } = effect.payload;
    assert.deepEqual([request_id, [effect.frame, payload], draft], ["r", wanted, ""], text);
  }
  assert.deepEqual([run("/exit").effect, run("/quit").effect], [{ type: "exit", code: 0 }, { type: "exit", code: 0 }]);
});

Deno.test("runCommand() says what is wrong and leaves it where it is written", () => {
  const driven = new Driven();
  driven.connect();
  const hints: Readonly<Record<string, RegExp>> = {
    "/halp": /no such command; did you mean \/help\?/,
    "/undo": /no such command/,
    "/zzzzzzzz": /^\/zzzzzzzz: no such command \/help|^\/zzzzzzzz: no such command/,
    "/cancel now": /takes nothing behind it/,
    "/switch": /needs a number/,
    "/switch 3": /no such number/,
  };
  for (const [text, hint] of Object.entries(hints)) {
    const { state, effects } = runCommand(
      { ...driven.state, draft: setDraft(driven.state.draft, text) },
      text,
      context,
    );
    assert.match(state.hint, hint, text);
    assert.deepEqual([effects, state.draft.text], [[], text]);
  }
  driven.lose();
  assert.match(runCommand(driven.state, "/sessions", context).state.hint, /not connected/);
});

Deno.test("the help, lists and states fit into 40 columns and into 60", () => {
  for (const width of [40, 60, 100]) {
    const driven = new Driven({ width });
    driven.connect();
    driven.printed();
    driven.text("/help");
    driven.key("enter");
    const sessions = [{ session_id: "x".repeat(50), display_name: "漢字".repeat(20), last_active_at: "no date" }];
    const lines = [
      ...driven.state.printed,
      ...toSessionLines(sessions, driven.state),
      ...toStatusLines("ready ".repeat(20), driven.state),
    ];
    assert.ok(lines.every((line) => lineWidth(line) <= width), toText(lines).join("\n"));
    for (const { name } of COMMANDS) assert.ok(toText(lines).join("\n").includes(name));
  }
  assert.match(toText(toSessionLines([], new Driven().state)).join(), /no sessions yet/);
});
