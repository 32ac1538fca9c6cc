import assert from "node:assert/strict";
import type { EventType, NewEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import type { EventLog } from "#/core/store.ts";
import {
  ALL,
  clock,
  type EventLogProbes,
  FULL,
  NORMAL,
  type OpenEventLog,
  rejectsWith,
  type WithLog,
} from "./event_log_probes.ts";
import { testSummaries } from "./event_log_summaries.ts";
import { testKill, testReopen } from "./event_log_recovery.ts";
import { blobOf, messageOf, SAMPLES, sessionOf } from "./event_samples.ts";

/** The promises of core/store.ts's EventLog; every implementation runs them. */
export function testEventLog(name: string, open: OpenEventLog, probes: EventLogProbes): void {
  const test = (sentence: string, body: (folder: string) => Promise<void>) =>
    Deno.test(`${name}: ${sentence}`, async () => {
      const folder = await Deno.makeTempDir();
      try {
        await body(folder);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    });
  const withLog = (sentence: string, body: (log: EventLog) => Promise<void>) =>
    test(sentence, async (folder) => {
      const log = await open(folder, clock());
      try {
        await log.ensureSession(sessionOf("s"));
        await body(log);
      } finally {
        await log.close();
      }
    });
  testSessions(withLog);
  testAppend(withLog);
  testRead(withLog);
  testSummaries(withLog);
  testTurns(withLog);
  testBlobs(withLog);
  testUsage(withLog);
  testLeases(withLog);
  testReopen(test, open, probes);
  testKill(test, open, probes);
}

function testLeases(withLog: WithLog): void {
  withLog(
    "claim() gives a session to one node at a time, to its newer start at once, to another one when it ran out",
    async (log) => {
      assert.equal(await log.claim("s", "a:1", 60_000), true);
      assert.equal(await log.claim("s", "a:1", 60_000), true, "again");
      assert.equal(await log.claim("s", "b:1", 60_000), false);
      assert.equal(await log.claim("other", "b:1", 60_000), true);
      assert.equal(await log.claim("s", "a:2", 0), true, "a newer start of the node, for no time at all");
      assert.equal(await log.claim("s", "b:1", 60_000), true);
      await log.release("s", "a:2");
      assert.equal(await log.claim("s", "a:2", 60_000), false, "only its owner gives it back");
      await log.release("s", "b:1");
      assert.equal(await log.claim("s", "a:2", 60_000), true);
    },
  );

  withLog("renew() extends what an owner has, and gives nobody what is another's or nobody's", async (log) => {
    assert.equal(await log.renew("s", "a:1", 60_000), false);
    assert.equal(await log.claim("s", "a:1", 0), true);
    assert.equal(await log.renew("s", "a:1", 60_000), true, "it ran out, and nobody took it");
    assert.equal(await log.claim("s", "b:1", 60_000), false);
    assert.equal(await log.renew("s", "b:1", 60_000), false);
    await log.release("s", "a:1");
    assert.equal(await log.renew("s", "a:1", 60_000), false);
  });

  withLog("leftTurns() are open turns without a lease that is in force", async (log) => {
    const place = { session: "s", turn: "t1" };
    await log.append("s", "t1", [SAMPLES.user_message], { ...NORMAL, owner: "a:1", claimMs: 60_000 });
    assert.deepEqual([await log.leftTurns(9), await log.openTurns()], [[], [place]]);
    await log.claim("s", "a:1", 0);
    assert.deepEqual([await log.leftTurns(9), await log.leftTurns(0)], [[place], []]);
    await log.append("s", "t1", [SAMPLES.turn_done], NORMAL);
    assert.deepEqual(await log.leftTurns(9), []);
  });

  withLog(
    "append() with an owner is refused without its lease, and leaves no trace; it claims, and an end gives back",
    async (log) => {
      const owned = (owner: string, claimMs?: number) => {
        return { ...NORMAL, owner, ...(claimMs === undefined ? {} : { claimMs }) };
      };
      await rejectsWith(log.append("s", "t", [messageOf("a")], owned("a:1")), "session_taken");
      await log.append("s", "t", [messageOf("a")], owned("a:1", 60_000));
      await log.append("s", "t", [SAMPLES.model_request], owned("a:1"));
      await rejectsWith(log.append("s", "t", [messageOf("b")], owned("b:1")), "session_taken");
      await rejectsWith(log.append("s", "t", [messageOf("b")], owned("b:1", 60_000)), "session_taken");
      await rejectsWith(log.append("unknown", "t", [messageOf("b")], owned("b:1", 60_000)), "session_unknown");
      assert.deepEqual((await log.read("s", ALL)).map(({ seq, type }) => [seq, type]), [
        [1, "user_message"],
        [2, "model_request"],
      ]);
      await log.append("s", "t", [SAMPLES.turn_done], owned("a:1"));
      await log.append("s", "t2", [messageOf("b")], owned("b:1", 60_000));
      assert.equal(await log.claim("unknown", "a:1", 1), true, "a refused append claims nothing");
    },
  );
}

function testSessions(withLog: WithLog): void {
  withLog("ensureSession() creates once and never changes", async (log) => {
    const first = await log.ensureSession({ ...sessionOf("a"), displayName: "A", parent: "s" });
    assert.deepEqual(first, {
      ...sessionOf("a"),
      displayName: "A",
      parent: "s",
      createdAt: first.createdAt,
      lastActiveAt: first.createdAt,
      archived: false,
    });
    assert.deepEqual(await log.ensureSession({ ...sessionOf("a", "other"), displayName: "B" }), first);
    assert.deepEqual(await log.session("a"), first);
    assert.equal(await log.session("nobody"), undefined);
  });

  withLog("listSessions() gives a user's own, the last active first", async (log) => {
    for (const id of ["a", "b", "c"]) await log.ensureSession(sessionOf(id, "mine"));
    await log.append("b", "t", [messageOf("x")], NORMAL);
    const ids = (await log.listSessions("mine", { includeArchived: false })).map((session) => session.id);
    assert.deepEqual(ids, ["b", "c", "a"]);
    assert.deepEqual(await log.listSessions("nobody", { includeArchived: true }), []);
  });

  withLog("ids are text that comes back as it went in, or are refused", async (log) => {
    for (const id of ["ä \u{1f30a}", "'; DROP TABLE events; --", "%", "x".repeat(LIMITS.logIdCharsMax)]) {
      await log.ensureSession(sessionOf(id));
      await log.append(id, id, [messageOf("x")], NORMAL);
      assert.deepEqual((await log.turn(id, id)).map((event) => [event.session, event.turn]), [[id, id]]);
    }
    for (const id of ["", "a\0b", "\ud800", "x".repeat(LIMITS.logIdCharsMax + 1)]) {
      await assert.rejects(log.ensureSession(sessionOf(id)), RangeError);
      await assert.rejects(log.append("s", id, [messageOf("x")], NORMAL), RangeError);
    }
  });
}

function testAppend(withLog: WithLog): void {
  withLog("append() keeps every kind as it was, in order, from 1 without gaps", async (log) => {
    const events: readonly NewEvent[] = Object.values(SAMPLES);
    const stored = await log.append("s", "t", events, FULL);
    assert.deepEqual(stored.map((event) => event.seq), events.map((_, index) => index + 1));
    assert.deepEqual(await log.read("s", ALL), stored);
    for (const [index, event] of events.entries()) {
      const { type, v, payload, blobs, at } = stored[index]!;
      assert.deepEqual({ type, v, payload, blobs }, { ...event, blobs: [] });
      assert.equal(at, stored[0]!.at);
    }
  });

  withLog("append() of 100 callers at once numbers each once, in the order of the calls", async (log) => {
    for (const id of ["a", "b"]) await log.ensureSession(sessionOf(id));
    const calls = Array.from({ length: 100 }, (_, index) => {
      const events = Array.from({ length: index % 3 + 1 }, (_, place) => messageOf(`${index}.${place}`));
      return log.append(index % 2 === 0 ? "a" : "b", `t${index % 5}`, events, index % 7 === 0 ? FULL : NORMAL);
    });
    const results = (await Promise.all(calls)).flat();
    for (const id of ["a", "b"]) {
      const expected = results.filter((event) => event.session === id);
      assert.deepEqual(expected.map((event) => event.seq), expected.map((_, index) => index + 1));
      assert.deepEqual(await log.read(id, ALL), expected);
    }
  });

  withLog("append() records all or none", async (log) => {
    await log.append("s", "t", [messageOf("before")], NORMAL);
    const circular: Record<string, unknown> = {};
    circular["self"] = circular;
    const broken: NewEvent = { type: "approval_asked", v: 1, payload: { callId: "c", card: circular } };
    await assert.rejects(log.append("s", "u", [messageOf("half"), broken], FULL), TypeError);
    const lying = { ...await blobOf(new Uint8Array(3)), bytes: 4 };
    await assert.rejects(
      log.append("s", "u", [messageOf("half"), { ...messageOf("x"), blobs: [lying] }], FULL),
      RangeError,
    );
    const good = await blobOf(new Uint8Array(4));
    for (
      const bad of [{ mimeType: null as unknown as string }, { sha256: "../x" }, { sha256: good.sha256.toUpperCase() }]
    ) {
      const blobs = [good, { ...good, ...bad }];
      await assert.rejects(log.append("s", "u", [messageOf("half"), { ...messageOf("x"), blobs }], FULL), TypeError);
    }
    assert.equal(await log.blob(good.sha256), undefined);
    assert.deepEqual(await log.turn("s", "u"), []);
    const [after] = await log.append("s", "t", [messageOf("after")], NORMAL);
    assert.equal(after!.seq, 2);
  });

  withLog("append() records no event that could not be read back", async (log) => {
    const bad: readonly unknown[] = [
      { ...SAMPLES.tool_result, payload: { ...SAMPLES.tool_result.payload, elapsedMs: NaN } },
      { ...SAMPLES.summary, payload: { ...SAMPLES.summary.payload, epoch: Infinity } },
      { type: "user_message", v: 1, payload: { text: undefined, channel: "x" } },
      { type: "user_message", v: 2, payload: SAMPLES.user_message.payload },
      { type: "dreamt", v: 1, payload: {} },
      { type: "toString", v: 1, payload: {} },
      { type: "user_message", v: 1, payload: { text: "x", channel: "x", attachments: "none" } },
    ];
    for (const event of bad) {
      await assert.rejects(
        log.append("s", "t", [messageOf("x"), event as NewEvent], NORMAL),
        TypeError,
        JSON.stringify(event),
      );
    }
    assert.deepEqual(await log.read("s", ALL), []);
    const bare = { ...SAMPLES.tool_intent, payload: { ...SAMPLES.tool_intent.payload, args: undefined } };
    const stored = await log.append("s", "t", [bare], NORMAL);
    assert.ok(stored[0]!.type === "tool_intent" && stored[0]!.payload.args === null);
    assert.deepEqual(await log.read("s", ALL), stored);
  });

  withLog("append() refuses a session that was never ensured", async (log) => {
    await rejectsWith(log.append("nobody", "t", [messageOf("x")], NORMAL), "session_unknown");
    assert.deepEqual(await log.openTurns(), []);
  });

  withLog("append() of nothing changes nothing, of too much is refused", async (log) => {
    assert.deepEqual(await log.append("s", "t", [], FULL), []);
    assert.deepEqual(await log.openTurns(), []);
    const many = Array.from({ length: LIMITS.eventsPerAppendMax }, () => messageOf("x"));
    assert.equal((await log.append("s", "t", many, NORMAL)).length, LIMITS.eventsPerAppendMax);
    await assert.rejects(log.append("s", "t", [...many, messageOf("x")], NORMAL), RangeError);
  });

  withLog("append() takes 5 MB and the largest event, and refuses one character more", async (log) => {
    const five = messageOf("\u{1f30a}".repeat(1_250_000));
    await log.append("s", "t", [five], FULL);
    const empty = JSON.stringify(messageOf("").payload).length;
    await log.append("s", "t", [messageOf("x".repeat(LIMITS.eventCharsMax - empty))], NORMAL);
    await rejectsWith(
      log.append("s", "t", [messageOf("x".repeat(LIMITS.eventCharsMax - empty + 1))], NORMAL),
      "store_failed",
    );
    const [first, second] = await log.read("s", ALL);
    assert.ok(first!.type === "user_message" && first.payload.text === "\u{1f30a}".repeat(1_250_000));
    assert.ok(second!.type === "user_message" && second.payload.text.length === LIMITS.eventCharsMax - empty);
  });
}

function testRead(withLog: WithLog): void {
  withLog("read() gives windows and kinds, and only this session's", async (log) => {
    await log.ensureSession(sessionOf("other"));
    for (const id of ["s", "other"]) {
      for (let turn = 0; turn < 5; turn++) {
        await log.append(id, `t${turn}`, [messageOf(`${turn}`), SAMPLES.budget, SAMPLES.turn_done], NORMAL);
      }
    }
    const seqs = async (fromSeq: number, limit: number, types?: readonly EventType[]) =>
      (await log.read("s", { fromSeq, limit, ...(types && { types }) })).map((event) => event.seq);
    assert.deepEqual(await seqs(1, 4), [1, 2, 3, 4]);
    assert.deepEqual(await seqs(14, 10), [14, 15]);
    assert.deepEqual(await seqs(16, 10), []);
    assert.deepEqual(await seqs(0, 1), [1]);
    assert.deepEqual(await seqs(2, 3, ["user_message"]), [4, 7, 10]);
    assert.deepEqual(await seqs(2, 3, ["user_message", "turn_done"]), [3, 4, 6]);
    assert.deepEqual(await seqs(1, 9, ["parked"]), []);
    assert.deepEqual(await seqs(1, 9, []), []);
    assert.deepEqual(await log.read("nobody", ALL), []);
    assert.ok((await log.read("s", ALL)).every((event) => event.session === "s"));
  });

  withLog("read() refuses a window that is none", async (log) => {
    for (const limit of [0, -1, 1.5, NaN, Infinity, LIMITS.eventsPerReadMax + 1]) {
      await assert.rejects(log.read("s", { fromSeq: 1, limit }), RangeError);
    }
    for (const fromSeq of [-1, 1.5, NaN, Infinity]) {
      await assert.rejects(log.read("s", { fromSeq, limit: 1 }), RangeError);
    }
  });
}

function testTurns(withLog: WithLog): void {
  withLog("turn() gives one turn's events also when another turn lies between", async (log) => {
    await log.append("s", "a", [messageOf("1"), SAMPLES.parked], NORMAL);
    await log.append("s", "b", [messageOf("2"), SAMPLES.turn_done], NORMAL);
    await log.append("s", "a", [SAMPLES.approval_answered, SAMPLES.turn_done], NORMAL);
    assert.deepEqual((await log.turn("s", "a")).map((event) => event.seq), [1, 2, 5, 6]);
    assert.deepEqual((await log.turn("s", "b")).map((event) => event.seq), [3, 4]);
    assert.deepEqual(await log.turn("s", "nothing"), []);
    assert.deepEqual(await log.turn("nobody", "a"), []);
  });

  withLog("openTurns() lists what has no end, the first begun first", async (log) => {
    await log.ensureSession(sessionOf("z"));
    const open = async () => (await log.openTurns()).map(({ session, turn }) => `${session}/${turn}`);
    await log.append("z", "1", [messageOf("x")], NORMAL);
    await log.append("s", "1", [messageOf("x")], NORMAL);
    await log.append("s", "2", [messageOf("x")], NORMAL);
    assert.deepEqual(await open(), ["z/1", "s/1", "s/2"]);
    await log.append("s", "1", [SAMPLES.budget, SAMPLES.turn_failed], NORMAL);
    assert.deepEqual(await open(), ["z/1", "s/2"]);
    await log.append("s", "1", [SAMPLES.tool_result], NORMAL);
    assert.deepEqual(await open(), ["z/1", "s/2"], "a late event opens an ended turn again");
    await log.append("z", "1", [SAMPLES.turn_cancelled], NORMAL);
    await log.append("s", "2", [SAMPLES.turn_done], NORMAL);
    await log.append("s", "3", [messageOf("x"), SAMPLES.turn_done], NORMAL);
    assert.deepEqual(await open(), []);
  });

  withLog("openTurns() leaves a parked turn to parkedTurns() until it goes on", async (log) => {
    await log.append("s", "1", [messageOf("x"), SAMPLES.approval_asked, SAMPLES.parked], FULL);
    assert.deepEqual(await log.openTurns(), []);
    assert.deepEqual(await log.parkedTurns(), [{ session: "s", turn: "1" }]);
    await log.append("s", "1", [SAMPLES.approval_answered], FULL);
    assert.deepEqual(await log.openTurns(), [{ session: "s", turn: "1" }]);
    assert.deepEqual(await log.parkedTurns(), []);
    await log.append("s", "1", [SAMPLES.turn_done], FULL);
    assert.deepEqual(await log.openTurns(), []);
  });
}

function testBlobs(withLog: WithLog): void {
  withLog("blob() gives content that was stored once under its hash, in the order of the event", async (log) => {
    const big = await blobOf(crypto.getRandomValues(new Uint8Array(65_536)), "image/png");
    const empty = await blobOf(new Uint8Array(0));
    const [first] = await log.append("s", "t", [{ ...messageOf("a"), blobs: [big, empty, big] }], FULL);
    const [second] = await log.append("s", "t", [{ ...messageOf("b"), blobs: [{ ...big, mimeType: "x/y" }] }], FULL);
    const ref = ({ sha256, bytes, mimeType }: typeof big) => ({ sha256, bytes, mimeType });
    assert.deepEqual(first!.blobs, [ref(big), ref(empty), ref(big)]);
    assert.deepEqual(second!.blobs, [{ ...ref(big), mimeType: "x/y" }]);
    assert.deepEqual(await log.read("s", ALL), [first, second]);
    assert.deepEqual(await log.turn("s", "t"), [first, second]);
    assert.deepEqual(await log.blob(big.sha256), big.content);
    assert.deepEqual(await log.blob(empty.sha256), empty.content);
    assert.equal(await log.blob("00".repeat(32)), undefined);
    assert.equal(await log.blob("no hash"), undefined);
  });

  withLog("append() refuses a blob over the limit", async (log) => {
    const content = new Uint8Array(LIMITS.blobBytesMax + 1);
    const blob = { sha256: "00".repeat(32), bytes: content.length, mimeType: "x/y", content };
    await rejectsWith(log.append("s", "t", [{ ...messageOf("x"), blobs: [blob] }], NORMAL), "store_failed");
    assert.deepEqual(await log.read("s", ALL), []);
  });
}

function testUsage(withLog: WithLog): void {
  withLog(
    "usage() sums calls by day, session and model: who answered, what is known of the price, what has no result",
    async (log) => {
      const request = SAMPLES.model_request;
      const result = SAMPLES.model_result;
      const paid = (changes: Partial<typeof result.payload>) => ({
        ...result,
        payload: { ...result.payload, ...changes },
      });
      const asked = (reserved?: number) => ({
        ...request,
        payload: { ...request.payload, ...(reserved === undefined ? {} : { reserved }) },
      });
      await log.ensureSession(sessionOf("other"));
      const [first] = await log.append("s", "t1", [
        messageOf("a"),
        asked(9),
        paid({ cost: 0.5 }),
        asked(9),
        paid({ cost: 0.25, costIsEstimate: true, usage: {} }),
      ], NORMAL);
      await log.append("s", "t2", [messageOf("b"), asked(2), SAMPLES.turn_failed], NORMAL);
      await log.append("s", "t3", [
        messageOf("c"),
        asked(),
        paid({ answeredBy: { provider: "b", model: "spare" } }),
        SAMPLES.turn_done,
      ], NORMAL);
      await log.append("other", "t1", [messageOf("d"), asked()], NORMAL);
      const day = Math.floor(first!.at / 86_400_000);
      const nothing = {
        calls: 1,
        inputTokens: 0,
        cachedTokens: 0,
        outputTokens: 0,
        cost: 0,
        unpricedCalls: 1,
        estimatedCalls: 0,
        openCalls: 0,
      };
      assert.deepEqual(await log.usage(0), [
        { ...nothing, day, session: "other", provider: "demo", model: "planner", openCalls: 1 },
        {
          ...{ ...nothing, day, session: "s", provider: "b", model: "spare" },
          ...{ inputTokens: 10, cachedTokens: 2, outputTokens: 5 },
        },
        {
          ...{ day, session: "s", provider: "demo", model: "planner", calls: 3, inputTokens: 10, cachedTokens: 2 },
          ...{ outputTokens: 5, cost: 2.75, unpricedCalls: 0, estimatedCalls: 1, openCalls: 1 },
        },
      ]);
      const [, , later] = await log.read("s", { fromSeq: 1, limit: 10, types: ["model_request"] });
      assert.deepEqual((await log.usage(later!.at)).map((row) => row.calls), [1, 1, 1], "since a time");
      assert.deepEqual(await log.usage(first!.at + 86_400_000), []);
    },
  );
}
