import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { Driven, makeCard, RESULT } from "./tui_kit.ts";

Deno.test("reduce() sends what is typed, keeps it in sight until its turn begins, and shows it once", () => {
  const driven = new Driven();
  assert.deepEqual(driven.connect(), [{ type: "read-cards" }]);
  assert.match(driven.printed().join("\n"), /^Oxydra · demo\/demo · why\nType a message/);
  driven.text("hello");
  driven.key("newline");
  driven.text("world");
  const [sent] = driven.key("enter");
  assert.deepEqual(sent, {
    type: "send",
    frame: "send_turn",
    payload: { request_id: "id2", session_id: "s", turn_id: "id1", prompt: "hello\nworld" },
  });
  assert.match(driven.screen().join("\n"), /sent: hello world/);
  driven.event("user_message", { text: "hello\nworld", channel: "tui" }, "id1");
  assert.deepEqual(driven.printed(), ["", "› hello", "  world"]);
  assert.doesNotMatch(driven.screen().join("\n"), /sent: hello/);
});

Deno.test("reduce() shows a turn from its first delta to its end", () => {
  const driven = new Driven();
  driven.connect();
  driven.event("user_message", { text: "go", channel: "tui" });
  driven.printed();
  driven.event("model_request", { step: 1 });
  driven.live("reasoning_delta", { text: "hm" });
  assert.match(driven.screen()[0]!, /thinking/);
  driven.live("text_delta", { text: "First **line**\nsec" });
  assert.deepEqual(driven.printed(), ["First line"]);
  assert.equal(driven.screen()[0], "sec");
  driven.event("model_result", { ...RESULT, text: "First **line**\nsecond" });
  assert.deepEqual(driven.printed(), ["second"]);
  driven.event("tool_intent", { callId: "c", tool: "file_read", args: { path: "/shared/a" } });
  driven.now += 3_000;
  driven.on({ type: "tick" });
  assert.equal(driven.screen()[0], "· file_read /shared/a · 3 s");
  driven.event("tool_result", { callId: "c", tool: "file_read", ok: true, code: "ok", text: "it", elapsedMs: 12 });
  assert.deepEqual(driven.printed(), ["· file_read /shared/a", "  ✓ it (12 ms)"]);
  driven.event("model_request", { step: 2 });
  driven.event("model_result", { ...RESULT, step: 2, text: "done" });
  driven.event("turn_done", { text: "done", denied: 0 });
  assert.deepEqual(driven.printed(), ["done", "· 3 s · 2 steps · 2.4k tokens · $0.0062"]);
  assert.equal(driven.state.live, undefined);
});

Deno.test("a line that begins with / and is no path is a command; an unknown one stays with what is wrong", () => {
  const driven = new Driven();
  driven.connect();
  driven.text("/sesions");
  assert.deepEqual(driven.key("enter"), []);
  assert.match(driven.screen().join("\n"), /did you mean \/sessions/);
  assert.equal(driven.state.draft.text, "/sesions");
  driven.key("escape");
  driven.text("/shared/notes.txt is wrong");
  assert.equal(driven.key("enter").length, 1);
  assert.equal(driven.state.sent[0]!.prompt, "/shared/notes.txt is wrong");
});

Deno.test("backslash and Enter is a new line, Escape clears and Up brings it back", () => {
  const driven = new Driven();
  driven.connect();
  driven.text("a\\");
  assert.deepEqual(driven.key("enter"), []);
  assert.equal(driven.state.draft.text, "a\n");
  driven.key("escape");
  assert.equal(driven.state.draft.text, "");
  driven.key("up");
  assert.equal(driven.state.draft.text, "a\n");
  assert.deepEqual([driven.key("escape"), driven.key("enter")], [[], []]);
});

Deno.test("Ctrl-C cancels the turn and leaves the second time; later it is a first time again; Ctrl-D leaves an empty message", () => {
  const driven = new Driven();
  driven.connect();
  driven.event("user_message", { text: "go", channel: "tui" });
  const [cancel] = driven.key("interrupt");
  assert.ok(cancel?.type === "send" && cancel.frame === "cancel_active_turn" && cancel.payload.turn_id === "");
  driven.now += LIMITS.tuiLeaveMs;
  assert.equal(driven.key("interrupt")[0]?.type, "send");
  driven.now += LIMITS.tuiLeaveMs - 1;
  assert.deepEqual(driven.key("interrupt"), [{ type: "exit", code: 130 }]);
  const idle = new Driven();
  idle.connect();
  assert.deepEqual(idle.key("interrupt"), []);
  assert.match(idle.screen().at(-1)!, /again leaves/);
  idle.text("x");
  assert.deepEqual(idle.key("eof"), []);
  idle.key("backspace");
  assert.deepEqual(idle.key("eof"), [{ type: "exit", code: 0 }]);
  assert.deepEqual(idle.key("redraw"), [{ type: "redraw" }]);
});

