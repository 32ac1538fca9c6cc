import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { AppError, type ErrorCode } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { MIGRATIONS } from "#/memory/migrations.ts";
import { openEventLog } from "#/memory/sqlite.ts";
import { messageOf, SAMPLES, sessionOf } from "../contract/event_samples.ts";
import { guestCommand } from "./guest_command.ts";

const FULL = { durability: "full" } as const;
const now = () => 1_700_000_000_000;

Deno.test("openEventLog() works with read and write permission for its folder and nothing else", async () => {
  await inFolder(async (folder) => {
    const output = await guestCommand("permission_child.ts", folder, [`${folder}/events.db`]).output();
    assert.deepEqual(jsonOf(output), { permissions: [], read: 2, blobBytes: 100_000 });
  });
});

Deno.test("openEventLog() says which permission is missing, and no path", async () => {
  await inFolder(async (folder) => {
    const args = [`${folder}/events.db`];
    for (const flags of [[], [`--allow-read=${folder}`], [`--allow-write=${folder}`]]) {
      const output = await guestCommand("permission_child.ts", folder, args, flags).output();
      const text = "events.db: the process lacks read and write permission for its folder";
      assert.deepEqual(jsonOf(output), { permissions: [], error: { code: "store_failed", message: text } });
    }
    assert.deepEqual(namesIn(folder), []);
  });
});

Deno.test("openEventLog() makes folder 0700 and files 0600, also of what others could read", async () => {
  await inFolder(async (folder) => {
    Deno.mkdirSync(`${folder}/internal`, { mode: 0o755 });
    Deno.writeTextFileSync(`${folder}/internal/events.db`, "", { mode: 0o644 });
    const log = await openEventLog({ path: `${folder}/internal/events.db`, now });
    await log.ensureSession(sessionOf("s"));
    const modes = namesIn(`${folder}/internal`).map((name) => [name, modeOf(`${folder}/internal/${name}`)]);
    assert.deepEqual(
      modes,
      ["events.db", "events.db-shm", "events.db-wal", "events.db.lock"].map((name) => [name, "600"]),
    );
    assert.equal(modeOf(`${folder}/internal`), "700");
    await log.close();
    assert.deepEqual(namesIn(`${folder}/internal`), ["events.db", "events.db.lock"]);
  });
});

