import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { StoredEvent } from "#/core/event.ts";
import { Hub, type Outlet, type Subscriber } from "#/gateway/hub.ts";
import type { InboundTurn } from "#/gateway/running_turn.ts";
import { Turns } from "#/gateway/turns.ts";
import type { TurnSource } from "#/gateway/turn_source.ts";
import {
  delta,
  echoSource,
  NEVER_PARKS,
  refusingSource,
  ScriptedSource,
  stored,
  turnDone,
  userMessage,
} from "./scripted_source.ts";
import type { Frame } from "./house.ts";

class Recorder implements Outlet {
  readonly bufferedAmount = 0;
  readonly readyState: number = WebSocket.OPEN;
  readonly frames: Frame[] = [];
  #news = Promise.withResolvers<void>();

  send(text: string): void {
    this.frames.push(JSON.parse(text));
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }

  /** Resolves when a frame of this type has come. */
  async until(type: Frame["type"]): Promise<void> {
    while (!this.frames.some((frame) => frame.type === type)) await this.#news.promise;
  }

  close(): void {}

  /** Types so far, and forgets them. */
  types(): string[] {
    return this.frames.splice(0).map((frame) => frame.type);
  }
}

/** A log without blobs. */
const noBlob = () => Promise.resolve(undefined);

function open(
  source: TurnSource,
  recorded: Record<string, readonly StoredEvent[]> = {},
  blob: (sha256: string) => Promise<Uint8Array | undefined> = noBlob,
) {
  const hub = new Hub();
  const reports: { error: unknown; id: string }[] = [];
  const turns = new Turns({
    source,
    log: { turn: (_session, turn) => Promise.resolve(recorded[turn] ?? []), blob },
    hub,
    user: "ann",
    report: (error, id) => reports.push({ error, id }),
  });
  const watch = (session = "s", turnEvents = false): Subscriber & { outlet: Recorder } => {
    const subscriber = { knows: { turnEvents, approvals: turnEvents, media: false }, outlet: new Recorder() };
    hub.attach(session, subscriber);
    return subscriber;
  };
  return { turns, watch, hub, reports };
}

function message(turn = "t", more: Partial<InboundTurn> = {}): InboundTurn {
  return { session: "s", turn, text: "hi", channel: "tui", requestId: `r-${turn}`, attachments: [], ...more };
}

Deno.test("start() publishes to everyone who watches, in the sender's name, and pulls only after publishing", async () => {
  const source = new ScriptedSource();
  const { turns, watch } = open(source);
  const [sender, other, elsewhere] = [watch(), watch(), watch("x")];
  await turns.start(sender, message());
  const turn = await source.next();
  assert.deepEqual(turns.active("s"), { turn_id: "t", state: "running" });
  assert.equal(turn.pulls, 1);
  await turn.emit(userMessage());
  assert.deepEqual(other.outlet.types(), ["turn_started"]);
  assert.equal(turn.pulls, 2);
  await turn.emit(delta("a"));
  assert.equal(turn.pulls, 3, "one event, one pull");
  await turn.emit(turnDone("a"));
  assert.equal(turns.active("s"), undefined, "free before the source has ended");
  await turn.end();
  assert.deepEqual(other.outlet.frames.map((frame) => [frame.type, frame.payload.request_id]), [
    ["assistant_delta", "r-t"],
    ["turn_completed", "r-t"],
  ]);
  assert.deepEqual(sender.outlet.types(), ["turn_started", "assistant_delta", "turn_completed"]);
  assert.deepEqual(elsewhere.outlet.types(), []);
  await turns.stop();
});

