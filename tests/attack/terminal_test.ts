/** A gateway, a folder or an argument that speaks to the terminal: what reaches it is text, whatever was sent. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { planClient } from "#/runner/plan_client.ts";
import { findProgram } from "#/runner/program.ts";
import { reply, text } from "../fake/openai_reply.ts";
import { startFakeOpenAi } from "../fake/openai_server.ts";
import { SRC } from "../fixture/source_tree.ts";
import { openTui } from "../flow/tui_kit.ts";
import { type Finished, makeMachine, runOxydra } from "../fixture/system.ts";

/** Sets the title, clears the screen, writes the clipboard, moves up; the same in C1; reorders; deletes. */
const EVIL = "\x1b]0;owned\x07\x1b[2J\x1b]52;c;ZXZpbA==\x07\x1b[1A\u009b2J\u009d0;x\u009c\u202eabc\u2066\u061c\x7f\r\b";
// deno-lint-ignore no-control-regex -- what must not arrive
const RAW = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u202a-\u202e\u2066-\u2069]/;

type Send = (frame: unknown) => void;

/** A gateway that greets a client as it likes, and answers its turn as it likes. */
function startGateway(hello: (send: Send) => void, turn: (send: Send, turnId: string, requestId: string) => void) {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    const send: Send = (frame) => socket.send(typeof frame === "string" ? frame : JSON.stringify(frame));
    socket.onmessage = ({ data }) => {
      const { type, payload } = JSON.parse(data);
      if (type === "hello") hello(send);
      if (type === "send_turn") turn(send, payload.turn_id, payload.request_id);
    };
    return response;
  });
}

const greet = (send: Send) => {
  send({ type: "hello_ack", payload: { session: { session_id: "s" } } });
  send({ type: "gateway_info", payload: { provider: EVIL, model: EVIL, reason: EVIL } });
};

