import assert from "node:assert/strict";
import { join } from "node:path";
import { AppError, type ErrorCode } from "#/core/error.ts";
import { CHANNEL, Directory } from "#/gateway/directory.ts";
import { openEventLog } from "#/memory/sqlite.ts";

async function withDirectory(
  run: (
    directory: Directory,
    at: { log: Awaited<ReturnType<typeof openEventLog>>; clock: { now: number } },
  ) => Promise<void>,
  bounds = { sessionsMax: 3, sessionIdleMs: 1_000 },
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const clock = { now: 1_700_000_000_000 };
  const now = () => clock.now;
  const log = await openEventLog({ path: join(folder, "log.db"), now });
  try {
    await run(new Directory({ log, user: "ann", now, ...bounds }), { log, clock });
  } finally {
    await log.close();
    await Deno.remove(folder, { recursive: true });
  }
}

function refuses(work: Promise<unknown>, code: ErrorCode, message: RegExp): Promise<void> {
  return assert.rejects(work, (error) => {
    assert.ok(error instanceof AppError);
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  });
}

Deno.test("resolve() makes the default session once and finds it by its name", () =>
  withDirectory(async (directory, { log }) => {
    const first = await directory.resolve(undefined, false);
    assert.equal(first.id, "runtime-ann");
    assert.equal(first.channel, CHANNEL);
    assert.equal(first.agent, "default");
    assert.deepEqual(await directory.resolve("runtime-ann", false), first);
    assert.equal((await log.listSessions("ann", { includeArchived: true })).length, 1);
  }));

Deno.test("resolve() knows no other session, unless the client may name one", () =>
  withDirectory(async (directory) => {
    await refuses(directory.resolve("mine", false), "session_unknown", /user `ann` has no session `mine`/);
    assert.equal((await directory.resolve("mine", true)).id, "mine");
    assert.equal((await directory.resolve("mine", false)).id, "mine");
    for (const id of ["", "../x", "a b", ".hidden", "a/b", "x".repeat(129), "é"]) {
      await refuses(directory.resolve(id, true), "session_unknown", /has no session/);
    }
  }));

Deno.test("resolve() and find() say of another user's session what they say of none", () =>
  withDirectory(async (directory, { log }) => {
    await log.ensureSession({
      id: "bobs",
      user: "bob",
      agent: "default",
      channel: "tui",
      displayName: null,
      parent: null,
    });
    await refuses(directory.resolve("bobs", false), "session_unknown", /user `ann` has no session `bobs`/);
    await refuses(directory.resolve("bobs", true), "session_unknown", /user `ann` has no session `bobs`/);
    await refuses(directory.find("bobs"), "session_unknown", /user `ann` has no session `bobs`/);
    await refuses(directory.find("bob"), "session_unknown", /user `ann` has no session `bob`/);
  }));

Deno.test("create() gives UUIDv7 ids, names, and stops at sessionsMax in use", () =>
  withDirectory(async (directory, { clock }) => {
    const named = await directory.create("Rivers", "poet");
    assert.match(named.id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(named.displayName, "Rivers");
    assert.equal(named.agent, "poet");
    assert.equal((await directory.create(null, null)).agent, "default");
    await directory.create(null, null);
    await refuses(directory.create(null, null), "quota_exceeded", /3 sessions are in use.*max_sessions_per_user/);
    await refuses(directory.resolve("new", true), "quota_exceeded", /in use/);
    assert.equal((await directory.resolve(undefined, false)).id, "runtime-ann", "the default one is always there");
    clock.now += 1_001;
    await directory.create(null, null);
  }));

Deno.test("find() takes an id or the only prefix that matches", () =>
  withDirectory(async (directory) => {
    for (const id of ["alpha", "alps", "beta"]) await directory.resolve(id, true);
    assert.equal((await directory.find("alpha")).id, "alpha");
    assert.equal((await directory.find("b")).id, "beta");
    await refuses(directory.find("al"), "session_unknown", /2 sessions begin with `al`/);
    await refuses(directory.find("gamma"), "session_unknown", /has no session `gamma`/);
    await refuses(directory.find(""), "session_unknown", /has no session ``/);
  }));

Deno.test("list() shows the last active first, sub-agents only when asked, no null", () =>
  withDirectory(async (directory, { log, clock }) => {
    await directory.resolve("one", true);
    clock.now += 1;
    await directory.resolve("two", true);
    const sub = { id: "sub", user: "ann", agent: "poet", channel: "subagent", displayName: "d", parent: "one" };
    await log.ensureSession(sub);
    const at = "2023-11-14T22:13:20";
    const [two, one] = await directory.list({ includeArchived: false, includeSubagents: false });
    assert.deepEqual(JSON.parse(JSON.stringify([two, one])), [
      {
        session_id: "two",
        agent_name: "default",
        channel_origin: "tui",
        created_at: `${at}.001Z`,
        last_active_at: `${at}.001Z`,
        archived: false,
      },
      {
        session_id: "one",
        agent_name: "default",
        channel_origin: "tui",
        created_at: `${at}.000Z`,
        last_active_at: `${at}.000Z`,
        archived: false,
      },
    ]);
    const all = await directory.list({ includeArchived: true, includeSubagents: true });
    assert.equal(all.find((summary) => summary.session_id === "sub")?.display_name, "d");
    assert.equal(all.length, 3);
    await log.ensureSession({ ...sub, id: "branch", channel: "api:start" });
    const shown = await directory.list({ includeArchived: false, includeSubagents: false });
    assert.deepEqual(shown.map((summary) => summary.session_id).toSorted(), ["branch", "one", "two"]);
  }));

Deno.test("create() archives what is idle, and refuses when as many as may be are in use", () =>
  withDirectory(async (directory, { log, clock }) => {
    for (const id of ["a", "b", "c"]) await directory.resolve(id, true);
    await refuses(directory.create(null, null), "quota_exceeded", /3 sessions are in use; archive or delete one/);
    clock.now += 1_001;
    await log.append("c", "t", [{ type: "user_message", v: 1, payload: { text: "hi", channel: "tui" } }], {
      durability: "normal",
    });
    const made = await directory.create("new", null);
    const rows = await log.listSessions("ann", { includeArchived: false });
    assert.deepEqual(rows.map(({ id }) => id).toSorted(), [made.id, "c"].toSorted());
  }));
