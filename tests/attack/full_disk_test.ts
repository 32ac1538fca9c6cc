/**
 * Threat: the disk is full, at whatever moment: what was whole stays whole, what cannot be written is said, and the same process goes on
 * as soon as there is room. The disk is a real one of a few megabytes; it is filled up to a few pages, one page more each time, so that
 * every write of a step meets its end once.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { answerApproval, readApprovals } from "#/cli/control_client.ts";
import { peekApprovals } from "#/sandbox/approval_state.ts";
import { openApprovals } from "#/sandbox/approvals.ts";
import { openKept } from "#/sandbox/kept.ts";
import { askedCall } from "../fixture/asked_call.ts";
import { openSmallDisk, WAY, withRoom } from "../fixture/small_disk.ts";
import { fromFileUrl } from "../fixture/source_tree.ts";
import {
  connectRaw,
  isAlive,
  processTree,
  type RawClient,
  runOxydra,
  startGateway,
  waitUntil,
} from "../fixture/system.ts";
import { filesIn, obeys, openWebHouse, type Told } from "../fixture/web_house.ts";
import { decisionOf, openLog, verify } from "../sandbox/audit_kit.ts";
import { openTempFiles } from "../sandbox/temp_files.ts";

/** Nobody may mount a disk in some containers: there these are reported as ignored. */
const ignore = WAY === undefined;
const PAGE_BYTES = 4_096;

/** What is left of the disk each time. */
const ROOMS = Array.from({ length: 16 }, (_, pages) => pages * PAGE_BYTES);

/** The text of a file, or nothing where there is none. */
function textsIn(dir: string, name: string): string[] {
  return filesIn(dir).filter((path) => path === join(dir, name)).map((path) => Deno.readTextFileSync(path));
}

const assertNoTemporaries = (dir: string) => assert.deepEqual(filesIn(dir).filter((path) => /tmp-/.test(path)), []);

Deno.test({
  name: "full disk: a write or delete of a tool is done whole or not at all, and what it replaces stays kept",
  ignore,
  async fn() {
    await using disk = await openSmallDisk(2_000_000);
    using temp = openTempFiles({ parent: disk.seen });
    const ends = new Set<string>();
    let last = "0".repeat(20_000);
    const write = (path: string, content: string) => temp.run({ fn: "fs-write.write-text", path, text: content });
    await write("/shared/a", last);
    for (const room of ROOMS) {
      const next = `${room}`.repeat(3_000);
      const over = await withRoom(disk, room, () => write("/shared/a", next));
      if (over === "ok") last = next;
      const anew = await withRoom(disk, room, () => write(`/shared/${room}/b`, next));
      const gone = await withRoom(disk, room, () => temp.run({ fn: "fs-write.remove", path: "/shared/a" }));
      for (const end of [over, anew, gone]) ends.add(end);
      assert.deepEqual(textsIn(temp.shared, "a"), gone === "ok" ? [] : [last], `${room}: ${over}, ${gone}`);
      assert.deepEqual(textsIn(temp.shared, `${room}/b`), anew === "ok" ? [next] : [], `${room}: ${anew}`);
      if (gone === "ok") await write("/shared/a", last);
      assertNoTemporaries(temp.dir);
    }
    assert.deepEqual([...ends].sort(), ["ok", "quota_exceeded"]);
  },
});

Deno.test({
  name: "full disk: a line of what is kept that does not fit leaves no half of itself before the next one",
  ignore,
  async fn() {
    await using disk = await openSmallDisk(2_000_000);
    using temp = openTempFiles({ parent: disk.seen });
    const write = (content: string) => temp.run({ fn: "fs-write.write-text", path: "/shared/a", text: content });
    let refused = 0;
    for (let round = 0; round < 80; round++) {
      await write(`old ${round}`);
      // Room for the old content, and for its line until that needs another page.
      if (await withRoom(disk, PAGE_BYTES, () => write(`new ${round}`)) === "quota_exceeded") refused++;
    }
    // A page that the kernel gives back late is room for one round more, once in a while.
    assert.ok(refused > 70, `${refused} of 80`);
    const dir = join(temp.dir, "run/kept");
    const after = openKept({ dir, now: Date.now });
    await after.ready();
    assert.deepEqual(after.entries(), temp.kept.entries());
  },
});

