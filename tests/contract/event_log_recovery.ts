import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import {
  ALL,
  clock,
  type EventLogProbes,
  FULL,
  NORMAL,
  type OpenEventLog,
  rejectsWith,
  type WithFolder,
} from "./event_log_probes.ts";
import { blobOf, messageOf, SAMPLES, sessionOf } from "./event_samples.ts";

/** What holds from one open to the next. */
export function testReopen(test: WithFolder, open: OpenEventLog, probes: EventLogProbes): void {
  test("what was appended is there after the log was closed and opened", async (folder) => {
    const first = await open(folder, clock());
    await first.ensureSession(sessionOf("s"));
    const blob = await blobOf(new Uint8Array([1, 2, 3]));
    const stored = await first.append("s", "t", [{ ...messageOf("x"), blobs: [blob] }], NORMAL);
    await first.close();
    await first.close();
    await rejectsWith(first.append("s", "t", [messageOf("late")], NORMAL), "store_failed");
    const second = await open(folder, clock());
    assert.deepEqual(await second.read("s", ALL), stored);
    assert.deepEqual(await second.openTurns(), [{ session: "s", turn: "t" }]);
    assert.deepEqual(await second.blob(blob.sha256), blob.content);
    assert.equal((await second.append("s", "t", [SAMPLES.turn_done], FULL))[0]!.seq, 2);
    await second.close();
  });

  if (probes.isShared) testShared(test, open);
  else testAlone(test, open);

  test("read() skips kinds and versions it does not know and keeps them", async (folder) => {
    const first = await open(folder, clock());
    await first.ensureSession(sessionOf("s"));
    await first.append("s", "t", [messageOf("1"), messageOf("2"), messageOf("3"), SAMPLES.turn_done], NORMAL);
    await first.close();
    await probes.execute(folder, `UPDATE events SET type = 'dreamt', payload = 'not even JSON' WHERE seq = 2`);
    await probes.execute(folder, `UPDATE events SET v = 2, payload = '{}' WHERE seq = 3`);
    const second = await open(folder, clock());
    assert.deepEqual((await second.read("s", { fromSeq: 1, limit: 2 })).map((event) => event.seq), [1, 4]);
    assert.deepEqual((await second.turn("s", "t")).map((event) => event.seq), [1, 4]);
    await second.close();
    await probes.execute(
      folder,
      `UPDATE events SET type = 'user_message' WHERE type = 'dreamt' AND payload = 'not even JSON'`,
    );
    const third = await open(folder, clock());
    await rejectsWith(third.read("s", ALL), "store_corrupt", { session: "s", seq: 2 });
    await third.close();
  });

  test("a row that no version wrote is store_corrupt with its seq, and the rest stays readable", async (folder) => {
    const nonsense = ["null", "[]", '{"text":1}', "{", '"x"', ""];
    const first = await open(folder, clock());
    await first.ensureSession(sessionOf("s"));
    await first.append("s", "t", nonsense.map((_, index) => messageOf(`${index}`)), NORMAL);
    await first.append("s", "t", [messageOf("whole")], NORMAL);
    await first.close();
    for (const [index, payload] of nonsense.entries()) {
      await probes.execute(folder, `UPDATE events SET payload = '${payload}' WHERE seq = ${index + 1}`);
    }
    await probes.execute(folder, `UPDATE events SET blobs = 1 WHERE seq = 7`);
    const second = await open(folder, clock());
    for (let seq = 1; seq <= 7; seq++) {
      await rejectsWith(second.read("s", { fromSeq: seq, limit: 1 }), "store_corrupt", { session: "s", seq });
    }
    const [added] = await second.append("s", "u", [messageOf("goes on")], FULL);
    assert.deepEqual(await second.read("s", { fromSeq: 8, limit: 9 }), [added]);
    await second.close();
  });

  test("listSessions() leaves archived ones out unless asked, and gives no more than its limit", async (folder) => {
    const first = await open(folder, clock());
    await first.ensureSession(sessionOf("s"));
    await first.close();
    const many =
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${LIMITS.sessionsListedMax})`;
    await probes.execute(
      folder,
      `${many} INSERT INTO sessions (id, user, agent, channel, created_at, last_active_at, archived)
       SELECT 'x' || i, 'default', 'default', 'terminal', 1, i, i > 1 FROM n`,
    );
    const second = await open(folder, clock());
    const live = await second.listSessions("default", { includeArchived: false });
    assert.deepEqual(live.map((session) => [session.id, session.archived]), [["s", false], ["x1", false]]);
    const all = await second.listSessions("default", { includeArchived: true });
    assert.equal(all.length, LIMITS.sessionsListedMax);
    assert.deepEqual(all.slice(0, 2).map((session) => session.id), ["s", `x${LIMITS.sessionsListedMax}`]);
    await second.close();
  });

  test("a blob or a session that no version wrote is store_corrupt", async (folder) => {
    const first = await open(folder, clock());
    for (const id of ["s", "r"]) await first.ensureSession(sessionOf(id));
    const blob = await blobOf(new Uint8Array([1, 2, 3]));
    await first.append("s", "t", [{ ...messageOf("x"), blobs: [blob] }], NORMAL);
    await first.close();
    await probes.execute(folder, `UPDATE blobs SET content = x'010204'`);
    await probes.execute(folder, `UPDATE sessions SET created_at = 9223372036854775807 WHERE id = 'r'`);
    const second = await open(folder, clock());
    await rejectsWith(second.blob(blob.sha256), "store_corrupt");
    await rejectsWith(second.session("r"), "store_corrupt");
    assert.equal((await second.session("s"))!.id, "s");
    await second.close();
  });

  test("a clock that goes backwards changes no order", async (folder) => {
    const times = [5_000, 4_000, 3_000, 2_000, 1_000];
    const log = await open(folder, () => times.shift()!);
    await log.ensureSession(sessionOf("s"));
    for (const text of ["a", "b", "c"]) await log.append("s", "t", [messageOf(text)], NORMAL);
    const events = await log.read("s", ALL);
    assert.deepEqual(events.map((event) => [event.seq, event.at]), [[1, 4_000], [2, 3_000], [3, 2_000]]);
    assert.equal((await log.session("s"))!.lastActiveAt, 5_000);
    await log.close();
  });

  test("a clock that is no integer is refused and nothing is recorded", async (folder) => {
    const times = [1, NaN, 1.5, -1, Infinity];
    const log = await open(folder, () => times.shift()!);
    await log.ensureSession(sessionOf("s"));
    for (let left = times.length; left > 0; left--) {
      await assert.rejects(log.append("s", "t", [messageOf("x")], NORMAL), RangeError);
    }
    assert.deepEqual(await log.read("s", ALL), []);
    await log.close();
  });
}

function testAlone(test: WithFolder, open: OpenEventLog): void {
  test("a second open of the same log is refused until the first is closed", async (folder) => {
    const first = await open(folder, clock());
    await rejectsWith(open(folder, clock()), "lock_held");
    await first.ensureSession(sessionOf("s"));
    await first.append("s", "t", [messageOf("still works")], FULL);
    await first.close();
    const second = await open(folder, clock());
    assert.equal((await second.read("s", ALL)).length, 1);
    await second.close();
  });
}

function testShared(test: WithFolder, open: OpenEventLog): void {
  test("two that have the same log open number each event once", async (folder) => {
    const logs = [await open(folder, clock()), await open(folder, clock())];
    await logs[0]!.ensureSession(sessionOf("s"));
    const calls = Array.from({ length: 40 }, (_, at) => {
      return logs[at % 2]!.append("s", `t${at}`, [messageOf(`${at}`), messageOf("y")], FULL);
    });
    const stored = (await Promise.all(calls)).flat().sort((a, b) => a.seq - b.seq);
    assert.deepEqual(stored.map((event) => event.seq), stored.map((_, at) => at + 1));
    for (const log of logs) assert.deepEqual(await log.read("s", ALL), stored);
    for (const log of logs) await log.close();
  });
}

/** What holds when the process dies. */
export function testKill(test: WithFolder, open: OpenEventLog, probes: EventLogProbes): void {
  const cases = [
    { events: 7, chars: 20, durability: "full", lines: 40 },
    { events: 3, chars: 500_000, durability: "normal", lines: 4 },
    { events: 200, chars: 4_000, durability: "normal", lines: 3 },
  ];
  for (const { lines, ...batch } of cases) {
    test(`SIGKILL in mid-append of ${batch.events} × ${batch.chars} (${batch.durability}) loses nothing reported`, async (folder) => {
      const child = await probes.writer(folder, batch);
      const reported = await readLines(child.stdout, lines, () => child.kill("SIGKILL"));
      assert.equal((await child.status).signal, "SIGKILL");
      assert.ok(reported.length >= lines);
      const log = await open(folder, clock());
      const last = Number(reported.at(-1));
      const events = await log.read("s", { fromSeq: 1, limit: LIMITS.eventsPerReadMax });
      assert.ok(events.length >= last, `${events.length} events, ${last} reported`);
      assert.equal(events.length % batch.events, 0, "half a batch");
      assert.deepEqual(events.map((event) => event.seq), events.map((_, index) => index + 1));
      assert.deepEqual(await log.openTurns(), [{ session: "s", turn: "t" }]);
      const [next] = await log.append("s", "t", [SAMPLES.turn_done], FULL);
      assert.equal(next!.seq, events.length + 1);
      await log.close();
    });
  }
}

/** All lines of a process; `reached` is called when the first `count` are there. */
async function readLines(
  stdout: ReadableStream<Uint8Array<ArrayBuffer>>,
  count: number,
  reached: () => void,
): Promise<string[]> {
  let text = "";
  let isReached = false;
  for await (const chunk of stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (!isReached && text.split("\n").length > count) {
      isReached = true;
      reached();
    }
  }
  return text.split("\n").slice(0, -1);
}