Deno.test("start() sends what the model made, from the log, before what follows; a blob that is lost takes nothing else with it", async () => {
  const source = new ScriptedSource();
  const blobs: Record<string, Uint8Array> = { aa: new Uint8Array([1, 2, 3]), cc: new Uint8Array([4]) };
  const { turns, watch, reports } = open(source, {}, (sha256) => Promise.resolve(blobs[sha256]));
  const [sender, other] = [watch(), watch()];
  await turns.start(sender, message());
  const turn = await source.next();
  await turn.emit(userMessage());
  const media = ["aa", "bb", "cc"].map((sha256) => ({ sha256, bytes: 3, mimeType: "image/png" }));
  const said = { step: 1, text: "", toolCalls: [], finishReason: "stop", usage: {} };
  await turn.emit(stored("model_result", { ...said, media }));
  await turn.finish(turnDone(""));
  for (const { outlet } of [sender, other]) {
    const frames = outlet.frames.filter((frame) => frame.type === "media_attachment");
    assert.deepEqual(frames.map(({ payload }) => [payload.request_id, payload.attachment.data]), [
      ["r-t", "AQID"],
      ["r-t", "BA=="],
    ]);
    assert.deepEqual(outlet.types(), ["turn_started", "media_attachment", "media_attachment", "turn_completed"]);
  }
  assert.match(String(reports[0]!.error), /blob bb of turn t is not in the log/);
  assert.equal(reports.length, 1);
});

Deno.test("start() goes on when every client has left", async () => {
  const source = new ScriptedSource();
  const { turns, watch, hub } = open(source);
  const sender = watch();
  await turns.start(sender, message());
  const turn = await source.next();
  await turn.emit(userMessage());
  hub.detach(sender);
  await turn.emit(delta("a"));
  assert.equal(turn.signal.aborted, false);
  const late = watch();
  assert.deepEqual(turns.active("s"), { turn_id: "t", state: "running" });
  await turn.finish(turnDone("a"));
  assert.deepEqual(late.outlet.types(), ["turn_completed"]);
});

Deno.test("start() never runs a turn twice: a retry joins the one that runs, under its own request id", async () => {
  const source = new ScriptedSource();
  const { turns, watch } = open(source);
  const first = watch();
  await Promise.all([turns.start(first, message()), turns.start(first, message())]);
  const turn = await source.next();
  await turn.emit(userMessage());
  const second = watch();
  await turns.start(second, message("t", { requestId: "again" }));
  assert.equal(second.outlet.frames[0]?.type, "turn_started");
  assert.equal(second.outlet.frames[0]?.payload.request_id, "again");
  await turn.finish(turnDone("a"));
  assert.equal(second.outlet.frames.at(-1)?.payload.request_id, "again");
  assert.equal(source.turns.length, 1);
});

Deno.test("start() refuses the id of a running turn for another message, to that sender alone", async () => {
  const source = new ScriptedSource();
  const { turns, watch } = open(source);
  const [first, second] = [watch("s", true), watch("s", true)];
  await turns.start(first, message());
  const turn = await source.next();
  const media = [{ mimeType: "a/b", data: "QUI=" }];
  for (const other of [{ text: "other" }, { attachments: media }]) {
    await turns.start(second, message("t", { ...other, requestId: "x" }));
    const frame = second.outlet.frames.pop();
    assert.equal(frame?.type, "error");
    assert.equal(frame?.payload.code, "turn_conflict");
    assert.equal(frame?.payload.request_id, "x");
  }
  assert.deepEqual(first.outlet.types(), []);
  await turn.finish(turnDone("a"));
});

Deno.test("start() tells a finished turn again to its sender alone, and keeps the outcome of the last real one", async () => {
  const source: TurnSource = {
    ...NEVER_PARKS,
    async *send() {
      await Promise.resolve();
      yield userMessage();
      yield turnDone("recorded");
    },
  };
  const { turns, watch } = open(source, { old: [userMessage()] });
  const [sender, other] = [watch(), watch()];
  await turns.start(sender, message("new"));
  await turns.stop();
  assert.deepEqual(other.outlet.types(), ["turn_started", "turn_completed"]);
  const again = open(source, { old: [userMessage()] });
  const [asker, watcher] = [again.watch(), again.watch()];
  await again.turns.start(asker, message("old"));
  assert.equal(again.turns.active("s"), undefined, "nothing runs");
  await again.turns.stop();
  assert.deepEqual(asker.outlet.types(), ["turn_started", "turn_completed"]);
  assert.deepEqual(watcher.outlet.types(), []);
  assert.deepEqual(again.turns.outcome("s"), []);
});

