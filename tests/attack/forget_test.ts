/** A guest that says that a session is deleted, to gain by it: to have seen nothing, to spend a yes again, to have more shells than it may. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { forgetSession } from "#/runner/forget_session.ts";
import { openApprovals } from "#/sandbox/approvals.ts";
import { openShells } from "#/sandbox/shells.ts";
import type { TierDriver } from "#/sandbox/tier.ts";
import { PlainTier, WIDE } from "../fixture/plain_tier.ts";
import { openTempBroker, requestOf, says } from "../sandbox/temp_broker.ts";
import { openTempFiles } from "../sandbox/temp_files.ts";

const never = new AbortController().signal;
const NOTHING = { forget: () => {} };

Deno.test("a guest that read the vault and deletes the session has seen it under this name all the same, and is asked anew", async () => {
  using temp = openTempFiles();
  Deno.writeTextFileSync(join(temp.dir, "vault", "key"), "SECRET");
  const path = join(temp.dir, "approvals.json");
  const options = { path, now: () => 5_000, record: () => {}, onResolved: () => {} };
  const approvals = openApprovals(options);
  let runs = 0;
  const broker = await openTempBroker(temp, (...call) => (runs++, says("SECRET")(...call)), { approvals });
  const read = (callId: string) => broker.call(requestOf({ path: "/vault/key" }, { callId }), never);
  const asked = await read("1");
  assert.equal(asked.kind, "ask", asked.text);
  approvals.answer({ id: asked.card!.id, answer: "session" }, "owner");
  assert.deepEqual([(await read("1")).kind, (await read("2")).kind, runs], ["ok", "ok", 2]);
  const { session } = requestOf({});
  await forgetSession(session, { calls: NOTHING, approvals, shell: undefined, browsers: undefined });
  assert.deepEqual([(await read("3")).kind, runs], ["ask", 2], "the yes was one to the session that is gone");
  const later = openApprovals(options);
  assert.ok(approvals.isPrivate(session) && later.isPrivate(session), "now, and after a restart");
  broker.close();
  approvals.close();
  later.close();
});

Deno.test("a guest that has one session after another ended gets no more shells at once than it may", async () => {
  const dir = await Deno.makeTempDir();
  const plain = new PlainTier();
  const go = Promise.withResolvers<void>();
  // One that does not die at once, as a container.
  const driver: Pick<TierDriver, "open"> = {
    async open(spec, signal) {
      const process = await plain.open(spec, signal);
      return { ...process, kill: () => go.promise.then(() => process.kill()) };
    },
  };
  const sessionsMax = 2;
  const mounts = { shared: dir, tmp: dir };
  const base = { user: "default", mounts, env: {}, limits: WIDE, onLog: () => {} };
  const shells = openShells({ ...base, driver, sessionsMax });
  const fill = (name: string) =>
    Array.from(
      { length: sessionsMax },
      (_, n) => shells.exec({ session: `${name}${n}`, command: "sleep 1000 &", timeoutMs: 20_000, connect: [] }, never),
    );
  await Promise.all(fill("a"));
  const ends = Array.from(
    { length: sessionsMax },
    (_, n) => forgetSession(`a${n}`, { calls: NOTHING, approvals: NOTHING, shell: shells, browsers: undefined }),
  );
  const more = fill("b");
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve));
  const atOnce = plain.opened.length;
  go.resolve();
  await Promise.all([...ends, ...more]);
  await shells.close();
  await Deno.remove(dir, { recursive: true });
  assert.equal(atOnce, sessionsMax, "what still dies counts");
  assert.equal(plain.opened.length, 2 * sessionsMax);
});
