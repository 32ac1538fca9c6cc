import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { join } from "#/lib/path.ts";
import { type Held, measure, readRoom, type Room, TierWatch } from "#/sandbox/tier_watch.ts";
import { ManualTime } from "../fake/manual_time.ts";

const MIB = 1_048_576;
const MOUNTS = { shared: "/s", tmp: "/t" };
const BOUNDS = { sharedBytesMax: 100 * MIB, tmpBytesMax: 50 * MIB, diskFloorBytes: 10 * MIB };

/** A disk and folders whose numbers a test sets, and a watch that looks when the test lets time pass. */
class Machine {
  readonly time = new ManualTime();
  room: Room = { bytes: 1_000 * MIB, entries: 10_000_000 };
  readonly held: Record<string, Held | undefined> = { "/s": { bytes: 0 }, "/t": { bytes: 0 } };
  readonly measured: string[] = [];
  readonly watch = new TierWatch({
    readRoom: () => Promise.resolve(this.room),
    measure: (path, withEntries) => {
      this.measured.push(withEntries ? `${path} files` : path);
      const held = this.held[path];
      return held === undefined ? new Promise(() => {}) : Promise.resolve(held);
    },
    now: this.time.now,
    delay: this.time.delay,
  });
  readonly ends: string[] = [];
  readonly end = (reason: string): void => void this.ends.push(reason);

  /** One more look. */
  async look(ms: number = LIMITS.tierWatchMs): Promise<void> {
    await this.settle();
    this.time.advance(ms);
    await this.settle();
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < 50; turn++) await Promise.resolve();
  }
}

Deno.test("TierWatch measures once, and again only when the disk has lost what a folder may still take", async () => {
  const machine = new Machine();
  const stop = machine.watch.add({ mounts: MOUNTS, limits: BOUNDS }, machine.end);
  await machine.settle();
  assert.deepEqual(machine.measured, ["/s", "/t"]);
  for (let look = 0; look < 5; look++) await machine.look();
  assert.equal(machine.measured.length, 2);
  machine.room = { ...machine.room, bytes: machine.room.bytes - 30 * MIB };
  await machine.look();
  assert.deepEqual(machine.measured, ["/s", "/t", "/t"], "half of what /tmp may still take");
  for (let look = 0; look < LIMITS.tierMeasureMs / LIMITS.tierWatchMs; look++) await machine.look();
  assert.deepEqual(
    machine.measured.slice(3).toSorted(),
    ["/s", "/t"],
    "after tierMeasureMs, for others give room back",
  );
  stop();
  await machine.settle();
  assert.equal(machine.time.pending, 0);
  assert.deepEqual(machine.ends, []);
});

Deno.test("TierWatch ends what is over, once, with the reason: bytes, the floor of the disk, files, a driver's own look", async () => {
  const machine = new Machine();
  machine.held["/s"] = { bytes: 50 * MIB };
  machine.watch.add({ mounts: MOUNTS, limits: BOUNDS }, machine.end);
  machine.watch.add(
    { mounts: { shared: "/other", tmp: "/t" }, limits: { ...BOUNDS, diskFloorBytes: 900 * MIB } },
    machine.end,
  );
  machine.held["/other"] = { bytes: 0 };
  await machine.settle();
  machine.held["/s"] = { bytes: 101 * MIB };
  machine.room = { bytes: 899 * MIB, entries: 10_000_000 };
  await machine.look();
  await machine.look();
  assert.deepEqual(machine.ends, [
    "/shared holds more than 100 MiB",
    "The disk below /shared has less than 900 MiB left",
  ]);

  const files = new Machine();
  files.watch.add({ mounts: MOUNTS, limits: BOUNDS }, files.end);
  await files.settle();
  files.room = { ...files.room, entries: files.room.entries - LIMITS.wallEntriesMax };
  files.held["/s"] = { bytes: 0, entries: LIMITS.wallEntriesMax + 1 };
  await files.look();
  assert.ok(files.measured.includes("/s files"));
  assert.deepEqual(files.ends, [`/shared holds more than ${LIMITS.wallEntriesMax} files`]);

  const own = new Machine();
  const looks = [undefined, "too much"];
  own.watch.add({ mounts: MOUNTS, limits: BOUNDS, look: () => looks.shift() }, own.end);
  await own.look();
  await own.look();
  assert.deepEqual(own.ends, ["too much"]);
  assert.equal(own.time.pending, 0);
});

Deno.test("TierWatch lets a folder that was over be tidied up, and not grow", async () => {
  const machine = new Machine();
  machine.held["/s"] = { bytes: 500 * MIB };
  machine.watch.add({ mounts: MOUNTS, limits: BOUNDS }, machine.end);
  await machine.look();
  machine.held["/s"] = { bytes: 500 * MIB + LIMITS.wallOverBytesMax };
  machine.room = { ...machine.room, bytes: machine.room.bytes - LIMITS.wallOverBytesMax };
  await machine.look();
  assert.deepEqual(machine.ends, []);
  machine.held["/s"] = { bytes: 500 * MIB + LIMITS.wallOverBytesMax + 1 };
  machine.room = { ...machine.room, bytes: machine.room.bytes - MIB };
  await machine.look();
  assert.deepEqual(machine.ends, ["/shared holds more than 100 MiB"]);
});

Deno.test("TierWatch goes on when measuring takes for ever or fails, and the floor of the disk holds", async () => {
  const machine = new Machine();
  machine.held["/s"] = undefined;
  machine.watch.add({ mounts: MOUNTS, limits: BOUNDS }, machine.end);
  for (let look = 0; look < 4; look++) await machine.look();
  assert.equal(machine.measured.filter((path) => path === "/s").length, 1);
  machine.room = { ...machine.room, bytes: MIB };
  await machine.look();
  await machine.look();
  assert.deepEqual(machine.ends, ["The disk below /shared has less than 10 MiB left"]);
});

Deno.test("measure() counts blocks: no holes, a hard link once, nothing behind a link", async () => {
  const root = Deno.makeTempDirSync();
  Deno.writeFileSync(join(root, "a"), new Uint8Array(MIB));
  Deno.linkSync(join(root, "a"), join(root, "b"));
  Deno.symlinkSync("/usr", join(root, "c"));
  Deno.truncateSync(Deno.makeTempFileSync({ dir: root }), 100 * MIB);
  const { bytes, entries } = await measure(root, true);
  assert.ok(bytes >= MIB && bytes < 1.2 * MIB, String(bytes));
  assert.equal(entries, 4);
  await assert.rejects(measure(join(root, "nowhere"), false), RangeError);
  Deno.removeSync(root, { recursive: true });
});

Deno.test("readRoom() says what a disk has left", async () => {
  const { bytes, entries } = await readRoom(Deno.makeTempDirSync());
  assert.ok(bytes > 0 && entries >= 0);
  await assert.rejects(readRoom("/nowhere/at/all"));
});