Deno.test("start() tells the rest of a finished turn to who asked last: the first may have lost its connection", async () => {
  const source = new ScriptedSource();
  const { turns, watch } = open(source, { old: [userMessage()] });
  const [lost, back] = [watch(), watch()];
  await turns.start(lost, message("old"));
  const turn = await source.next();
  await turn.emit(userMessage());
  await turns.start(back, message("old"));
  await turn.finish(turnDone("recorded"));
  assert.deepEqual(back.outlet.types(), ["turn_started", "turn_completed"]);
  assert.deepEqual(lost.outlet.types(), ["turn_started"]);
});

Deno.test("start() resolves when the session has been asked, however long the log takes", async () => {
  const source = new ScriptedSource();
  const log = Promise.withResolvers<readonly StoredEvent[]>();
  const hub = new Hub();
  const turns = new Turns({
    source,
    log: { turn: () => log.promise, blob: noBlob },
    hub,
    user: "ann",
    report: () => {},
  });
  const sender = { knows: { turnEvents: false, approvals: false, media: false }, outlet: new Recorder() };
  let resolved = false;
  const start = turns.start(sender, message()).then(() => resolved = true);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.equal(resolved, false);
  log.resolve([]);
  await start;
  assert.equal(source.turns[0]?.pulls, 1);
  await source.turns[0]!.finish(turnDone(""));
});

Deno.test("outcome() is the last end while nothing runs, for at most outcomesKeptMax sessions", async () => {
  const { turns, watch } = open(echoSource());
  for (let at = 0; at <= LIMITS.outcomesKeptMax; at++) {
    const client = watch(`s${at}`);
    await turns.start(client, message("t", { session: `s${at}` }));
    await client.outlet.until("turn_completed");
  }
  assert.deepEqual(turns.outcome("s0"), [], "the oldest went");
  const [kept] = turns.outcome(`s${LIMITS.outcomesKeptMax}`);
  assert.equal(kept?.frame.type, "turn_completed");
  const source = new ScriptedSource();
  const second = open(source);
  const client = second.watch();
  await second.turns.start(client, message("a"));
  await (await source.next()).finish(turnDone("a"));
  assert.equal(second.turns.outcome("s").length, 1);
  await second.turns.start(client, message("b"));
  const turn = await source.next();
  await turn.emit(userMessage());
  assert.deepEqual(second.turns.outcome("s"), []);
  await turn.finish(turnDone("b"));
});

Deno.test("cancel() takes an id, or the running one for an empty id; cancelAll() takes them all", async () => {
  const source = new ScriptedSource();
  const { turns, watch } = open(source);
  const client = watch();
  assert.equal(turns.cancel("s", ""), false);
  assert.equal(turns.cancelAll(), 0);
  await turns.start(client, message("a"));
  await turns.start(client, message("b"));
  await turns.start(client, message("c", { session: "x" }));
  const [a, b, c] = [await source.next(), await source.next(), await source.next()];
  assert.equal(turns.cancel("s", "nope"), false);
  assert.equal(turns.cancel("x", "a"), false, "an id of another session");
  await b.emit(userMessage());
  assert.equal(turns.active("s")?.turn_id, "b", "the one that has started");
  assert.equal(turns.cancel("s", ""), true);
  assert.deepEqual([a, b, c].map((turn) => turn.signal.aborted), [false, true, false]);
  assert.equal(turns.cancel("s", "a"), true);
  assert.equal(turns.cancelAll(), 3);
  assert.equal(c.signal.aborted, true);
  for (const turn of [a, b, c]) await turn.finish(stored("turn_cancelled", { reason: "asked", steps: 0 }));
  await turns.stop();
  assert.deepEqual(client.outlet.types(), ["turn_started", "turn_cancelled", "turn_cancelled"], "a never started");
});

