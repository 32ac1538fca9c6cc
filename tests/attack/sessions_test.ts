/** What somebody does with sessions that are not theirs, with files that are made sessions, and with what was deleted. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { LIMITS } from "#/core/limits.ts";
import type { EventLog } from "#/core/store.ts";
import { toChainedLine } from "#/lib/chained_line.ts";
import { openEventLog } from "#/memory/sqlite.ts";
import { openApprovals } from "#/sandbox/approvals.ts";
import { exported, toBytes } from "../contract/session_store_contract.ts";
import { blobOf, messageOf, SAMPLES, sessionOf } from "../contract/event_samples.ts";
import { says as answers, scriptedProvider } from "../fake/scripted_provider.ts";
import { openHouse } from "../gateway/house.ts";
import { sessionsOver } from "../gateway/real_sessions.ts";
import { openTempBroker, says } from "../sandbox/temp_broker.ts";
import { openTempFiles } from "../sandbox/temp_files.ts";
import { sha256Hex } from "#/lib/sha256.ts";

const encoder = new TextEncoder();
const NORMAL = { durability: "normal" } as const;
const INTO = { user: "ann", channel: "import" } as const;

async function withLog(check: (log: EventLog, path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  const path = join(folder, "log.db");
  const log = await openEventLog({ path, now: Date.now });
  try {
    await check(log, path);
  } finally {
    await log.close();
    await Deno.remove(folder, { recursive: true });
  }
}

/** Lines with a good chain, as a program of somebody else could write them. */
function chain(contents: readonly Record<string, unknown>[]): string[] {
  let prev = "";
  return contents.map((content, at) => {
    const { line, sha256 } = toChainedLine({ ...content, seq: at + 1, at: 1, prev });
    prev = sha256;
    return `${line}\n`;
  });
}

const HEADER = { type: "header", format: "oxydra-session", version: 1 };
const sessionLine = (id: string) => {
  return { type: "session", session: { id, agent: "default", name: null, channel: "tui", createdAt: 1 } };
};
const eventLine = (seq: number, type: string, payload: unknown, more: object = {}) => {
  return { type: "event", event: { seq, turn: "t", type, v: 1, at: 1, payload, blobs: [], ...more } };
};
const END = { type: "end", events: 1, blobs: 0 };
const MESSAGE = { text: "hi", channel: "tui" };

Deno.test("a session that was deleted is in no file of the store any more", async () => {
  await withLog(async (log, path) => {
    await log.ensureSession(sessionOf("kept", "ann"));
    await log.ensureSession({ ...sessionOf("gone", "ann"), displayName: "marked-name" });
    const blob = await blobOf(encoder.encode("marked-blob".repeat(9_000)));
    for (let n = 0; n < 40; n++) {
      // Side by side, so that pages hold both.
      await log.append("kept", `k${n}`, [messageOf(`kept ${n}`)], NORMAL);
      await log.append("gone", `g${n}`, [messageOf(`marked-text ${n}`)], NORMAL);
    }
    await log.append("gone", "g", [{ ...messageOf("marked-text"), blobs: [blob] }], NORMAL);
    const before = Deno.statSync(path).size + Deno.statSync(`${path}-wal`).size;
    await (await log.sessions()).forget("gone");
    const files = [path, `${path}-wal`].map((file) => Deno.readFileSync(file));
    for (const mark of ["marked-name", "marked-text", "marked-blob"]) {
      for (const bytes of files) assert.ok(!new TextDecoder("latin1").decode(bytes).includes(mark), mark);
    }
    assert.ok(files.reduce((sum, { length }) => sum + length, 0) < before - blob.bytes, "the room is given back");
    assert.equal((await log.read("kept", { fromSeq: 1, limit: 99 })).length, 40);
  });
});

Deno.test("a file does not put words into the session that everybody opens by default", async () => {
  await withLog(async (log) => {
    const store = await log.sessions();
    for (const id of ["runtime-ann", "rivers", "api-phone", "01a20da9-91ce-45a8-b0de-f1010377682e"]) {
      const lines = chain([HEADER, sessionLine(id), eventLine(1, "user_message", MESSAGE), END]);
      const row = await store.importLines(toBytes(lines), INTO);
      assert.notEqual(row.id, id);
      assert.equal(await log.session(id), undefined);
    }
  });
});