Deno.test("openEventLog() is refused while another process has the log open, and not after it was killed", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/events.db`;
    const child = guestCommand("append_child.ts", folder, [path, "1", "10", "normal"]).spawn();
    const reader = child.stdout.getReader();
    await reader.read();
    await rejectsWith(openEventLog({ path, now }), "lock_held", /events\.db is open in another process/);
    child.kill("SIGKILL");
    await child.status;
    await reader.cancel();
    const log = await openEventLog({ path, now });
    assert.ok((await log.read("s", { fromSeq: 1, limit: 1 })).length === 1);
    await log.close();
  });
});

Deno.test("openEventLog() opens what a process left that was killed while it made a log", async () => {
  await inFolder(async (folder) => {
    for (let round = 0; round < 20; round++) {
      const own = `${folder}/${round}`;
      Deno.mkdirSync(own);
      const child = guestCommand("create_child.ts", own, [own]).spawn();
      const reader = child.stdout.getReader();
      await reader.read();
      await new Promise((resolve) => setTimeout(resolve, 5 + round * 3));
      child.kill("SIGKILL");
      await child.status;
      await reader.cancel();
      for (const name of namesIn(own)) {
        const log = await openEventLog({ path: `${own}/${name}/events.db`, now });
        await log.ensureSession(sessionOf("s"));
        await log.close();
      }
    }
  });
});

Deno.test("openEventLog() takes back a transaction that was cut off before there was a write-ahead log", async () => {
  await inFolder(async (folder) => {
    const [made, left] = [`${folder}/made.db`, `${folder}/events.db`];
    const db = new DatabaseSync(made);
    // Pages that do not fit into the cache go to the file in mid-transaction, as they were when the process died.
    db.exec("PRAGMA cache_size=1; CREATE TABLE once (text); BEGIN IMMEDIATE");
    for (let row = 0; row < 50; row++) db.exec(`INSERT INTO once VALUES ('${"x".repeat(3_000)}')`);
    for (const end of ["", "-journal"]) Deno.copyFileSync(made + end, left + end);
    db.close();
    execute(made, "DROP TABLE once");
    await rejectsWith(openEventLog({ path: left, now }), "store_corrupt", /events\.db/);
    assert.deepEqual(query(left, "SELECT count(*) AS rows FROM once"), [{ rows: 0 }], "back where it was, and no more");
    assert.ok(!namesIn(folder).includes("events.db-journal"));
  });
});

Deno.test("openEventLog() refuses a newer schema and leaves every byte", async () => {
  await withClosedLog(async (path) => {
    execute(path, "PRAGMA user_version=99");
    const before = Deno.readFileSync(path);
    await rejectsWith(openEventLog({ path, now }), "store_newer", /schema 99, this one knows \d+.*Update the program/s);
    assertSameBytes(path, before);
    const newer = new DatabaseSync(path);
    newer.exec("PRAGMA user_version=100");
    const [main, wal] = [Deno.readFileSync(path), Deno.readFileSync(`${path}-wal`)];
    newer.close();
    Deno.writeFileSync(path, main);
    Deno.writeFileSync(`${path}-wal`, wal);
    await rejectsWith(openEventLog({ path, now }), "store_newer", /schema 100, this one knows \d+/);
    assertSameBytes(path, main);
    assertSameBytes(`${path}-wal`, wal);
  });
});

Deno.test("openEventLog() refuses what is no event log and leaves every byte", async () => {
  const foreign = "CREATE TABLE t (a)";
  const cases: readonly ((path: string) => void)[] = [
    (path) => Deno.writeTextFileSync(path, "not a database, but long enough to be looked at\n".repeat(100)),
    (path) => Deno.writeFileSync(path, crypto.getRandomValues(new Uint8Array(65_536))),
    (path) => execute(path, foreign),
    (path) => execute(path, `${foreign}; PRAGMA user_version=1`),
    (path) => execute(path, `${foreign}; PRAGMA application_id=1331251524`),
  ];
  for (const make of cases) {
    await inFolder(async (folder) => {
      const path = `${folder}/events.db`;
      make(path);
      const before = Deno.readFileSync(path);
      await rejectsWith(
        openEventLog({ path, now }),
        "store_corrupt",
        /^events\.db is damaged \(.*move events\.db, events\.db-wal/s,
      );
      assertSameBytes(path, before);
      assert.deepEqual(namesIn(folder), ["events.db", "events.db.lock"]);
    });
  }
});

Deno.test("openEventLog() finds a damaged page after an unclean close", async () => {
  await inFolder(async (folder) => {
    const log = await openEventLog({ path: `${folder}/live.db`, now });
    await log.ensureSession(sessionOf("s"));
    for (let at = 0; at < 20; at++) {
      await log.append("s", `t${at}`, Array.from({ length: 100 }, () => messageOf("x".repeat(4_000))), FULL);
    }
    // The state that a power cut would leave, with one page of the main file gone bad.
    const main = Deno.readFileSync(`${folder}/live.db`);
    const wal = Deno.readFileSync(`${folder}/live.db-wal`);
    await log.close();
    const path = `${folder}/events.db`;
    Deno.writeFileSync(path, main);
    Deno.writeFileSync(`${path}-wal`, wal);
    const whole = await openEventLog({ path, now });
    assert.equal((await whole.openTurns()).length, 20);
    await whole.close();
    for (let at = 4_096; at < main.length; at += 4_096) main.fill(0xa5, at, at + 64);
    Deno.writeFileSync(path, main);
    Deno.writeFileSync(`${path}-wal`, wal);
    await rejectsWith(openEventLog({ path, now }), "store_corrupt", /^events\.db is damaged/);
    assertSameBytes(path, main);
    assertSameBytes(`${path}-wal`, wal);
  });
});

Deno.test("openEventLog() checks a log up to the limit and opens a larger one unchecked", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/events.db`;
    const log = await openEventLog({ path: `${folder}/live.db`, now });
    await log.ensureSession(sessionOf("s"));
    await log.append("s", "t", [messageOf("x".repeat(1_000_000))], FULL);
    const wal = Deno.readFileSync(`${folder}/live.db-wal`);
    await log.close();
    const main = Deno.readFileSync(`${folder}/live.db`);
    // A page in the middle of the long text; the write-ahead log is there but holds nothing that counts.
    main.fill(0xa5, 200_704, 204_800);
    for (const [bytes, isChecked] of [[LIMITS.logCheckBytesMax, true], [LIMITS.logCheckBytesMax + 1, false]] as const) {
      Deno.writeFileSync(path, main);
      Deno.truncateSync(path, bytes);
      Deno.writeFileSync(`${path}-wal`, wal.fill(0));
      if (isChecked) await rejectsWith(openEventLog({ path, now }), "store_corrupt", /^events\.db is damaged/);
      else await (await openEventLog({ path, now })).close();
    }
  });
});

