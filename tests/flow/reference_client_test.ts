/**
 * A client of the reference against a real gateway: it knows a URL, sends what crates/tui sends in the order in which that sends it, reads
 * with the reference's decoder, and keeps the state that its TuiChannelAdapter keeps (apply_gateway_frame).
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { reply, text, toolCall, waitFor } from "../fake/openai_reply.ts";
import { toolResults } from "../fake/openai_scripts.ts";
import { startFakeOpenAi } from "../fake/openai_server.ts";
import { decodeAsReference } from "../fixture/reference_decoder.ts";
import { makeMachine, startGateway, vendorEnv } from "../fixture/system.ts";

/** What the reference's terminal keeps of its session. */
class Tui {
  sessionId: string | undefined;
  activeTurn: string | undefined;
  rendered = "";
  lastError: string | undefined;
  readonly types: string[] = [];
  #socket: WebSocket | undefined;
  #wake = () => {};
  #read = 0;
  #refused: unknown;

  /** As `try_reconnect`: connect, say hello, wait for the first frame, which is hello_ack or an error. */
  async connect(url: string): Promise<void> {
    const socket = new WebSocket(url);
    this.#socket = socket;
    const from = this.types.length;
    socket.onmessage = ({ data }) => {
      try {
        this.#apply(decodeAsReference(data));
      } catch (error) {
        this.#refused ??= `${error}: ${data}`;
      }
      this.#wake();
    };
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = reject;
    });
    this.#send("hello", {
      request_id: crypto.randomUUID(),
      protocol_version: 2,
      user_id: "default",
      ...(this.sessionId === undefined ? {} : { session_id: this.sessionId }),
      create_new_session: this.sessionId === undefined,
    });
    await this.until("hello_ack");
    assert.equal(this.types[from], "hello_ack", "the reference's handshake takes the first frame for the answer");
  }

  drop(): Promise<void> {
    const socket = this.#socket!;
    socket.close();
    return new Promise((resolve) => socket.onclose = () => resolve());
  }

  prompt(text: string): void {
    const turn = { request_id: crypto.randomUUID(), session_id: this.sessionId, turn_id: crypto.randomUUID() };
    this.#send("send_turn", { ...turn, prompt: text });
  }

  /** As `cancel_active_turn`: an empty id before it has seen the turn start. */
  cancel(): void {
    const session_id = this.sessionId;
    this.#send("cancel_active_turn", { request_id: "c", session_id, turn_id: this.activeTurn ?? "" });
  }

  ask(type: string, payload: Record<string, unknown> = {}): void {
    this.#send(type, { request_id: crypto.randomUUID(), ...payload });
  }

  // deno-lint-ignore no-explicit-any -- a frame to look into
  readonly payloads: any[] = [];

  /** The next frame of this type that was not read yet. */
  // deno-lint-ignore no-explicit-any -- a frame to look into
  async until(type: string): Promise<any> {
    for (;;) {
      assert.equal(this.#refused, undefined);
      while (this.#read < this.types.length) {
        if (this.types[this.#read++] === type) return this.payloads[this.#read - 1];
      }
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  #send(type: string, payload: Record<string, unknown>): void {
    this.#socket!.send(JSON.stringify({ type, payload }));
  }

  // deno-lint-ignore no-explicit-any -- see payloads
  #apply({ type, payload }: { type: string; payload: any }): void {
    this.types.push(type);
    this.payloads.push(payload);
    if (payload.session !== undefined) this.sessionId = payload.session.session_id;
    const turn = payload.active_turn ?? payload.turn;
    if (type !== "session_list" && type !== "media_attachment") {
      this.activeTurn = turn?.state === "running" ? turn.turn_id : undefined;
    }
    if (type === "turn_started" || type === "session_switched") this.rendered = "";
    if (type === "assistant_delta") this.rendered += payload.delta;
    if (type === "turn_completed" && this.rendered === "") this.rendered = payload.response.message.content;
    this.lastError = type === "error" ? payload.message : undefined;
  }
}

Deno.test("a client of the reference connects by its URL and finds everything as it knows it", async () => {
  const release = Promise.withResolvers<void>();
  const vendor = await startFakeOpenAi((body) => {
    const asked = JSON.stringify(body.messages.at(-1)?.content ?? "");
    if (toolResults(body).length > 0) return reply([text("The folder is empty.")]);
    if (asked.includes("wait")) return reply([text("So far"), waitFor(release.promise), text(" and on")]);
    if (asked.includes("list")) return reply([toolCall("file_list", { path: "/shared" })]);
    return reply([text("Good day.")]);
  });
  const machine = await makeMachine();
  const gateway = await startGateway({ cwd: machine.cwd, env: { ...machine.env, ...vendorEnv(vendor.url) } });
  const url = (await Deno.readTextFile(join(gateway.workspace, "ipc/gateway-endpoint"))).trim();
  const tui = new Tui();
  try {
    await tui.connect(url);
    const first = tui.sessionId!;
    assert.match(first, /^[0-9a-f]{8}-/, "it asked for a new one");
    tui.prompt("hello");
    const started = await tui.until("turn_started");
    const done = await tui.until("turn_completed");
    assert.deepEqual([done.turn.turn_id, done.turn.state], [started.turn.turn_id, "completed"]);
    assert.deepEqual([tui.rendered, tui.activeTurn], ["Good day.", undefined]);
    assert.ok(tui.types.indexOf("turn_started") < tui.types.indexOf("assistant_delta"));
    tui.prompt("list the folder");
    await tui.until("turn_progress");
    await tui.until("turn_completed");
    assert.equal(tui.rendered, "The folder is empty.");

    tui.ask("health_check");
    const health = await tui.until("health_status");
    assert.deepEqual([health.healthy, health.session.session_id, health.active_turn], [true, first, undefined]);
    tui.ask("create_session", { display_name: "second" });
    const created = await tui.until("session_created");
    assert.deepEqual([created.display_name, created.agent_name], ["second", "default"]);
    assert.notEqual(tui.sessionId, first);
    tui.ask("list_sessions", { include_archived: false, include_subagent_sessions: false });
    const { sessions } = await tui.until("session_list");
    assert.equal(sessions[0].session_id, created.session.session_id, "the last active first");
    assert.ok(sessions.some((row: { session_id: string }) => row.session_id === first));
    const second = tui.sessionId!;
    const unique = [...first].findIndex((char, at) => char !== second[at]) + 1;
    tui.ask("switch_session", { session_id: first.slice(0, unique) });
    assert.equal((await tui.until("session_switched")).session.session_id, first);
    tui.ask("switch_session", { session_id: "nothing-like-it" });
    await tui.until("error");
    assert.equal(tui.sessionId, first);

    // Ctrl-C before and after the turn is known to have started.
    tui.prompt("wait for it");
    tui.cancel();
    await tui.until("turn_cancelled");
    tui.prompt("wait for it");
    await tui.until("assistant_delta");
    assert.notEqual(tui.activeTurn, undefined);
    await tui.drop();

    // The connection was lost in mid-turn: it says hello with its session, and is told of the turn that runs.
    await tui.connect(url);
    assert.deepEqual([tui.sessionId, tui.activeTurn !== undefined], [first, true]);
    tui.cancel();
    const cancelled = await tui.until("turn_cancelled");
    assert.equal(cancelled.turn.state, "cancelled");
    tui.cancel();
    await tui.until("error");
    await tui.drop();

    // What ended while it was away it is told after hello.
    await tui.connect(url);
    assert.equal((await tui.until("turn_cancelled")).turn.turn_id, cancelled.turn.turn_id);
    tui.ask("cancel_all_active_turns");
    await tui.until("error");
    await tui.drop();
  } finally {
    release.resolve();
    await gateway.stop();
    await vendor.close();
  }
});