Deno.test({
  name: "full disk: the list of approvals stays whole, a card or an answer that cannot be kept does not count",
  ignore,
  async fn() {
    await using disk = await openSmallDisk(2_000_000);
    const path = join(disk.seen, "approvals.json");
    const recorded: string[] = [];
    const approvals = openApprovals({
      path,
      now: Date.now,
      record: ({ id }) => recorded.push(id),
      onResolved: () => {},
    });
    const ends = new Set<string>();
    // Several pages, so that a part of it fits.
    for (let i = 0; i < 200; i++) approvals.markPrivate(`${i}`.padStart(100, "s"));
    const card = approvals.find(askedCall({ callId: "open" }));
    assert.ok(card.kind === "open");
    for (const room of ROOMS) {
      const before = peekApprovals(path);
      assert.ok(before !== undefined);
      const asking = await withRoom(disk, room, () => approvals.find(askedCall({ callId: `${room}` })));
      const answering = await withRoom(
        disk,
        room,
        () => approvals.answer({ id: card.card.id, answer: "once" }, "owner"),
      );
      const after = peekApprovals(path);
      assert.ok(after !== undefined, `${room}: it is damaged`);
      assert.equal(
        after.pending.length,
        before.pending.length + (asking === "ok" ? 1 : 0) - (answering === "ok" ? 1 : 0),
      );
      assert.deepEqual(approvals.pending, after.pending);
      assert.deepEqual([...Deno.readDirSync(disk.seen)].map(({ name }) => name), ["approvals.json"]);
      for (const end of [asking, answering]) ends.add(end);
      if (answering === "ok") break;
    }
    assert.deepEqual([...ends].sort(), ["ok", "quota_exceeded"]);
    approvals.close();
  },
});

Deno.test({
  name: "full disk: silence that cannot be written down ends no runner, opens nothing, and is a no when there is room",
  ignore,
  async fn() {
    await using disk = await openSmallDisk(2_000_000);
    const resolved = Promise.withResolvers<string>();
    let now = 1_000;
    let tries = 0;
    const approvals = openApprovals({
      path: join(disk.seen, "approvals.json"),
      now: () => now,
      waitMs: 1,
      retryMs: 1,
      record: () => void tries++,
      onResolved: ({ answer, by }) => resolved.resolve(`${answer} by ${by}`),
    });
    const found = approvals.find(askedCall());
    assert.ok(found.kind === "open");
    disk.fill();
    now += 1;
    await waitUntil(() => tries >= 3, "it was not tried again");
    assert.equal(approvals.pending.length, 1);
    const late = () => approvals.answer({ id: found.card.id, answer: "once" }, "owner");
    assert.throws(late, { code: "approval_unknown" });
    disk.free();
    assert.equal(await resolved.promise, "no by silence");
    assert.throws(late, { code: "approval_unknown" });
    approvals.close();
  },
});

Deno.test({
  name: "full disk: the audit log stays whole at every amount of room, and no entry that was refused is in it",
  ignore,
  async fn() {
    await using disk = await openSmallDisk(2_000_000);
    const dir = join(disk.seen, "audit");
    const audit = openLog(dir, { segmentBytesMax: 8_000 });
    const ends = new Set<string>();
    let entries = 1;
    for (let round = 0; round < 100; round++) {
      const end = await withRoom(disk, 0, () => audit.append("decision", decisionOf()));
      if (end === "ok") entries++;
      ends.add(end);
      const verdict = verify(dir, [audit.head]);
      assert.deepEqual([verdict.broken, verdict.head], [undefined, audit.head], `${round}: ${end}`);
      // Over the page that it ends with, and on.
      if (end !== "ok") audit.append("decision", decisionOf()), entries++;
    }
    assert.deepEqual([...ends].sort(), ["audit_failed", "ok"]);
    const { entries: found, segments } = verify(dir, [audit.head]);
    assert.ok(segments > 3);
    assert.equal(found - (segments - 1), entries, "but for the first entry of each segment");
    audit.close();
  },
});

