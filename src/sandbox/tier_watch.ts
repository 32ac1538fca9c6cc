import fs from "node:fs";
import { LIMITS } from "#/core/limits.ts";
import { delay } from "#/lib/delay.ts";
import type { TierLimits } from "#/sandbox/tier.ts";

/** One walled process that is looked at while it runs. */
export interface Watched {
  /** Host paths. */
  readonly mounts: { readonly shared: string; readonly tmp: string };
  readonly limits: Pick<TierLimits, "sharedBytesMax" | "tmpBytesMax" | "diskFloorBytes">;
  /** What a driver looks at besides: why it has to end, or undefined. */
  readonly look?: () => string | undefined;
}

/** What a file system has left. */
export interface Room {
  readonly bytes: number;
  /** Files that can still be made; 0 where that is no fixed number. */
  readonly entries: number;
}

/** What a folder holds, with everything below it, on its own file system. */
export interface Held {
  readonly bytes: number;
  readonly entries?: number;
}

/** Where the numbers come from. */
export interface WatchDeps {
  readonly readRoom: (path: string) => Promise<Room>;
  /** Rejects when it cannot be said. */
  readonly measure: (path: string, withEntries: boolean) => Promise<Held>;
  /** Milliseconds, for differences. */
  readonly now: () => number;
  readonly delay: typeof delay;
}

/**
 * Looks every `tierWatchMs` at what walled processes have used up, and ends what is over. Cheap while nothing happens: the disk is asked what
 * it has left, and a folder is measured only when that fell by so much that the folder could be over, or after `tierMeasureMs`.
 * One for all processes of a driver: those that share a folder share its measuring, and all of them end when it is over.
 */
export class TierWatch {
  readonly #deps: WatchDeps;
  readonly #watched = new Map<Watched, (reason: string) => void>();
  readonly #folders = new Map<string, Folder>();
  #isRunning = false;
  #wake = new AbortController();

  constructor(deps: WatchDeps = { readRoom, measure, now: () => performance.now(), delay }) {
    this.#deps = deps;
  }

