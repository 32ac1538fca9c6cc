import assert from "node:assert/strict";
import type { SessionEvent } from "#/core/event.ts";
import type { Connection, ServerFrame } from "#/cli/connection.ts";
import { runClientTurn, type Screen } from "#/cli/turn_client.ts";
import { delta, stored, turnDone } from "../gateway/scripted_source.ts";

/** A connection that answers each turn with these frames; `TURN` and `REQUEST` in them stand for the ids of the turn. */
function script(frames: readonly ServerFrame[]) {
  const sent: { type: string; payload: Readonly<Record<string, unknown>> }[] = [];
  async function* answer(): AsyncGenerator<ServerFrame> {
    const [{ payload }] = sent as [typeof sent[number]];
    const text = JSON.stringify(frames).replaceAll("TURN", String(payload.turn_id)).replaceAll(
      "REQUEST",
      String(payload.request_id),
    );
    yield* JSON.parse(text) as ServerFrame[];
  }
  const answers = answer();
  const connection: Connection = {
    sessionId: "s",
    info: {},
    send: (type, payload) => void sent.push({ type, payload }),
    next: async () => (await answers.next()).value as ServerFrame | undefined,
    closed: new Promise(() => {}),
    broken: undefined,
    close: () => {},
  };
  return { connection, sent };
}

const eventFrame = (event: SessionEvent, turn = "TURN"): ServerFrame => ({
  type: "turn_event",
  payload: { turn: { turn_id: turn, state: "running" }, event },
});

async function run(frames: readonly ServerFrame[], json = false, save?: Screen["save"]) {
  const shown = { out: "", err: "" };
  const screen: Screen = {
    json,
    paint: false,
    ...(save ? { save } : {}),
    out: (text) => void (shown.out += text),
    err: (text) => void (shown.err += text),
  };
  const { connection, sent } = script(frames);
  const desk = {
    open: (id: string) => void cards.push(`open ${id}`),
    close: (id: string) => void cards.push(`close ${id}`),
    closeAll: () => void cards.push("all"),
  };
  const cards: string[] = [];
  const cancels: ((() => void) | undefined)[] = [];
  const code = await runClientTurn(
    connection,
    "hello",
    screen,
    { onCancel: (cancel) => void cancels.push(cancel), desk },
  );
  return { code, sent, cancels, cards, ...shown };
}

Deno.test("runClientTurn() sends the prompt and shows what its own turn says, and no other", async () => {
  const result = await run([
    { type: "turn_started", payload: {} },
    eventFrame(delta("not mine"), "another"),
    eventFrame(delta("hel")),
    eventFrame(delta("lo")),
    { type: "error", payload: { request_id: "another", message: "not mine" } },
    eventFrame(turnDone("nor this"), "another"),
    eventFrame(turnDone("hello")),
    eventFrame(delta("too late")),
  ]);
  assert.deepEqual([result.code, result.out, result.err], [0, "hello\n", ""]);
  assert.deepEqual(result.sent.map(({ type }) => type), ["send_turn"]);
  assert.deepEqual([result.sent[0]!.payload.session_id, result.sent[0]!.payload.prompt], ["s", "hello"]);
});

Deno.test("runClientTurn() ends with the exit code of its turn", async () => {
  const done = { text: "", finishReason: "stop", steps: 1, toolCalls: 1, usage: {} } as const;
  const failed = (code: string) => stored("turn_failed", { code: code as "internal", message: "no", steps: 0 });
  const ends: readonly (readonly [SessionEvent, number])[] = [
    [stored("turn_done", { ...done, denied: 0 }), 0],
    [stored("turn_done", { ...done, denied: 2 }), 5],
    [failed("provider_auth"), 3],
    [failed("budget_turns"), 4],
    [failed("turn_stuck"), 1],
    [stored("turn_cancelled", { reason: "asked", steps: 0 }), 130],
  ];
  for (const [event, code] of ends) assert.equal((await run([eventFrame(event)])).code, code, JSON.stringify(event));
});

Deno.test("runClientTurn() says why its turn was refused, and when the gateway goes away in the middle", async () => {
  const refused = await run([{ type: "error", payload: { request_id: "REQUEST", message: "too \x1b[2Jmany" } }]);
  assert.equal(refused.code, 1);
  assert.match(refused.err, /^oxydra: too .*many\n$/);
  assert.ok(!refused.err.includes("\x1b"), "no escape sequence reaches the terminal");
  const gone = await run([eventFrame(delta("half"))]);
  assert.deepEqual([gone.code, gone.out], [1, "half"]);
  assert.match(gone.err, /went away/);
});

Deno.test("runClientTurn() with --json prints each event as one line and nothing else", async () => {
  const events = [delta("a\nb"), turnDone("a\nb")];
  const { code, out, err } = await run(events.map((event) => eventFrame(event)), true);
  assert.deepEqual([code, err], [0, ""]);
  assert.deepEqual(out.split("\n").slice(0, -1).map((line) => JSON.parse(line)), JSON.parse(JSON.stringify(events)));
});

Deno.test("runClientTurn() saves what its own turn made, in its order, or says how that would go", async () => {
  const media = [{ mimeType: "image/png", bytes: 3, sha256: "ab" }];
  const said = { step: 1, text: "", toolCalls: [], finishReason: "stop", usage: {}, media };
  const attachment = (request_id: string, data: string): ServerFrame => {
    return { type: "media_attachment", payload: { request_id, attachment: { data, file_name: "a.png" } } };
  };
  const frames = [
    eventFrame(stored("model_result", said)),
    attachment("REQUEST", "mine"),
    attachment("of another", "theirs"),
    eventFrame(turnDone("")),
  ];
  const saved: unknown[] = [];
  const saving = await run(frames, false, ({ data }) => Promise.resolve(`saved ${saved.push(data)}`));
  assert.deepEqual([saving.code, saved], [0, ["mine"]]);
  assert.equal(saving.err, "· made image/png, 1 KB (sha256 ab)\n  saved 1\n");
  const plain = await run(frames);
  assert.match(plain.err, /^· made image\/png, 1 KB \(sha256 ab\)\n.*--save-media DIR also writes it to a file\n$/);
  const json = await run(frames, true);
  assert.deepEqual([json.err, JSON.parse(json.out.split("\n")[0]!).payload.media], ["", media]);
});

Deno.test("runClientTurn() hands out a cancel for this very turn, and takes it back at the end", async () => {
  const { cancels, sent } = await run([eventFrame(turnDone(""))]);
  assert.equal(cancels.length, 2);
  assert.equal(cancels[1], undefined);
  cancels[0]!();
  const { type, payload } = sent.at(-1)!;
  assert.deepEqual([type, payload.session_id, payload.turn_id], [
    "cancel_active_turn",
    "s",
    sent[0]!.payload.turn_id,
  ]);
});