Deno.test({
  name: "full disk: the event log has each event that it took and none that it refused, also when it is opened then",
  ignore,
  async fn() {
    await using disk = await openSmallDisk(4_000_000);
    // SQLite resolves its path, so it is opened where that leads to the disk.
    const script = fromFileUrl(new URL("../memory/full_disk_child.ts", import.meta.url));
    const config = fromFileUrl(new URL("../../deno.json", import.meta.url));
    const run = ["run", "-A", "-q", "--no-check", "--cached-only", "--config", config, script, disk.path, ROOMS.join()];
    const { command, args } = disk.inside(Deno.execPath(), run, disk.path);
    const { stdout, stderr } = await new Deno.Command(command, { args }).output();
    assert.equal(new TextDecoder().decode(stdout), "ok,store_failed\n", new TextDecoder().decode(stderr));
  },
});

/** What one turn came to: its tool results as `code text`, then how it ended. */
async function endOf(client: RawClient, calls: readonly Told[], control: string): Promise<string[]> {
  const id = crypto.randomUUID();
  client.send("send_turn", {
    request_id: id,
    session_id: "s",
    turn_id: id,
    prompt: JSON.stringify(calls),
    attachments: [],
  });
  const seen: string[] = [];
  for (;;) {
    const { type, payload } = await client.next();
    if (type === "turn_completed") return [...seen, "completed"];
    if (type === "error") return [...seen, `${payload.code} ${payload.message}`];
    const event = type === "turn_event" ? payload.event : {};
    if (event.type === "tool_result") seen.push(`${event.payload.code ?? "ok"} ${event.payload.text}`);
    if (event.type !== "parked") continue;
    for (const card of await readApprovals(control)) await answerApproval(control, { id: card.id, answer: "once" });
  }
}

Deno.test({
  name: "full disk: a turn goes on or ends with a sentence, the next one is served, and nothing is left behind",
  ignore,
  async fn() {
    await using disk = await openSmallDisk(16_000_000);
    let onAsked = () => {};
    await using house = await openWebHouse(
      (...asked) => {
        onAsked();
        onAsked = () => {};
        return obeys(...asked);
      },
      {},
      disk,
    );
    const { workspace, machine, control } = house;
    const shared = join(workspace, "shared");
    await Deno.writeFile(join(workspace, "vault/large"), new Uint8Array(3_000_000));
    await Deno.writeTextFile(join(shared, "large"), `head\n${`${"x".repeat(79)}\n`.repeat(18_000)}`);
    const gateway = await startGateway(machine);
    const client = await connectRaw(gateway, {
      session_id: "s",
      capabilities: ["turn_events", "approvals", "named_sessions"],
    });
    await client.next(({ type }) => type === "hello_ack");
    const read: Told = ["file_read", { path: "/shared/a" }];
    const turn = async (room: number | undefined, ...calls: Told[]) => {
      if (room !== undefined) onAsked = () => disk.fill(room);
      const end = await endOf(client, calls, control);
      if (room !== undefined) disk.free();
      return end;
    };
    assert.deepEqual(await turn(undefined, ["file_write", { path: "/shared/a", content: "alpha" }]), [
      "ok Created /shared/a (5 bytes).",
      "completed",
    ]);
    const copy: Told = ["vault_copyto", { source_path: "/vault/large", destination_path: "/shared/copy" }];
    // Room for the log, the audit log and the list of approvals, not for the file.
    assert.deepEqual(await turn(2_000_000, copy, read), [
      "quota_exceeded The disk has no space left for /shared/copy",
      "ok alpha",
      "completed",
    ]);
    const edit: Told = ["file_edit", { path: "/shared/large", old_text: "head", new_text: "HEAD" }];
    assert.deepEqual(await turn(1_000_000, edit, read), [
      "quota_exceeded The old content of /shared/large cannot be kept (the disk refuses), so it was left as it is",
      "ok alpha",
      "completed",
    ]);
    const full = "store_failed oxydra.db: no room is left on the disk or below the log's size limit: free some space";
    assert.deepEqual(await turn(0, ["file_write", { path: "/shared/b", content: "beta" }]), [full]);
    disk.fill();
    assert.deepEqual(await turn(undefined, read), [full]);
    disk.free();
    assert.deepEqual(await turn(undefined, read), ["ok alpha", "completed"]);
    const pids = processTree(gateway.process.pid);
    client.close();
    assert.deepEqual([await gateway.stop(), pids.filter(isAlive)], [0, []]);
    disk.fill();
    const started = await runOxydra(["run", "[]"], machine);
    assert.deepEqual([started.code, started.err], [
      2,
      "oxydra: The file walk cannot be proven here, so no tool may run: the disk has no space left\n",
    ]);
    disk.free();
    const verified = await runOxydra(["audit", "verify"], machine);
    assert.match(verified.out, /the audit log is whole/, verified.err);
    assert.equal((await runOxydra(["run", JSON.stringify([read])], machine)).code, 0);
    assert.deepEqual([...Deno.readDirSync(shared)].map(({ name }) => name).sort(), ["a", "large"]);
    assert.ok(peekApprovals(join(workspace, "run/approvals.json")) !== undefined);
    assert.deepEqual(filesIn(workspace).filter((path) => /tmp-|\.new$|self-test/.test(path)), []);
  },
});