Deno.test("a refusal before the first event goes to the sender alone and names no turn", async () => {
  const { turns, watch, reports } = open(refusingSource(new AppError("queue_full", "32 messages are waiting")));
  const [sender, other] = [watch("s", true), watch("s", true)];
  await turns.start(sender, message());
  await turns.stop();
  assert.deepEqual(sender.outlet.frames.map((frame) => frame.payload), [{
    request_id: "r-t",
    session: { user_id: "ann", session_id: "s" },
    message: "32 messages are waiting",
    code: "queue_full",
  }]);
  assert.deepEqual(other.outlet.types(), []);
  assert.deepEqual(reports, []);
  assert.equal(turns.active("s"), undefined);
});

Deno.test("what breaks in mid-turn ends it for everyone as failed; a programmer error says nothing but an id", async () => {
  const source = new ScriptedSource();
  const { turns, watch, reports } = open(source);
  const [sender, other] = [watch(), watch()];
  for (const error of [new TypeError("secret detail"), new AppError("store_failed", "the disk is full")]) {
    await turns.start(sender, message());
    const turn = await source.next();
    await turn.emit(userMessage());
    await turn.fail(error);
    await turns.start(sender, message("next"));
    await (await source.next()).finish(turnDone(""));
    const frame = other.outlet.frames.find((frame) => frame.type === "error")!;
    assert.deepEqual(frame.payload.turn, { turn_id: "t", state: "failed" });
    if (error instanceof AppError) {
      assert.equal(frame.payload.message, "the disk is full");
    } else {
      assert.equal(frame.payload.message, `internal error (${reports[0]!.id})`);
      assert.equal(reports[0]!.error, error);
    }
    other.outlet.frames.length = 0;
  }
  assert.equal(reports.length, 1);
});

Deno.test("a source that ends without an end is a failed turn, not a turn that hangs", async () => {
  const source = new ScriptedSource();
  const { turns, watch, reports } = open(source);
  const sender = watch();
  await turns.start(sender, message());
  const turn = await source.next();
  await turn.emit(userMessage());
  await turn.end();
  await turns.stop();
  assert.deepEqual(sender.outlet.types(), ["turn_started", "error"]);
  assert.match(String(reports[0]?.error), /ended without a result/);
});

Deno.test("what breaks after the end is reported and seen by nobody", async () => {
  const source = new ScriptedSource();
  const { turns, watch, reports } = open(source);
  const sender = watch();
  await turns.start(sender, message());
  const turn = await source.next();
  await turn.emit(userMessage());
  await turn.emit(turnDone("a"));
  await turn.fail(new TypeError("late"));
  await turns.stop();
  assert.deepEqual(sender.outlet.types(), ["turn_started", "turn_completed"]);
  assert.equal(reports.length, 1);
});

Deno.test("a log that cannot be read refuses the message and leaves nothing behind", async () => {
  const hub = new Hub();
  const turns = new Turns({
    source: echoSource(),
    log: { turn: () => Promise.reject(new AppError("store_failed", "the log cannot be read")), blob: noBlob },
    hub,
    user: "ann",
    report: () => {},
  });
  const sender = { knows: { turnEvents: false, approvals: false, media: false }, outlet: new Recorder() };
  hub.attach("s", sender);
  await turns.start(sender, message());
  await turns.stop();
  assert.equal(sender.outlet.frames[0]?.payload.message, "the log cannot be read");
  assert.equal(turns.active("s"), undefined);
});

Deno.test("stop() suspends: nothing is cancelled or told as ended, and who waits in the queue is refused", async () => {
  const source = new ScriptedSource();
  const { turns, watch } = open(source);
  const client = watch("s", true);
  await turns.start(client, message());
  const turn = await source.next();
  await turn.emit(userMessage());
  await turns.start(client, message("queued"));
  await turns.stop();
  assert.deepEqual([turn.signal.aborted, source.suspended], [false, 2]);
  const [last] = client.outlet.frames.slice(-1);
  assert.deepEqual([last?.type, last?.payload.code, last?.payload.turn], ["error", "turn_suspended", undefined]);
  assert.equal(client.outlet.frames.filter((frame) => frame.type === "turn_cancelled").length, 0);
  assert.deepEqual([turns.active("s"), turns.outcome("s")], [undefined, []]);
});

