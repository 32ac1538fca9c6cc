import assert from "node:assert/strict";
import { makeRoom } from "#/gateway/room.ts";

// The bound and the archiving run over a real log in directory_test.ts; here what is asked, and when.
Deno.test("makeRoom() archives before it counts, by the time that is idle", async () => {
  const asked: unknown[] = [];
  const log = {
    sessions: () => Promise.resolve({ archiveIdle: (...args: unknown[]) => Promise.resolve(void asked.push(args)) }),
    listSessions: () => Promise.resolve([{ channel: "tui" }, { channel: "api:x" }]),
  } as unknown as Parameters<typeof makeRoom>[0]["log"];
  const bounds = { log, user: "ann", sessionIdleMs: 10, now: () => 100 };
  await makeRoom({ ...bounds, sessionsMax: 2 });
  assert.deepEqual(asked, [["ann", 90]]);
  await assert.rejects(makeRoom({ ...bounds, sessionsMax: 1 }), { code: "quota_exceeded" });
});