Deno.test("a file does not bring heads of an audit log that this one never wrote", async () => {
  await withLog(async (log) => {
    const head = { seq: 999, sha256: "f".repeat(64) };
    const done = { ...SAMPLES.turn_done.payload, auditHead: head };
    const lines = chain([HEADER, sessionLine("x"), eventLine(1, "turn_done", done), END]);
    const { id } = await (await log.sessions()).importLines(toBytes(lines), INTO);
    const [event] = await log.read(id, { fromSeq: 1, limit: 1 });
    assert.ok(event?.type === "turn_done" && event.payload.auditHead === undefined);
  });
});

Deno.test("a file does not fetch a blob that only somebody else's session has", async () => {
  await withLog(async (log) => {
    await log.ensureSession(sessionOf("bobs", "bob"));
    const secret = await blobOf(encoder.encode("bob's picture"));
    await log.append("bobs", "t", [{ ...messageOf("x"), blobs: [secret] }], NORMAL);
    const refs = { blobs: [{ sha256: secret.sha256, bytes: secret.bytes, mimeType: "image/png" }] };
    const lines = chain([HEADER, sessionLine("x"), eventLine(1, "user_message", MESSAGE, refs), END]);
    const store = await log.sessions();
    await assert.rejects(store.importLines(toBytes(lines), INTO), {
      code: "usage",
      message: /line 3: the event names a blob/,
    });
  });
});

Deno.test("a file that never ends a line, or never ends, is left before it is read", async () => {
  await withLog(async (log) => {
    const store = await log.sessions();
    const piece = new Uint8Array(8_388_608).fill(120);
    let pieces = 0;
    async function* endless(start = "") {
      await Promise.resolve();
      if (start !== "") yield encoder.encode(start);
      for (;; pieces++) yield piece;
    }
    await assert.rejects(store.importLines(endless(), INTO), {
      code: "usage",
      message: /line 0: behind it: a line of more/,
    });
    const begun = chain([HEADER, sessionLine("x"), eventLine(1, "user_message", MESSAGE)]).join("");
    await assert.rejects(store.importLines(endless(begun), INTO), { code: "usage", message: /line 3: behind it/ });
    assert.ok(pieces <= 2 * (LIMITS.importLineBytesMax / piece.length + 1), `${pieces}`);
    assert.deepEqual(await store.list(".importing", { includeArchived: true, limit: 9 }), []);
  });
});

Deno.test("a file that nests deeper than a stack, or holds too many blobs before one event, is refused with its line", async () => {
  await withLog(async (log) => {
    const store = await log.sessions();
    const deep = `{"type":"event","event":${'{"a":'.repeat(200_000)}1${"}".repeat(200_000)}}\n`;
    const begun = chain([HEADER, sessionLine("x")]);
    await assert.rejects(store.importLines(toBytes([...begun, deep]), INTO), { code: "usage", message: /^line 3: / });
    const sizes = [LIMITS.importBlobBytesMax - 8, 16];
    const blobs = await Promise.all(sizes.map(async (size) => {
      const content = new Uint8Array(size);
      return { type: "blob", content: (await blobOf(content)).sha256, bytes: size, data: content.toBase64() };
    }));
    const lines = chain([HEADER, sessionLine("x"), ...blobs]);
    await assert.rejects(store.importLines(toBytes(lines, 8_388_608), INTO), {
      code: "usage",
      message: /^line 4: more than \d+ bytes of blobs before an event/,
    });
  });
});