Deno.test("a typed or pasted message answers no card; Tab and one key that came alone does, and only the card that was chosen", () => {
  const driven = new Driven();
  driven.connect();
  driven.on({ type: "cards", cards: [makeCard("1"), makeCard("2"), makeCard("3", { session: "other" })] });
  assert.match(
    driven.screen().join("\n"),
    /vault_copyto asks for \(1 of 2\)[^]*read \/vault\/secret\.txt[^]*Tab, then a key/,
  );
  assert.deepEqual(driven.text("y"), []);
  assert.equal(driven.state.draft.text, "y");
  driven.key("tab");
  assert.equal(driven.state.focus, "1");
  assert.deepEqual(driven.press({ type: "paste", text: "y" }), []);
  assert.deepEqual(driven.press({ type: "text", text: "y", alone: false }), []);
  assert.deepEqual(driven.text("yes"), []);
  assert.deepEqual(driven.key("enter"), []);
  assert.match(driven.screen().join("\n"), /y, s, u, n or N answers/);
  assert.deepEqual(driven.text("y"), [{ type: "answer", given: { id: "1", answer: "once" }, session: "s" }]);
  assert.equal(driven.state.focus, undefined);
  // A second y, typed a moment too late, is text.
  assert.deepEqual(driven.text("y"), []);
  assert.equal(driven.state.draft.text, "yy");
  driven.key("tab");
  assert.deepEqual(driven.text("u"), [
    { type: "answer", given: { id: "2", answer: "until", until: driven.now + 3_600_000 }, session: "s" },
  ]);
  assert.match(driven.screen().join("\n"), /1 calls? of other sessions/);
});

Deno.test("each key is its answer; Escape and Tab go back; what is no key says so", () => {
  for (const [key, answer] of [["s", "session"], ["n", "no"], ["N", "never"], ["h", "until"]] as const) {
    const driven = new Driven();
    driven.connect();
    driven.on({ type: "cards", cards: [makeCard("1")] });
    driven.key("tab");
    const [effect] = driven.text(key);
    assert.ok(effect?.type === "answer" && effect.given.answer === answer, key);
  }
  const driven = new Driven();
  driven.connect();
  driven.on({ type: "cards", cards: [makeCard("1")] });
  for (const back of ["escape", "tab"] as const) {
    driven.key("tab");
    driven.key(back);
    assert.equal(driven.state.focus, undefined);
  }
  driven.key("tab");
  driven.key("interrupt");
  assert.equal(driven.state.focus, undefined);
});

Deno.test("the chosen card is let go when it was answered elsewhere, expires, or does not fit any more", () => {
  const driven = new Driven();
  driven.connect();
  const choose = () => {
    driven.on({ type: "cards", cards: [makeCard("1"), makeCard("2")] });
    driven.key("tab");
    assert.equal(driven.state.focus, "1");
  };
  choose();
  driven.on({ type: "cards", cards: [makeCard("2")] });
  assert.equal(driven.state.focus, undefined);
  choose();
  driven.on({ type: "size", width: 80, height: 8 });
  assert.equal(driven.state.focus, undefined);
  driven.key("tab");
  assert.equal(driven.state.focus, undefined);
  assert.match(driven.screen().join("\n"), /make the terminal larger/);
  driven.on({ type: "size", width: 80, height: 24 });
  choose();
  driven.now = 1_900_001;
  driven.on({ type: "tick" });
  assert.deepEqual([driven.state.focus, driven.state.cards], [undefined, []]);
});

Deno.test("Tab completes a command; a draft that is none goes to the card", () => {
  const driven = new Driven();
  driven.connect();
  driven.text("/se");
  assert.match(driven.screen().at(-1)!, /\/sessions/);
  driven.key("tab");
  assert.equal(driven.state.draft.text, "/sessions ");
  driven.key("escape");
  driven.key("tab");
  assert.equal(driven.state.draft.text, "");
});

Deno.test("without a connection what is typed stays, and is said; a message over the limits stays as well", () => {
  const driven = new Driven();
  driven.connect();
  driven.lose();
  driven.text("hello");
  assert.deepEqual(driven.key("enter"), []);
  assert.equal(driven.state.draft.text, "hello");
  assert.match(driven.screen().join("\n"), /no gateway; next try in 3 s[^]*not connected: the message stays/);
  driven.connect();
  assert.equal(driven.key("enter").length, 1);
  for (let i = 1; i < LIMITS.tuiSentMax; i++) {
    driven.text("x");
    assert.equal(driven.key("enter").length, 1);
  }
  driven.text("one more");
  assert.deepEqual([driven.key("enter"), driven.state.draft.text], [[], "one more"]);
  driven.press({ type: "too-long" });
  assert.match(driven.screen().join("\n"), /at most 400000 characters/);
  driven.on({ type: "told", text: "a\x1b[2Jb" });
  assert.match(driven.printed().at(-1)!, /oxydra: a\\x1b\[2Jb/);
});