  /** Watches until the function that it returns is called. `end` is called at most once, with a reason in words. */
  add(watched: Watched, end: (reason: string) => void): () => void {
    this.#watched.set(watched, end);
    if (!this.#isRunning) void this.#run();
    return () => {
      this.#watched.delete(watched);
      if (this.#watched.size === 0) this.#wake.abort();
    };
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#watched.size > 0) {
      // Anew: somebody may have come in the moment in which the last one had gone.
      this.#wake = new AbortController();
      await this.#look();
      await this.#deps.delay(LIMITS.tierWatchMs, this.#wake.signal);
    }
    this.#isRunning = false;
    this.#folders.clear();
  }

  async #look(): Promise<void> {
    const paths = new Set([...this.#watched.keys()].flatMap(({ mounts }) => [mounts.shared, mounts.tmp]));
    for (const path of paths) {
      const folder = this.#folders.get(path) ?? new Folder(path, this.#deps);
      this.#folders.set(path, folder);
      await folder.look(this.#headroom(path, folder));
    }
    for (const [watched, end] of [...this.#watched]) {
      const reason = watched.look?.() ?? this.#judge(watched);
      if (reason === undefined || !this.#watched.delete(watched)) continue;
      end(reason);
    }
  }

  #judge({ mounts, limits }: Watched): string | undefined {
    for (const [root, bytesMax] of [["shared", limits.sharedBytesMax], ["tmp", limits.tmpBytesMax]] as const) {
      const folder = this.#folders.get(mounts[root]);
      // It came while the others were looked at.
      if (folder === undefined) continue;
      if (folder.room !== undefined && folder.room.bytes < limits.diskFloorBytes) {
        return `The disk below /${root} has less than ${toMib(limits.diskFloorBytes)} left`;
      }
      if (folder.held > folder.toMax(bytesMax)) return `/${root} holds more than ${toMib(bytesMax)}`;
      if (folder.entries > LIMITS.wallEntriesMax) return `/${root} holds more than ${LIMITS.wallEntriesMax} files`;
    }
    return undefined;
  }

  /** What may still come into a folder before any of its processes is over. */
  #headroom(path: string, folder: Folder): number {
    const left = [...this.#watched.keys()].flatMap(({ mounts, limits }) => [
      ...(mounts.shared === path ? [folder.toMax(limits.sharedBytesMax) - folder.held] : []),
      ...(mounts.tmp === path ? [folder.toMax(limits.tmpBytesMax) - folder.held] : []),
    ]);
    return Math.max(0, Math.min(...left));
  }
}

/** What is known of one folder. */
class Folder {
  readonly #path: string;
  readonly #deps: WatchDeps;
  /** Of the last look. */
  room: Room | undefined;
  held = 0;
  entries = 0;
  #first: number | undefined;
  #measured: { readonly at: number; readonly room: Room } | undefined;
  #isMeasuring = false;

  constructor(path: string, deps: WatchDeps) {
    this.#path = path;
    this.#deps = deps;
  }

  /** What it may hold: a folder that was over before the first process is not to grow, and can still be tidied up. */
  toMax(bytesMax: number): number {
    return Math.max(bytesMax, (this.#first ?? 0) + LIMITS.wallOverBytesMax);
  }

  async look(headroom: number): Promise<void> {
    this.room = await this.#deps.readRoom(this.#path).catch(() => this.room);
    if (this.room === undefined || this.#isMeasuring) return;
    const last = this.#measured;
    // Half of it: others may have given some back meanwhile.
    const hasFallen = last !== undefined && last.room.bytes - this.room.bytes > headroom / 2;
    const hasFilled = last !== undefined && last.room.entries - this.room.entries > LIMITS.wallEntriesMax / 2;
    if (last !== undefined && !hasFallen && !hasFilled && this.#deps.now() - last.at < LIMITS.tierMeasureMs) return;
    // A folder that takes long is judged by a later look; the floor of the disk holds meanwhile.
    const done = new AbortController();
    const measuring = this.#measure(this.room, hasFilled).finally(() => done.abort());
    await Promise.race([measuring, this.#deps.delay(LIMITS.tierWatchMs, done.signal)]);
  }

  async #measure(room: Room, withEntries: boolean): Promise<void> {
    this.#isMeasuring = true;
    try {
      const { bytes, entries } = await this.#deps.measure(this.#path, withEntries);
      this.held = bytes;
      this.entries = entries ?? this.entries;
      this.#first ??= bytes;
      this.#measured = { at: this.#deps.now(), room };
    } catch {
      // It is tried again at the next look.
    } finally {
      this.#isMeasuring = false;
    }
  }
}

/** What the file system of a path has left for somebody who is not root. Rejects with what the system says. */
export function readRoom(path: string): Promise<Room> {
  return new Promise((resolve, reject) =>
    fs.statfs(
      path,
      (error, stat) => error ? reject(error) : resolve({ bytes: stat.bavail * stat.bsize, entries: stat.ffree }),
    )
  );
}

/**
 * What a folder holds, by du(1): blocks, so that a sparse file counts as what it takes, and each hard link once. Another process, for a tree
 * of a hostile shape shall not stop ours. Rejects with RangeError when it says no number within `tierMeasureMs`.
 */
export async function measure(path: string, withEntries: boolean): Promise<Held> {
  const [kib, entries] = await Promise.all([
    du(["-skx", path]),
    withEntries ? du(["-sx", "--inodes", path]) : undefined,
  ]);
  return { bytes: kib * 1_024, ...(entries === undefined ? {} : { entries }) };
}

async function du(args: readonly string[]): Promise<number> {
  const signal = AbortSignal.timeout(LIMITS.tierMeasureMs);
  const { stdout } = await new Deno.Command("du", { args: [...args], stdin: "null", stderr: "null", signal }).output();
  // Its exit code tells of files that went meanwhile.
  const said = /^\d+/.exec(new TextDecoder().decode(stdout))?.[0];
  if (said === undefined) throw new RangeError("du said no number");
  return Number(said);
}

function toMib(bytes: number): string {
  return `${Math.floor(bytes / 1_048_576)} MiB`;
}