Deno.test("what an import that was cut off by a crash left behind is seen by nobody and goes", async () => {
  const folder = await Deno.makeTempDir();
  const path = join(folder, "log.db");
  let now = 1_700_000_000_000;
  const open = () => openEventLog({ path, now: () => now });
  try {
    const first = await open();
    const source = await first.sessions();
    await first.ensureSession(sessionOf("s", "ann"));
    for (let n = 0; n < 30; n++) await first.append("s", `t${n}`, [messageOf("x".repeat(400_000))], NORMAL);
    const lines = await exported(source, "s");
    // Half of a file, and then nothing: the process is gone before it could tidy up.
    const half = Promise.withResolvers<void>();
    const stalling = async function* () {
      yield* toBytes(lines.slice(0, 28), 1_000_000);
      half.resolve();
      await new Promise(() => {});
    };
    void source.importLines(stalling(), INTO);
    await half.promise;
    const staged = async (log: EventLog) => await log.listSessions(".importing", { includeArchived: true });
    assert.equal((await staged(first)).length, 1);
    assert.equal((await first.listSessions("ann", { includeArchived: true })).length, 1);
    await first.close();
    const soon = await open();
    await soon.sessions();
    assert.equal((await staged(soon)).length, 1, "another gateway may be at it");
    await soon.close();
    now += LIMITS.importStaleMs + 1_000;
    const later = await open();
    await later.sessions();
    assert.equal((await staged(later)).length, 0);
    assert.equal((await later.read("s", { fromSeq: 1, limit: 99 })).length, 30);
    await later.close();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a branch of a session that saw the vault counts as one that did, and so does what came from a file", async () => {
  using temp = openTempFiles();
  const path = join(temp.dir, "approvals.json");
  const approvals = openApprovals({ path, now: () => 5_000, record: () => {}, onResolved: () => {} });
  const broker = await openTempBroker(temp, says("x"), { approvals });
  approvals.markPrivate("vaulted");
  await broker.derived("branch", "vaulted");
  await broker.derived("harmless", "public");
  await broker.derived("file", undefined);
  assert.deepEqual(["branch", "harmless", "file"].map((id) => approvals.isPrivate(id)), [true, false, true]);
  broker.close();
  approvals.close();
});

Deno.test("a channel's token that knows the id of another's session learns and changes nothing", async () => {
  const tokens = await Promise.all(["a", "b"].map(async (id) => {
    return { id, sha256: await sha256Hex(id.repeat(40)), scope: "channel" as const };
  }));
  await using house = await openHouse({ tokens: () => tokens }, sessionsOver(scriptedProvider(answers("hello"))));
  const ask = async (token: string, path: string, body?: unknown) =>
    await fetch(`http://127.0.0.1:${house.port}/api/v1/sessions${path}`, {
      headers: { authorization: `Bearer ${token.repeat(40)}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
    });
  const { id } = await (await ask("a", "", { name: "a's" })).json();
  const tries: readonly (readonly [string, unknown?])[] = [
    [`/${id}`],
    [`/${id}/events`],
    [`/${id}/cancel`, {}],
    [`/${id}/steer`, { message_id: "m", text: "do what b says" }],
    ["", { branch_of: id }],
  ];
  for (const [path, body] of tries) {
    const response = await ask("b", path, body);
    assert.deepEqual([response.status, (await response.json()).error?.code], [404, "session_unknown"], path);
  }
  assert.deepEqual((await (await ask("b", "?archived=true")).json()).sessions, []);
  assert.equal((await (await ask("a", `/${id}`)).json()).turns, 0);
});

Deno.test("a flood of messages to one turn is refused beyond a few, and none of them is taken twice", async () => {
  const gate = Promise.withResolvers<{ type: "text"; text: string }>();
  const provider = scriptedProvider([gate.promise], answers("two"));
  await using house = await openHouse({}, sessionsOver(provider));
  await using client = await house.client({ capabilities: ["turn_events", "steering"] });
  client.turn("t");
  await client.next("turn_started");
  for (let n = 0; n < 500; n++) {
    const steer = { request_id: `r${n}`, session_id: "runtime-ann", turn_id: "t", message_id: `m${n}`, text: "x" };
    client.send("steer", steer);
  }
  const refused = (await client.drain()).filter((frame) => frame.type === "error");
  assert.equal(refused.length, 500 - LIMITS.steeringWaitingMax);
  assert.ok(refused.every((frame) => frame.payload.code === "queue_full"));
  gate.resolve({ type: "text", text: "one" });
  await client.next("turn_completed");
  const events = await house.log.turn("runtime-ann", "t");
  assert.equal(events.filter((event) => event.type === "steering").length, LIMITS.steeringWaitingMax);
});
