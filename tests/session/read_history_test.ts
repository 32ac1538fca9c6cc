import assert from "node:assert/strict";
import type { NewEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import type { EventLog } from "#/core/store.ts";
import { readHistory } from "#/session/read_history.ts";
import { says, scriptedProvider } from "../fake/scripted_provider.ts";
import { collect, LOGS, never, open, readAll, toMessage, toSendDeps } from "./session_kit.ts";

const NEW_SESSION = { id: "s", user: "u", agent: "a", channel: "c", displayName: null, parent: null };
const WINDOW = { limitTokens: 1_000, safetyTokens: 0 };
const NORMAL = { durability: "normal" } as const;

function user(text: string): NewEvent {
  return { type: "user_message", v: 1, payload: { text, channel: "c" } };
}

function said(text: string): NewEvent {
  return { type: "model_result", v: 1, payload: { step: 1, text, toolCalls: [], finishReason: "stop", usage: {} } };
}

function request(window: { readonly tokensMax?: number }, purpose?: "summary"): NewEvent {
  const shown = { sha256: "0", fromSeq: 3, toSeq: 7, messages: 1, droppedMessages: 0, ...window };
  const payload = { step: 1, provider: "p", model: "m", parameters: {}, window: shown };
  return { type: "model_request", v: 1, payload: { ...payload, ...(purpose ? { purpose } : {}) } };
}

function summary(toSeq: number, epoch: number): NewEvent {
  return { type: "summary", v: 1, payload: { fromSeq: 1, toSeq, text: `notes ${epoch}`, epoch } };
}

const END: NewEvent = {
  type: "turn_done",
  v: 1,
  payload: { text: "", finishReason: "stop", steps: 1, toolCalls: 0, denied: 0, usage: {} },
};

/** Turns of three events: event 3n+1 is the message of turn n. */
async function addTurns(log: EventLog, count: number, chars: number, from = 0): Promise<void> {
  await log.ensureSession(NEW_SESSION);
  for (let n = from; n < from + count; n++) {
    await log.append("s", `t${n}`, [user(`q${n}`.padEnd(chars, ".")), said(`a${n}`), END], NORMAL);
  }
}

/** Events that were asked of the log. */
function counting(log: EventLog): { log: EventLog; read: () => number } {
  let read = 0;
  const counted = new Proxy(log, {
    get(target, name: keyof EventLog) {
      if (name !== "readBack") return (target[name] as (...args: unknown[]) => unknown).bind(target);
      return async (...args: Parameters<EventLog["readBack"]>) => {
        const events = await target.readBack(...args);
        read += events.length;
        return events;
      };
    },
  });
  return { log: counted, read: () => read };
}

for (const [name, use] of LOGS) {
  Deno.test(`readHistory() reads from the end until the window is more than full, from a user message on (${name})`, () =>
    use(async (log) => {
      await addTurns(log, 1_500, 100);
      const { log: seen, read } = counting(log);
      const { history } = await readHistory(seen, "s", { toSeq: 4_498, turn: "t1499", window: WINDOW });
      assert.equal(history.at(-1)!.message.content.slice(0, 5), "q1499", "not what came after toSeq");
      const chars = history.reduce((sum, { message }) => sum + message.content.length, 0);
      assert.ok(chars > 8_000 && chars < 8_500, `${chars}`);
      assert.equal(history[0]!.message.role, "user");
      assert.ok(read() <= 2 * LIMITS.historyPageEventsMax + 8, `${read()} events`);
    }));

  Deno.test(`readHistory() stops at what the last summary stands for, and gives that (${name})`, () =>
    use(async (log) => {
      await addTurns(log, 10, 100);
      await log.append("s", "t9", [summary(12, 1), summary(24, 2)], NORMAL);
      await addTurns(log, 2, 100, 10);
      const known = await readHistory(log, "s", { toSeq: 36, turn: "t11", window: WINDOW });
      assert.deepEqual([known.summary?.epoch, known.summary?.text], [2, "notes 2"]);
      assert.equal(known.history[0]!.seq, 25);
      assert.equal(known.history.length, 2 * 4 - 1);
    }));
}

const [, useSqlite] = LOGS[1]!;

Deno.test("readHistory() reads so many turns as a summary would replace, however long they are", () =>
  useSqlite(async (log) => {
    await addTurns(log, 40, 5_000);
    const lengthOf = async (minTurns: number) => {
      const summary = { triggerRatio: 0.85, targetRatio: 0.5, minTurns };
      const options = { toSeq: 120, turn: "t39", window: { ...WINDOW, summary } };
      return (await readHistory(log, "s", options)).history.filter(({ message }) => message.role === "user").length;
    };
    assert.deepEqual([await lengthOf(1), await lengthOf(6)], [3, 13]);
  }));

Deno.test("readHistory() always has the turn's own message, whatever a summary claims", () =>
  useSqlite(async (log) => {
    await addTurns(log, 3, 10);
    await log.append("s", "t2", [summary(1_000_000, 1)], NORMAL);
    const { history } = await readHistory(log, "s", { toSeq: 9, turn: "t2", window: WINDOW });
    assert.equal(history[0]!.message.content.slice(0, 2), "q2");
  }));

Deno.test("readHistory() reads at most historyEventsMax events, in whole turns or not", () =>
  useSqlite(async (log) => {
    await log.ensureSession(NEW_SESSION);
    const turns = Math.ceil(LIMITS.historyEventsMax / 3) + 2;
    for (let n = 0; n < turns; n++) await log.append("s", `t${n}`, [user("q"), said("a"), END], NORMAL);
    const window = { ...WINDOW, limitTokens: 1_000_000 };
    const { log: seen, read } = counting(log);
    const { history } = await readHistory(seen, "s", { toSeq: turns * 3, turn: "none", window });
    assert.equal(read(), LIMITS.historyEventsMax);
    assert.ok(history.length > LIMITS.historyEventsMax / 2);
  }));

Deno.test("readHistory() reads no more than historyCharsMax, whatever a window or a summary could take", () =>
  useSqlite(async (log) => {
    const part = LIMITS.historyCharsMax / 4;
    await addTurns(log, 8, part);
    const summary = { triggerRatio: 0.85, targetRatio: 0.5, minTurns: 6 };
    const options = { toSeq: 24, turn: "t7", window: { limitTokens: 100_000_000, safetyTokens: 0, summary } };
    const { history } = await readHistory(log, "s", options);
    assert.equal(
      history.filter(({ message }) => message.role === "user").length,
      4,
      "four and their answers are over it",
    );
  }));

Deno.test("readHistory() knows what an earlier turn has counted, of requests for an answer only", () =>
  useSqlite(async (log) => {
    const countedIn = async (...events: NewEvent[]) => {
      await log.ensureSession(NEW_SESSION);
      const stored = await log.append("s", "t", [user("q"), ...events], NORMAL);
      return (await readHistory(log, "s", { toSeq: stored.at(-1)!.seq, turn: "t", window: WINDOW })).counted;
    };
    assert.equal(await countedIn(), undefined);
    assert.deepEqual(await countedIn(request({ tokensMax: 42 })), { fromSeq: 3, toSeq: 7, tokens: 42 });
    const tail = [said("a"), request({ tokensMax: 9 }, "summary"), said("s"), request({}, "summary"), said("s")];
    assert.deepEqual(await countedIn(request({ tokensMax: 43 }), ...tail), { fromSeq: 3, toSeq: 7, tokens: 43 });
    assert.equal(await countedIn(request({})), undefined, "the last one did not say");
  }));

Deno.test("Sessions.send() of a long conversation summarises again and again, and every event is in its place", () =>
  useSqlite(async (log) => {
    const { sessions, reports } = await open(log);
    const window = {
      limitTokens: 4_000,
      safetyTokens: 0,
      summary: { triggerRatio: 0.85, targetRatio: 0.5, minTurns: 6 },
    };
    const provider = scriptedProvider((request) =>
      request.messages[0]!.content.startsWith("You write the notes")
        ? says("Notes.")
        : says(`Good. ${"word ".repeat(150)}`)
    );
    const deps = toSendDeps(provider, undefined, { window, tools: [] });
    for (let n = 0; n < 40; n++) {
      const text = `${n % 4 === 0 ? `Fact ${n} is in /shared/${n}.md. ` : ""}${"word ".repeat(150)}`;
      const events = await collect(sessions.send(toMessage(`t${n}`, text), deps, never));
      assert.equal(events.at(-1)!.type, "turn_done", `${n}`);
    }
    assert.deepEqual(reports, []);
    const summaries = (await readAll(log)).filter((event) => event.type === "summary");
    assert.ok(summaries.length >= 3, `${summaries.length}`);
    assert.deepEqual(summaries.map(({ payload }) => payload.epoch), summaries.map((_, at) => at + 1));
    for (const { seq, payload: { toSeq, fromSeq } } of summaries) {
      const [next] = await log.read("s", { fromSeq: toSeq + 1, limit: 1 });
      assert.equal(next!.type, "user_message", "whole turns");
      assert.ok(fromSeq === 1 && toSeq < seq);
    }
    const last = provider.requests.at(-1)!.messages;
    for (const n of [0, 12, 20]) assert.ok(last[1]!.content.includes(`/shared/${n}.md`), `fact ${n}, of long ago`);
    // What a window was said to hold is what is shown: the range is that of the first and last message.
    const requests = (await readAll(log)).filter((event) => event.type === "model_request");
    for (const { payload: { purpose, window: { fromSeq, droppedMessages, summaryEpoch } } } of requests) {
      if (purpose !== undefined) continue;
      const epoch = summaries.findLast(({ payload }) => payload.toSeq < fromSeq)?.payload.epoch;
      assert.ok(droppedMessages === 0 && (summaryEpoch === undefined || summaryEpoch === epoch));
    }
  }));