Deno.test("resume() of a turn that was left open tells that it started, and its message again is a retry", async () => {
  const source = new ScriptedSource();
  const asked = userMessage("text");
  const { turns, watch } = open(source, { t: [asked] });
  const client = watch("s", true);
  turns.resume({ session: "s", turn: "t" }, undefined);
  const turn = await source.next();
  await turn.emit(stored("resumed", { attempt: 1 }, 2));
  await client.outlet.until("turn_started");
  await turns.start(client, { ...message("t"), text: "text" });
  // No turn_conflict; what was recorded before comes along.
  assert.deepEqual(client.outlet.frames.slice(-2).map(({ type }) => type), ["turn_started", "turn_event"]);
  await turn.finish(turnDone("done"));
  await client.outlet.until("turn_completed");
  assert.equal(source.turns.length, 1);
});

Deno.test("stop() with cancel cancels, waits for the end, and takes nothing more", async () => {
  const source = new ScriptedSource();
  const { turns, watch } = open(source);
  const client = watch("s", true);
  await turns.start(client, message());
  const turn = await source.next();
  await turn.emit(userMessage());
  const stopped = turns.stop("cancel");
  assert.equal(turn.signal.aborted, true);
  await turns.start(client, message("late"));
  assert.equal(client.outlet.frames.at(-1)?.payload.code, "cancelled");
  await turn.finish(stored("turn_cancelled", { reason: "asked", steps: 0 }));
  await stopped;
  assert.equal(client.outlet.frames.at(-1)?.type, "turn_cancelled");
  assert.equal(source.turns.length, 1);
});

Deno.test("a pair cut between two deltas is shown whole", async () => {
  const { turns, watch } = open(echoSource(() => ["a\ud83d", "\ude00", "b"]));
  const client = watch();
  await turns.start(client, message());
  await client.outlet.until("turn_completed");
  const deltas = client.outlet.frames.filter((frame) => frame.type === "assistant_delta");
  assert.deepEqual(deltas.map((frame) => frame.payload.delta), ["a", "😀", "b"]);
});

const ASKED = stored("approval_asked", {
  callId: "c",
  card: {
    id: "card",
    tool: { name: "file_read" },
    lines: ["fs.read /vault/key"],
    reason: "the vault",
    answer: "owner",
    argsSha256: "ab",
    expiresAt: 1_700_000_900_000,
  },
}, 5);
const PARKED = stored("parked", { callId: "c", reason: "the vault" }, 6);

Deno.test("resume() of a turn that an earlier process parked tells of the card also who came before it was looked at", async () => {
  const source = new ScriptedSource();
  const { turns, watch } = open(source, { t: [userMessage(), ASKED, PARKED] });
  const early = watch("s", true);
  assert.deepEqual(await turns.approvals("s"), [], "nothing is known yet");
  turns.resume({ session: "s", turn: "t" }, undefined);
  const looked = await source.next();
  assert.deepEqual(await turns.approvals("s"), [], "it looks");
  await looked.finish(PARKED);
  await early.outlet.until("approval_request");
  const request = early.outlet.frames.find((frame) => frame.type === "approval_request");
  assert.equal(request?.payload.approval.approval_id, "card");
  assert.deepEqual((await turns.approvals("s")).map(({ frame }) => frame.type), ["approval_request"]);
  early.outlet.types();
  turns.resume({ session: "s", turn: "t" }, undefined);
  await (await source.next()).finish(PARKED);
  await turns.stop();
  assert.deepEqual(early.outlet.types(), [], "told once");
});

