import assert from "node:assert/strict";
import { isStored, isTurnEnd, type SessionEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import type { ModelEvent } from "#/core/provider.ts";
import { openSessions, Sessions } from "#/session/session.ts";
import { toHistory } from "#/turn/history.ts";
import { ManualTime } from "../fake/manual_time.ts";
import { MemoryLog } from "../fake/memory_log.ts";
import { RecordingSandbox } from "../fake/recording_sandbox.ts";
import { calls, says, scriptedProvider } from "../fake/scripted_provider.ts";
import { assertValidHistory } from "../turn/turn_kit.ts";
import { collect, LOGS, never, open, readAll, toMessage, toSendDeps, types } from "./session_kit.ts";

const SCRIPT: readonly ModelEvent[][] = [
  [
    { type: "text", text: "One moment" },
    ...calls(["file_read", { n: 1 }, "r1"], ["file_read", { n: 2 }, "r2"], ["file_write", {}, "w1"]),
  ],
  says("Done"),
];

const toSandbox = () => new RecordingSandbox({ file_read: () => "r".repeat(20_000), file_write: () => "w" });

for (const [name, use] of LOGS) {
  Deno.test(`Sessions.send() records every durable event before its reader sees it (${name})`, () =>
    use(async (log) => {
      const { sessions } = await open(log);
      const provider = scriptedProvider(...SCRIPT);
      const seen: SessionEvent[] = [];
      for await (const event of sessions.send(toMessage("t1"), toSendDeps(provider, toSandbox()), never)) {
        seen.push(event);
        if (isStored(event)) assert.deepEqual((await log.turn("s", "t1")).at(-1), event);
      }
      const stored = seen.filter(isStored);
      assert.deepEqual(types(stored), [
        "user_message",
        "model_request",
        "model_result",
        "tool_intent",
        "tool_intent",
        "tool_decision",
        "tool_result",
        "tool_decision",
        "tool_result",
        "tool_intent",
        "tool_decision",
        "tool_result",
        "model_request",
        "model_result",
        "turn_done",
      ]);
      assert.deepEqual(stored.map((event) => event.seq), stored.map((_, index) => index + 1));
      assert.deepEqual(await readAll(log), stored);
      assert.deepEqual(types(seen.filter((event) => !isStored(event))).slice(0, 2), ["progress", "text_delta"]);
      const result = stored.find((event) => event.type === "tool_result")!;
      assert.equal((await log.blob(result.blobs[0]!.sha256))!.length, 20_000);
      // What the second model call says about its window is what the log holds.
      const request = stored.findLast((event) => event.type === "model_request")!;
      assert.deepEqual([request.payload.window.fromSeq, request.payload.window.toSeq], [1, 12]);
    }));

  Deno.test(`Sessions.send() reads the conversation from the log (${name})`, () =>
    use(async (log) => {
      const provider = scriptedProvider(says("first"), says("second"));
      const { sessions } = await open(log);
      await collect(sessions.send(toMessage("t1", "one"), toSendDeps(provider), never));
      const again = await open(log);
      await collect(again.sessions.send(toMessage("t2", "two"), toSendDeps(provider), never));
      assert.deepEqual(
        provider.requests[1]!.messages.slice(1).map((message) => `${message.role}: ${message.content}`),
        [
          "user: one",
          "assistant: first",
          "user: two",
        ],
      );
    }));

  Deno.test(`Sessions.send() cancelled behind any event leaves an ended turn and a valid history (${name})`, () =>
    use(async (log) => {
      const { sessions, reports } = await open(log);
      const whole = await collect(
        sessions.send(toMessage("all"), toSendDeps(scriptedProvider(...SCRIPT), toSandbox()), never),
      );
      for (let at = 1; at < whole.length; at++) {
        const control = new AbortController();
        const deps = toSendDeps(scriptedProvider(...SCRIPT), toSandbox());
        const events: SessionEvent[] = [];
        for await (const event of sessions.send(toMessage(`c${at}`), deps, control.signal)) {
          events.push(event);
          if (events.length === at) control.abort();
        }
        assert.equal(events.at(-1)!.type, at >= whole.length - 1 ? "turn_done" : "turn_cancelled", `at ${at}`);
        assert.equal(events.filter(isTurnEnd).length, 1);
      }
      assert.deepEqual(await log.openTurns(), []);
      assertValidHistory(toHistory(await readAll(log)).map((entry) => entry.message));
      assert.deepEqual(reports, []);
    }));

  Deno.test(`Sessions.send() left behind any event records the turn as cancelled and frees its lane (${name})`, () =>
    use(async (log) => {
      const { sessions, reports } = await open(log);
      const whole = await collect(
        sessions.send(toMessage("all"), toSendDeps(scriptedProvider(...SCRIPT), toSandbox()), never),
      );
      for (let at = 1; at < whole.length; at++) {
        let seen = 0;
        const sandbox = toSandbox();
        for await (
          const _ of sessions.send(toMessage(`l${at}`), toSendDeps(scriptedProvider(...SCRIPT), sandbox), never)
        ) {
          if (++seen === at) break;
        }
        const recorded = await log.turn("s", `l${at}`);
        assert.equal(recorded.filter(isTurnEnd).length, 1, `left at ${at}`);
        assert.ok(isTurnEnd(recorded.at(-1)!));
        const [starts, ends] = ["start", "end"].map((mark) => sandbox.journal.filter((e) => e.startsWith(mark)).length);
        assert.equal(starts, ends);
      }
      assert.deepEqual(await log.openTurns(), []);
      assertValidHistory(toHistory(await readAll(log)).map((entry) => entry.message));
      assert.deepEqual(reports, []);
    }));

  Deno.test(`Sessions.send() runs 1,000 turns of one session, each with the history before it (${name})`, () =>
    use(async (log) => {
      await log.ensureSession({
        id: "s",
        user: "default",
        agent: "default",
        channel: "x",
        displayName: null,
        parent: null,
      });
      for (let n = 0; n < 999; n++) {
        const payload = { step: 1, text: `answer ${n}`, toolCalls: [], finishReason: "stop", usage: {} };
        await log.append("s", `h${n}`, [
          { type: "user_message", v: 1, payload: { text: `question ${n}`, channel: "x" } },
          { type: "model_result", v: 1, payload },
          {
            type: "turn_done",
            v: 1,
            payload: { text: "", finishReason: "stop", steps: 1, toolCalls: 0, denied: 0, usage: {} },
          },
        ], { durability: "normal" });
      }
      const provider = scriptedProvider(says("ok"));
      const { sessions } = await open(log);
      await collect(sessions.send(toMessage("t1"), toSendDeps(provider), never));
      const { messages } = provider.requests[0]!;
      assert.equal(messages.length, 2_000);
      assert.deepEqual([messages[1]!.content, messages.at(-1)!.content], ["question 0", "text of t1"]);
    }));
}

Deno.test("Sessions.send() keeps what changes something through a power cut, and only that", async () => {
  const log = new MemoryLog();
  const { sessions } = await open(log);
  await collect(sessions.send(toMessage("t1"), toSendDeps(scriptedProvider(...SCRIPT), toSandbox()), never));
  const full = log.appends.filter((append) => append.durability === "full").flatMap((append) => append.types);
  assert.deepEqual(full, ["tool_intent", "tool_decision", "tool_result"]);
});

Deno.test("Sessions.send() yields a turn that was sent before from the log, and runs nothing", async () => {
  const { sessions } = await open(new MemoryLog());
  const provider = scriptedProvider(says("once"));
  const message = { ...toMessage("t1"), requestId: "q1", attachments: [{ mimeType: "image/png", data: "AA==" }] };
  const first = await collect(sessions.send(message, toSendDeps(provider), never));
  const again = await collect(sessions.send({ ...message, requestId: "q2" }, toSendDeps(provider), never));
  assert.deepEqual(again, first.filter(isStored));
  assert.equal(provider.requests.length, 1);
  for (const other of [{ ...message, text: "another" }, toMessage("t1")]) {
    await assert.rejects(collect(sessions.send(other, toSendDeps(provider), never)), { code: "turn_conflict" });
  }
});

Deno.test("Sessions.send() yields a finished turn at once, also while another one runs", async () => {
  const { sessions } = await open(new MemoryLog());
  await collect(sessions.send(toMessage("t1"), toSendDeps(scriptedProvider(says("x"))), never));
  const control = new AbortController();
  const silent = toSendDeps(scriptedProvider([new Promise<ModelEvent>(() => {})]));
  const running = sessions.send(toMessage("t2"), silent, control.signal);
  await running.next();
  assert.equal((await collect(sessions.send(toMessage("t1"), silent, never))).at(-1)!.type, "turn_done");
  control.abort();
  await collect(running);
});

Deno.test("Sessions.send() leaves nothing of a turn behind when its reader stops at the end", async () => {
  const { sessions } = await open(new MemoryLog());
  const budgets = { stepsMax: 8, toolCallsMax: 100, tokensMax: 1_000, timeoutMs: 60_000, wallMs: 60_000 };
  const time = new ManualTime();
  const { now, delay } = time;
  const deps = { ...toSendDeps(scriptedProvider(says("x")), undefined, { budgets }), now, delay };
  for await (const event of sessions.send(toMessage("t1"), deps, never)) {
    if (isTurnEnd(event)) break;
  }
  assert.equal(time.pending, 0);
});

Deno.test("Sessions.send() of a running turn waits for its end and yields it from the log", async () => {
  const { sessions } = await open(new MemoryLog());
  const gate = Promise.withResolvers<ModelEvent>();
  const provider = scriptedProvider([gate.promise]);
  const deps = toSendDeps(provider);
  const first = sessions.send(toMessage("t1"), deps, never);
  await first.next();
  const [again, third] = [1, 2].map(() => collect(sessions.send(toMessage("t1"), deps, never)));
  await assert.rejects(collect(sessions.send(toMessage("t1", "other"), deps, never)), { code: "turn_conflict" });
  gate.resolve({ type: "text", text: "once" });
  const rest = await collect(first);
  assert.deepEqual((await again!).slice(1), rest.filter(isStored));
  assert.deepEqual(await again, await third);
  assert.equal(provider.requests.length, 1);
});

Deno.test("Sessions.send() runs the turns of a session one after the other, and of two sessions together", async () => {
  const { sessions } = await open(new MemoryLog());
  const ids = ["a1", "a2", "b1"];
  const gates = new Map(ids.map((id) => [id, Promise.withResolvers<ModelEvent>()]));
  const begun = new Map(ids.map((id) => [id, Promise.withResolvers<void>()]));
  const started: string[] = [];
  const send = (id: string) => {
    const provider = scriptedProvider(() => {
      started.push(id);
      begun.get(id)!.resolve();
      return [gates.get(id)!.promise];
    });
    return collect(sessions.send(toMessage(id, id, id[0]), toSendDeps(provider), never));
  };
  const turns = ids.map(send);
  const text = { type: "text", text: "x" } as const;
  await Promise.all([begun.get("a1")!.promise, begun.get("b1")!.promise]);
  gates.get("b1")!.resolve(text);
  await turns[2];
  assert.deepEqual(started.toSorted(), ["a1", "b1"]);
  gates.get("a1")!.resolve(text);
  gates.get("a2")!.resolve(text);
  await Promise.all(turns);
  assert.deepEqual(started.toSorted(), ["a1", "a2", "b1"]);
});

Deno.test("Sessions.send() refuses what is over the queue, and forgets what is cancelled in it", async () => {
  const log = new MemoryLog();
  const { sessions } = await open(log, { runningMax: 1, queuedMax: 1 });
  const gate = Promise.withResolvers<ModelEvent>();
  const running = sessions.send(toMessage("t1"), toSendDeps(scriptedProvider([gate.promise])), never);
  await running.next();
  const control = new AbortController();
  const provider = scriptedProvider(says("later"));
  const queued = collect(sessions.send(toMessage("t2"), toSendDeps(provider), control.signal));
  await new Promise((resolve) => setTimeout(resolve, 0));
  await assert.rejects(collect(sessions.send(toMessage("t3"), toSendDeps(provider), never)), { code: "queue_full" });
  control.abort();
  const [end] = await queued;
  assert.ok(end!.type === "turn_cancelled" && end!.seq === 0);
  assert.deepEqual(await log.turn("s", "t2"), []);
  gate.resolve({ type: "done", finishReason: "stop" });
  await collect(running);
  const later = await collect(sessions.send(toMessage("t2"), toSendDeps(provider), never));
  assert.equal(later.at(-1)!.type, "turn_done");
});

Deno.test("Sessions.send() knows nothing of someone else's session", async () => {
  const log = new MemoryLog();
  await log.ensureSession({ id: "s", user: "eve", agent: "default", channel: "x", displayName: null, parent: null });
  const { sessions } = await open(log);
  const send = () => collect(sessions.send(toMessage("t1"), toSendDeps(scriptedProvider(says("x"))), never));
  await assert.rejects(send(), { code: "session_unknown" });
  await assert.rejects(send(), { code: "session_unknown" }, "the lane is free again");
  assert.deepEqual(await readAll(log), []);
});

Deno.test("Sessions.send() takes a text at the limit and refuses one over it", async () => {
  const { sessions } = await open(new MemoryLog());
  const deps = toSendDeps(scriptedProvider(says("long")));
  const text = "x".repeat(LIMITS.promptCharsMax);
  assert.equal((await collect(sessions.send(toMessage("t1", text), deps, never))).at(-1)!.type, "turn_done");
  await assert.rejects(collect(sessions.send(toMessage("t2", `${text}x`), deps, never)), { code: "usage" });
});

Deno.test("Sessions.send() tells a programmer error as internal, with an id, and goes on with the next turn", async () => {
  const { sessions, reports } = await open(new MemoryLog());
  const sandbox = new RecordingSandbox({
    file_read: () => {
      throw new TypeError("secret detail");
    },
  });
  const provider = scriptedProvider(calls(["file_read", {}]), says("fine"));
  const events = await collect(sessions.send(toMessage("t1"), toSendDeps(provider, sandbox), never));
  const end = events.at(-1)!;
  assert.ok(end.type === "turn_failed" && end.payload.code === "internal" && end.seq > 0);
  assert.match(end.payload.message, /^internal error \([0-9a-f-]{36}\)$/);
  assert.equal(end.payload.steps, 1);
  assert.ok(reports[0] instanceof TypeError);
  const next = await collect(sessions.send(toMessage("t2"), toSendDeps(provider, sandbox), never));
  assert.equal(next.at(-1)!.type, "turn_done");
});

Deno.test("Sessions.stop() with cancel cancels what runs and what waits, and takes nothing more", async () => {
  const log = new MemoryLog();
  const { sessions } = await open(log);
  const silent = toSendDeps(scriptedProvider([new Promise<ModelEvent>(() => {})]));
  const running = sessions.send(toMessage("t1"), silent, never);
  for (let i = 0; i < 3; i++) await running.next();
  const reading = collect(running);
  const queued = collect(sessions.send(toMessage("t2"), silent, never));
  await new Promise((resolve) => setTimeout(resolve, 0));
  await sessions.stop("cancel", "the program stops");
  const end = (await reading).at(-1)!;
  assert.ok(end.type === "turn_cancelled" && end.payload.reason === "the program stops" && end.seq > 0);
  assert.deepEqual(types(await queued), ["turn_cancelled"]);
  assert.deepEqual(types(await collect(sessions.send(toMessage("t3"), silent, never))), ["turn_cancelled"]);
  assert.deepEqual(await log.openTurns(), []);
});

Deno.test("Sessions leaves the turns of a log alone until it is opened", async () => {
  const log = new MemoryLog();
  const options = { log, lanes: { runningMax: 1, queuedMax: 1 }, now: Date.now, report: () => {} };
  assert.ok(await openSessions(options) instanceof Sessions);
  assert.deepEqual(log.appends, []);
});