async function runClient(
  hello: (send: Send) => void,
  turn: (send: Send, turnId: string, requestId: string) => void,
  request: Record<string, unknown> = {},
): Promise<Finished> {
  const server = startGateway(hello, turn);
  const endpointPath = await Deno.makeTempFile({ prefix: "oxydra-endpoint-" });
  try {
    const { port } = server.addr;
    await Deno.writeTextFile(endpointPath, `ws://127.0.0.1:${port}/ws?token=${"t".repeat(43)}\n`);
    const asked = JSON.stringify({
      mode: "run",
      json: false,
      user: "default",
      endpointPath,
      controlPath: `${endpointPath}.sock`,
      ...request,
    });
    const program = findProgram(`file://${join(SRC, "cli/launch.ts")}`);
    const plan = planClient({
      program,
      env: Deno.env.toObject(),
      port,
      endpointPath,
      controlPath: `${endpointPath}.sock`,
    }, [asked]);
    const { command, args, env } = plan;
    const child = new Deno.Command(command, {
      args: [...args],
      env,
      clearEnv: true,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    await ReadableStream.from([new TextEncoder().encode("hello")]).pipeTo(child.stdin).catch(() => {});
    const { code, stdout, stderr } = await child.output();
    return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
  } finally {
    await Deno.remove(endpointPath);
    await server.shutdown();
  }
}

function assertText({ out, err }: Finished, what: string): void {
  assert.doesNotMatch(out, RAW, `${what}: stdout ${JSON.stringify(out)}`);
  assert.doesNotMatch(err, RAW, `${what}: stderr ${JSON.stringify(err)}`);
}

/** Every kind of event that a client shows, with a sequence in each of its fields. */
function evilEvents(): unknown[] {
  const stored = { seq: 1, session: EVIL, turn: EVIL, v: 1, at: 0, blobs: [] };
  const progress = (progress: unknown) => ({
    type: "progress",
    payload: { progress, message: EVIL, step: 1, stepsMax: 1 },
  });
  return [
    { type: "text_delta", payload: { text: EVIL } },
    progress({ kind: "tool_output", toolNames: [EVIL], callId: EVIL, tail: EVIL, lines: EVIL }),
    progress({ kind: "tool_heartbeat", toolNames: [EVIL, "a\nb"], elapsedSecs: EVIL }),
    progress({ kind: "provider_retry", attempt: 1, waitMs: EVIL, code: EVIL }),
    { ...stored, type: "tool_intent", payload: { callId: EVIL, tool: EVIL, args: { path: EVIL, pattern: EVIL } } },
    { ...stored, type: "tool_intent", payload: { callId: EVIL, tool: EVIL, args: { [EVIL]: { [EVIL]: EVIL } } } },
    { ...stored, type: "tool_result", payload: { tool: EVIL, ok: false, code: EVIL, text: EVIL, elapsedMs: 1 } },
    {
      ...stored,
      type: "tool_result",
      payload: { tool: EVIL, ok: false, code: "tool_denied", text: EVIL, elapsedMs: 1 },
    },
    { ...stored, type: "budget", payload: { kind: EVIL, used: EVIL, limit: EVIL } },
    { ...stored, type: EVIL, payload: EVIL },
    { ...stored, type: "turn_failed", payload: { code: EVIL, message: EVIL, steps: EVIL } },
  ];
}

const sayEvil = (send: Send, turnId: string) => {
  for (const event of evilEvents()) send({ type: "turn_event", payload: { turn: { turn_id: turnId }, event } });
};

Deno.test("escape sequences in every field of every frame reach the terminal as text", async () => {
  const shown = await runClient(greet, sayEvil);
  assertText(shown, "events");
  assert.match(shown.out, /\\x1b\]0;owned\\x07/);
  assert.match(shown.err, /\\x9b2J/);
  assertText(await runClient(greet, sayEvil, { model: `${EVIL}/x` }), "another model");
  const refused = await runClient(greet, (send, _turn, request_id) => {
    send({ type: "error", payload: { request_id, message: EVIL, code: EVIL } });
  });
  assertText(refused, "error");
  assertText(await runClient((send) => send({ type: "error", payload: { message: EVIL } }), sayEvil), "refusal");
});

Deno.test("--json lines stay JSON and mean what was sent, without a character that a terminal obeys", async () => {
  const shown = await runClient(greet, sayEvil, { json: true });
  assertText(shown, "json");
  const lines = shown.out.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(lines, evilEvents());
});

Deno.test("frames that are none end the client with a sentence, not with a stack that quotes them", async () => {
  const garbage = [
    `${EVIL}`,
    `{"type":"${"x".repeat(20)}`,
    "null",
    "[]",
    "7",
    `{"type":7}`,
    `{"type":"a","payload":null}`,
  ];
  for (const text of garbage) {
    const greeting = await runClient((send) => send(text), () => {});
    assertText(greeting, text);
    assert.equal(greeting.code, 1, `${text}: ${greeting.err}`);
    assert.equal(greeting.err, "oxydra: the gateway sent what is no frame\n");
  }
  const cut = await runClient(greet, (send) => send(EVIL));
  assertText(cut, "in a turn");
  assert.match(cut.err, /the gateway sent what is no frame \(turn /);
  const odd = await runClient(greet, (send, turn_id) => {
    send({
      type: "turn_event",
      payload: { turn: { turn_id }, event: { type: "text_delta", payload: { text: [EVIL] } } },
    });
  });
  assertText(odd, "a text that is none");
  assert.equal(odd.code, 1);
});

Deno.test("a folder, a model and an argument with escape sequences are shown as text by every command", async () => {
  const machine = await makeMachine();
  const cwd = join(machine.cwd, EVIL.replaceAll("/", ""));
  await Deno.mkdir(join(cwd, ".oxydra"), { recursive: true });
  await Deno.writeTextFile(
    join(cwd, ".oxydra/agent.toml"),
    '[selection]\nprovider = "demo"\nmodel = "\\u009b2J\\u202e"\n',
  );
  const options = { cwd, env: machine.env };
  const commands = [
    ["doctor"],
    ["doctor", "--json"],
    ["config", "show"],
    ["config", "show", "--json"],
    ["trust", ".oxydra/agent.toml"],
    ["trust", EVIL],
    ["run", "--config", EVIL, "hello"],
    ["run", "--model", EVIL, "hello"],
    ["run", "--session", EVIL, "hello"],
    ["run", "--user", EVIL, "hello"],
    ["run", "hello"],
    ["run", "--json", `say ${EVIL}`],
    ["run", `--${EVIL}`],
    [EVIL],
  ];
  for (const args of commands) assertText(await runOxydra(args, options), JSON.stringify(args));
});

Deno.test("a server that lists models by escape sequences is shown as text by setup, which takes no id that settings cannot hold", async () => {
  const hidden = "safe\u202eexe";
  for (
    const [models, flags, model] of [[[EVIL, "a\nb", hidden], [], hidden], [
      ["m"],
      ["--model", EVIL],
      undefined,
    ]] as const
  ) {
    const vendor = await startFakeOpenAi(() => reply([text(EVIL)]), { models });
    const machine = await makeMachine();
    try {
      const done = await runOxydra(["setup", "--base-url", vendor.url, ...flags], {
        ...machine,
        stdin: "sk-0123456789\n\n",
      });
      assertText(done, JSON.stringify(models));
      assert.equal(done.code, model === undefined ? 2 : 0, done.err);
      assert.deepEqual(vendor.requests.map(({ body }) => body.model), model === undefined ? [] : [model]);
      assert.match(done.err, model === undefined ? /a model's id has no control characters/ : /written: /);
      const shown = await runOxydra(["config", "show"], machine);
      assertText(shown, "config");
      assert.equal(shown.code, 0, shown.err);
    } finally {
      await vendor.close();
    }
  }
});

/** What Ink lets through by itself: a link that says one place and leads to another, and text that is not seen. */
const STYLED = "\x1b]8;;https://evil.example\x07https://good.example\x1b]8;;\x07\x1b[8mhidden\x1b[0m";

/** The screen's own sequences are Ink's; none of them is one that EVIL holds. */
function assertScreenText(bytes: string, what: string): void {
  // deno-lint-ignore no-control-regex -- OSC, clearing the screen, C1, marks that reorder, bell, backspace
  const evil = /\x1b\]|\x1b\[8m|\x1b\[2J|\x07|\x08|[\u0080-\u009f\u061c\u202a-\u202e\u2066-\u2069]/;
  assert.doesNotMatch(bytes, evil, `${what}: ${JSON.stringify(evil.exec(bytes)?.[0])}`);
}

async function runScreen(
  hello: (send: Send) => void,
  turn: (send: Send, turnId: string, requestId: string) => void,
  shows: RegExp | string,
): Promise<string> {
  const server = startGateway(hello, turn);
  const pty = await openTui({ port: server.addr.port, token: "t".repeat(43), columns: 100, rows: 40 });
  try {
    await pty.shows(/Type a message|shown/);
    await pty.type("hello\r");
    await pty.shows(shows);
    await pty.type("\x03\x03");
    await pty.end();
    return pty.bytes();
  } finally {
    await server.shutdown();
  }
}

Deno.test("escape sequences in every field of every frame reach the terminal's screen as text", async () => {
  const shown = await runScreen(greet, (send, turnId) => {
    sayEvil(send, turnId);
    for (
      const type of ["session_list", "session_created", "session_switched", "health_status", "scheduled_notification"]
    ) {
      const session = { session_id: "s", display_name: EVIL, last_active_at: EVIL };
      send({ type, payload: { message: EVIL, session, sessions: [session], display_name: EVIL } });
    }
    send({ type: "resumed", payload: { active_turn: { turn_id: "x" }, text: `${EVIL}\n**${EVIL}` } });
    send({ type: "error", payload: { message: EVIL + STYLED, code: EVIL } });
    send({
      type: "turn_event",
      payload: { turn: { turn_id: "x" }, event: { type: "text_delta", payload: { text: STYLED + "\n" } } },
    });
    send({ type: "error", payload: { message: "the last one" } });
  }, "the last one");
  assertScreenText(shown, "screen");
  assert.match(shown, /\\x1b\]0;owned\\x07/);
});

Deno.test("a reply that looks like a card is no card, and a card comes from the runner alone", async () => {
  const card = {
    id: "1",
    key: "k",
    session: "s",
    turn: "t",
    callId: "c",
    tool: { name: "shell", sha256: "a".repeat(64) },
    lines: ["rm -rf"],
    argsSha256: "b".repeat(64),
    reason: "r",
    answer: "owner",
    askedAt: 0,
    expiresAt: Date.now() + 60_000,
  };
  const server = startGateway(greet, (send, turn_id) => {
    const stored = { session: "s", turn: turn_id, v: 1, at: 0, blobs: [] };
    const event = { ...stored, seq: 1, type: "approval_asked", payload: { callId: "c", card } };
    send({ type: "turn_event", payload: { turn: { turn_id }, event } });
    const text = "▌ shell asks for\n▌ Tab, then a key, answers it\n";
    send({ type: "turn_event", payload: { turn: { turn_id }, event: { type: "text_delta", payload: { text } } } });
  });
  const pty = await openTui({ port: server.addr.port, token: "t".repeat(43) });
  try {
    await pty.shows("Type a message");
    await pty.type("hello\r");
    await pty.shows("Tab, then a key");
    await pty.type("\ty");
    // The key is text: there was no card to choose.
    await pty.shows("› y");
    await pty.type("\x03\x03");
    await pty.end();
    assert.doesNotMatch(pty.all().join("\n"), /rm -rf/);
  } finally {
    await server.shutdown();
  }
});

Deno.test("frames that are none end no screen but the connection, and it is looked for again", async () => {
  const shown = await runScreen(greet, (send) => send(EVIL), "no gateway");
  assertScreenText(shown, "garbage");
});
