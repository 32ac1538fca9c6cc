import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import type { EventLog } from "#/core/store.ts";
import { delay } from "#/lib/delay.ts";
import { SqlEventLog } from "#/memory/event_log.ts";
import { migrate } from "#/memory/migrations.ts";
import { SqliteDriver } from "#/memory/sqlite_driver.ts";
import { awaitLease, ignoreTaken, keepLease, requireLease, watchLeft } from "#/session/lease.ts";
import { openSessions, type Sessions } from "#/session/session.ts";
import type { LeaseTerms } from "#/session/turn_log.ts";
import { asks, RecordingSandbox } from "../fake/recording_sandbox.ts";
import { calls, says, scriptedProvider } from "../fake/scripted_provider.ts";
import { collect, never, toMessage, toSendDeps, types } from "./session_kit.ts";

const PLACE = { session: "s", turn: "t1" };

/** Two gateways on one database, as two connections to one file. `ttlMs` is what their leases last. */
async function withTwo(
  test: (gateways: { log: EventLog; open: (node: string) => Promise<Sessions> }[]) => Promise<void>,
  ttlMs = 3_600_000,
): Promise<void> {
  const dir = await Deno.makeTempDir();
  const drivers: SqliteDriver[] = [];
  const gateway = async () => {
    const driver = new SqliteDriver({ path: `${dir}/shared.db`, name: "shared.db", bytesMax: 10_000_000 });
    drivers.push(driver);
    if (drivers.length === 1) await migrate(driver, 0);
    const log = new SqlEventLog({ driver, now: Date.now, name: "shared.db", closed: () => {} });
    const open = (node: string) =>
      openSessions({
        log,
        lanes: { runningMax: 4, queuedMax: 4 },
        now: Date.now,
        report: (error) => assert.fail(String(error)),
        // Looks and renews all the time, whatever a lease lasts.
        lease: { owner: `${node}:${crypto.randomUUID()}`, node, ttlMs, delay: (_ms, signal) => delay(3, signal) },
      });
    return { log, open };
  };
  try {
    await test([await gateway(), await gateway()]);
  } finally {
    for (const driver of drivers) await driver.close();
    await Deno.remove(dir, { recursive: true });
  }
}

/** Sessions that never look again and renew no lease, unless `lease` says otherwise. */
function openStuck(
  log: EventLog,
  lease: Partial<LeaseTerms> & Pick<LeaseTerms, "owner" | "ttlMs">,
  report: (error: unknown) => void = () => {},
): Promise<Sessions> {
  const terms = { delay: () => new Promise<void>(() => {}), ...lease };
  return openSessions({ log, lanes: { runningMax: 4, queuedMax: 4 }, now: Date.now, report, lease: terms });
}

const SCRIPT = [calls(["file_write", { n: 1 }, "w"]), says("Done")];