Deno.test({
  name:
    "full disk: a backup is whole or not there, a restore is done or not begun, and the event log stays what it was",
  ignore,
  async fn() {
    await using disk = await openSmallDisk(2_000_000);
    const cwd = join(disk.path, "w");
    const seen = disk.toSeen(cwd);
    Deno.mkdirSync(seen);
    const machine = { cwd, env: { HOME: disk.path, NO_COLOR: "1" }, disk };
    const path = join(seen, ".oxydra/workspaces/default/internal/oxydra.db");
    assert.equal((await runOxydra(["run", `write "${"x".repeat(100_000)}" to /shared/a`], machine)).code, 0);
    const before = Deno.readFileSync(path);
    const isSame = () => Deno.readFileSync(path).every((byte, at) => byte === before[at]);
    assert.equal((await runOxydra(["backup", "whole.db"], machine)).code, 0);
    const whole = Deno.readFileSync(join(seen, "whole.db"));
    const ends = new Set<string>();
    for (const room of [0, 1, 8, 20, 60, 400].map((pages) => pages * PAGE_BYTES)) {
      disk.fill(room);
      const backup = await runOxydra(["backup", "b.db"], machine);
      const restore = await runOxydra(["restore", "whole.db"], machine);
      disk.free();
      ends.add(`${backup.code} ${restore.code}`);
      const names = [...Deno.readDirSync(seen)].map(({ name }) => name).filter((name) => name !== ".oxydra").sort();
      assert.deepEqual(names, backup.code === 0 ? ["b.db", "whole.db"] : ["whole.db"], `${room}: ${backup.err}`);
      if (backup.code === 0) assert.deepEqual(Deno.readFileSync(join(seen, "b.db")), whole);
      else assert.match(backup.err, /no room is left|no backup can be written|cannot be/, `${room}`);
      if (restore.code !== 0) assert.ok(isSame(), `${room}: ${restore.err}`);
      const folder = filesIn(join(path, "..")).filter((name) => name.includes(".restore"));
      assert.deepEqual(folder, [], `${room}`);
      if (backup.code === 0) Deno.removeSync(join(seen, "b.db"));
    }
    assert.ok(ends.has("0 0") && ends.size > 1, [...ends].join());
    assert.equal((await runOxydra(["run", "list /shared"], machine)).code, 0);
  },
});