Deno.test("openEventLog() refuses an empty file beside a write-ahead log, which SQLite would throw away", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/events.db`;
    const log = await openEventLog({ path: `${folder}/live.db`, now });
    const wal = Deno.readFileSync(`${folder}/live.db-wal`);
    await log.close();
    assert.ok(wal.length > 0);
    Deno.writeFileSync(`${path}-wal`, wal);
    await rejectsWith(openEventLog({ path, now }), "store_corrupt", /only its write-ahead log is left/);
    assertSameBytes(`${path}-wal`, wal);
  });
});

Deno.test("openEventLog() copies the log before it migrates, with all that was in the write-ahead log", async () => {
  await withClosedLog(async (path) => {
    const migrations = [...MIGRATIONS, ["ALTER TABLE sessions ADD COLUMN mood TEXT"]];
    const migrated = await openEventLog({ path, now, migrations });
    assert.equal((await migrated.read("s", { fromSeq: 1, limit: 9 })).length, 2);
    await migrated.close();
    assert.deepEqual(query(path, "SELECT user_version FROM pragma_user_version"), [{
      user_version: MIGRATIONS.length + 1,
    }]);
    assert.equal(modeOf(`${path}.v${MIGRATIONS.length}.bak`), "600");
    Deno.renameSync(`${path}.v${MIGRATIONS.length}.bak`, path);
    const restored = await openEventLog({ path, now });
    assert.equal((await restored.read("s", { fromSeq: 1, limit: 9 })).length, 2);
    await restored.close();
  });
});

Deno.test("openEventLog() gives a log of schema 1 the index by which calls of models are found", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/events.db`;
    const old = await openEventLog({ path, now, migrations: MIGRATIONS.slice(0, 1) });
    await old.ensureSession(sessionOf("s"));
    await old.append("s", "t", [SAMPLES.model_request, SAMPLES.model_result], FULL);
    await old.close();
    const log = await openEventLog({ path, now });
    assert.deepEqual((await log.usage(0)).map(({ calls }) => calls), [1]);
    await log.close();
    assert.equal(query(path, "SELECT name FROM sqlite_schema WHERE name = 'events_calls'").length, 1);
  });
});

Deno.test("openEventLog() leaves the old schema whole when a step fails", async () => {
  await withClosedLog(async (path) => {
    const broken = [...MIGRATIONS, ["CREATE TABLE half (a)", "INSERT INTO absent VALUES (1)"]];
    await assert.rejects(openEventLog({ path, now, migrations: broken }), /no such table: absent/);
    const log = await openEventLog({ path, now });
    assert.equal((await log.append("s", "t", [SAMPLES.budget], FULL))[0]!.seq, 3);
    await log.close();
    assert.deepEqual(query(path, "SELECT name FROM sqlite_schema WHERE name = 'half'"), []);
  });
});

Deno.test("openEventLog() makes no copy of a new or current log", async () => {
  await withClosedLog(async (path) => {
    await (await openEventLog({ path, now })).close();
    assert.deepEqual(namesIn(path.replace(/\/events\.db$/, "")), ["events.db", "events.db.lock"]);
  });
});