/** A turn of the first gateway that hangs in its write. */
async function hangIn(sessions: Sessions) {
  const gate = Promise.withResolvers<string>();
  const sandbox = new RecordingSandbox({ file_write: () => gate.promise });
  const turn = collect(sessions.send(toMessage("t1"), toSendDeps(scriptedProvider(...SCRIPT), sandbox), never));
  turn.catch(() => {});
  while (sandbox.journal.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  return { sandbox, gate, turn };
}

Deno.test("Sessions of two gateways: the second one leaves a turn of the first alone, and refuses its session", () =>
  withTwo(async ([one, two]) => {
    const first = await one!.open("node1");
    const { sandbox, gate, turn } = await hangIn(first);
    const second = await two!.open("node2");
    assert.deepEqual(second.open, [PLACE]);
    const other = new RecordingSandbox({ file_write: () => "twice" });
    const resuming = collect(
      second.resume(PLACE, undefined, toSendDeps(scriptedProvider(...SCRIPT), other), never),
    );
    const late = collect(second.send(toMessage("t2"), toSendDeps(scriptedProvider(says("x"))), never));
    await assert.rejects(late, { code: "session_taken" });
    gate.resolve("once");
    assert.equal((await turn).at(-1)!.type, "turn_done");
    assert.deepEqual(await resuming, [], "it ended there");
    assert.deepEqual([sandbox.requests.length, other.requests.length, second.open], [1, 0, []]);
    const again = await collect(second.send(toMessage("t2"), toSendDeps(scriptedProvider(says("x"))), never));
    assert.equal(again.at(-1)!.type, "turn_done", "the end of a turn gives the session back");
  }));

Deno.test("Sessions of two gateways: when the first one is dead, the second one goes on; a late word of the first is refused", () =>
  withTwo(async ([one, two]) => {
    // Nothing renews: as if its process had been killed, or had stood still.
    const dead = await openStuck(one!.log, { owner: "node1:a", ttlMs: 60 }, () => assert.fail("nothing is reported"));
    const { gate, turn } = await hangIn(dead);
    const second = await two!.open("node2");
    const sandbox = new RecordingSandbox({ file_write: () => "once" });
    const events = await collect(
      second.resume(PLACE, undefined, toSendDeps(scriptedProvider(says("Done")), sandbox), never),
    );
    assert.equal(events.at(-1)!.type, "turn_done");
    assert.equal(sandbox.requests[0]!.resumed, true);
    // The first one wakes up and has something to say.
    await second.stop("suspend", "stop");
    const held = await two!.log.claim("s", "node2:x", 60_000);
    assert.equal(held, true);
    gate.resolve("too late");
    await assert.rejects(turn, { code: "session_taken" });
    const all = await one!.log.turn("s", "t1");
    assert.equal(all.filter((event) => event.type === "tool_result").length, 1);
    assert.deepEqual(types(all).slice(-1), ["turn_done"]);
  }));

Deno.test("Sessions of one node: a new start takes over at once what the old one had", () =>
  withTwo(async ([one, two]) => {
    const dead = await openStuck(one!.log, { owner: "node1:a", ttlMs: 3_600_000 });
    await hangIn(dead);
    const sandbox = new RecordingSandbox({ file_write: () => "once" });
    const next = await two!.open("node1");
    const events = await collect(
      next.resume(PLACE, undefined, toSendDeps(scriptedProvider(says("Done")), sandbox), never),
    );
    assert.equal(events.at(-1)!.type, "turn_done");
  }));

Deno.test("awaitLease() looks again until it has the lease, or there is nothing left to wait for", async () => {
  const looks: string[] = [];
  let left = 3;
  const log = { claim: () => Promise.resolve(left-- <= 0) };
  const terms = { owner: "n:1", ttlMs: 30, delay: (ms: number) => Promise.resolve(void looks.push(String(ms))) };
  const wait = (isOver: boolean, signal = never) => {
    return awaitLease(log, terms, "s", {
      isOver: () => Promise.resolve(isOver),
      onTaken: () => looks.push("taken"),
      signal,
    });
  };
  assert.equal(await wait(false), true);
  assert.deepEqual(looks, ["taken", "10", "taken", "10", "taken", "10"]);
  left = 3;
  assert.equal(await wait(true), false);
  assert.equal(await wait(false, AbortSignal.abort()), false);
});

Deno.test("keepLease() renews until it is told to stop, also when the store says no", async () => {
  const stop = new AbortController();
  let renewals = 0;
  const log = {
    renew(session: string, owner: string, ttlMs: number) {
      assert.deepEqual([session, owner, ttlMs], ["s", "n:1", 30]);
      if (++renewals === 3) stop.abort();
      return Promise.reject(new AppError("store_failed", "busy"));
    },
  };
  await keepLease(log, { owner: "n:1", ttlMs: 30, delay: () => Promise.resolve() }, "s", stop.signal);
  assert.equal(renewals, 3);
});

Deno.test("Sessions of two gateways: one that stood still does not get back what another one has finished since", () =>
  withTwo(async ([one, two]) => {
    const wakes = Promise.withResolvers<void>();
    const still = await openStuck(one!.log, {
      owner: "node1:a",
      ttlMs: 20,
      delay: (_ms, signal) => wakes.promise.then(() => delay(1, signal)),
    }, () => assert.fail("nothing is reported"));
    const { gate, turn } = await hangIn(still);
    const second = await two!.open("node2");
    const deps = toSendDeps(scriptedProvider(says("Done")), new RecordingSandbox({ file_write: () => "once" }));
    assert.equal((await collect(second.resume(PLACE, undefined, deps, never))).at(-1)!.type, "turn_done");
    wakes.resolve();
    // It renews, all the time.
    await delay(30, never);
    gate.resolve("too late");
    await assert.rejects(turn, { code: "session_taken" });
    assert.deepEqual(types(await one!.log.turn("s", "t1")).slice(-1), ["turn_done"]);
  }));

Deno.test("Sessions of two gateways: what the runner of the other one was asked for is not asked of ours", () =>
  withTwo(async ([one, two]) => {
    const dead = await openStuck(one!.log, { owner: "node1:a", node: "node1", ttlMs: 20 });
    await hangIn(dead);
    const second = await two!.open("node2");
    const sandbox = new RecordingSandbox({ file_write: () => "twice" });
    const deps = toSendDeps(scriptedProvider(says("Done")), sandbox);
    const events = await collect(second.resume(PLACE, undefined, deps, never));
    assert.equal(events.at(-1)!.type, "turn_done");
    assert.equal(sandbox.requests.length, 0);
    const [result] = (await two!.log.turn("s", "t1")).filter((event) => event.type === "tool_result");
    assert.equal(result!.payload.code, "tool_interrupted");
    assert.match(result!.payload.text, /another gateway.*unknown.*not run a second time/);
  }));

Deno.test("Sessions of two gateways: what one asked about and the other one ran is not run by the first", () =>
  withTwo(async ([one, two]) => {
    const asking = new RecordingSandbox({ file_write: (request) => asks(request) });
    const script = calls(["file_write", { n: 1 }, "w"]);
    await collect(
      (await one!.open("node1")).send(toMessage("t1"), toSendDeps(scriptedProvider(script), asking), never),
    );
    const dying = await openStuck(two!.log, { owner: "node2:a", node: "node2", ttlMs: 20 });
    const running = new RecordingSandbox({ file_write: () => new Promise(() => {}) });
    const answer = { id: "card-w", ...PLACE, callId: "w", answer: "once", by: "owner" } as const;
    void collect(dying.resume(PLACE, answer, toSendDeps(scriptedProvider(says("no")), running), never)).catch(() => {});
    while (running.requests.length === 0) await delay(1, never);
    const again = await one!.open("node1");
    while ((await again.takeLeft()).length === 0) await delay(1, never);
    const sandbox = new RecordingSandbox({ file_write: () => "twice" });
    const deps = toSendDeps(scriptedProvider(says("Done")), sandbox);
    assert.equal((await collect(again.resume(PLACE, undefined, deps, never))).at(-1)!.type, "turn_done");
    assert.deepEqual([sandbox.requests.length, again.parked.size], [0, 0]);
  }));

Deno.test("Sessions.takeLeft() finds what another gateway left later, and nothing that runs", () =>
  withTwo(async ([one, two]) => {
    const second = await two!.open("node2");
    const lost = await openStuck(one!.log, { owner: "node1:a", ttlMs: 60 });
    await hangIn(lost);
    assert.deepEqual(await second.takeLeft(), [], "it runs there");
    const stop = new AbortController();
    const found: unknown[] = [];
    await watchLeft(second, () => delay(5, never), (place) => {
      found.push(place);
      stop.abort();
    }, stop.signal);
    assert.deepEqual([found, second.open], [[PLACE], [PLACE]]);
    const deps = toSendDeps(scriptedProvider(says("Done")), new RecordingSandbox({ file_write: () => "once" }));
    assert.equal((await collect(second.resume(PLACE, undefined, deps, never))).at(-1)!.type, "turn_done");
    assert.deepEqual([await second.takeLeft(), second.open], [[], []]);
  }));

Deno.test("Sessions of two gateways: a question that both know is answered once, and ended by neither while it goes on", () =>
  withTwo(async ([one, two]) => {
    const world = { isOpen: true };
    const gate = Promise.withResolvers<string>();
    const sandbox = new RecordingSandbox({
      file_read: (request) => world.isOpen ? asks(request) : gate.promise,
    });
    const deps = () =>
      toSendDeps(scriptedProvider(calls(["file_read", { path: "/vault/b" }, "b"]), says("done")), sandbox);
    const first = await one!.open("node1");
    await collect(first.send(toMessage("t1"), deps(), never));
    const second = await two!.open("node2");
    const third = await two!.open("node3");
    assert.deepEqual([...third.parked], [["s", "t1"]]);
    world.isOpen = false;
    const answer = { id: "card-b", ...PLACE, callId: "b", answer: "once", by: "owner" } as const;
    const goesOn = collect(first.resume(PLACE, answer, toSendDeps(scriptedProvider(says("done")), sandbox), never));
    while (sandbox.requests.length < 2) await delay(1, never);
    await assert.rejects(second.endParked("s", "t1", "a new message came"), { code: "session_taken" });
    gate.resolve("secret");
    assert.equal((await goesOn).at(-1)!.type, "turn_done");
    assert.deepEqual(await collect(third.resume(PLACE, answer, deps(), never)), []);
    const all = await one!.log.turn("s", "t1");
    assert.equal(all.filter((event) => event.type === "approval_answered").length, 1);
    assert.deepEqual([types(all).at(-1), third.parked.size], ["turn_done", 0]);
    assert.equal(await one!.log.claim("s", "node4:x", 1), true, "nobody keeps the session");
  }));

Deno.test("requireLease() takes a lease or throws session_taken, which ignoreTaken() alone lets pass", async () => {
  const terms = { owner: "n:1", ttlMs: 30, delay: () => Promise.resolve() };
  const log = (isOurs: boolean) => ({ claim: () => Promise.resolve(isOurs) });
  await requireLease(log(true), terms, "s");
  await requireLease(log(false), undefined, "s");
  await requireLease(log(false), terms, "s").then(() => assert.fail("taken"), ignoreTaken);
  assert.throws(() => ignoreTaken(new AppError("store_failed", "busy")), { code: "store_failed" });
});