Deno.test("a new message ends what waits, before it is asked for", async () => {
  const source = new ScriptedSource();
  const { turns, watch } = open(source, { t: [userMessage(), ASKED, PARKED] });
  const client = watch("s", true);
  turns.resume({ session: "s", turn: "t" }, undefined);
  await (await source.next()).finish(PARKED);
  await client.outlet.until("approval_request");
  await turns.start(client, message("next"));
  assert.deepEqual(source.ended, ["t: a new message came"]);
  assert.ok(client.outlet.types().includes("turn_cancelled"));
  await (await source.next()).finish(turnDone(""));
  await turns.stop();
});

Deno.test("resume() keeps an answer that comes while the turn is about to wait for it", async () => {
  const source = new ScriptedSource();
  const { turns, watch } = open(source, { t: [] });
  const client = watch("s", true);
  await turns.start(client, message());
  const turn = await source.next();
  await turn.emit(userMessage());
  await turn.emit(ASKED);
  const answer = { id: "card", session: "s", turn: "t", callId: "c", answer: "once", by: "owner" } as const;
  turns.resume({ session: "s", turn: "t" }, answer);
  assert.deepEqual(source.resumed, [], "it runs");
  await turn.finish(PARKED);
  const gone = await source.next();
  assert.deepEqual(source.resumed, [answer]);
  await gone.finish(turnDone("read"));
  await client.outlet.until("turn_completed");
  assert.equal(turns.active("s"), undefined);
  await turns.stop();
});

Deno.test("drain() begins no turn for what was said to one and is not on record: it is said again", async () => {
  const source = new ScriptedSource();
  const { turns, watch } = open(source);
  await turns.start(watch(), message());
  const turn = await source.next();
  await turn.emit(userMessage());
  const said = { id: "m", text: "and", channel: "tui", requestId: "r" };
  const steered = assert.rejects(turns.steer({ session: "s", turn: "t" }, said), { code: "gateway_restarting" });
  const drained = turns.drain();
  await assert.rejects(turns.steer({ session: "other", turn: "" }, said), { code: "gateway_restarting" });
  await turn.finish(turnDone("done"));
  await steered;
  await drained;
  assert.equal(source.turns.length, 1);
});

Deno.test("cancelAll() begins no turn for what was said to one that it cancels", async () => {
  const source = new ScriptedSource();
  const { turns, watch } = open(source);
  await turns.start(watch(), message());
  const turn = await source.next();
  await turn.emit(userMessage());
  const said = { id: "m", text: "and", channel: "tui", requestId: "r" };
  const steered = assert.rejects(turns.steer({ session: "s", turn: "t" }, said), { code: "cancelled" });
  assert.equal(turns.cancelAll(), 1);
  await steered;
  await turn.finish(stored("turn_cancelled", { reason: "asked", steps: 0 }));
  await turns.stop();
  assert.equal(source.turns.length, 1);
});

Deno.test("a turn that another gateway took over is no riddle to those who watch it here", async () => {
  const source = new ScriptedSource();
  const { turns, watch } = open(source);
  const client = watch("s", true);
  await turns.start(client, message());
  const turn = await source.next();
  await turn.emit(userMessage());
  await turn.fail(new AppError("session_taken", "another gateway works on this session"));
  await client.outlet.until("error");
  const { code, turn: which, request_id } = client.outlet.frames.at(-1)!.payload;
  assert.deepEqual([code, which, request_id], ["session_taken", { turn_id: "t", state: "running" }, "r-t"]);
  assert.deepEqual([turns.active("s"), turns.outcome("s")], [undefined, []]);
});

Deno.test("resume() reaches the session also when the log cannot be read for a moment: others wait for that turn there", async () => {
  const source = new ScriptedSource();
  const log = { turn: () => Promise.reject(new AppError("store_failed", "busy")), blob: noBlob };
  const turns = new Turns({ source, log, hub: new Hub(), user: "ann", report: (error) => assert.fail(String(error)) });
  turns.resume({ session: "s", turn: "t" }, undefined);
  await (await source.next()).finish(turnDone("done"));
  await turns.stop();
  assert.deepEqual(source.resumed, [undefined]);
});