Deno.test("append() at the size limit records nothing of a batch, and the log goes on", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/events.db`;
    const log = await openEventLog({ path, now, bytesMax: 1_048_576 });
    await log.ensureSession(sessionOf("s"));
    const batch = [messageOf("small"), messageOf("x".repeat(100_000))];
    let recorded = 0;
    await assert.rejects(
      async () => {
        while (recorded < 100) recorded += (await log.append("s", "t", batch, FULL)).length;
      },
      (error: unknown) =>
        error instanceof AppError && error.code === "store_failed" && error.params["reason"] === "full",
    );
    assert.ok(recorded >= 16 && recorded < 22, `${recorded}`);
    assert.equal((await log.read("s", { fromSeq: 1, limit: 100 })).length, recorded);
    assert.equal((await log.append("s", "t", [SAMPLES.turn_failed], FULL))[0]!.seq, recorded + 1);
    await log.close();
    const larger = await openEventLog({ path, now });
    assert.equal((await larger.append("s", "t", batch, FULL)).at(-1)!.seq, recorded + 3);
    await larger.close();
  });
});

Deno.test("append() that the file system refuses half way records nothing of it", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/events.db`;
    const program = new URL("fill_child.ts", import.meta.url).pathname;
    // The system cuts every file at 8192 blocks of 512 or 1024 bytes; the signal that would kill is ignored, so the write fails.
    const limited = `trap "" XFSZ; ulimit -f 8192; exec "$@"`;
    const deno = [
      Deno.execPath(),
      "run",
      "--no-prompt",
      "--cached-only",
      `--allow-read=${folder}`,
      `--allow-write=${folder}`,
    ];
    const output = await new Deno.Command("sh", { args: ["-c", limited, "sh", ...deno, program, path, "200000"] })
      .output();
    const { recorded, refusal, read } = jsonOf(output);
    assert.deepEqual({ refusal, read }, { refusal: { code: "store_failed", reason: "io" }, read: recorded });
    assert.ok(Number(recorded) > 10);
    const log = await openEventLog({ path, now });
    assert.equal((await log.append("s", "t", [SAMPLES.turn_done], FULL))[0]!.seq, Number(recorded) + 1);
    await log.close();
  });
});

Deno.test("append() waits no longer than its limit for a foreign writer, and works when that is gone", async () => {
  await inFolder(async (folder) => {
    const log = await openEventLog({ path: `${folder}/events.db`, now });
    await log.ensureSession(sessionOf("s"));
    const foreign = new DatabaseSync(`${folder}/events.db`);
    foreign.exec("BEGIN IMMEDIATE");
    await rejectsWith(log.append("s", "t", [messageOf("x")], FULL), "store_failed", /another program holds it/);
    foreign.exec("ROLLBACK");
    foreign.close();
    assert.equal((await log.append("s", "t", [messageOf("x")], FULL))[0]!.seq, 1);
    await log.close();
  });
});

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A log of two events in one session, closed. */
async function withClosedLog(body: (path: string) => Promise<void>): Promise<void> {
  await inFolder(async (folder) => {
    const path = `${folder}/events.db`;
    const log = await openEventLog({ path, now });
    await log.ensureSession(sessionOf("s"));
    await log.append("s", "t", [messageOf("x"), SAMPLES.budget], FULL);
    await log.close();
    await body(path);
  });
}

async function rejectsWith(promise: Promise<unknown>, code: ErrorCode, message: RegExp): Promise<void> {
  await assert.rejects(promise, (error: unknown) => {
    assert.ok(error instanceof AppError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    assert.doesNotMatch(error.message, /\//, "a host path");
    return true;
  });
}

function execute(path: string, sql: string): void {
  const db = new DatabaseSync(path);
  db.exec(sql);
  db.close();
}

function query(path: string, sql: string): readonly unknown[] {
  const db = new DatabaseSync(path);
  const rows = db.prepare(sql).all().map((row) => ({ ...row }));
  db.close();
  return rows;
}

function namesIn(folder: string): readonly string[] {
  return [...Deno.readDirSync(folder)].map((entry) => entry.name).sort();
}

function assertSameBytes(path: string, expected: Uint8Array): void {
  const held = Deno.readFileSync(path);
  // Not deepEqual: the text of its difference between two files does not fit into memory.
  assert.ok(held.length === expected.length && held.every((byte, at) => byte === expected[at]), "the file was changed");
}

function modeOf(path: string): string {
  return (Deno.statSync(path).mode! & 0o777).toString(8);
}

function jsonOf(output: Deno.CommandOutput): Record<string, unknown> {
  return JSON.parse(new TextDecoder().decode(output.stdout));
}
