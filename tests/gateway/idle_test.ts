import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { sweepIdle } from "#/gateway/idle.ts";
import { openEventLog } from "#/memory/sqlite.ts";
import { messageOf, SAMPLES, sessionOf } from "../contract/event_samples.ts";

Deno.test("sweepIdle() archives what is idle, lets go of it, and goes on until it is ended", async () => {
  const folder = await Deno.makeTempDir();
  let now = 1_700_000_000_000;
  const log = await openEventLog({ path: `${folder}/log.db`, now: () => now });
  const timers: { ms: number; run: () => void }[] = [];
  const [gone, reports]: [string[], unknown[]] = [[], []];
  let swept = Promise.withResolvers<void>();
  let isBroken = false;
  const end = sweepIdle({
    log: { sessions: () => isBroken ? Promise.reject(new Error("broken")) : log.sessions() },
    user: "ann",
    sessionIdleMs: 1_000,
    now: () => now,
    after(ms, run) {
      timers.push({ ms, run });
      swept.resolve();
      return () => timers.splice(0);
    },
    letGo: (session) => gone.push(session),
    report: (error) => reports.push(error),
  });
  const sweep = async () => {
    swept = Promise.withResolvers();
    timers.pop()!.run();
    await swept.promise;
  };
  try {
    for (const id of ["idle", "running", "fresh"]) await log.ensureSession(sessionOf(id, "ann"));
    await log.append("idle", "t", [messageOf("hi"), SAMPLES.turn_done], { durability: "normal" });
    await log.append("running", "t", [messageOf("hi")], { durability: "normal" });
    now += 2_000;
    await log.append("fresh", "t", [messageOf("hi"), SAMPLES.turn_done], { durability: "normal" });
    await sweep();
    assert.deepEqual([gone, timers.map(({ ms }) => ms)], [["idle"], [LIMITS.idleSweepMs]]);
    assert.deepEqual((await log.listSessions("ann", { includeArchived: false })).map(({ id }) => id), [
      "fresh",
      "running",
    ]);
    isBroken = true;
    await sweep();
    assert.equal(reports.length, 1);
    isBroken = false;
    await sweep();
    assert.equal(gone.length, 1, "once");
    end();
    assert.equal(timers.length, 0);
  } finally {
    await log.close();
    await Deno.remove(folder, { recursive: true });
  }
});
