import assert from "node:assert/strict";
import type { NewEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import { ALL, NORMAL, rejectsWith, type WithLog } from "./event_log_probes.ts";
import { messageOf, sessionOf } from "./event_samples.ts";

function summaryOf(epoch: number): NewEvent {
  return { type: "summary", v: 1, payload: { fromSeq: 1, toSeq: epoch, text: `so far ${epoch}`, epoch } };
}

/** Reading from the newest event on, and summaries that replace one another only in their order. */
export function testSummaries(withLog: WithLog): void {
  withLog("readBack() gives the newest first, of the kinds asked for, page by page", async (log) => {
    await log.ensureSession(sessionOf("other"));
    for (let n = 1; n <= 5; n++) {
      await log.append("s", `t${n}`, [messageOf(`m${n}`), summaryOf(n)], NORMAL);
      await log.append("other", "t", [messageOf("not ours")], NORMAL);
    }
    const all = (await log.read("s", ALL)).toReversed();
    assert.deepEqual(await log.readBack("s", { beforeSeq: 100, limit: 100 }), all);
    const types = ["user_message"] as const;
    const page = await log.readBack("s", { beforeSeq: 8, limit: 2, types });
    assert.deepEqual(page.map(({ seq }) => seq), [7, 5]);
    assert.deepEqual(await log.readBack("s", { beforeSeq: 1, limit: 2, types }), []);
    assert.deepEqual(await log.readBack("nobody", { beforeSeq: 100, limit: 2 }), []);
    for (const limit of [0, -1, 1.5, LIMITS.eventsPerReadMax + 1]) {
      await assert.rejects(log.readBack("s", { beforeSeq: 1, limit }), RangeError);
    }
    await assert.rejects(log.readBack("s", { beforeSeq: -1, limit: 1 }), RangeError);
  });

  withLog("a summary is recorded only behind the one that it goes on from", async (log) => {
    assert.equal(await log.lastSummary("s"), undefined);
    const lost = (events: NewEvent[]) =>
      rejectsWith(log.append("s", "t", events, NORMAL), "store_failed", { reason: "epoch" });
    await lost([summaryOf(2)]);
    await lost([summaryOf(0)]);
    await log.append("s", "t", [messageOf("a"), summaryOf(1)], NORMAL);
    await lost([messageOf("nothing of it"), summaryOf(1)]);
    await lost([summaryOf(3)]);
    await log.append("s", "t", [summaryOf(2), summaryOf(3)], NORMAL);
    assert.deepEqual((await log.read("s", ALL)).map(({ seq, type }) => `${seq} ${type}`), [
      "1 user_message",
      "2 summary",
      "3 summary",
      "4 summary",
    ]);
    assert.equal((await log.lastSummary("s"))?.payload.text, "so far 3");
    await log.ensureSession(sessionOf("other"));
    assert.equal(await log.lastSummary("other"), undefined, "of its own session");
    await log.append("other", "t", [summaryOf(1)], NORMAL);
    await rejectsWith(log.append("nobody", "t", [summaryOf(1)], NORMAL), "session_unknown");
  });

  withLog("of two summaries at once one is recorded", async (log) => {
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, (_, n) => log.append("s", `t${n}`, [messageOf(`${n}`), summaryOf(1)], NORMAL)),
    );
    assert.equal(results.filter(({ status }) => status === "fulfilled").length, 1);
    assert.equal((await log.read("s", ALL)).length, 2);
  });

  withLog("tens of epochs are in order as numbers, not as text", async (log) => {
    for (let epoch = 1; epoch <= 12; epoch++) await log.append("s", "t", [summaryOf(epoch)], NORMAL);
    assert.equal((await log.lastSummary("s"))?.payload.epoch, 12);
  });
}
