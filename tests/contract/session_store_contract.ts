import assert from "node:assert/strict";
import type { NewEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import type { SessionStore } from "#/core/session_store.ts";
import type { EventLog } from "#/core/store.ts";
import { SessionFileWriter } from "#/memory/session_file.ts";
import { toHistory } from "#/turn/history.ts";
import { ALL, clock, NORMAL, type OpenEventLog } from "./event_log_probes.ts";
import { blobOf, messageOf, SAMPLES, sessionOf } from "./event_samples.ts";

const encoder = new TextEncoder();
const ID = "0198f1a2-0000-7000-8000-000000000001";
const COPY = { id: "copy", displayName: null, channel: "api" } as const;

/** Bytes of these lines, in pieces that end anywhere. */
export async function* toBytes(lines: readonly string[], size = 1_000): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  const bytes = encoder.encode(lines.join(""));
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** All lines of an export. */
export async function exported(store: SessionStore, id: string): Promise<string[]> {
  return await Array.fromAsync(store.exportLines(id));
}

const calls = (...ids: string[]): NewEvent => ({
  ...SAMPLES.model_result,
  payload: {
    ...SAMPLES.model_result.payload,
    toolCalls: ids.map((id) => ({ id, name: "file_read", arguments: "{}" })),
  },
} as NewEvent);
const intent = (callId: string): NewEvent => ({
  ...SAMPLES.tool_intent,
  payload: { ...SAMPLES.tool_intent.payload, callId },
});
const result = (callId: string): NewEvent => ({
  ...SAMPLES.tool_result,
  payload: { ...SAMPLES.tool_result.payload, callId },
});

/** A turn of eight events with two calls, the first of which has a blob. */
async function record(log: EventLog, session: string, turn: string, text = "hello"): Promise<void> {
  const blob = await blobOf(encoder.encode("the whole output"));
  const events = [messageOf(text), SAMPLES.model_request, calls("a", "b"), intent("a"), intent("b")];
  await log.append(session, turn, events, NORMAL);
  await log.append(session, turn, [{ ...result("a"), blobs: [blob] }, result("b"), SAMPLES.turn_done], NORMAL);
}

/** The promises of core/session_store.ts; every event log runs them. */
export function testSessionStore(name: string, open: OpenEventLog): void {
  const test = (sentence: string, body: (log: EventLog, store: SessionStore, folder: string) => Promise<void>) =>
    Deno.test(`${name}: ${sentence}`, async () => {
      const folder = await Deno.makeTempDir();
      const log = await open(folder, clock());
      try {
        await log.ensureSession(sessionOf(ID));
        await body(log, await log.sessions(), folder);
      } finally {
        await log.close();
        await Deno.remove(folder, { recursive: true });
      }
    });
  testLists(test);
  testForget(test);
  testBranch(test);
  testFiles(test);
  testRefusals(test);
}

type Test = (
  sentence: string,
  body: (log: EventLog, store: SessionStore, folder: string) => Promise<void>,
) => void;

function testLists(test: Test): void {
  test("update() names, archives and takes back, one thing at a time", async (_, store) => {
    assert.equal((await store.update(ID, { displayName: "Rivers" })).displayName, "Rivers");
    const archived = await store.update(ID, { archived: true });
    assert.deepEqual([archived.displayName, archived.archived], ["Rivers", true]);
    const last = await store.update(ID, { displayName: null, archived: false });
    assert.deepEqual([last.displayName, last.archived], [null, false]);
    await assert.rejects(store.update("nobody", { archived: true }), { code: "session_unknown" });
  });

  test("list() counts, shows how the last message begins, and goes on behind a cursor", async (log, store) => {
    for (const id of ["a", "b", "c"]) {
      await log.ensureSession({ ...sessionOf(id), channel: id === "c" ? "api:x" : "tui" });
      await record(log, id, "t1", `first of ${id}`);
      await record(log, id, "t2", `${id} `.repeat(LIMITS.sessionTextCharsMax));
    }
    await log.ensureSession(sessionOf("foreign", "other"));
    const query = { includeArchived: false, limit: 2 };
    const first = await store.list("default", query);
    assert.deepEqual(first.map(({ id, turns, lastSeq }) => [id, turns, lastSeq]), [["c", 2, 16], ["b", 2, 16]]);
    assert.equal(first[0]!.lastText, "c ".repeat(LIMITS.sessionTextCharsMax / 2));
    const after = { lastActiveAt: first[1]!.lastActiveAt, id: "b" };
    const rest = await store.list("default", { ...query, after, limit: 9 });
    assert.deepEqual(rest.map(({ id, lastText }) => [id, lastText?.slice(0, 2)]), [["a", "a "], [ID, undefined]]);
    assert.deepEqual((await store.list("default", { ...query, channel: "api:x" })).map(({ id }) => id), ["c"]);
    await store.update("a", { archived: true });
    assert.equal((await store.list("default", { ...query, limit: 9 })).length, 3);
    assert.equal((await store.list("default", { includeArchived: true, limit: 9 })).length, 4);
    assert.equal((await store.overview("a")).turns, 2);
    await assert.rejects(store.overview("nobody"), { code: "session_unknown" });
  });

  test("readPage() holds no more at once than its bounds, and says how far it looked", async (log, store) => {
    const half = "x".repeat(LIMITS.eventsPageBytesMax / 2);
    await log.append(
      ID,
      "t",
      [messageOf(half), messageOf(half), messageOf("c"), messageOf(half + half + half)],
      NORMAL,
    );
    const page = async (fromSeq: number, limit = 9) => {
      const { events, toSeq } = await store.readPage(ID, { fromSeq, toSeq: 4, limit });
      return [events.map(({ seq }) => seq), toSeq];
    };
    assert.deepEqual(await page(1), [[1], 1], "two halves and their frames are more than a page");
    assert.deepEqual(await page(2), [[2, 3], 3]);
    assert.deepEqual(await page(4), [[4], 4], "one alone is read whatever it has");
    assert.deepEqual(await page(2, 1), [[2], 2]);
    assert.deepEqual(await page(5), [[], 4]);
  });

  test("archiveIdle() archives what is idle, and not what runs or waits", async (log, store) => {
    for (const id of ["idle", "open", "parked"]) await log.ensureSession(sessionOf(id));
    await record(log, "idle", "t");
    await log.append("open", "t", [messageOf("hi")], NORMAL);
    await log.append("parked", "t", [messageOf("hi"), SAMPLES.parked], NORMAL);
    const now = (await log.session("parked"))!.lastActiveAt;
    assert.deepEqual(await store.archiveIdle("other", now + 1), []);
    assert.deepEqual((await store.archiveIdle("default", now + 1)).toSorted(), [ID, "idle"]);
    assert.deepEqual(await store.archiveIdle("default", now + 1), []);
  });
}

function testForget(test: Test): void {
  test("forget() leaves one event, and the blobs that others use", async (log, store) => {
    await log.ensureSession(sessionOf("other"));
    await record(log, ID, "t");
    await record(log, "other", "t");
    const own = await blobOf(encoder.encode("only here"));
    await log.append(ID, "t2", [{ ...messageOf("x"), blobs: [own] }, SAMPLES.turn_done], NORMAL);
    await store.update(ID, { displayName: "Secret plan" });
    const forgotten = await store.forget(ID);
    assert.deepEqual([forgotten.events, forgotten.blobs], [10, 1]);
    assert.ok(forgotten.bytes > own.bytes);
    const [left, ...more] = await log.read(ID, ALL);
    assert.deepEqual([left?.type, left?.payload, left?.seq, more], ["forgotten", forgotten, 11, []]);
    const row = (await log.session(ID))!;
    assert.deepEqual([row.displayName, row.archived], [null, true]);
    assert.equal(await log.blob(own.sha256), undefined);
    const shared = await blobOf(encoder.encode("the whole output"));
    assert.ok(await log.blob(shared.sha256), "another session has it too");
    assert.deepEqual(await log.turn(ID, "t"), []);
    assert.deepEqual(await store.forget(ID), forgotten, "twice is the same as once");
    await assert.rejects(store.forget("nobody"), { code: "session_unknown" });
  });

  test("forget() leaves a session that can be used again, counted anew", async (log, store) => {
    await record(log, ID, "t");
    await store.forget(ID);
    await record(log, ID, "t", "again");
    assert.equal((await log.turn(ID, "t")).length, 8);
    assert.equal((await store.forget(ID)).events, 9);
  });

  test("forget() takes what it cost out of usage, and the branch's copy never was in it", async (log, store) => {
    await record(log, ID, "t");
    const cost = async () => (await log.usage(0)).map(({ session, calls }) => [session, calls]);
    assert.deepEqual(await cost(), [[ID, 1]]);
    await store.branch(ID, undefined, COPY);
    assert.deepEqual(await cost(), [[ID, 1]]);
    await record(log, "copy", "own");
    assert.deepEqual((await cost()).toSorted(), [[ID, 1], ["copy", 1]].toSorted());
  });
}

function testBranch(test: Test): void {
  test(
    "branch() copies up to a place, shares blobs, keeps turn ids and says where it comes from",
    async (log, store) => {
      await record(log, ID, "t1");
      await record(log, ID, "t2");
      const row = await store.branch(ID, 8, { ...COPY, displayName: "What if" });
      assert.deepEqual([row.parent, row.agent, row.displayName, row.user], [ID, "default", "What if", "default"]);
      const [source, copy] = [await log.turn(ID, "t1"), await log.turn("copy", "t1")];
      assert.deepEqual(copy, source.map((event) => ({ ...event, session: "copy" })));
      assert.deepEqual(await log.turn("copy", "t2"), []);
      await record(log, "copy", "t2", "else");
      assert.equal((await log.read("copy", ALL)).at(-1)?.seq, 16);
      assert.equal((await log.read(ID, ALL)).length, 16, "the source is as it was");
      await store.forget(ID);
      const shared = (await blobOf(encoder.encode("the whole output"))).sha256;
      assert.ok(await log.blob(shared), "the branch has it still");
    },
  );

  test(
    "branch() at each event of a turn leaves a conversation that vendors take, and no open turn",
    async (log, store) => {
      await record(log, ID, "t1");
      for (let at = 1; at <= 8; at++) {
        const id = `b${at}`;
        await store.branch(ID, at, { ...COPY, id });
        const events = await log.read(id, ALL);
        assert.equal(events.at(-1)!.type, at === 8 ? "turn_done" : "turn_cancelled", `at ${at}`);
        assert.equal(events.length, at === 8 ? 8 : at + 1);
        const history = toHistory(events).map(({ message }) => message);
        const open = new Set(history.flatMap((m) => m.role === "assistant" ? m.toolCalls.map(({ id }) => id) : []));
        for (const message of history) if (message.role === "tool") open.delete(message.toolCallId);
        assert.deepEqual([history[0]!.role, history.at(-1)!.role, open.size], ["user", "assistant", 0], `at ${at}`);
      }
      assert.deepEqual(await log.openTurns(), []);
    },
  );

  test("branch() of a session whose turn waits ends that turn in the branch alone", async (log, store) => {
    await log.append(ID, "t", [messageOf("hi"), SAMPLES.model_request, SAMPLES.parked], NORMAL);
    await store.branch(ID, undefined, COPY);
    assert.deepEqual(await log.parkedTurns(), [{ session: ID, turn: "t" }]);
    const end = (await log.turn("copy", "t")).at(-1)!;
    assert.ok(end.type === "turn_cancelled" && end.payload.steps === 1);
  });

  test("branch() refuses a place that the session does not have", async (log, store) => {
    await assert.rejects(store.branch(ID, undefined, COPY), { code: "usage", message: /it has none yet/ });
    await record(log, ID, "t");
    for (const at of [0, -1, 9, 1.5, NaN]) await assert.rejects(store.branch(ID, at, COPY), { code: "usage" }, `${at}`);
    await assert.rejects(store.branch("nobody", 1, COPY), { code: "session_unknown" });
    await store.forget(ID);
    await assert.rejects(store.branch(ID, undefined, COPY), { code: "usage" });
    assert.equal(await log.session("copy"), undefined);
  });
}

function testFiles(test: Test): void {
  test("what was exported comes back as it was, under its own id when nobody has it", async (log, store) => {
    await record(log, ID, "t1");
    await record(log, ID, "t2", "Grüße 🌊");
    await store.update(ID, { displayName: "Rivers" });
    const lines = await exported(store, ID);
    assert.deepEqual(lines.slice(0, 3).map((line) => JSON.parse(line).type), ["header", "session", "event"]);
    assert.equal(lines.filter((line) => JSON.parse(line).type === "blob").length, 1, "a blob once");
    const row = await store.importLines(toBytes(lines), { user: "default", channel: "import" });
    assert.notEqual(row.id, ID);
    assert.deepEqual([row.displayName, row.channel, row.archived, row.parent], ["Rivers", "import", false, null]);
    const [before, after] = [await log.read(ID, ALL), await log.read(row.id, ALL)];
    // The heads of another audit log are nothing to compare ours with.
    const plain = (events: typeof before) =>
      events.map((event) => ({ ...event, session: "", payload: { ...event.payload, auditHead: undefined } }));
    assert.deepEqual(plain(after), plain(before));
    assert.equal(after.filter((event) => event.type === "turn_done" && event.payload.auditHead).length, 0);
    assert.deepEqual((await log.usage(0)).map(({ session }) => session), [ID], "paid where it was said first");
    assert.equal((await store.overview(row.id)).turns, 2);
  });

  test("importLines() keeps a free id, and closes the gaps that were left in the places", async (log, store) => {
    await record(log, ID, "t0");
    await store.forget(ID);
    const summary: NewEvent = { type: "summary", v: 1, payload: { fromSeq: 10, toSeq: 12, text: "s", epoch: 1 } };
    await record(log, ID, "t1");
    await log.append(ID, "t1", [summary], NORMAL);
    const lines = await exported(store, ID);
    await using other = await openOther();
    const row = await (await other.log.sessions()).importLines(toBytes(lines), { user: "ann", channel: "import" });
    assert.deepEqual([row.id, row.user], [ID, "ann"]);
    const events = await other.log.read(ID, ALL);
    assert.deepEqual(events.map(({ seq }) => seq), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    const told = events.at(-1)!;
    assert.ok(told.type === "summary");
    assert.deepEqual([told.payload.fromSeq, told.payload.toSeq], [1, 3]);
    assert.equal(events[0]!.at, (await log.read(ID, ALL))[1]!.at, "`at` is kept");
  });

  test(
    "exportLines() of a session in which a turn runs is what was there, and comes back with that turn ended",
    async (log, store) => {
      await log.append(ID, "t", [messageOf("hi"), SAMPLES.model_request], NORMAL);
      const lines: string[] = [];
      for await (const line of store.exportLines(ID)) {
        if (lines.length === 0) await log.append(ID, "t", [SAMPLES.model_result, SAMPLES.turn_done], NORMAL);
        lines.push(line);
      }
      assert.equal(JSON.parse(lines.at(-1)!).events, 2);
      const { id } = await store.importLines(toBytes(lines), { user: "default", channel: "import" });
      assert.equal((await log.turn(id, "t")).at(-1)!.type, "turn_cancelled");
      assert.deepEqual([await log.openTurns(), await log.parkedTurns()], [[], []]);
    },
  );

  test("exportLines() of a session that is deleted meanwhile never says that it is whole", async (log, store) => {
    const many = Array.from({ length: 100 }, () => SAMPLES.model_request);
    for (const when of ["before the first event", "between two pages"]) {
      await log.append(ID, when, [messageOf("hi")], NORMAL);
      // More than a page.
      for (let at = 0; at < 12; at++) await log.append(ID, when, many, NORMAL);
      const lines: string[] = [];
      const reading = async () => {
        for await (const line of store.exportLines(ID)) {
          lines.push(line);
          if (lines.length === (when === "between two pages" ? 10 : 1)) await store.forget(ID);
        }
      };
      await assert.rejects(reading(), { code: "session_unknown" }, when);
      assert.ok(lines.every((line) => JSON.parse(line).type !== "end"), when);
    }
  });

  /** Another log, for what moves from one to the other. */
  async function openOther() {
    const folder = await Deno.makeTempDir();
    const { openEventLog } = await import("#/memory/sqlite.ts");
    const log = await openEventLog({ path: `${folder}/log.db`, now: Date.now });
    return {
      log,
      async [Symbol.asyncDispose]() {
        await log.close();
        await Deno.remove(folder, { recursive: true });
      },
    };
  }
}

function testRefusals(test: Test): void {
  const refuses = async (store: SessionStore, lines: readonly string[], message: RegExp) =>
    await assert.rejects(
      store.importLines(toBytes(lines), { user: "default", channel: "import" }),
      (error: { code?: string; message: string }) => {
        assert.equal(error.code, "usage");
        assert.match(error.message, message);
        return true;
      },
    );

  test("importLines() refuses summaries that no log has: of one epoch twice", async (log, store) => {
    const row = await store.overview(ID);
    const writer = new SessionFileWriter(0);
    const lines = [...writer.begin(row)];
    for (const seq of [1, 2]) {
      const { payload, v, type } = SAMPLES.summary;
      lines.push(writer.event({ seq, turn: "t", type, v, at: 1, payload: { ...payload }, blobs: [] }));
    }
    await refuses(store, [...lines, writer.end()], /^line 4: its summaries are not in their order/);
    assert.equal((await log.listSessions("default", { includeArchived: true })).length, 1);
  });

  test(
    "importLines() refuses each file that is not whole and unchanged, with the line, and nothing of it stays",
    async (log, store) => {
      await record(log, ID, "t1");
      await record(log, ID, "t2");
      const lines = await exported(store, ID);
      const last = lines.length;
      for (let cut = 0; cut < last; cut++) {
        await refuses(store, lines.slice(0, cut), new RegExp(`^line ${cut + 1}: the file ends before its last line`));
      }
      await refuses(
        store,
        [...lines.slice(0, 4), lines[4]!.slice(0, 40)],
        /^line 5: it is no JSON; was the file cut off/,
      );
      await refuses(store, lines.with(4, lines[4]!.replace('"t1"', '"t9"')), /^line 5: it was changed/);
      await refuses(store, lines.toSpliced(4, 1), /^line 5: a line before it is missing, or there twice/);
      await refuses(store, lines.toSpliced(4, 0, lines[3]!), /^line 5: a line before it is missing, or there twice/);
      await refuses(store, [...lines, lines[0]!], new RegExp(`^line ${last + 1}: something follows`));
      await refuses(store, ["hello\n"], /^line 1: it is no JSON/);
      await refuses(store, ['{"type":"header"}\n'], /^line 1: it was changed after it was written, or is not ours/);
      await refuses(store, ["\n"], /^line 1: /);
      assert.deepEqual((await store.list("default", { includeArchived: true, limit: 9 })).map(({ id }) => id), [ID]);
      assert.deepEqual(await store.list(".importing", { includeArchived: true, limit: 9 }), []);
    },
  );
}
